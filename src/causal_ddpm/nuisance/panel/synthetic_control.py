r"""Synthetic control: a weighted mean of donors that tracked the target before.

    min_{w in simplex, c}  sum_{t in P} (y_it - c - sum_j w_j y_jt)^2 + |P| zeta^2 ||w||^2
    prediction  c + sum_j w_j y_jt

c = 0 is the estimator of Abadie, Diamond and Hainmueller (2010) on outcomes alone; a free c matches
the path up to its level (Doudchenko and Imbens, 2016). zeta is a tiny share of the standard
deviation of the donors' first differences, which makes the weights unique.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells
from causal_ddpm.nuisance.panel.completion import FittedTable, fit_table
from causal_ddpm.nuisance.panel.donors import DonorPool, complete_from_donors
from causal_ddpm.nuisance.panel.simplex import simplex_weights

TINY = 1e-6
"""Ridge, in standard deviations of first differences, that only breaks ties."""


@dataclass(frozen=True)
class SyntheticControl:
    """A weighted mean of donors.

    Parameters
    ----------
    intercept : bool
        Whether c is free.
    """

    intercept: bool = False

    @property
    def name(self) -> str:
        """What tables call it."""
        return "synthetic control" + (" with intercept" if self.intercept else "")

    def fit(self, cells: PanelCells) -> FittedTable:
        """Fit on the observed cells."""
        return fit_table(self, cells)

    def complete(self, y: Array, seen: Mask, rows: Mask | None = None) -> Array:
        """Predictions of all cells for each mask, shape (K, N, T)."""
        return complete_from_donors(y, seen, rows, self._path)

    def _path(self, pool: DonorPool, _: Array) -> Array:
        w = donor_weights(pool, TINY * noise_level(pool), self.intercept)
        path = w @ pool.donors
        if self.intercept:
            path = path + (pool.target - path)[pool.before].mean()
        return path


def donor_weights(pool: DonorPool, zeta: float, intercept: bool) -> Array:
    """w, shape (J,)."""
    A, b = pool.donors[:, pool.before].T, pool.target[pool.before]
    if intercept:
        A, b = A - A.mean(axis=0), b - b.mean()
    return simplex_weights(A, b, ridge=len(b) * zeta**2)


def noise_level(pool: DonorPool) -> float:
    """Standard deviation of the donors' first differences before, 0 for a single period."""
    steps = np.diff(pool.donors[:, pool.before], axis=1)
    return float(steps.std(ddof=1)) if steps.size > 1 else 0.0
