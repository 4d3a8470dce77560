"""The Anderson-Rubin set of a linear model with instruments, inverted exactly.

In y = b d + c'x + u with k instruments Z, all of them partialled out of x, the test of a value b
asks whether Z explains y - b d. Homoskedastic, with f the F(k, n - p - k) quantile times k / (n - p
- k), P the projection on Z and M = I - P,

    (y - b d)' (P - f M) (y - b d) <= 0                    (Anderson and Rubin 1949)

which is a quadratic in b. With one instrument, coefficients (a_y, a_d) of the reduced form and the
first stage and any covariance V of theirs (robust, clustered), so is

    (a_y - b a_d)^2 <= q^2 (V_yy - 2 b V_yd + b^2 V_dd).

Either holds its level however weak the instruments are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from causal_ddpm.core.confidence_set import ConfidenceSet, quadratic_set
from causal_ddpm.core.estimate import influence_covariance

Array = NDArray[np.float64]


def anderson_rubin_set(
    y: Array, d: Array, z: Array, x: Array, level: float = 0.95
) -> ConfidenceSet:
    """The homoskedastic set.

    Parameters
    ----------
    y, d : ndarray, shape (n,)
        Outcome and treatment.
    z : ndarray, shape (n, k)
        Instruments outside the model of the outcome.
    x : ndarray, shape (n, p)
        Covariates, the constant among them.
    level : float
        Confidence level.
    """
    y, d, z = (_residual(v, x) for v in (y, d, z))
    k, free = z.shape[1], len(y) - x.shape[1] - z.shape[1]
    factor = stats.f.ppf(level, k, free) * k / free
    q, _ = np.linalg.qr(z)
    v = np.column_stack([y, d])
    explained = (q.T @ v).T @ (q.T @ v)
    form = explained - factor * (v.T @ v - explained)
    return quadratic_set(form[1, 1], form[0, 1], form[0, 0], level)


def robust_anderson_rubin_set(
    y: Array, d: Array, z: Array, x: Array, level: float = 0.95,
    clusters: NDArray[np.int64] | None = None,
) -> ConfidenceSet:  # fmt: skip
    """The set of one instrument with a robust, or clustered, covariance; z has shape (n,)."""
    y, d, z = (_residual(v, x) for v in (y, d, z))
    a = np.array([z @ y, z @ d]) / (z @ z)
    scores = z[:, None] * (np.column_stack([y, d]) - np.outer(z, a)) / np.mean(z**2)
    cov = influence_covariance(scores, clusters) * len(y) / (len(y) - x.shape[1] - 1)
    df = np.inf if clusters is None else len(np.unique(clusters)) - 1
    q2 = stats.t.ppf((1 + level) / 2, df) ** 2
    form = np.outer(a, a) - q2 * cov
    return quadratic_set(form[1, 1], form[0, 1], form[0, 0], level)


def _residual(v: Array, x: Array) -> Array:
    """What is left of v (n,) or (n, m) after the regression on x."""
    q, _ = np.linalg.qr(x)
    return v - q @ (q.T @ v)
