r"""Two-way fixed effects and covariates, by least squares on untreated cells.

    y_it = a_i + f_t + x_it' b + e_it        on the observed cells O

With O as an N x T matrix of zeros and ones, n and m its row and column sums, the effects of any
values Z (zero outside O) follow from T equations, the unit effects being eliminated:

    a = diag(1/n) (Z 1 - O f),      S f = Z' 1 - O' diag(1/n) Z 1,      S = diag(m) - O' diag(1/n) O

S 1_c = 0 for the periods of every connected part c of the panel, so f is fixed up to a constant a
part. With T_c the number of its periods, S + sum_c 1_c 1_c' / T_c is regular and its solution has
mean zero in every part. Covariates are swept of both effects in the same way, and b regresses swept
y on swept x (Frisch, Waugh, Lovell). On cells outside O the prediction is the imputation of
Borusyak, Jaravel and Spiess (2024): with the treated cells outside O, the mean of y - prediction
over them is their estimator.

The effects of a unit and a period are comparable only if a chain of observed cells links them; a
cell without such a chain is not identified and predicted as NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells
from causal_ddpm.nuisance.panel.least_squares import coefficients


@dataclass(frozen=True, eq=False)
class FittedTwoWay:
    """A two-way fit.

    Parameters
    ----------
    unit : ndarray, shape (N,)
        a_i, NaN for a unit without observed cells.
    period : ndarray, shape (T,)
        f_t, of mean zero; NaN for a period without observed cells.
    coef : ndarray, shape (p,)
        b.
    linked : ndarray of bool, shape (N, T)
        Cells whose unit and period are linked by observed cells.
    """

    unit: Array
    period: Array
    coef: Array
    linked: Mask

    def predict(self, cells: PanelCells) -> Array:
        """a_i + f_t + x_it' b, NaN where it is not identified, shape (N, T)."""
        level = self.unit[:, None] + self.period + cells.covariates @ self.coef
        return np.where(self.linked, level, np.nan)

    def features(self, cells: PanelCells) -> Array:
        """Covariates, unit effect and calendar time, shape (N, T, p + 2)."""
        unit = np.broadcast_to(self.unit[:, None], cells.shape)
        return np.dstack([cells.covariates, unit, np.broadcast_to(cells.period, cells.shape)])


@dataclass(frozen=True)
class TwoWay:
    """Least squares on unit effects, period effects and covariates."""

    @property
    def name(self) -> str:
        """What tables call it."""
        return "unit and period effects"

    def fit(self, cells: PanelCells) -> FittedTwoWay:
        """Least squares on the observed cells.

        Raises
        ------
        NotIdentifiedError
            If a covariate does not vary within units and periods.
        """
        seen = cells.observed
        part = _parts(seen)
        y, x = np.where(seen, cells.outcome, 0.0), cells.covariates * seen[..., None]
        swept = [_swept(z, seen, part) for z in (y, *np.moveaxis(x, 2, 0))]
        inside = np.column_stack([z[seen] for z in swept])
        coef = coefficients(inside[:, 1:], inside[:, 0], x[seen])
        unit, period = _effects(y - x @ coef, seen, part)
        units, periods = seen.sum(axis=1) > 0, seen.sum(axis=0) > 0
        linked = (part[0][:, None] == part[1]) & np.outer(units, periods)
        unit, period = np.where(units, unit, np.nan), np.where(periods, period, np.nan)
        return FittedTwoWay(unit, period, coef, linked)


Parts = tuple[NDArray[np.int32], NDArray[np.int32]]


def _parts(seen: Mask) -> Parts:
    """Connected part of each unit, shape (N,), and of each period, shape (T,)."""
    n_units, n_periods = seen.shape
    i, t = np.nonzero(seen)
    size = n_units + n_periods
    graph = coo_array((np.ones(len(i)), (i, n_units + t)), shape=(size, size))
    label = connected_components(graph, directed=False)[1]
    return label[:n_units], label[n_units:]


def _effects(z: Array, seen: Mask, part: Parts) -> tuple[Array, Array]:
    """Least-squares effects (a, f) of values that are zero where they are not seen."""
    n, m = np.maximum(seen.sum(axis=1), 1), seen.sum(axis=0)
    share = seen / n[:, None]
    same = part[1][:, None] == part[1]
    S = np.diag(m) - seen.T.astype(float) @ share + same / same.sum(axis=0)
    f = np.linalg.solve(S, z.sum(axis=0) - share.T @ z.sum(axis=1))
    return (z.sum(axis=1) - seen @ f) / n, f


def _swept(z: Array, seen: Mask, part: Parts) -> Array:
    """Values less their unit and period effects, zero where they are not seen."""
    a, f = _effects(z, seen, part)
    return np.where(seen, z - a[:, None] - f, 0.0)
