"""Effects on neighbours: bias and coverage with and without the neighbours.

Design ``spillovers``: units on a map, six neighbours each, treated units near each other, errors of
neighbours alike. Nuisances are splines (ridge and logistic), out of fold. Beside the effects with
the network stands the ATE of an analysis of units alone, scored against the total effect, which is
what treating everyone would do, and against the average direct effect at the exposures of the draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from common import parser, run, write
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from causal_ddpm import ATE, Estimate, estimate_effects, spillover_effects
from causal_ddpm.core.random import Seed
from causal_ddpm.dgp.spillovers import CUT, SPILLOVERS, SpilloverDraw
from causal_ddpm.evaluation.studies import Spec, Study, grid
from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel, LearnerPropensityModel

ALONE = "units alone"
REACHES = {"network, rows independent": 0, "network, reach of two links": 2}


def spillover_row(spec: Spec, seed: Seed) -> Mapping[str, Any]:
    """Estimates of one method on one draw, beside the truth."""
    drawn = SPILLOVERS.draw(spec["n"], spec["draw"])
    if spec["method"] == ALONE:
        ate = estimate_effects(drawn.data, ATE(), random_state=spec["draw"], **models())[0]
        targets = {"total effect": drawn.truth.population["total effect"], **direct(drawn)}
        return {k: v for name, true in targets.items() for k, v in scored(name, ate, 0, true)}
    found = spillover_effects(
        drawn.data, drawn.network, cut=CUT, reach=REACHES[spec["method"]],
        random_state=spec["draw"], **models(),
    )  # fmt: skip
    return {
        key: value
        for j, name in enumerate(found.labels)
        for key, value in scored(name, found, j, drawn.truth.population[name])
    }


def direct(drawn: SpilloverDraw) -> dict[str, float]:
    """The average direct effect at the exposures of the draw."""
    y = drawn.potential_outcomes
    high = drawn.network.share(drawn.data.treatment) >= CUT
    effect = (y[:, 1] - y[:, 0])[np.arange(len(y)), high.astype(int)]
    return {"direct effect, as exposed": float(effect.mean())}


def scored(name: str, found: Estimate, j: int, true: float) -> list[tuple[str, float]]:
    low, high = (np.atleast_1d(end)[j] for end in found.interval())
    return [
        (f"error {name}", float(found.values[j] - true)),
        (f"std_error {name}", float(np.sqrt(found.cov[j, j]))),
        (f"covered {name}", float(low <= true <= high)),
    ]


def models() -> dict[str, Any]:
    """Splines of every covariate, without interactions."""
    return {
        "outcome_model": LearnerOutcomeModel(_splines(RidgeCV())),
        "propensity_model": LearnerPropensityModel(_splines(LogisticRegression(max_iter=1000))),
    }


def _splines(last: Any) -> Any:
    return make_pipeline(StandardScaler(), SplineTransformer(5, extrapolation="linear"), last)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Bias, spread, standard errors and coverage of each effect."""
    out = []
    for (n, method), part in rows.groupby(["n", "method"], sort=False):
        names = [c.removeprefix("error ") for c in part if c.startswith("error ")]
        for name in (k for k in names if part[f"error {k}"].notna().all()):
            error, sd = part[f"error {name}"], part[f"error {name}"].std()
            covered = part[f"covered {name}"].mean()
            out.append({
                "n": n, "method": method, "effect": name, "bias": error.mean(),
                "its MC error": error.sem(), "MC sd": sd,
                "SE / sd": part[f"std_error {name}"].mean() / sd, "coverage": covered,
                "its MC error ": np.sqrt(covered * (1 - covered) / len(part)), "draws": len(part),
            })  # fmt: skip
    return pd.DataFrame(out)


def main() -> None:
    options = parser(__doc__.split("\n")[0])
    options.add_argument("--draws", type=int, default=200)
    given = options.parse_args()
    draws = 2 if given.quick else given.draws
    specs = grid(n=[1000, 2000], method=[ALONE, *REACHES], draw=range(draws))
    study = Study("spillovers", spillover_row, specs, given.studies, any_version=given.any_version)
    rows = run(study, given.n_jobs, lambda spec: 0.3 * spec["n"] / 1000)
    write(
        "spillovers", "Effects on neighbours", rows,
        [(" ".join(__doc__.split("\n\n")[1].split()), table(rows))], given.quick, given.studies,
    )  # fmt: skip


if __name__ == "__main__":
    main()
