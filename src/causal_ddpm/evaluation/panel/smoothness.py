r"""Intervals under trends whose slope changes by at most M from period to period.

beta is measured from the period before treatment, d_i, i = 1..T, are the steps between neighbouring
coefficients up to that period and q_i = d_{i+1} - d_i the bends before treatment. With
lambda = sum_j j l_j (j = 1 for event time 0), the last step extrapolated, and bends averaged in,

    theta(u) = l' beta_post - lambda d_T + sum_{i < T} u_i q_i

is free of bias from linear trends for every u. If all bends of delta are at most M, the bias is at
most (Rambachan and Roth 2023, section 4.1, with u the partial sums of their weights)

    M b(u),   b(u) = sum_{i < T} |u_i| + |lambda| + sum_{i=1}^{L-1} |lambda - sum_{k <= i} L_k|,
              L_k = sum_{j >= k} l_j

and the interval theta(u) +- s(u) c(M b(u) / s(u)), s(u) the standard error and c(t) the 1 - alpha
quantile of |N(t, 1)|, covers at least 1 - alpha. The shortest has u on the path of

    min_u s(u)^2   subject to   sum |u_i| <= B,      B >= 0,

a lasso; least-angle regression gives the whole path, piecewise linear in u, for all M at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]

POINTS = 200
"""Points at which each linear piece of the path is tried."""


@dataclass(frozen=True, eq=False)
class SmoothnessPath:
    """Estimators along the path from least bias to least variance; made by :meth:`of`.

    Parameters
    ----------
    values, errors, bias : ndarray, shape (P,)
        theta(u), s(u) and b(u).
    """

    values: Array
    errors: Array
    bias: Array

    @classmethod
    def of(cls, values: Array, cov: Array, n_pre: int, weights: Array) -> SmoothnessPath:
        """The path of an event study.

        Parameters
        ----------
        values : ndarray, shape (n_pre + n_post,)
            Coefficients at consecutive event times, -1 left out.
        cov : ndarray, shape (n_pre + n_post, n_pre + n_post)
        n_pre : int
            At least one.
        weights : ndarray, shape (n_post,)
            l.
        """
        lam = float(np.arange(1, len(weights) + 1) @ weights)
        steps = np.diff(np.eye(n_pre + 1), axis=0)[:, :n_pre]
        start = np.concatenate([-lam * steps[-1], weights])
        bends = np.hstack([np.diff(steps, axis=0), np.zeros((n_pre - 1, len(weights)))])
        u = _lasso_path(bends @ cov @ bends.T, bends @ cov @ start)
        v = start + u @ bends
        tails = np.cumsum(weights[::-1])[::-1]
        least = abs(lam) + np.abs(lam - np.cumsum(tails[:-1])).sum()
        errors = np.sqrt(np.einsum("pi,ij,pj->p", v, cov, v))
        return cls(v @ values, errors, np.abs(u).sum(axis=1) + least)

    def interval(self, m: float, level: float = 0.95) -> tuple[float, float]:
        """The shortest interval for bends of at most m."""
        half = self.errors * folded_quantile(m * self.bias / self.errors, level)
        at = int(half.argmin())
        return float(self.values[at] - half[at]), float(self.values[at] + half[at])


def folded_quantile(t: Array, level: float) -> Array:
    """c with P(|N(t, 1)| <= c) = level, for t >= 0."""
    low, high = t + ndtri(level), t + ndtri((1 + level) / 2)
    for _ in range(50):
        middle = (low + high) / 2
        enough = ndtr(middle - t) - ndtr(-middle - t) >= level
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(high)


def _lasso_path(Q: Array, c: Array) -> Array:
    """u along min u'Qu + 2 c'u under a bound on sum |u|, shape (P, T - 1)."""
    if not len(c):
        return np.zeros((1, 0))
    from sklearn.linear_model import lars_path_gram

    scale = np.sqrt(np.diag(Q))
    size = float(scale.mean())
    _, _, corners = lars_path_gram(-c / size**2, Q / size**2, n_samples=1, method="lasso")
    share = np.linspace(0, 1, POINTS, endpoint=False)[:, None]
    pieces = [a + share * (b - a) for a, b in zip(corners.T[:-1], corners.T[1:], strict=True)]
    return np.vstack([*pieces, corners.T[-1:]])
