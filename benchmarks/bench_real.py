"""Real data under default settings fixed beforehand, beside published figures.

NSW: the experiment itself (445 men; dollars of 1982). NHEFS: quitting smoking and weight (kg).
401(k): eligibility and net financial assets (dollars), mean effects and quantile effects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from common import parser, run, write
from datasets import LALONDE_BENCHMARK, LALONDE_CONFOUNDERS, require_shared

from causal_ddpm.core.random import Seed
from causal_ddpm.evaluation.studies import Spec, Study, grid

NHEFS = [
    "sex", "race", "age", "school", "smokeintensity", "smokeyrs", "wt71", "exercise", "active",
    "education",
]  # fmt: skip
PENSION = ["age", "inc", "educ", "fsize", "marr", "twoearn", "db", "pira", "hown"]
QUANTILES = [0.1, 0.25, 0.5, 0.75, 0.9]


def nsw() -> tuple[Any, list[Any], str]:
    from causaldata import nsw_mixtape

    from causal_ddpm import ATE, CausalData

    frame = nsw_mixtape.load_pandas().data.astype({"treat": int})
    data = CausalData(frame, "treat", "re78", LALONDE_CONFOUNDERS)
    return data, [ATE()], f"difference in means {LALONDE_BENCHMARK:,.2f} (HC2 671.00)"


def nhefs() -> tuple[Any, list[Any], str]:
    from causaldata import nhefs_complete

    from causal_ddpm import ATE, ATT, CausalData

    frame = nhefs_complete.load_pandas().data
    factors = ["sex", "race", "exercise", "active", "education"]
    frame = frame.astype({name: str for name in factors})
    data = CausalData(frame, "qsmk", "wt82_71", NHEFS)
    return data, [ATE(), ATT()], "Hernan and Robins: 3.4 (2.4, 4.5) by weighting, 3.5 standardised"


def pension() -> tuple[Any, list[Any], str]:
    from causal_ddpm import ATE, ATT, QTE, CausalData

    frame = pd.read_parquet(require_shared("data", "econ", "pension_401k_sipp1991.parquet"))
    data = CausalData(frame, "e401", "net_tfa", PENSION)
    published = (
        "mean 8 to 9 thousand with flexible learners (Chernozhukov et al. 2018); quantile effects "
        "rise from 1 to 3 thousand below the median to 15 thousand and more at .9 (Belloni et al. "
        "2017)"
    )
    return data, [ATE(), ATT(), QTE(QUANTILES)], published


STUDIES: dict[str, Callable[[], tuple[Any, list[Any], str]]] = {
    "NSW experiment": nsw, "NHEFS": nhefs, "401(k) eligibility": pension,
}  # fmt: skip


def row(spec: Spec, seed: Seed) -> Mapping[str, str]:
    """All estimates of one data set under one random state, and the naive difference."""
    from causal_ddpm import estimate_effects
    from causal_ddpm.evaluation.diagnostics import naive_difference

    data, estimands, _ = STUDIES[str(spec["data"])]()
    naive = naive_difference(data)
    found: list[dict[str, Any]] = [
        {"label": "naive difference", "value": naive.value, "std_error": naive.std_error,
         **dict(zip(("ci_low", "ci_high"), naive.interval(0.95), strict=True))}
    ]  # fmt: skip
    for estimate in estimate_effects(data, estimands, random_state=int(spec["random_state"])):
        found += [
            {key: r[key] for key in ("label", "value", "std_error", "ci_low", "ci_high")}
            for r in estimate.records()
        ]
    return {"n": str(data.n), "found": json.dumps(found)}


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Medians over random states, with the range of the estimates."""
    records = [
        {"data": r.data, "n": int(r.n), **entry}
        for r in rows.itertuples()
        for entry in json.loads(r.found)
    ]
    grouped = pd.DataFrame(records).groupby(["data", "n", "label"], sort=False)
    out = grouped[["value", "std_error", "ci_low", "ci_high"]].median()
    out["lowest"], out["highest"] = grouped["value"].min(), grouped["value"].max()
    out["random states"] = grouped.size()
    return out.reset_index()


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--random-states", type=int, default=3)
    options.add_argument("--data", nargs="+", choices=STUDIES, default=list(STUDIES))
    args = options.parse_args()
    states = range(1 if args.quick else args.random_states)
    specs = grid(data=args.data, random_state=states)
    study = Study("real", row, specs, args.studies, any_version=args.any_version)
    rows = run(study, args.n_jobs, lambda spec: 120.0 if "401" in str(spec["data"]) else 15.0)
    published = "; ".join(f"{name}: {STUDIES[name]()[2]}" for name in args.data)
    caption = f"Medians over random states. Published: {published}"
    write("real", TITLE, rows, [(caption, summary(rows))], args.quick, args.studies)


TITLE = "Real data beside published figures"

if __name__ == "__main__":
    main()
