"""Means under treatments of every kind beside boosted trees on (x, treatment): RMSE to the truth.

Three confounded designs with six covariates, noise N(0, 1), 1 000 rows: three arms, a dose with a
sine response, a 2^3 of factors with one interaction. Scored on new rows under every arm, on a grid
of doses, and in every cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from common import parser, run, write

from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.evaluation.studies import Spec, Study, grid

NAMES = [f"x{j}" for j in range(6)]
CELLS = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
Array = np.ndarray


def base(x: Array) -> Array:
    return np.sin(1.5 * x[:, 0]) + 0.5 * x[:, 1]


def arms(x: Array, rng: np.random.Generator) -> tuple[Array, list[Any]]:
    """Arm k in {0, 1, 2}, chosen by x0 + noise."""
    return np.digitize(x[:, 0] + rng.standard_normal(len(x)), [-0.5, 0.5]), [0, 1, 2]


def dose(x: Array, rng: np.random.Generator) -> tuple[Array, list[Any]]:
    """A dose around .5 x0 + 2."""
    return 0.5 * x[:, 0] + rng.uniform(0.5, 3.5, len(x)), list(np.linspace(0.8, 3.2, 7))


def factors(x: Array, rng: np.random.Generator) -> tuple[Array, list[Any]]:
    """Three factors, the first chosen by x0."""
    share = np.column_stack([1 / (1 + np.exp(-x[:, 0])), np.full((len(x), 2), 0.5)])
    chosen = rng.random((len(x), 3)) < share
    return chosen.astype(int), CELLS


def mean(kind: str, x: Array, t: Array) -> Array:
    """E[Y | x, t] for one treatment a row."""
    if kind == "arms":
        return base(x) + np.array([0.0, 1.0, 1.5])[t] + 0.5 * (t == 2) * x[:, 1]
    if kind == "dose":
        return base(x) + np.sin(2 * t) * (1 + 0.3 * x[:, 1])
    return base(x) + t @ np.array([1.0, 0.5, 0.0]) + 0.7 * t[:, 0] * t[:, 1]


KINDS: dict[str, Callable[..., tuple[Array, list[Any]]]] = {
    "arms": arms,
    "dose": dose,
    "factors": factors,
}


def row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    kind, rng = spec["kind"], np.random.default_rng(9000 + spec["draw"])
    x, x_new = rng.standard_normal((spec["n"], 6)), rng.standard_normal((400, 6))
    t, worlds = KINDS[kind](x, rng)
    y = mean(kind, x, t) + rng.standard_normal(len(x))
    predict = FITS[spec["method"]](kind, (x, t, y), integer_seed(seed))
    errors = [
        predict(x_new, w) - mean(kind, x_new, np.broadcast_to(w, (400, *np.shape(w))))
        for w in worlds
    ]
    return {"rmse": float(np.sqrt(np.mean(np.square(errors))))}


def ours(kind: str, rows: tuple[Array, Array, Array], seed: int) -> Callable[[Array, Any], Array]:
    from causal_ddpm import CausalData, PotentialOutcomeModel

    x, t, y = rows
    frame = pd.DataFrame(x, columns=NAMES).assign(y=y)
    columns = ["t0", "t1", "t2"] if kind == "factors" else "t0"
    for j, column in enumerate(np.atleast_2d(t.T)):
        frame[f"t{j}"] = column
    data = CausalData(frame, treatment=columns, outcome="y", confounders=NAMES, treatment_kind=kind)
    law = PotentialOutcomeModel().fit(data, random_state=seed)
    return lambda new, world: law.mean(pd.DataFrame(new, columns=NAMES), world)


def trees(kind: str, rows: tuple[Array, Array, Array], seed: int) -> Callable[[Array, Any], Array]:
    from lightgbm import LGBMRegressor

    x, t, y = rows
    model = LGBMRegressor(
        n_estimators=200, learning_rate=0.05, num_leaves=15, n_jobs=1, verbose=-1, random_state=seed
    ).fit(np.column_stack([x, t]), y)

    def predict(new: Array, world: Any) -> Array:
        known = np.broadcast_to(np.atleast_1d(world), (len(new), np.size(world)))
        return np.asarray(model.predict(np.column_stack([new, known])))

    return predict


FITS = {"ours": ours, "boosted trees": trees}


def main() -> None:
    args = parser(__doc__.splitlines()[0]).parse_args()
    specs = grid(
        kind=list(KINDS), method=list(FITS), n=[300 if args.quick else 1000],
        draw=range(1 if args.quick else 2),
    )  # fmt: skip
    study = Study("treatments", row, specs, args.studies, any_version=args.any_version)
    rows = run(study, args.n_jobs, lambda spec: 20 if spec["method"] == "ours" else 1)
    table = rows.groupby(["kind", "method"], sort=False)[["rmse", "cpu_seconds"]].mean()
    shown = [("RMSE of E[Y | x, world], 1 000 rows, 2 draws", table.reset_index())]
    write("treatments", "Treatments of every kind", rows, shown, args.quick, args.studies)


if __name__ == "__main__":
    main()
