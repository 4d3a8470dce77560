"""The two backbones side by side: an MLP on the columns, or attention between them.

One group of rows and one member of the ensemble, with the recipe's own settings. Columns are
independent normals; the law of the target v given (x, arm) has mean 0, variance 1 and two modes:

    v = d (1 - p)  with probability p,  -d p  otherwise,  plus normal noise;    d^2 p (1 - p) = r

    sparse    p from x_1 x_2 and x_3 (its sign is the arm's), r from x_4: other columns do nothing
    dense     p and r from two weighted sums of all columns
    outcome   y = x_1 + x_2 x_3 + x_4 arm + v of the sparse design: location and law at once

r, the share of the variance between the modes, runs from .3 to .95. Scores are taken on new rows
under both arms against the true law: the Wasserstein distance, and CRPS above the truth's, which is
the integral of (F - F_true)^2. "Gaussian" is the normal law with the true mean and variance.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from common import parser, run, write
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from causal_ddpm.core.random import Seed
from causal_ddpm.diffusion.conditional import DiffusionSettings, TrainingGroup, train_conditional
from causal_ddpm.evaluation.studies import Spec, Study, grid

Array = NDArray[np.float64]

N_NODES, N_TEST = 64, 500
LEVELS = (np.arange(N_NODES) + 0.5) / N_NODES
FIRST_SEED = 4200


@dataclass(frozen=True)
class Law:
    """Two normal modes for each row: p at ``upper``, 1 - p at ``lower``, both of sd ``sd``."""

    p: Array
    upper: Array
    lower: Array
    sd: Array

    @classmethod
    def standard(cls, p: Array, r: Array) -> Law:
        """Mean 0, variance 1, share r of it between the modes."""
        d = np.sqrt(r / (p * (1 - p)))
        return cls(p, d * (1 - p), -d * p, np.sqrt(1 - r))

    def moved(self, location: Array, sd: float) -> Law:
        """The law of (location + v) / sd."""
        return Law(self.p, (self.upper + location) / sd, (self.lower + location) / sd, self.sd / sd)

    def cdf(self, v: Array) -> Array:
        """F at v (n, G)."""
        p, a, b, sd = (part[:, None] for part in (self.p, self.upper, self.lower, self.sd))
        return p * ndtr((v - a) / sd) + (1 - p) * ndtr((v - b) / sd)

    def quantiles(self) -> Array:
        """Mid-quantiles (n, N_NODES) by bisection."""
        spread = 8 * self.sd
        low = np.repeat((self.lower - spread)[:, None], N_NODES, 1)
        high = np.repeat((self.upper + spread)[:, None], N_NODES, 1)
        for _ in range(60):
            middle = (low + high) / 2
            below = self.cdf(middle) < LEVELS
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2

    def draw(self, rng: np.random.Generator) -> Array:
        """One value a row."""
        centre = np.where(rng.random(len(self.p)) < self.p, self.upper, self.lower)
        return centre + self.sd * rng.standard_normal(len(self.p))

    @property
    def mean(self) -> Array:
        """Shape (n,)."""
        return self.p * self.upper + (1 - self.p) * self.lower

    @property
    def variance(self) -> Array:
        """Shape (n,)."""
        return self.sd**2 + self.p * (1 - self.p) * (self.upper - self.lower) ** 2


def shape(x: Array, arm: Array, design: str) -> Law:
    """The law of v given (x, arm)."""
    if design == "dense":
        d = x.shape[1]
        weights = np.random.default_rng(d).standard_normal((2, d)) / np.sqrt(d)
        index, width = 1.5 * (x @ weights[0]) * (2 * arm - 1), 2 * x @ weights[1]
    else:
        index, width = 1.2 * x[:, 0] * x[:, 1] + x[:, 2] * (2 * arm - 1), 1.5 * x[:, 3]
    return Law.standard(0.15 + 0.7 * expit(index), 0.3 + 0.65 * expit(width))


def location(x: Array, arm: Array, design: str) -> Array:
    """The mean of the target, zero but for the design with an outcome."""
    if design != "outcome":
        return np.zeros(len(x))
    return x[:, 0] + x[:, 1] * x[:, 2] + x[:, 3] * arm


SD_OUTCOME = float(np.sqrt(1 + 1 + 0.5 + 1))


def law_of(x: Array, arm: Array, design: str) -> Law:
    sd = SD_OUTCOME if design == "outcome" else 1.0
    return shape(x, arm, design).moved(location(x, arm, design), sd)


def scores(nodes: Array, law: Law) -> dict[str, float]:
    """Mean over rows of W1 and of the CRPS above the truth's, for increasing nodes (n, N_NODES)."""
    true = law.quantiles()
    low, high = min(nodes.min(), true.min()), max(nodes.max(), true.max())
    ends = np.linspace(low - 0.1, high + 0.1, 401)
    step = np.array([np.searchsorted(row, ends) for row in nodes]) / N_NODES
    gap = (step - law.cdf(np.broadcast_to(ends, (len(nodes), 401)))) ** 2
    return {
        "w1": float(np.abs(nodes - true).mean()),
        "excess_crps": float(gap.sum(1).mean() * (ends[1] - ends[0])),
    }


