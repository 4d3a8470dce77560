r"""Ridge regression on donors, shrunk towards their plain mean.

With m_t the mean of the donors, and deviations from time means over the seen periods P,

    y_it - m_t = c + sum_j beta_j (y_jt - m_t) + e_it,     penalty  lambda ||beta||^2

Without penalty the donors are combined freely, with a large one the prediction is the difference
in differences m_t + mean_P(y_i - m): the two-way fit of one target. Weights may be negative, so a
target outside the range of its donors can be reached. lambda is a multiple of the mean squared
singular value of the donors' deviations (P, J).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_ddpm.core.errors import DataError
from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells
from causal_ddpm.nuisance.panel.completion import FittedTable, fit_table
from causal_ddpm.nuisance.panel.donors import DonorPool, complete_from_donors


@dataclass(frozen=True)
class RidgeDonors:
    """Ridge on donors.

    Parameters
    ----------
    penalty : float
        lambda over the mean squared singular value, above 0.

    Raises
    ------
    DataError
        For a penalty that is not above 0.
    """

    penalty: float = 1.0

    def __post_init__(self) -> None:
        if not self.penalty > 0:
            raise DataError(f"the penalty is {self.penalty}", "a number above 0")

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"ridge on donors (penalty {self.penalty:g})"

    def fit(self, cells: PanelCells) -> FittedTable:
        """Fit on the observed cells."""
        return fit_table(self, cells)

    def complete(self, y: Array, seen: Mask, rows: Mask | None = None) -> Array:
        """Predictions of all cells for each mask, shape (K, N, T)."""
        return complete_from_donors(y, seen, rows, self._path)

    def _path(self, pool: DonorPool, _: Array) -> Array:
        mean = pool.donors.mean(axis=0)
        gap, before = pool.target - mean, pool.before
        X = pool.donors - mean
        X = X - X[:, before].mean(axis=1, keepdims=True)
        level = gap[before].mean()
        Z = X[:, before].T
        gram = Z @ Z.T
        lam = self.penalty * np.trace(gram) / len(Z)
        if lam == 0:
            return mean + level
        dual = np.linalg.solve(gram + lam * np.eye(len(Z)), gap[before] - level)
        return mean + level + (Z.T @ dual) @ X
