"""Linear regression most of whose coefficients are zero: a variational spike-and-slab posterior.

    y = a + F theta + e,   e ~ N(0, s^2),   theta_j = gamma_j b_j,
    gamma_j ~ Bernoulli(pi_g),   b_j ~ N(0, t^2),   g = g(j) the group of column j

The posterior is approximated by independent pairs (gamma_j, b_j): P(gamma_j = 1) = alpha_j and
b_j | gamma_j = 1 ~ N(mu_j, v_j), updated one column after the other (Titsias and Lazaro-Gredilla
2011; Carbonetto and Stephens 2012, eqs. 8 to 10). With G = F'F, c = F'y of centred columns and
r_j = alpha_j mu_j,

    v_j = 1 / (G_jj / s^2 + 1 / t^2)
    mu_j = v_j / s^2 (c_j - sum_{l != j} G_jl r_l)
    logit alpha_j = logit pi_g + log(v_j / t^2) / 2 + mu_j^2 / (2 v_j)

and the shares pi_g (with one column in and one out before the data), t^2 and s^2 are set to what
maximises the bound on the likelihood, after each sweep. Coefficients are the posterior means r.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Array = NDArray[np.float64]

MAX_SWEEPS = 200
_TOLERANCE = 1e-4
"""Of a standard deviation of the noise, in fitted values."""


@dataclass(frozen=True, eq=False)
class SpikeSlab:
    """The approximate posterior.

    Parameters
    ----------
    intercept : float
        a.
    coef : ndarray, shape (p,)
        Posterior means r.
    inclusion : ndarray, shape (p,)
        Posterior probabilities alpha that a coefficient is not zero.
    noise_variance, slab_variance : float
        s^2 and t^2.
    """

    intercept: float
    coef: Array
    inclusion: Array
    noise_variance: float
    slab_variance: float

    def predict(self, f: Array) -> Array:
        """Means of rows with columns f (n, p), shape (n,)."""
        return np.asarray(self.intercept + f @ self.coef)


@dataclass(eq=False)
class _Problem:
    """Cross-products of centred columns, n of them counted."""

    gram: Array
    cross: Array
    power: float
    n: float


def fit_spike_slab(
    f: Array, y: Array, groups: NDArray[np.int64], weights: Array | None = None
) -> SpikeSlab:
    """Fit on training rows.

    Parameters
    ----------
    f : ndarray, shape (n, p)
        Columns, of comparable scale; a constant one keeps the coefficient 0.
    y : ndarray, shape (n,)
    groups : ndarray of int, shape (p,)
        Columns of one group share the probability of being needed.
    weights : ndarray, shape (n,), optional
        Only their ratios matter.
    """
    w = np.ones(len(y)) if weights is None else weights / weights.mean()
    f_mean, y_mean = w @ f / w.sum(), float(w @ y / w.sum())
    centred, rest = f - f_mean, y - y_mean
    problem = _Problem(
        (centred * w[:, None]).T @ centred, centred.T @ (w * rest), float(w @ rest**2), len(y)
    )
    r, alpha, noise, slab = _solve(problem, groups)
    return SpikeSlab(y_mean - float(f_mean @ r), r, alpha, noise, slab)


def _solve(problem: _Problem, groups: NDArray[np.int64]) -> tuple[Array, Array, float, float]:
    gram, cross = problem.gram, problem.cross
    d = np.diag(gram).copy()
    least = 1e-9 * problem.power / problem.n + 1e-300
    start = np.linalg.solve(gram + np.diag(1e-3 * d + 1e-9 * problem.n), cross)
    noise = max(problem.power - float(start @ cross), 0.01 * problem.power) / problem.n
    slab = max(float(np.mean(start**2)), least)
    alpha, pi, r = np.full(len(d), 0.5), np.full(len(d), 0.5), start / 2
    noise = max(noise, least)
    for _ in range(MAX_SWEEPS):
        before = r.copy()
        mu, v = _sweep(problem, d, (noise, slab, pi), alpha, r)
        second = alpha * (v + mu**2)
        for g in np.unique(groups):
            own = groups == g
            pi[own] = (alpha[own].sum() + 1) / (own.sum() + 2)
        slab = max(float(second.sum() / max(alpha.sum(), 1e-6)), least)
        fit = problem.power - 2 * float(cross @ r) + float(r @ gram @ r)
        noise = max((fit + float(d @ (second - r**2))) / problem.n, least)
        if np.all(np.abs(r - before) * np.sqrt(d / problem.n) <= _TOLERANCE * np.sqrt(noise)):
            break
    return r, alpha, noise, slab


def _sweep(
    problem: _Problem, d: Array, scales: tuple[float, float, Array], alpha: Array, r: Array
) -> tuple[Array, Array]:
    """Update each column in turn, in place in ``alpha`` and ``r``; returns mu and v."""
    noise, slab, pi = scales
    v = 1 / (d / noise + 1 / slab)
    prior = logit(pi) + np.log(v / slab) / 2
    mu, fitted = np.empty_like(r), problem.gram @ r
    for j in range(len(r)):
        mu[j] = v[j] / noise * (problem.cross[j] - fitted[j] + d[j] * r[j])
        alpha[j] = expit(prior[j] + mu[j] ** 2 / (2 * v[j]))
        new = alpha[j] * mu[j]
        fitted += problem.gram[:, j] * (new - r[j])
        r[j] = new
    return mu, v
