"""Intervals of other libraries on the draws of the coverage study.

The first 50 draws of each design at 500 rows (quantile effects: 25), the truths and the summary of
``causal-ddpm study coverage``, in a ledger of its own, from which
``causal-ddpm study coverage --part full --part peers --compute nothing`` prints both side by side.

Nuisance learners and defaults are those of ``peers.py``. The effect of BART is the mean difference
of two regressions, averaged in each posterior draw under Bayesian-bootstrap weights of the rows, so
that its interval is about the population too. The forest's are the doubly robust averages that
EconML keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import peers
from common import parser, run, write
from peers import Array, Effect

from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.evaluation.coverage.fits import drawn_by
from causal_ddpm.evaluation.coverage.run import FULL_CELLS, PEERS, run_full
from causal_ddpm.evaluation.coverage.scores import as_text, from_rows
from causal_ddpm.evaluation.coverage.summary import CELL, summarize
from causal_ddpm.evaluation.studies import Spec, Study

N_ROWS = 500
CASES = ("ATE", "ATT", "ATU", "QTE")
QUANTILES = (0.25, 0.5, 0.75)
_SWEEPS = {"num_gfr": 10, "num_burnin": 100, "num_mcmc": 500}
Effects = dict[str, Effect]


def irm(propensity: peers.Propensity) -> Callable[[Array, Array, Array, int], Effects]:
    def fit(x: Array, d: Array, y: Array, seed: int) -> Effects:
        return {
            "ATE": peers.doubleml_irm(x, d, y, seed, "ATE", propensity),
            "ATT": peers.doubleml_irm(x, d, y, seed, "ATTE", propensity),
        }

    return fit


def dr_learner(propensity: peers.Propensity) -> Callable[[Array, Array, Array, int], Effects]:
    def fit(x: Array, d: Array, y: Array, seed: int) -> Effects:
        return {"ATE": peers.econml_dr_ate(x, d, y, seed, propensity)}

    return fit


def causal_forest(x: Array, d: Array, y: Array, seed: int) -> Effects:
    from econml.dml import CausalForestDML

    model = CausalForestDML(
        model_y=peers._regressor(seed),
        model_t=peers._classifier(seed),
        discrete_treatment=True,
        cv=5,
        n_estimators=200,
        min_samples_leaf=5,
        n_jobs=1,
        random_state=seed,
    )
    with peers._quiet():
        model.fit(y, d, X=x)
        found = {
            "ATE": (model.ate_, model.ate_stderr_),
            "ATT": (model.att_(T=1), model.att_stderr_(T=1)),
        }
    return {k: peers.normal_effect(np.ravel(v)[0], np.ravel(s)[0]) for k, (v, s) in found.items()}


def bart(x: Array, d: Array, y: Array, seed: int) -> Effects:
    from stochtree import BARTModel

    means = []
    for arm in (0, 1):
        model = BARTModel()
        model.sample(
            X_train=x[d == arm],
            y_train=y[d == arm],
            general_params={"random_seed": seed + arm, "num_threads": 1},
            **_SWEEPS,
        )
        means.append(np.asarray(model.predict(x, type="posterior", terms="y_hat")))
    effect = means[1] - means[0]  # (rows, posterior draws)
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(x)), effect.shape[1])
    out = {}
    for name, rows in (("ATE", d >= 0), ("ATT", d == 1), ("ATU", d == 0)):
        w = weights[:, rows]
        draws = (w * effect[rows].T).sum(axis=1) / w.sum(axis=1)
        low, high = np.quantile(draws, [0.025, 0.975])
        out[name] = Effect(float(draws.mean()), float(draws.std(ddof=1)), float(low), float(high))
    return out


def doubleml_qte(x: Array, d: Array, y: Array, seed: int) -> Effects:
    from doubleml import DoubleMLData, DoubleMLQTE

    np.random.seed(seed)  # noqa: NPY002 - DoubleML draws its folds from the global stream
    with peers._quiet():
        model = DoubleMLQTE(
            DoubleMLData.from_arrays(x, y, d),
            ml_g=peers._classifier(seed),
            ml_m=peers._classifier(seed, "logistic"),
            quantiles=list(QUANTILES),
            n_folds=5,
        ).fit()
    pairs = zip(QUANTILES, model.coef, model.se, strict=True)
    return {f"QTE({u:g})": peers.normal_effect(value, se) for u, value, se in pairs}


METHODS: Mapping[str, Callable[[Array, Array, Array, int], Effects]] = {
    "DoubleML IRM, trees": irm("trees"),
    "DoubleML IRM, logistic": irm("logistic"),
    "EconML DR, trees": dr_learner("trees"),
    "EconML DR, logistic": dr_learner("logistic"),
    "EconML forest": causal_forest,
    "BART": bart,
    "DoubleML QTE": doubleml_qte,
}
FEWER_DRAWS = {"DoubleML QTE": 25}
NO_QUANTILES = ("binary-outcome",)


def row(spec: Spec, seed: Seed) -> Mapping[str, str]:
    data = drawn_by(spec).data
    fit = METHODS[str(spec["method"])]
    x, d, y = (v.copy() for v in (data.covariates.values, data.treatment, data.outcome))
    effects = fit(x, d, y, integer_seed(seed))
    truth = truth_of(str(spec["design"]))
    entries = []
    for label, effect in effects.items():
        case = "QTE" if label.startswith("QTE") else label
        numbers = {
            "truth": truth[label], "value": effect.value, "std_error": effect.std_error,
            "low": effect.ci_low, "high": effect.ci_high,
        }  # fmt: skip
        entries.append((str(spec["method"]), spec["draw"], (case, label, numbers)))
    return {"scores": as_text(entries)}


def truth_of(design: str) -> Mapping[str, float]:
    return design_by_name(design).truth().population


def specs(designs: list[str], methods: list[str], draws: int) -> list[Spec]:
    return [
        {"design": design, "n": N_ROWS, "draw": draw, "method": method}
        for draw in range(draws)
        for design in designs
        for method in methods
        if draw < FEWER_DRAWS.get(method, draws)
        and not (method == "DoubleML QTE" and design in NO_QUANTILES)
    ]


def ours(folder: Path, designs: list[str], draws: int) -> pd.DataFrame:
    """Our entries on the same draws, from fits that are there."""
    entries = run_full(folder, designs, draws, compute="scores", any_version=True)
    return entries[(entries["n"] == N_ROWS) & entries["case"].isin(CASES)]


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--designs", nargs="+", choices=list(FULL_CELLS), default=list(FULL_CELLS))
    options.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    options.add_argument("--draws", type=int, default=50)
    args = options.parse_args()
    draws = 2 if args.quick else args.draws
    study = Study(
        PEERS,
        row,
        specs(args.designs, args.methods, draws),
        args.studies,
        code_version=peers.version(),
        any_version=args.any_version,
    )
    rows = run(study, args.n_jobs, lambda spec: _SECONDS[spec["method"]])
    both = [from_rows(rows.to_dict("records")), ours(args.studies, args.designs, draws)]
    table = summarize(pd.concat([b for b in both if len(b)], ignore_index=True))
    labels = set(table.loc[table["method"] != "full", "label"])
    table = table[table["label"].isin(labels)].sort_values(["design", "case", "label", "method"])
    shown = table[[*CELL[:3], "label", *_SHOWN]]
    rows = rows.drop(columns="scores")
    write("coverage_peers", TITLE, rows, [(ABOUT, shown)], args.quick, args.studies)


_SECONDS = {
    "DoubleML IRM, trees": 3.0,
    "DoubleML IRM, logistic": 3.0,
    "EconML DR, trees": 1.5,
    "EconML DR, logistic": 1.5,
    "EconML forest": 2.5,
    "BART": 5.0,
    "DoubleML QTE": 15.0,
}
_SHOWN = (
    "n_draws", "bias", "rmse", "se_ratio", "coverage", "coverage_error", "width", "width_ratio",
)  # fmt: skip
TITLE = "Intervals of other libraries on the draws of the coverage study"
ABOUT = (
    f"{N_ROWS} rows a draw; `full` is our default pipeline on the same draws. A width ratio is the "
    "mean width over that at the efficiency bound, where the design knows it"
)

if __name__ == "__main__":
    main()
