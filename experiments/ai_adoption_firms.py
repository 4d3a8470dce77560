"""A cross-section of firms, industries or regions: effect, groups, methods, what overturns it."""

from argparse import Namespace

import numpy as np
import pandas as pd
from ai_adoption_data import Table, groups
from ai_adoption_parts import Part, Picture, forest, height

from causal_ddpm import (
    ATE,
    ATT,
    BLP,
    GATE,
    Analysis,
    CausalData,
    Comparison,
    Estimate,
    Network,
    Refutation,
    Sensitivity,
    analyse,
    compare,
    refute,
    sensitivity,
    spillover_effects,
)
from causal_ddpm.evaluation.analysis import AnalysisSettings
from causal_ddpm.evaluation.provenance import Reference
from causal_ddpm.report import displays

METHODS = ["diffusion", "difference", "ols", "interacted", "ipw", "plr", "irm", "causal-forest"]
QUICK_METHODS = ["diffusion", "difference", "ols", "ipw"]
NO_NETWORK = (
    "No network was given, so each firm is taken not to feel what others adopt. If AI users take "
    "customers or staff from the others, these fall and the difference is too large; if others "
    "learn from users, it is too small; an industry that adopts as a whole is not told apart from "
    "its shocks. With links between firms, --network FILE estimates effects on neighbours."
)


def analysed(data: CausalData, rows: Table, args: Namespace) -> Analysis:
    """Effects on average, by group, by predicted effect and along the confounders."""
    by = [GATE(name) for name in groups(data.covariates.names, args)]
    numbers = _numeric(data)
    lines = [BLP(), BLP(numbers)] if numbers else [BLP()]
    return analyse(
        data, [ATE(), ATT(), *by, GATE("effect"), *lines],
        AnalysisSettings(random_state=args.random_state), rows.source, n_jobs=args.n_jobs,
    )  # fmt: skip


def study(data: CausalData, rows: Table, args: Namespace, network: Network | None) -> Part:
    """Everything that is said of a cross-section."""
    analysis = analysed(data, rows, args)
    print(f"First answer: {_finding(analysis.headline, analysis)}", flush=True)
    methods = compare(
        data, ATE(), QUICK_METHODS if args.quick else METHODS,
        None if rows.truth is None else Reference("true ATE", rows.truth.value("ATE"), 0.0),
        random_state=args.random_state, n_jobs=args.n_jobs, source=rows.source,
    )  # fmt: skip
    hidden = sensitivity(analysis.headline, data, analysis.nuisances, benchmarks=_numeric(data)[:3])
    checks = refute(
        ATE(), data, n_runs=2 if args.quick else 5, random_state=args.random_state,
        n_jobs=args.n_jobs,
    )  # fmt: skip
    links = None
    if network is not None:
        links = spillover_effects(data, network, random_state=args.random_state, n_jobs=args.n_jobs)
    return Part(
        "firms",
        f"What does {data.treatment_name} do to {data.outcome_name}, on average and for whom?",
        verdict(analysis, methods, links),
        beware(analysis, hidden, checks, network),
        tables(analysis, methods, hidden, checks, links),
        pictures(analysis, methods, hidden),
        rows.truth is not None,
    )


def verdict(analysis: Analysis, methods: Comparison, links: Estimate | None) -> list[str]:
    """What was found, beside the naive difference, the others, and the truth of a simulation."""
    effect, naive = analysis.headline, analysis.naive
    told = [
        f"{_finding(effect, analysis)} The naive difference between users and others is "
        f"{naive.value:.3g}: by this account the rest of it is who adopts, not what AI does.",
        for_whom(analysis),
        methods.verdict,
    ]
    if links is not None:
        told.append(f"With the network: {_listed(links)}.")
    if analysis.truth is not None:
        inside = effect.interval()[0] <= analysis.truth.value("ATE") <= effect.interval()[1]
        told.append(
            f"The rows are SIMULATED: the true ATE is {analysis.truth.value('ATE'):.4g}, "
            f"{'inside' if inside else 'OUTSIDE'} the interval. Nothing here is evidence on AI."
        )
    return told


def _finding(effect: Estimate, analysis: Analysis) -> str:
    low, high = effect.interval()
    name, outcome = analysis.data.treatment_name, analysis.outcome_label
    size = f"{float(effect.value):.3g} (95 % interval {low:.3g} to {high:.3g})"
    if low <= 0 <= high:
        return f"No effect of {name} on {outcome} can be told from zero: {size}."
    moved = "raised" if low > 0 else "lowered"
    return f"If the named confounders suffice, {name} {moved} {outcome} on average by {size}."


