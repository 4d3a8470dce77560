r"""Intervals under trends that bend after treatment at most Mbar times as much as before it.

beta = tau + delta, with beta measured from the period before treatment (beta_{-1} = 0), tau_k = 0
for k < 0, and delta a difference in trends. The restriction of relative magnitudes (Rambachan and
Roth 2023, section 2.4.1) is

    |delta_{k+1} - delta_k| <= Mbar v     for k >= -1,      v = max_{s < -1} |delta_{s+1} - delta_s|

For theta = l' tau_post it says no more and no less than

    |l' beta_post - theta| <= Mbar W v,      W = sum_{k >= 0} |sum_{j >= k} l_j|

since delta_post is a sum of steps. With a_s^+- = +-(delta_{s+1} - delta_s), v is the largest of
them, so the set of theta is the union over (s, +-) of intervals [l'beta - Mbar W a, l'beta + Mbar W
a]; both ends are linear in beta, with standard errors s_L and s_U. For each (s, +-), with
kappa = alpha / 10 and z_q normal quantiles,

    length >= h = 2 Mbar W max(0, a_hat - z_{1-kappa} se(a_hat))        with probability 1 - kappa
    c solves  Phi(-c) + Phi(-c - h / max(s_L, s_U)) = alpha - kappa     (Imbens and Manski 2004)
    interval [L - c s_L, U + c s_U]

and the union of the intervals that are not empty covers theta with probability at least 1 - alpha:
where (s, +-) attains v, theta lies outside its interval with probability kappa plus at most
alpha - kappa. At Mbar = 0 the interval is the usual one. Nothing is simulated, and the estimation
error of v is accounted for; the conditional intervals of the paper rest on the same inequalities
and are a little shorter.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]

FIRST_STEP = 0.1
"""kappa, as a share of alpha."""


def relative_interval(
    values: Array, cov: Array, n_pre: int, weights: Array, mbar: float, level: float = 0.95
) -> tuple[float, float]:
    """Interval of theta under the restriction with Mbar.

    Parameters
    ----------
    values : ndarray, shape (n_pre + n_post,)
        Coefficients at consecutive event times, -1 left out.
    cov : ndarray, shape (n_pre + n_post, n_pre + n_post)
    n_pre : int
        Coefficients before the reference period, at least one.
    weights : ndarray, shape (n_post,)
        l.
    mbar : float
    level : float
    """
    alpha = 1 - level
    theta = np.concatenate([np.zeros(n_pre), weights])
    if mbar == 0:
        half = ndtri(1 - alpha / 2) * np.sqrt(theta @ cov @ theta)
        return float(theta @ values - half), float(theta @ values + half)
    reach = mbar * _lever(weights)
    ends = [
        _end_points(theta, reach * step, values, cov, alpha) for step in _steps(n_pre, len(values))
    ]
    lows, highs = (np.array(side) for side in zip(*ends, strict=True))
    there = lows <= highs
    return float(lows[there].min()), float(highs[there].max())


def breakdown_mbar(
    values: Array, cov: Array, n_pre: int, weights: Array, level: float = 0.95, most: float = 10.0
) -> float:
    """Smallest Mbar whose interval holds zero; infinite if none up to ``most`` does."""
    return smallest_bound(
        lambda mbar: relative_interval(values, cov, n_pre, weights, mbar, level), most
    )


def smallest_bound(
    interval: Callable[[float], tuple[float, float]], most: float, tolerance: float = 1e-4
) -> float:
    """The bound at which an interval that grows with it begins to hold zero; infinite if none.

    Parameters
    ----------
    interval : callable
        From a bound to the ends of an interval.
    most : float
        Where the search ends.
    tolerance : float
        Of the answer, as a share of ``most``.
    """
    low, high = interval(0.0)
    if low <= 0 <= high:
        return 0.0
    end, sign = (0, 1.0) if low > 0 else (1, -1.0)
    if sign * interval(most)[end] > 0:
        return np.inf
    return float(brentq(lambda m: sign * interval(m)[end], 0.0, most, xtol=tolerance * most))


def _lever(weights: Array) -> float:
    """W."""
    return float(np.abs(np.cumsum(weights[::-1])).sum())


def _steps(n_pre: int, n: int) -> Array:
    """Rows that map beta to a_s^+-, shape (2 n_pre, n)."""
    before = np.diff(np.eye(n_pre + 1), axis=0)[:, :n_pre]
    rows = np.hstack([before, np.zeros((n_pre, n - n_pre))])
    return np.vstack([rows, -rows])


def _end_points(
    theta: Array, half: Array, values: Array, cov: Array, alpha: float
) -> tuple[float, float]:
    """Interval for one (s, +-); ``half`` maps beta to Mbar W a."""
    kappa = FIRST_STEP * alpha
    low, high = theta - half, theta + half
    s_low, s_high = np.sqrt(low @ cov @ low), np.sqrt(high @ cov @ high)
    least = half @ values - ndtri(1 - kappa) * np.sqrt(half @ cov @ half)
    c = _critical(2 * max(0.0, least) / max(s_low, s_high), alpha - kappa)
    return float(low @ values - c * s_low), float(high @ values + c * s_high)


def _critical(length: float, alpha: float) -> float:
    """c with Phi(-c) + Phi(-c - length) = alpha."""
    return float(brentq(lambda c: ndtr(-c) + ndtr(-c - length) - alpha, 0.0, ndtri(1 - alpha / 4)))
