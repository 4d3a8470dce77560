r"""Two-way effects and factors on seen cells, by alternating least squares.

    min  sum_{(i,t) seen} (y_it - a_i - f_t - l_i' F_t)^2 + penalty (||L||^2 + ||F||^2)

over a (N,), f (T,), L (N, R), F (T, R). Without a penalty these are interactive fixed effects of
rank R; with one, since min (||L||^2 + ||F||^2) / 2 over L F' = M is the nuclear norm of M, the
solution is that of matrix completion with penalty 2 ||M||_* wherever its rank is below R (Hastie,
Mazumder, Lee and Zadeh, 2015). One sweep solves every unit's (a_i, l_i) and then every period's
(f_t, F_t), each a small regression, for K masks together.

Sweeps start from the singular vectors of what the two-way fit leaves in units that are seen
throughout (of all units, hidden cells at zero, where there are fewer than R + 2 such units).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_ddpm.nuisance.panel.cells import Array, Mask
from causal_ddpm.nuisance.panel.completion import two_way_tables

_TINY = 1e-12
"""Ridge, relative to the trace, under which an unidentified loading is zero."""


@dataclass(frozen=True, eq=False)
class Factors:
    """Effects and factors of K masks.

    Parameters
    ----------
    unit : ndarray, shape (K, N, 1 + R)
        a and L.
    period : ndarray, shape (K, T, 1 + R)
        f and F.
    """

    unit: Array
    period: Array

    def table(self) -> Array:
        """a_i + f_t + l_i' F_t, shape (K, N, T)."""
        level = self.unit[..., :1] + self.period[..., 0][:, None]
        return level + self.unit[..., 1:] @ self.period[..., 1:].swapaxes(1, 2)


def identified(table: Array, y: Array, seen: Mask) -> Array:
    """The table without cells whose unit and period no seen cells link, as in a two-way fit."""
    return np.where(np.isnan(two_way_tables(y, seen)), np.nan, table)


def start(y: Array, seen: Mask, rank: int) -> Factors:
    """Where sweeps start from."""
    level = np.nan_to_num(two_way_tables(y, seen))
    left = np.where(seen, y - level, 0.0)
    whole = seen.all(axis=2)
    use = np.where(whole.sum(axis=1)[:, None] >= rank + 2, whole, True)
    a = level.mean(axis=2)
    f = level.mean(axis=1) - a.mean(axis=1, keepdims=True)
    return _directions(left * use[..., None], rank, a[..., None], f[..., None])


def restart(y: Array, seen: Mask, now: Factors) -> Factors:
    """Fresh directions for all factors, where a penalty has put some to zero.

    Sweeps leave a factor at zero where it is; these are the leading singular vectors of what the
    effects leave, hidden cells at the factors' own value.
    """
    a, f = now.unit[..., :1], now.period[..., :1]
    low = now.unit[..., 1:] @ now.period[..., 1:].swapaxes(1, 2)
    left = np.where(seen, y - a - f.swapaxes(1, 2), low)
    return _directions(left, now.unit.shape[2] - 1, a, f)


def _directions(left: Array, rank: int, a: Array, f: Array) -> Factors:
    """Effects, and the leading singular vectors of what they leave."""
    vectors, size, right = np.linalg.svd(left, full_matrices=False)
    root = np.sqrt(size[:, None, :rank])
    F = right[:, :rank].swapaxes(1, 2) * root
    return Factors(
        np.concatenate([a, vectors[..., :rank] * root], axis=2), np.concatenate([f, F], axis=2)
    )


def sweep(
    y: Array, seen: Mask, begin: Factors, penalty: Array | float, tolerance: float, limit: int
) -> Factors:
    """Sweep each mask until its table moves by no more than a share of the outcomes' spread.

    Parameters
    ----------
    y : ndarray, shape (N, T) or (K, N, T)
    seen : ndarray of bool, shape (K, N, T)
    begin : Factors
    penalty : float or ndarray, shape (K,)
    tolerance : float
        Share of the standard deviation of seen outcomes.
    limit : int
        Most sweeps.
    """
    weight = seen.astype(float)
    z = np.where(seen, y, 0.0)
    lam = np.broadcast_to(np.asarray(penalty, dtype=float), len(seen))
    step = tolerance * np.sqrt(_variance(z, weight))
    unit, period, before = begin.unit.copy(), begin.period.copy(), begin.table()
    live = np.arange(len(seen))
    for _ in range(limit):
        now = _one_sweep(z[live], weight[live], period[live], lam[live])
        table = now.table()
        unit[live], period[live] = now.unit, now.period
        moving = np.abs(table - before[live]).max(axis=(1, 2)) > step[live]
        before[live] = table
        live = live[moving]
        if not len(live):
            break
    return Factors(unit, period)


def _one_sweep(z: Array, weight: Array, period: Array, lam: Array) -> Factors:
    unit = _solve(z, weight, period, lam)
    return _balanced(Factors(unit, _solve(z.swapaxes(1, 2), weight.swapaxes(1, 2), unit, lam)))


def _solve(z: Array, weight: Array, other: Array, lam: Array) -> Array:
    """Regressions of each row on the other side: (K, N, 1 + R) from (K, T, 1 + R)."""
    X = other.copy()
    X[..., 0] = 1.0
    target = z - weight * other[..., 0][:, None]
    outer = (X[..., :, None] * X[..., None, :]).reshape(*X.shape[:2], -1)
    size = X.shape[2]
    gram = (weight @ outer).reshape(*weight.shape[:2], size, size)
    ridge = np.broadcast_to(lam[:, None], gram.shape[:2])
    ridge = ridge + _TINY * np.trace(gram, axis1=2, axis2=3)
    penalised = np.eye(size) * np.r_[0.0, np.ones(size - 1)]
    gram = gram + penalised * ridge[..., None, None]
    gram[weight.sum(axis=2) == 0] = np.eye(size)
    return np.linalg.solve(gram, (target @ X)[..., None])[..., 0]


def _balanced(now: Factors) -> Factors:
    """The same table with orthogonal factors of equal size on both sides."""
    L, F = now.unit[..., 1:], now.period[..., 1:]
    if not L.shape[2]:
        return now
    q_unit, r_unit = np.linalg.qr(L)
    q_period, r_period = np.linalg.qr(F)
    left, size, right = np.linalg.svd(r_unit @ r_period.swapaxes(1, 2))
    root = np.sqrt(size)[:, None]
    unit = np.concatenate([now.unit[..., :1], q_unit @ left * root], axis=2)
    period = np.concatenate([now.period[..., :1], q_period @ right.swapaxes(1, 2) * root], axis=2)
    return Factors(unit, period)


def _variance(z: Array, weight: Array) -> Array:
    """Variance of the seen outcomes of each mask, shape (K,)."""
    n = weight.sum(axis=(1, 2))
    mean = z.sum(axis=(1, 2)) / n
    return ((z - mean[:, None, None]) ** 2 * weight).sum(axis=(1, 2)) / n
