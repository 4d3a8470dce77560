"""Errors of ATE, ATT and conditional effects on semi-synthetic data, all in one run.

IHDP, ACIC 2016 and 2017, RealCause.

    ATE / ATT error = |estimate - mean true effect of the (treated) training rows|,
    sqrt(PEHE) over rows that no method has seen.

At most 2 000 rows train and 1 000 are scored. Intervals are for the population; `covers` counts the
mean of the rows at hand, which they should cover at least as often.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import ours
import pandas as pd
import peers
from common import parser, run, write
from semisynthetic import Known, known

from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.evaluation.studies import Spec, Study

DATASETS = {
    "ihdp": range(10),
    "acic2016-1": range(2),
    "acic2016-4": range(2),
    **{f"acic2017-{s}": range(1) for s in (*range(1, 9), *range(17, 25))},
    "lalonde_psid": range(3),
    "lalonde_cps": range(2),
    "twins": range(2),
}
MEANS = {"doubleml_logistic": ("ATE", "ATT"), "econml_logistic": ("ATE",)}
"""Peers that estimate means; the others predict the effects of rows."""


def ols_t(x: np.ndarray, d: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    """Least squares in each arm."""
    from sklearn.linear_model import LinearRegression

    fits = [LinearRegression().fit(x[d == a], y[d == a]) for a in (0, 1)]
    return np.asarray(fits[1].predict(x_test) - fits[0].predict(x_test))


CATE = {"ols_t": ols_t, "bart_t": peers.bart_t, "x_learner": peers.x_learner}


def our_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    found, s = known(str(spec["dataset"]), int(spec["draw"])), integer_seed(seed)
    data = ours.causal_data(found.sample.frame())
    ate, att = ours.job(data, s)
    cate = ours.cate(found.sample, s)
    return {**errors("ate", ate, found.ate), **errors("att", att, found.att), **pehe(cate, found)}


def peer_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    found, s = known(str(spec["dataset"]), int(spec["draw"])), integer_seed(seed)
    x, x_test = found.sample.one_hot()
    d, y, method = found.sample.treatment, found.sample.outcome, str(spec["method"])
    if method in CATE:
        rows = CATE[method](x, d, y, np.vstack([x, x_test]), s)
        on_train, on_test = rows[: len(x)], rows[len(x) :]
        return {
            "ate_error": abs(on_train.mean() - found.ate),
            "att_error": abs(on_train[d == 1].mean() - found.att),
            **pehe(on_test, found),
        }
    row = errors("ate", peers.ATE[method](x, d, y, s), found.ate)
    if "ATT" in MEANS[method]:
        row |= errors("att", peers.ATT[method](x, d, y, s), found.att)
    return row


def errors(name: str, effect: peers.Effect, truth: float) -> dict[str, float]:
    return {
        f"{name}_error": abs(effect.value - truth),
        f"{name}_covers": float(effect.ci_low <= truth <= effect.ci_high),
        f"{name}_width": effect.ci_high - effect.ci_low,
    }


def pehe(cate: np.ndarray, found: Known) -> dict[str, float]:
    error = cate - found.sample.cate_test
    return {"sqrt_pehe": float(np.sqrt(np.mean(error**2)))}


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Means by family of data sets and method."""
    family = rows["dataset"].str.replace(r"^(acic2017)-.*", r"\1", regex=True)
    columns = [c for c in rows if c.rsplit("_", 1)[-1] in ("error", "covers", "width", "pehe")]
    columns = [c for c in columns if c != "error"]
    grouped = rows.assign(family=family).groupby(["family", "method"], sort=False)
    out = grouped[[*columns, "cpu_seconds"]].mean()
    out.insert(0, "draws", grouped.size())
    out["median_sqrt_pehe"] = grouped["sqrt_pehe"].median()
    return out.reset_index()


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    names = ["ours", *CATE, *MEANS]
    options.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    options.add_argument("--methods", nargs="+", choices=names, default=names)
    args = options.parse_args()
    tables = []
    for name, task, methods, version in (
        ("semisynthetic-peers", peer_row, [m for m in args.methods if m != "ours"],
         peers.version()),
        ("semisynthetic-ours", our_row, [m for m in args.methods if m == "ours"], None),
    ):  # fmt: skip
        specs = [
            {"method": method, "dataset": dataset, "draw": draw}
            for draw in range(1 if args.quick else 10)
            for dataset in args.datasets
            for method in methods
            if draw in DATASETS[dataset]
        ]
        if specs:
            study = Study(
                name, task, specs, args.studies, code_version=version, any_version=args.any_version
            )
            tables.append(run(study, args.n_jobs, _expected))
    rows = pd.concat(tables, ignore_index=True)
    write("semisynthetic", TITLE, rows, [(NOTE, table(rows))], args.quick, args.studies)


def _expected(spec: Spec) -> float:
    return 60.0 if spec["method"] == "ours" else 8.0


TITLE = "Semi-synthetic data: errors of ATE, ATT and conditional effects"
NOTE = (
    "Means over draws; LaLonde in thousands of dollars, where the effect of a row is the "
    "difference of two noisy outcomes: sqrt(PEHE) has a floor near 8.9 (CPS) and 12.9 (PSID). "
    "ACIC 2017: 16 settings, one draw each. Learners of conditional effects report their own mean "
    "as ATE and ATT; DoubleML and EconML have doubly robust means with boosted trees and a "
    "logistic propensity"
)

if __name__ == "__main__":
    main()
