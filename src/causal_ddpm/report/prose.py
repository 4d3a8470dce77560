"""Numbers and findings in words, for the report and the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from causal_ddpm.core.truth import Truth
from causal_ddpm.estimators.counterfactual import JointEffects
from causal_ddpm.evaluation.analysis import Analysis
from causal_ddpm.evaluation.answers import Answers
from causal_ddpm.report.displays.effects import SHOWN

MINUS = "\N{MINUS SIGN}"
_FULL_NAMES = {
    "ATE": "Average effect on all units (ATE)",
    "ATT": "Average effect on the treated (ATT)",
    "ATU": "Average effect on the untreated (ATU)",
}


def decimals(std_error: float) -> int:
    """Decimal places that show two significant digits of a standard error."""
    if not math.isfinite(std_error) or std_error <= 0:
        return 3
    return max(0, 1 - math.floor(math.log10(std_error)))


def number(value: float, places: int) -> str:
    """A number with thousands separators and a true minus sign."""
    text = f"{value:,.{places}f}"
    return text.replace("-", MINUS) if float(text.replace(",", "")) else text.replace("-", "")


def interval(low: float, high: float, level: float, places: int) -> str:
    """``95 % interval 1.2 to 3.4``."""
    return f"{level * 100:g} % interval {number(low, places)} to {number(high, places)}"


def full_name(estimand: str) -> str:
    """An estimand spelt out."""
    return _FULL_NAMES.get(estimand, estimand)


def listed(names: Sequence[str], limit: int = 12) -> str:
    """``a, b and c``, cut after ``limit`` names."""
    items = list(names)
    if len(items) > limit:
        return ", ".join(items[:limit]) + f" and {len(items) - limit} more"
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def lede(analysis: Analysis) -> str:
    """The comparison in one sentence."""
    data = analysis.data
    n1 = int(data.treatment.sum())
    return (
        f"{n1:,} treated and {data.n - n1:,} untreated rows, compared at equal values of "
        f"{listed(data.confounder_names)}."
    )


def reading(analysis: Analysis) -> str:
    """The headline against the naive difference, in words."""
    effect, naive, data = analysis.headline, analysis.naive, analysis.data
    low, high = effect.interval(analysis.level)
    places = decimals(effect.std_error)
    if low <= 0 <= high:
        first = (
            "The interval contains zero: these data do not settle whether "
            f"{data.treatment_name} raises or lowers {data.outcome_name}"
        )
    else:
        verb = "raises" if effect.value > 0 else "lowers"
        first = (
            f"If the assumptions below hold, {data.treatment_name} {verb} {data.outcome_name} by "
            f"about {number(abs(effect.value), places)} on average among {effect.population}"
        )
    gap = naive.value - effect.value
    sign = ", with the opposite sign" if naive.value * effect.value < 0 else ""
    return (
        f"{first}. The naive difference lies {number(abs(gap), places)} "
        f"{'above' if gap > 0 else 'below'} the estimate{sign}: that much is attributed to the two "
        "groups being different to begin with."
    )


def design(analysis: Analysis) -> list[tuple[str, str]]:
    """The design card: question, comparison, what is held equal, method."""
    data = analysis.data
    kinds = [c.kind for c in data.covariates.columns]
    counted = ", ".join(f"{kinds.count(k)} {k}" for k in sorted(set(kinds)))
    held = f"{listed(data.confounder_names, 20)} ({counted})"
    folds = f"{analysis.n_folds} folds: every row is judged by models that never saw it"
    card = [
        ("Treatment", f"{data.treatment_name} (1 treated, 0 untreated)"),
        ("Outcome", analysis.outcome_label),
        ("Held equal", held),
        ("Asked", listed([full_name(e.estimand) for e in analysis.mean_effects])),
        (
            "Method",
            f"{analysis.headline.method}; {folds}",
        ),
        ("Intervals", _interval_words(analysis)),
    ]
    if data.has_weights:
        card.insert(3, ("Weights", f"{data.weights_name} ({data.weights_type} weights)"))
    return card


def _interval_words(analysis: Analysis) -> str:
    data = analysis.data
    how = (
        "robust to unequal variances"
        if data.clusters is None
        else f"clustered by {data.clusters_name} ({len(set(data.clusters.tolist())):,} clusters)"
    )
    return f"{analysis.level * 100:g} %, from influence functions, {how}"


def from_simulator(truth: Truth | None, rows: str = "These rows come") -> str | None:
    """What a reader of simulated data must know; None for data from the world."""
    if truth is None:
        return None
    seed = "" if truth.seed is None else f", seed {truth.seed}"
    return f"{rows} from a simulator ({truth.design}{seed}), not from the world."


def simulated(analysis: Analysis | Answers) -> str | None:
    """:func:`from_simulator`, where true effects stand beside the estimates."""
    origin = from_simulator(analysis.truth)
    return origin and f"{origin} Their true effects are known and shown beside the estimates."


def stand_ins(analysis: Analysis) -> str:
    """How much the rows that stand in for the other group are worth, for the headline."""
    arms = ("untreated", "treated")
    found = analysis.overlap.comparisons[analysis.headline.estimand]
    worth = [
        f"the {k.n_rows:,} {arms[k.arm]} rows count as {k.effective_n:,.0f} equally weighted ones"
        for k in found
    ]
    return f"For the {analysis.headline.estimand}, {' and '.join(worth)}."


def captions(analysis: Analysis) -> dict[str, str]:
    """What each figure of the report shows and how to read it."""
    level = f"{analysis.level * 100:g} %"
    unit = analysis.outcome_label
    truth = " Green marks are the true effects of the simulation." if analysis.truth else ""
    thin = (
        " Overlap is weak for this comparison (see the warning above): one curve rests on few "
        "rows, so effects on quantiles are not shown."
        if analysis.thin_laws
        else ""
    )
    elsewhere = " Blue: a number from elsewhere." if analysis.source.references else ""
    return {
        "effect": f"Estimates with {level} intervals; the naive difference, in grey, compares the "
        f"groups as they are.{elsewhere}{truth}",
        "overlap": "The probability of treatment that the confounders suggest, for rows that were "
        "treated (up) and rows that were not (down). Where one side has no bars, the other has no "
        f"counterpart. {stand_ins(analysis)}",
        "balance": "How far apart the groups' averages lie, in standard deviations, as observed "
        f"and after the weighting behind the {analysis.balance.estimand}.",
        "distributions": f"Doubly robust estimates of how {unit} would be distributed among "
        f"{analysis.headline.population} if none of them or all of them were treated; the bands "
        f"contain both whole curves in {level} of samples.{thin}",
        "quantiles": f"The horizontal gap between the two curves at nine quantiles, with {level} "
        "intervals, one by one.",
        "units": f"The effect predicted for {analysis.headline.population} from their confounders, "
        "each by models that did not see the unit. Predictions of single units carry no calibrated "
        "interval: read the shape, not the tails. Shown are the central "
        f"{SHOWN:.0%} of the units.",
        "coupling": "" if analysis.joint is None else units_bounded(analysis.joint),
    }


def units_bounded(joint: JointEffects) -> str:
    """What is known of the share of units with a small effect, whatever the coupling."""
    (lower, upper), (low, high) = joint.share_bounds.values, joint.share_limits()
    return (
        f"Not identified: the share of {joint.share_bounds.population} with an effect of at most "
        f"{joint.threshold:g}. No unit is seen with and without treatment, so the data only bound "
        f"it, between {lower:.0%} and {upper:.0%} ({joint.level * 100:g} % limits, one by one: "
        f"{low:.0%} and {high:.0%}); a curve over the correlation of the two outcomes of a unit is "
        "an assumption with numbers in it."
    )


def assumptions(analysis: Analysis) -> list[tuple[str, str]]:
    """What carries the result, in plain words, with the columns named."""
    data = analysis.data
    confounders = listed(data.confounder_names, 20)
    return [
        (
            "No hidden common cause.",
            f"Apart from {confounders}, nothing moves both {data.treatment_name} and "
            f"{data.outcome_name}. The data cannot test this; it is a claim about how treatment "
            "came about.",
        ),
        (
            "Measured before treatment.",
            "None of these variables is itself changed by the treatment.",
        ),
        (
            "Comparable units exist.",
            "At every mix of these variables that matters for the effect, a unit could have been "
            "treated or untreated. The overlap figure shows where this is thin.",
        ),
        (
            "One treatment, no spillovers.",
            "Treatment means the same for everyone, and one unit's treatment leaves the others' "
            "outcomes alone.",
        ),
        (
            "Independent draws.",
            f"The {'rows' if data.clusters is None else f'clusters of {data.clusters_name}'} are "
            "independent draws from the population the effect is about.",
        ),
        (
            "Learnable nuisances.",
            "The law of the outcome and the probability of treatment are learnt well enough that "
            "the product of their errors is small; one may be poor if the other is good.",
        ),
    ]


def facts(analysis: Analysis) -> list[tuple[str, str]]:
    """Provenance, line by line."""
    p = analysis.provenance
    chosen = ("folds", "repeats", "outcome_model", "propensity_model")
    settings = ", ".join(f"{name.replace('_', ' ')}: {p.settings[name]}" for name in chosen)
    libraries = ", ".join(f"{name} {version}" for name, version in p.versions.items())
    return [
        ("Data", f"{p.source}; {analysis.data.n:,} rows"),
        ("SHA-256 of the rows used", p.data_hash),
        ("Made", f"{p.created} with causal-ddpm {p.version} on Python {p.python}"),
        ("Libraries", libraries),
        ("Settings", f"{settings}; seed: {p.random_state}"),
        ("Time", f"{p.wall_seconds:.1f} s on the clock, {p.cpu_seconds:.1f} s of processor"),
    ]