def gaussian(law: Law) -> Array:
    return law.mean[:, None] + np.sqrt(law.variance)[:, None] * ndtri(LEVELS)


def row(spec: Spec, seed: Seed) -> Mapping[str, Any]:
    """Train one backbone on one draw, and score it."""
    rng = np.random.default_rng(FIRST_SEED + spec["repetition"])
    x = rng.standard_normal((spec["n"] + N_TEST, spec["columns"]))
    arm = rng.integers(0, 2, len(x))
    law = law_of(x, arm, spec["design"])
    v, n = law.draw(rng), spec["n"]
    settings = DiffusionSettings(
        backbone=spec["backbone"], n_members=1, n_steps=spec.get("n_steps")
    )
    model = train_conditional([TrainingGroup(x[:n], arm[:n], v[:n])], settings, spec["repetition"])
    start, test = time.process_time(), x[n:]
    nodes = np.concatenate([model.nodes(0, test, a, N_NODES) for a in (0, 1)])
    both = np.concatenate([test, test]), np.repeat([0, 1], N_TEST)
    true = law_of(*both, spec["design"])
    return {
        **scores(np.sort(nodes, 1), true),
        **{f"gaussian_{k}": s for k, s in scores(gaussian(true), true).items()},
        "steps": model.report["n_steps"],
        "train_seconds": model.report["cpu_seconds"],
        "read_seconds": time.process_time() - start,
    }


BACKBONES = ["mlp", "attention"]
CAPS = {50: 400, 200: 250}
"""Columns: training steps on 10 000 rows, where the recipe's 1275 would take attention too long."""


def cells(quick: bool) -> list[Spec]:
    """Both backbones in every cell; the cells that matter most come first."""
    if quick:
        return pairs("sparse", 200, 10)
    capped = [
        spec | {"n_steps": CAPS[spec["columns"]]} for spec in pairs("sparse", 10_000, *CAPS)
    ]  # fmt: skip
    whole = [spec for spec in pairs("sparse", 10_000, *CAPS) if spec["backbone"] == "mlp"]
    return [
        *pairs("sparse", 1000, 10, 50),
        *pairs("sparse", 10_000, 10),
        *pairs("outcome", 1000, 10),
        *pairs("dense", 1000, 10),
        *whole,
        *capped[:2],
        *pairs("sparse", 1000, 200),
        *capped[2:],
    ]


def pairs(design: str, n: int, *columns: int) -> list[Spec]:
    """Both backbones on tables of n rows."""
    return grid(design=[design], repetition=[0], n=[n], columns=columns, backbone=BACKBONES)


def expected(spec: Spec) -> float:
    """Rough CPU seconds of a cell."""
    steps = spec.get("n_steps") or (250 if spec["n"] == 1000 else 1300)
    per_step = 0.005 if spec["backbone"] == "mlp" else 0.02 + 0.0018 * min(spec["columns"], 126)
    return 2 + steps * per_step


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each training."""
    columns = ["design", "n", "columns", "backbone", "steps", "w1", "excess_crps", "gaussian_w1"]
    seconds = ["train_seconds", "read_seconds"]
    shown = rows.sort_values(["design", "n", "columns", "steps", "backbone"], kind="stable")
    return shown[[*columns, *seconds]].rename(columns={"gaussian_w1": "w1 of the Gaussian"})


def main() -> None:
    args = parser(__doc__.splitlines()[0]).parse_args()
    specs = cells(args.quick)
    study = Study("attention", row, specs, args.studies, any_version=args.any_version)
    rows = run(study, args.n_jobs, expected)
    write("attention", TITLE, rows, [(CAPTION, table(rows))], args.quick, args.studies)


TITLE = "Attention between columns, or an MLP on them"
CAPTION = (
    "One group of n rows and one member, the recipe's own settings; scores on 500 new rows under "
    "both arms, lower is better. `w1` is the Wasserstein distance to the true law in units of its "
    "scale, `excess_crps` the CRPS above the truth's, the Gaussian the normal law with the true "
    "mean and variance. On 10 000 rows x 50 or 200 columns attention was stopped early (10 minutes "
    "a training on a machine shared with others); the MLP is shown at both lengths. Seconds are "
    "CPU seconds: to train, and to read 64 quantiles of 1 000 laws."
)

if __name__ == "__main__":
    main()
