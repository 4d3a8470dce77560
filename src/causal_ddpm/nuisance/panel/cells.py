"""The cells of a panel as learners of the untreated outcome see them.

A panel has N units and T periods. Cell (i, t) has covariates x_it; its untreated outcome y_it is
known to a learner on the mask ``observed`` only. Outcomes outside the mask are blanked when the
record is made, so that no learner can read what its information set does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PanelCells:
    """Outcomes that may be learnt from, and covariates of all cells; made by :meth:`of`.

    Parameters
    ----------
    outcome : ndarray, shape (N, T)
        NaN outside ``observed``.
    covariates : ndarray, shape (N, T, p)
        p may be 0.
    observed : ndarray of bool, shape (N, T)
        Cells whose outcome is untreated and may be learnt from.
    period : ndarray, shape (T,)
        Calendar time, increasing.
    """

    outcome: Array
    covariates: Array
    observed: Mask
    period: Array

    @classmethod
    def of(cls, outcome: Any, covariates: Any, observed: Any, period: Any = None) -> PanelCells:
        """Check the arrays, and blank outcomes outside the mask.

        Parameters
        ----------
        outcome : array, shape (N, T)
            Read on the mask only.
        covariates : array, shape (N, T, p) or (N, T), or None
        observed : array of bool, shape (N, T)
        period : array, shape (T,), optional
            0, 1, ..., T - 1 by default.

        Raises
        ------
        DataError
            For shapes that disagree, values that are not finite, or a unit without two cells.
        """
        y, mask = np.asarray(outcome, dtype=float), np.asarray(observed)
        if y.ndim != 2 or mask.shape != y.shape or mask.dtype != bool:
            raise DataError(
                f"the outcome has shape {y.shape} and the mask of observed cells {mask.shape} "
                f"({mask.dtype})", "two (N, T) arrays, the mask of truth values",
            )  # fmt: skip
        x = np.zeros((*y.shape, 0)) if covariates is None else np.asarray(covariates, dtype=float)
        x = x[..., None] if x.ndim == 2 else x
        t = np.arange(y.shape[1], dtype=float) if period is None else np.asarray(period, float)
        if x.shape[:2] != y.shape or x.ndim != 3:
            raise DataError(f"the covariates have shape {x.shape}", f"{y.shape} + (p,)")
        if t.shape != y.shape[1:] or not (np.diff(t) > 0).all():
            raise DataError(f"period has shape {t.shape}", f"{y.shape[1]} increasing numbers")
        if not (np.isfinite(x).all() and np.isfinite(t).all() and np.isfinite(y[mask]).all()):
            raise DataError(
                "an observed outcome, a covariate or a period is missing or infinite",
                "finite numbers", "Cells whose outcome is missing count as not observed.",
            )  # fmt: skip
        _check_units(mask)
        return cls(np.where(mask, y, np.nan), x, mask.copy(), t)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, T)."""
        return self.outcome.shape[0], self.outcome.shape[1]

    def without(self, cells: Mask) -> PanelCells:
        """The same panel with some cells hidden; units may lose all of theirs."""
        seen = self.observed & ~cells
        return PanelCells(np.where(seen, self.outcome, np.nan), self.covariates, seen, self.period)

    def check_mask(self, cells: Mask) -> None:
        """Refuse a mask of cells that is not one of this panel.

        Raises
        ------
        DataError
        """
        if np.shape(cells) != self.shape or np.asarray(cells).dtype != bool:
            raise DataError(f"the mask of cells has shape {np.shape(cells)}",
                            f"truth values of shape {self.shape}")  # fmt: skip


def _check_units(observed: Mask) -> None:
    """Refuse a panel with a unit of fewer than two observed cells."""
    counts = observed.sum(axis=1)
    if observed.size == 0 or counts.min() < 2:
        where = "" if observed.size == 0 else f" for the unit in row {int(counts.argmin())}"
        raise DataError(
            f"fewer than two untreated outcomes are observed{where}", "at least two for each unit",
            "Leave out units that are treated from the first or second period on.",
        )  # fmt: skip
