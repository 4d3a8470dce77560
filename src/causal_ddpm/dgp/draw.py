"""One draw from a design, with everything an analyst never sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed
from causal_ddpm.core.truth import Truth

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Draw:
    """A simulated sample.

    Parameters
    ----------
    frame : DataFrame
        What an analyst gets to see.
    data : CausalData
        The same, with roles.
    truth : Truth
        True effects.
    potential_outcomes : ndarray, shape (n, 2)
        Y(0) and Y(1) of each row.
    mean : ndarray, shape (n, 2)
        E[Y(a) | x_i].
    propensity : ndarray, shape (n, 2)
        P(D = a | x_i).
    """

    frame: pd.DataFrame
    data: CausalData
    truth: Truth
    potential_outcomes: Array
    mean: Array
    propensity: Array


def sample_effects(potential_outcomes: Array, d: NDArray[np.int64]) -> dict[str, float]:
    """ATE, ATT and ATU of the rows drawn, from both potential outcomes (n, 2)."""
    effect = potential_outcomes[:, 1] - potential_outcomes[:, 0]
    return {
        "ATE": float(effect.mean()),
        "ATT": float(effect[d == 1].mean()),
        "ATU": float(effect[d == 0].mean()),
    }


def mean_effects(effect: Array, e: Array) -> dict[str, float]:
    """ATE, ATT and ATU of a population from effects and propensities of many x, shape (N,)."""
    return {
        "ATE": float(effect.mean()),
        "ATT": float(e @ effect / e.sum()),
        "ATU": float((1 - e) @ effect / (1 - e).sum()),
    }


def efficiency_sds(effect: Array, variance: Array, e: Array) -> dict[str, float]:
    """Semiparametric efficiency bounds (Hahn 1998, theorem 1), as standard deviations.

    Parameters
    ----------
    effect : ndarray, shape (N,)
        E[Y(1) - Y(0) | x] at many x of the population.
    variance : ndarray, shape (N, 2)
        V[Y(a) | x].
    e : ndarray, shape (N,)
        P(D = 1 | x).
    """
    theta = mean_effects(effect, e)
    v0, v1 = variance[:, 0], variance[:, 1]
    p = e.mean()
    ate = v1 / e + v0 / (1 - e) + (effect - theta["ATE"]) ** 2
    att = (e * v1 + e**2 / (1 - e) * v0 + e * (effect - theta["ATT"]) ** 2) / p**2
    atu = (1 - e) * v0 + (1 - e) ** 2 / e * v1 + (1 - e) * (effect - theta["ATU"]) ** 2
    bounds = {"ATE": ate, "ATT": att, "ATU": atu / (1 - p) ** 2}
    return {name: float(np.sqrt(values.mean())) for name, values in bounds.items()}


def checked_size(n: int) -> int:
    """Refuse a sample without rows."""
    if n < 1:
        raise DataError(f"a draw of {n} rows was asked for", "at least one row")
    return n


def seed_number(seed: Seed) -> int | None:
    """The seed as a plain integer, where it is one."""
    return int(seed) if isinstance(seed, int | np.integer) else None
