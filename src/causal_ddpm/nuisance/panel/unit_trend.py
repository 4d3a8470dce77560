r"""Unit effects, a linear trend in calendar time and covariates, by least squares.

    y_it = a_i + g t + x_it' b + e_it        on the observed cells

Within-unit deviations of y are regressed on those of t and x, and a_i is the mean of what is left.
The trend is an assumption that the fit states and cannot check: where every unit is observed before
some period only, untreated outcomes after it are identified through the line alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells
from causal_ddpm.nuisance.panel.least_squares import coefficients


@dataclass(frozen=True, eq=False)
class FittedUnitTrend:
    """A fit with a common line in time.

    Parameters
    ----------
    unit : ndarray, shape (N,)
        a_i, the level at t = 0; NaN for a unit without observed cells.
    slope : float
        g, per unit of calendar time.
    coef : ndarray, shape (p,)
        b.
    """

    unit: Array
    slope: float
    coef: Array

    def predict(self, cells: PanelCells) -> Array:
        """a_i + g t + x_it' b, NaN for units without observed cells, shape (N, T)."""
        return self.unit[:, None] + self.slope * cells.period + cells.covariates @ self.coef

    def features(self, cells: PanelCells) -> Array:
        """Covariates and unit effect, shape (N, T, p + 1): nothing is known of later noise."""
        return np.dstack([cells.covariates, np.broadcast_to(self.unit[:, None], cells.shape)])


@dataclass(frozen=True)
class UnitTrend:
    """Least squares on unit effects, a linear trend and covariates."""

    @property
    def name(self) -> str:
        """What tables call it."""
        return "unit effects and a linear trend"

    def fit(self, cells: PanelCells) -> FittedUnitTrend:
        """Least squares on the observed cells.

        Raises
        ------
        NotIdentifiedError
            If all cells of a unit have one period, or a covariate does not vary within units.
        """
        seen = cells.observed
        time = np.broadcast_to(cells.period[:, None], (*cells.shape, 1))
        z = np.where(seen[..., None], np.dstack([time, cells.covariates]), 0.0)
        y = np.where(seen, cells.outcome, 0.0)
        swept = _within(z, seen)[seen]
        line = coefficients(
            swept, _within(y[..., None], seen)[seen, 0], z[seen], "the unit effects"
        )
        n = seen.sum(axis=1)
        unit = (y - z @ line).sum(axis=1) / np.maximum(n, 1)
        return FittedUnitTrend(np.where(n > 0, unit, np.nan), float(line[0]), line[1:])


def _within(z: Array, seen: Mask) -> Array:
    """Deviations from unit means over seen cells, zero elsewhere, shape (N, T, q)."""
    mean = z.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)[:, None]
    return np.where(seen[..., None], z - mean[:, None], 0.0)
