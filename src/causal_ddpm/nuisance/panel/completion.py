r"""Bases that complete a table of untreated outcomes, many patterns of hidden cells at once.

A completion maps outcomes y (N, T) and K masks of seen cells O_1, ..., O_K to K tables of
predictions that read y on their own mask only. One mask is a fit; K masks are K refits of a
placebo study or a cross-validation, computed together because each is small.

    y_it = x_it' b + z_it,        z completed,        prediction = x_it' b + completed z_it

b is that of the two-way regression (:mod:`causal_ddpm.nuisance.panel.two_way`). Cells that a
completion cannot reach keep the prediction of the two-way fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from causal_ddpm.core.errors import DataError
from causal_ddpm.nuisance.panel.base import FittedBase, PanelBase
from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells
from causal_ddpm.nuisance.panel.two_way import TwoWay


@runtime_checkable
class Completion(Protocol):
    """A base that completes tables."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def fit(self, cells: PanelCells) -> FittedBase:
        """Fit on the observed cells of a panel."""
        ...

    def complete(self, y: Array, seen: Mask, rows: Mask | None = None) -> Array:
        """Predictions of all cells for each mask.

        Parameters
        ----------
        y : ndarray, shape (N, T) or (K, N, T)
            Finite on every mask.
        seen : ndarray of bool, shape (K, N, T)
        rows : ndarray of bool, shape (K, N), optional
            Units whose predictions are asked for, all by default; what the others get may be the
            two-way fit, which is cheap.

        Returns
        -------
        ndarray, shape (K, N, T)
            NaN where nothing is identified.
        """
        ...


@dataclass(frozen=True, eq=False)
class FittedTable:
    """A completed table.

    Parameters
    ----------
    unit : ndarray, shape (N,)
        Unit effects of the two-way fit, NaN for a unit without observed cells.
    coef : ndarray, shape (p,)
        b.
    table : ndarray, shape (N, T)
        Completed z, NaN where it is not identified.
    """

    unit: Array
    coef: Array
    table: Array

    def predict(self, cells: PanelCells) -> Array:
        """x_it' b + z_it, shape (N, T)."""
        return self.table + cells.covariates @ self.coef

    def features(self, cells: PanelCells) -> Array:
        """Covariates, unit effect and calendar time, shape (N, T, p + 2)."""
        unit = np.broadcast_to(self.unit[:, None], cells.shape)
        return np.dstack([cells.covariates, unit, np.broadcast_to(cells.period, cells.shape)])


def fit_table(base: Completion, cells: PanelCells) -> FittedTable:
    """Fit a completion on the observed cells of a panel.

    Raises
    ------
    NotIdentifiedError
        If a covariate does not vary within units and periods.
    """
    level = TwoWay().fit(cells)
    z = cells.outcome - cells.covariates @ level.coef
    return FittedTable(level.unit, level.coef, base.complete(z, cells.observed[None])[0])


def held_out(base: PanelBase, cells: PanelCells, hidden: Mask) -> Array:
    """Predictions of a base refitted without some cells, once for each mask.

    Parameters
    ----------
    base : PanelBase
        A completion refits all masks at once; any other base is fitted K times.
    cells : PanelCells
    hidden : ndarray of bool, shape (K, N, T)
        What each refit does not see.

    Returns
    -------
    ndarray, shape (K, N, T)
        Of units with cells that a mask hides; other rows of a mask may be two-way fits.

    Raises
    ------
    DataError
        If the masks are not those of the panel.
    """
    masks = np.asarray(hidden)
    if masks.ndim != 3 or masks.shape[1:] != cells.shape or masks.dtype != bool:
        raise DataError(
            f"the masks of hidden cells have shape {masks.shape} ({masks.dtype})",
            f"truth values of shape (K, {cells.shape[0]}, {cells.shape[1]})",
        )
    if not isinstance(base, Completion):
        parts = (cells.without(mask) for mask in masks)
        return np.stack([base.fit(part).predict(part) for part in parts])
    explained = covariate_part(cells, masks)
    rows = some_cells(masks)
    return explained + base.complete(cells.outcome - explained, cells.observed & ~masks, rows)


def covariate_part(cells: PanelCells, hidden: Mask) -> Array:
    """x_it' b with b from the cells that each mask leaves, shape (K, N, T)."""
    if not cells.covariates.shape[2]:
        return np.zeros(hidden.shape)
    coefs = (TwoWay().fit(cells.without(mask)).coef for mask in hidden)
    return np.stack([cells.covariates @ coef for coef in coefs])


def some_cells(masks: Mask) -> Mask:
    """Units with a cell in the mask, shape (..., N)."""
    return np.asarray(masks.any(axis=-1), dtype=bool)


def two_way_tables(y: Array, seen: Mask) -> Array:
    """Two-way fits without covariates, one for each mask, shape (K, N, T)."""
    linked = np.asarray((~some_cells(~seen)).any(axis=1) & some_cells(seen).all(axis=1))
    out = np.empty(seen.shape)
    z = np.broadcast_to(np.where(seen, y, np.nan), seen.shape)
    if linked.any():
        out[linked] = _linked_tables(z[linked], seen[linked])
    none, period = np.zeros((*seen.shape[1:], 0)), np.arange(float(seen.shape[2]))
    for k in np.flatnonzero(~linked):
        cells = PanelCells(z[k], none, seen[k], period)
        out[k] = TwoWay().fit(cells).predict(cells)
    return out


def _linked_tables(y: Array, seen: Mask) -> Array:
    """Two-way fits of masks with a unit seen throughout, which links all units and periods."""
    z, n_periods = np.where(seen, y, 0.0), seen.shape[2]
    n, m = seen.sum(axis=2), seen.sum(axis=1)
    share = seen / n[..., None]
    S = np.eye(n_periods) * m[:, None] - seen.swapaxes(1, 2).astype(float) @ share
    right = z.sum(axis=1) - np.einsum("knt,kn->kt", share, z.sum(axis=2))
    f = np.linalg.solve(S + 1 / n_periods, right[..., None])[..., 0]
    a = (z.sum(axis=2) - np.einsum("knt,kt->kn", seen, f)) / n
    return a[..., None] + f[:, None]