def for_whom(analysis: Analysis) -> str:
    """Which groups gain most, and whether the ranking of units holds."""
    words = []
    for estimate in analysis.estimates:
        if estimate.estimand == "GATE" and not _by_effect(estimate):
            order = np.argsort(estimate.values)
            (low, least), (high, most) = (
                (estimate.values[k], _group(estimate.labels[k])) for k in (order[0], order[-1])
            )
            words.append(f"By group it is largest for {most} ({high:.3g}), least for {least} "
                         f"({low:.3g}).")  # fmt: skip
        elif estimate.estimand == "GATE":
            first, last = estimate.values[0], estimate.values[-1]
            gap = estimate.contrast(_last_less_first(len(estimate)), ["gap"])
            low, high = np.ravel(gap.interval())
            words.append(
                f"Firms predicted to gain most gain {last - first:.3g} more than those predicted "
                f"to gain least (95 % interval {low:.3g} to {high:.3g})."
            )
    return " ".join(words)


def beware(
    analysis: Analysis, hidden: Sensitivity, checks: Refutation, network: Network | None
) -> list[str]:
    """What the result rests on, how much would overturn it, and what the checks say."""
    names = ", ".join(analysis.data.covariates.names)
    failed = [check.sentence() for check in checks.checks if not check.passed]
    return [
        f"It rests on this: firms alike in {names} adopt for reasons that do not touch "
        f"{analysis.data.outcome_name}. No data can show that.",
        *hidden.sentences,
        *(failed or [f"All {len(checks.checks)} refutation checks came out as they should."]),
        *analysis.warnings,
        *([NO_NETWORK] if network is None else []),
    ]


def tables(
    analysis: Analysis, methods: Comparison, hidden: Sensitivity, checks: Refutation,
    links: Estimate | None,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """The numbers."""
    estimates = pd.concat([e.to_frame() for e in analysis.estimates], ignore_index=True)
    own = ["method", "value", "std_error", "ci_low", "ci_high", "votes"]
    found = {
        "effects": estimates.drop(columns=["estimand", "level", "n", "method"]),
        "methods": methods.frame()[own],
        "sensitivity": hidden.to_frame(),
        "refutation": checks.to_frame(),
    }
    if links is not None:
        found["spillovers"] = links.to_frame()[["label", "value", "std_error", "ci_low", "ci_high"]]
    return found


def pictures(analysis: Analysis, methods: Comparison, hidden: Sensitivity) -> dict[str, Picture]:
    """The figures worth a file of their own."""
    beside = displays.MethodForestDisplay.of(methods)
    effects = by_group(analysis)
    found = {
        "methods": Picture(
            beside, beside.height,
            "The same average effect by every method, with 95 % intervals; ours in orange, grey "
            "where a method has no vote; the benchmark is the truth of a simulation. Adjusting "
            "methods share the unseen: they can agree and be wrong together.",
        ),
        "groups": Picture(
            forest(effects, f"Effect on {analysis.outcome_label}"), height(effects),
            "The effect by group and by fifths of the predicted effect, with 95 % intervals, one "
            "group at a time; triangles are the truth of a simulation.",
        ),
        "overlap": Picture(
            displays.OverlapDisplay.of(analysis), 3.3,
            "How likely firms were to adopt, users and others: where one side is empty the other "
            "has nobody to be compared with.",
        ),
        "balance": Picture(
            displays.BalanceDisplay.of(analysis),
            1.2 + 0.29 * min(20, len(analysis.balance.frame())),
            "Differences between users and others in standard deviations, as they are and after "
            "weighting.",
        ),
        "hidden": Picture(
            displays.OmittedVariableDisplay.of(hidden, "linear_ovb"), 4.2,
            "What would be left of a linear estimate with a hidden confounder that explains so "
            "much of adoption and of the outcome; marks are confounders that are seen.",
        ),
    }  # fmt: skip
    return found


def by_group(analysis: Analysis) -> pd.DataFrame:
    """Group effects as rows of a forest, with the truth where it is known."""
    truth = {} if analysis.truth is None else analysis.truth.population
    kept = []
    for estimate in analysis.estimates:
        if estimate.estimand == "GATE":
            frame = estimate.to_frame()
            known = [truth.get(label, np.nan) for label in frame["label"]]
            kept.append(frame.assign(truth=known, label=frame["label"].map(_group)))
    return pd.concat(kept, ignore_index=True)


def _numeric(data: CausalData) -> list[str]:
    return [c.name for c in data.covariates.columns if c.kind == "numeric"]


def _by_effect(estimate: Estimate) -> bool:
    return estimate.labels[0].startswith("GATE(effect,")


def _group(label: str) -> str:
    inner = label.removeprefix("GATE(").removesuffix(")")
    return inner.replace("effect, group ", "predicted effect: ")


def _last_less_first(n: int) -> np.ndarray:
    weights = np.zeros((1, n))
    weights[0, 0], weights[0, -1] = -1, 1
    return weights


def _listed(estimate: Estimate) -> str:
    rows = estimate.to_frame().to_dict("records")
    return "; ".join(
        f"{r['label']} {r['value']:.3g} ({r['ci_low']:.3g} to {r['ci_high']:.3g})" for r in rows
    )
