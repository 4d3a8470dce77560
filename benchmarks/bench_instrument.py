"""LATE of 401(k) participation on net financial assets, with eligibility as the instrument.

9 915 households of the 1991 SIPP; nobody participates without being eligible (one-sided). Beside
the interactive IV model of DoubleML with random forests, as published, and two-stage least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from common import parser, run, write
from datasets import require_shared

from causal_ddpm.core.random import Seed
from causal_ddpm.evaluation.studies import Spec, Study, grid

PENSION = ["age", "inc", "educ", "fsize", "marr", "twoearn", "db", "pira", "hown"]
PUBLISHED = (
    "Published for these rows and covariates: about 12 thousand with flexible learners "
    "(documentation of DoubleML, after Chernozhukov et al. 2018)"
)


def pension() -> pd.DataFrame:
    """The households."""
    return pd.read_parquet(require_shared("data", "econ", "pension_401k_sipp1991.parquet"))


def ours(frame: pd.DataFrame, seed: int) -> Mapping[str, float]:
    """Default settings."""
    from causal_ddpm import ITT, LATE, CausalData, anderson_rubin, estimate_effects

    data = CausalData(frame, "p401", "net_tfa", PENSION, instrument="e401")
    late, itt = estimate_effects(data, [LATE(), ITT()], random_state=seed)
    low, high = anderson_rubin(itt).intervals[0]
    return {
        "late": late.value, "std_error": late.std_error, "itt": itt.value[0],
        "complier_share": itt.value[1], "ar_low": low, "ar_high": high,
    }  # fmt: skip


def doubleml_forest(frame: pd.DataFrame, seed: int) -> Mapping[str, float]:
    """The interactive IV model with the forests of its example."""
    import doubleml as dml
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    settings = {"n_estimators": 300, "max_features": 5, "random_state": seed}
    data = dml.DoubleMLData(frame, "net_tfa", "p401", PENSION, "e401")
    np.random.seed(seed)  # noqa: NPY002 - the only way to fix the folds of the peer
    model = dml.DoubleMLIIVM(
        data,
        RandomForestRegressor(max_depth=7, min_samples_leaf=3, **settings),
        RandomForestClassifier(max_depth=5, min_samples_leaf=4, **settings),
        RandomForestClassifier(max_depth=7, min_samples_leaf=6, **settings),
        n_folds=5, subgroups={"always_takers": False, "never_takers": True},
    ).fit()  # fmt: skip
    return {"late": float(model.coef[0]), "std_error": float(model.se[0])}


def two_stage(frame: pd.DataFrame, seed: int) -> Mapping[str, float]:
    """Linear instrumental variables with HC0 standard errors."""
    x = np.column_stack([np.ones(len(frame)), frame[PENSION].to_numpy(dtype=float)])
    z, d, y = (frame[name].to_numpy(dtype=float) for name in ("e401", "p401", "net_tfa"))
    rest = np.column_stack([z, d, y]) - x @ np.linalg.lstsq(x, np.column_stack([z, d, y]))[0]
    z, d, y = rest.T
    late = (z @ y) / (z @ d)
    error = np.sqrt(((z * (y - late * d)) ** 2).sum()) / abs(z @ d)
    return {"late": late, "std_error": error, "itt": (z @ y) / (z @ z),
            "complier_share": (z @ d) / (z @ z)}  # fmt: skip


METHODS: dict[str, Callable[[pd.DataFrame, int], Mapping[str, float]]] = {
    "causal_ddpm": ours, "DoubleML IIVM, forests": doubleml_forest,
    "two-stage least squares": two_stage,
}  # fmt: skip


def row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """One method under one random state."""
    return METHODS[str(spec["method"])](pension(), int(spec["random_state"]))


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Medians over random states, and the range of the estimate."""
    keys = ["late", "std_error", "ar_low", "ar_high", "itt", "complier_share", "cpu_seconds"]
    grouped = rows.reindex(columns=["method", *keys]).groupby("method", sort=False)
    out = grouped[keys].median()
    out["lowest"], out["highest"] = grouped["late"].min(), grouped["late"].max()
    out["random states"] = grouped.size()
    return out.reset_index()


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--random-states", type=int, default=2)
    args = options.parse_args()
    states = range(1 if args.quick else args.random_states)
    specs = grid(method=["two-stage least squares"] if args.quick else list(METHODS),
                 random_state=states)  # fmt: skip
    study = Study("instrument", row, specs, args.studies, any_version=args.any_version)
    rows = run(study, args.n_jobs, lambda spec: 150.0)
    caption = f"Dollars; medians over random states. {PUBLISHED}"
    title = "LATE of 401(k) participation"
    write("instrument", title, rows, [(caption, summary(rows))], args.quick, args.studies)


if __name__ == "__main__":
    main()
