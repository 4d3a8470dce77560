"""The Anderson-Rubin set of a linear model with instruments, inverted exactly.

In y = b d + c'x + u with k instruments Z, all of them partialled out of x, the test of a value b
asks whether Z explains y - b d. Homoskedastic, with f the F(k, n - p - k) quantile times k / (n - p
- k), P the projection on Z and M = I - P,

    (y - b d)' (P - f M) (y - b d) <= 0                    (Anderson and Rubin 1949)

which is a quadratic in b. With one instrument, coefficients (a_y, a_d) of the reduced form and the
first stage and any covariance V of theirs (robust, clustered), so is

    (a_y - b a_d)^2 <= q^2 (V_yy - 2 b V_yd + b^2 V_dd).

Either holds its level however weak the instruments are.

**Several regressors.** In y = D b + c'x + u with as many columns of D as there are directions to be
weak in, the same quadratic in the vector b bounds a combination theta = L'b by projection: with
b = theta L / L'L + N eta, N spanning what is orthogonal to L, and Q = V'(P - f M)V for
V = [y, D L / L'L, D N],

    {theta : min over eta of (1, -theta, -eta)' Q (1, -theta, -eta) <= 0}

is again a quadratic in theta, with the Schur complement of Q_eta,eta for its coefficients, and the
whole line where Q_eta,eta is not positive definite (Dufour and Taamouti 2005). With the k degrees
of freedom of the whole vector it holds its level whatever is weak, and is conservative; with
homoskedastic errors k - p + 1 degrees suffice for p columns of D (Guggenberger, Kleibergen,
Mavroeidis and Chen 2012).
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


def projected_anderson_rubin_set(
    y: Array, d: Array, z: Array, x: Array, combination: Array, level: float = 0.95,
    subset: bool = False,
) -> ConfidenceSet:  # fmt: skip
    """The homoskedastic set of a combination of several coefficients.

    Parameters
    ----------
    y : ndarray, shape (n,)
    d : ndarray, shape (n, p)
    z : ndarray, shape (n, k)
        At least p instruments.
    x : ndarray, shape (n, q)
        Covariates, the constant among them.
    combination : ndarray, shape (p,)
        L.
    level : float
        Confidence level.
    subset : bool
        Count k - p + 1 degrees of freedom instead of k.
    """
    y, d, z = (_residual(v, x) for v in (y, d, z))
    (k, p), free = (z.shape[1], d.shape[1]), len(y) - x.shape[1] - z.shape[1]
    df = k - p + 1 if subset else k
    factor = stats.f.ppf(level, df, free) * df / free
    length = combination @ combination
    others = np.linalg.svd(combination[None, :])[2][1:].T
    v = np.column_stack([y, d @ combination / length, d @ others])
    q, _ = np.linalg.qr(z)
    explained = (q.T @ v).T @ (q.T @ v)
    form = explained - factor * (v.T @ v - explained)
    rest = form[2:, 2:]
    if p > 1 and np.linalg.eigvalsh(rest).min() <= 0:
        return ConfidenceSet(((-np.inf, np.inf),), level)
    s = form[:2, :2] - form[:2, 2:] @ np.linalg.solve(rest, form[2:, :2])
    return quadratic_set(float(s[1, 1]), float(s[0, 1]), float(s[0, 0]), level)


def _residual(v: Array, x: Array) -> Array:
    """What is left of v (n,) or (n, m) after the regression on x."""
    q, _ = np.linalg.qr(x)
    return v - q @ (q.T @ v)
