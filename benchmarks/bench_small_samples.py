"""Intervals of average effects at 100 to 300 rows, full pipeline and light nuisances.

Draws of the design ``gauss`` (or another). The full pipeline is that of ``estimate_effects`` with
default settings; at 150 rows also with three splits into folds. Light nuisances (ridge and logistic
regression on covariates and their powers, :mod:`causal_ddpm.evaluation.coverage.light`) cost
milliseconds and show, over many draws, what the scores do in small samples.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from common import parser, run, write

from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.evaluation.studies import Spec, Study, grid

FULL = {100: 1, 150: 3, 200: 1, 300: 1}
"""Rows, and splits into folds, of the full pipeline."""
LIGHT_SIZES = (100, 150, 200, 300, 500)
FIRST_SEED = 60_000


def estimands() -> dict[str, Any]:
    """Questions by their names in the table."""
    from causal_ddpm import ATE, ATO, ATT, TrimmedATE

    return {
        "ATE": ATE(), "ATE, TMLE": ATE(targeted=True), "ATT": ATT(),
        "ATT, TMLE": ATT(targeted=True), "ATE, .1 < e < .9": TrimmedATE(0.1), "ATO": ATO(),
    }  # fmt: skip


def nuisances_of(spec: Spec, data: Any, drawn: Any) -> list[Any]:
    """One record of nuisances a split into folds."""
    from causal_ddpm.evaluation.coverage.light import light
    from causal_ddpm.nuisance.crossfit import fit_nuisances

    root = np.random.SeedSequence(int(spec["draw"]))
    if spec["nuisances"] == "light":
        return [light(str(spec["design"]), drawn, root)]
    seeds = [root, *(seed_sequence(root, "repeat", r) for r in range(1, FULL[int(spec["n"])]))]
    return [fit_nuisances(data, random_state=seed) for seed in seeds]


def row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """Value, standard error and coverage of each estimand on one draw; NaN where refused."""
    from causal_ddpm.core.errors import OverlapError
    from causal_ddpm.dgp.catalog import design_by_name
    from causal_ddpm.estimators.api import median_of_repeats
    from causal_ddpm.estimators.registry import estimator_for

    design: Any = design_by_name(str(spec["design"]))
    drawn = design.draw(int(spec["n"]), seed=FIRST_SEED + int(spec["draw"]))
    out: dict[str, float] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = nuisances_of(spec, drawn.data, drawn)
        for name, estimand in estimands().items():
            (truth,) = design.truth_of(estimand).values()
            try:
                repeats = [estimator_for(estimand).estimate(drawn.data, f) for f in fitted]
            except OverlapError:
                continue
            for k in sorted({1, len(repeats)}):
                estimate = median_of_repeats(repeats[:k])
                low, high = estimate.interval()
                key = name if k == 1 else f"{name}, {k} splits"
                out |= {
                    f"{key}|error": estimate.value - truth, f"{key}|se": estimate.std_error,
                    f"{key}|covered": float(low <= truth <= high),
                }  # fmt: skip
    return out


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a number of rows and estimand."""
    names = [c[: -len("|se")] for c in rows.columns if c.endswith("|se")]
    out = []
    for (nuisances, n), part in rows.groupby(["nuisances", "n"], sort=False):
        for name in names:
            seen = part.dropna(subset=[f"{name}|se"])
            if not len(seen):
                continue
            error, se = seen[f"{name}|error"], seen[f"{name}|se"]
            covered = seen[f"{name}|covered"].mean()
            out.append({
                "nuisances": nuisances, "n": n, "estimand": name, "draws": len(seen),
                "refused": len(part) - len(seen), "bias": error.mean(), "sd": error.std(ddof=1),
                "mean SE": se.mean(), "median SE / sd": se.median() / error.std(ddof=1),
                "coverage": covered,
                "Monte Carlo error": float(np.sqrt(max(covered * (1 - covered), 0.01) / len(seen))),
            })  # fmt: skip
    return pd.DataFrame(out)


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--design", default="gauss")
    options.add_argument("--draws", type=int, default=40, help="draws of the full pipeline")
    options.add_argument("--light-draws", type=int, default=1000)
    args = options.parse_args()
    draws, light_draws = (1, 20) if args.quick else (args.draws, args.light_draws)
    specs = grid(design=[args.design], nuisances=["light"], n=LIGHT_SIZES, draw=range(light_draws))
    specs += grid(design=[args.design], nuisances=["full"], draw=range(draws), n=list(FULL))
    study = Study("small-samples", row, specs, args.studies, any_version=args.any_version)
    rows = run(study, args.n_jobs, lambda s: 0.05 if s["nuisances"] == "light" else 10.0)
    table = summary(rows)
    captions = {"full": "Full pipeline, default settings", "light": "Light nuisances"}
    tables = [
        (caption, table[table["nuisances"] == kind].drop(columns="nuisances"))
        for kind, caption in captions.items()
        if (table["nuisances"] == kind).any()
    ]
    name = "small_samples" if args.design == "gauss" else f"small_samples_{args.design}"
    write(name, TITLE.format(args.design), rows, tables, args.quick, args.studies)


TITLE = "95 % intervals in small samples, design {}"

if __name__ == "__main__":
    main()
