r"""What is known of a unit before its path is predicted.

A path belongs to a unit i and a first hidden period g; with u_it = y_it - base prediction the gaps
of its observed cells before g, its history is

    log s_i     their moderated root mean square (:mod:`causal_ddpm.nuisance.panel.unit_scale`)
    log d_i     the same of period-to-period changes of y_it less the mean of the period
    last_i      the mean of the last two gaps, in units of s_i
    trend_i     least-squares slope of the gaps per period, in units of s_i
    level_i     mean of y_it less the mean of the period, in standard deviations across units
    log n_i     number of observed cells before g

All six are known when treatment starts; the first two say how far the path may go.
"""

from __future__ import annotations

import numpy as np

from causal_ddpm.nuisance.panel.cells import Array, Mask
from causal_ddpm.nuisance.panel.unit_scale import unit_scales

SCALE_COLUMNS = 2
"""The first columns of a history say how large errors are."""

SIGNED_COLUMNS = (2, 3, 4)
"""Columns that change sign with the outcome."""

_FLOOR = 1e-6
"""Scales below this share of the median count as this share: a base may fit a history exactly."""

_FAR = 10.0


def histories(outcome: Array, gap: Array, before: Mask) -> Array:
    """The history of each path, shape (P, 6).

    Parameters
    ----------
    outcome : ndarray, shape (P, T)
        Less the mean of the period over untreated cells; read on ``before`` only.
    gap : ndarray, shape (P, T)
        Outcome less base prediction; read on ``before`` only.
    before : ndarray of bool, shape (P, T)
        Observed cells before the path begins, at least one in each row.
    """
    n = before.sum(axis=1)
    u, y = np.where(before, gap, np.nan), np.where(before, outcome, np.nan)
    s = _scales(u)
    level = np.nanmean(y, axis=1)
    spread = max(float(level.std()), np.finfo(float).tiny)
    return np.column_stack([
        np.log(s), np.log(_scales(np.diff(y, axis=1))), np.clip(_last(u) / s, -_FAR, _FAR),
        np.clip(_slope(u) / s, -_FAR, _FAR), (level - level.mean()) / spread, np.log(n),
    ])  # fmt: skip


def _scales(values: Array) -> Array:
    """Moderated scales above zero, (P,); 1 where nothing varies."""
    s = unit_scales(values)
    middle = float(np.median(s))
    return np.maximum(s, _FLOOR * middle) if middle > 0 else np.ones(len(s))


def _last(u: Array) -> Array:
    """Mean of the last two known values of each row."""
    known = np.isfinite(u)
    rank = known[:, ::-1].cumsum(axis=1)[:, ::-1]
    return np.asarray(np.nanmean(np.where(known & (rank <= 2), u, np.nan), axis=1))


def _slope(u: Array) -> Array:
    """Least-squares slope of each row over its known values; 0 with fewer than three."""
    known = np.isfinite(u)
    n = known.sum(axis=1, keepdims=True)
    t = np.where(known, np.arange(u.shape[1]), 0.0)
    t = np.where(known, t - t.sum(axis=1, keepdims=True) / n, 0.0)
    square = (t**2).sum(axis=1)
    slope = np.where(known, u, 0.0)
    slope = (t * slope).sum(axis=1) / np.where(square > 0, square, 1.0)
    return np.where(n[:, 0] >= 3, slope, 0.0)
