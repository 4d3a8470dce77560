"""Which columns trees look at when there are hundreds.

Boosted trees see a random subset of the columns in each tree; with hundreds of covariates most
subsets lack most of what matters. Beyond :data:`MANY` columns, only the :data:`KEPT` that the
outcome has most to do with within arms stay (sure independence screening, Fan and Lv 2008, JRSS B
70), by the sum of squares that a step function with :data:`BINS` equally filled steps explains, so
that bends count as slopes do:

    S_j = sum_a sum_b (sum_{i in a, b} w_i (y_i - m_a))^2 / sum_{i in a, b} w_i,

b the bin of x_ij among the rows of arm a, m_a the arm's weighted mean. Screening sees the rows that
a learner is trained on and no others. Linear learners see all columns: their penalty chooses.

Measured with 800 rows and 500 columns, five or four of which matter: RMSE of pooled trees .75 to
.52 (linear mean) and .80 to .72 (bends and an interaction), CPU time halved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.protocols import Array

MANY = 200
KEPT = 100
BINS = 5


@dataclass(frozen=True, eq=False)
class Screen:
    """The columns that stay.

    Parameters
    ----------
    columns : ndarray of int, optional
        In ascending order; all of them by default.
    """

    columns: NDArray[np.int64] | None = None

    def __call__(self, x: Array) -> Array:
        """x (n, p) with the columns that stay."""
        return x if self.columns is None else x[:, self.columns]


def screen(x: Array, arm: NDArray[np.int64], y: Array, weights: Array | None) -> Screen:
    """Choose columns from training rows x (n, p), arm codes, outcomes and weights (n,)."""
    if x.shape[1] <= MANY:
        return Screen()
    w = np.ones(len(y)) if weights is None else weights
    explained = np.zeros(x.shape[1])
    for a in np.unique(arm):
        rows = arm == a
        explained += _explained(x[rows], y[rows], w[rows])
    best = np.argsort(-explained, kind="stable")[:KEPT]
    return Screen(np.sort(best).astype(np.int64))


def _explained(x: Array, y: Array, w: Array) -> Array:
    """Sum of squares that a step function of each column explains, shape (p,)."""
    ranks = x.argsort(axis=0, kind="stable").argsort(axis=0)
    bins = ranks * BINS // len(y)
    left = w * (y - np.average(y, weights=w))
    total = np.zeros(x.shape[1])
    for b in range(BINS):
        inside = (bins == b).astype(float)
        mass = w @ inside
        total += np.divide((left @ inside) ** 2, mass, out=np.zeros_like(mass), where=mass > 0)
    return total
