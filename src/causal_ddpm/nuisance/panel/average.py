"""A convex average of bases: errors that differ between them cancel in part.

    prediction  sum_m w_m m_it,     w >= 0, sum w = 1

A unit seen in few periods keeps the two-way fit: what its donors or loadings would be cannot be
told from so little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_ddpm.core.errors import DataError
from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells
from causal_ddpm.nuisance.panel.completion import (
    Completion,
    FittedTable,
    fit_table,
    two_way_tables,
)

MIN_SEEN = 4
"""Seen periods below which a unit keeps the two-way fit."""


@dataclass(frozen=True)
class ConvexAverage:
    """A convex average.

    Parameters
    ----------
    bases : tuple of Completion
    weights : tuple of float
        Not negative, of sum one.

    Raises
    ------
    DataError
        For weights that are not convex, or not one a base.
    """

    bases: tuple[Completion, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        w = self.weights
        if len(w) != len(self.bases) or not w or min(w) < 0 or abs(sum(w) - 1) > 1e-8:
            raise DataError(f"{len(self.bases)} bases have the weights {w}",
                            "one weight a base, none negative, of sum 1")  # fmt: skip

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"average of {len(self.bases)} bases"

    def fit(self, cells: PanelCells) -> FittedTable:
        """Fit on the observed cells."""
        return fit_table(self, cells)

    def complete(self, y: Array, seen: Mask, rows: Mask | None = None) -> Array:
        """Predictions of all cells for each mask, shape (K, N, T)."""
        used = [(b, w) for b, w in zip(self.bases, self.weights, strict=True) if w > 0]
        mean = np.sum([w * base.complete(y, seen, rows) for base, w in used], axis=0)
        few = seen.sum(axis=2) < MIN_SEEN
        return np.where(few[..., None], two_way_tables(y, seen), mean)
