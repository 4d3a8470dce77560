r"""A structural curve made smooth: the mean of a quasi-posterior under a smoothness prior.

    g(d) = sum_k beta_k b_k(d)     (natural splines; b_1(d) = d is a line, the others C are curved)

Coefficients of instruments, estimated without a prior, are right on average and rough: directions
of the curve that the instruments hardly tell carry most of its error. So the *drawn* curve is

    beta_hat | beta ~ N(beta, V)                                 estimates and their covariance
    log p(beta | tau) = const - (1 / 2 tau^2) int g''(d)^2 dd / (t_K - t_0)    flat over lines
    tau ~ half-Cauchy(s)

a quasi-Bayesian treatment of the moments (Kato 2013) with the prior of smoothing splines (Wahba
1978). With P_ij = int b_i'' b_j'' / (t_K - t_0) over the knots t_0 < ... < t_K and R = P_CC^-1,

    E[beta | tau] = beta_hat - V_.C (V_CC + tau^2 R)^-1 beta_hat_C
    log p(beta_hat | tau) = const - log det(V_CC + tau^2 R) / 2
                                  - beta_hat_C' (V_CC + tau^2 R)^-1 beta_hat_C / 2

averaged over tau. The scale s (Gelman 2006) makes the curved part of g, over the doses of the rows,
vary a priori as much as the outcome: 1 / s^2 = mean of c(d)' R c(d) / var(Y), c(d) the curved terms
less their regression on (1, d).

Differences and slopes with intervals are read from beta_hat: a prior pulls them towards a line, and
an interval around what was pulled would not hold its level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.natural_splines import NaturalSplines

Array = NDArray[np.float64]

_LOG_TAU = np.linspace(-7, 7, 57)
"""Grid of log(tau / s)."""


def smoothed(
    beta: Array, cov: Array, basis: NaturalSplines, dose: Array, outcome: Array, weights: Array
) -> Array:
    """Coefficients of the drawn curve, shape (K,); a line stays as it is.

    Parameters
    ----------
    beta, cov : ndarray, shape (K,), (K, K)
        beta_hat and V.
    basis : NaturalSplines
    dose, outcome, weights : ndarray, shape (n,)
        What sets the scale of the prior.
    """
    if basis.n_terms == 1:
        return beta
    R: Array = np.linalg.inv(roughness(basis)[1:, 1:]).astype(float)
    V, b = cov[1:, 1:], beta[1:]
    s = _scale(basis(dose), outcome, weights, R)
    log_weight, means = [], []
    for log_tau in _LOG_TAU:
        marginal = V + (s * np.exp(log_tau)) ** 2 * R
        pulled = np.linalg.solve(marginal, b)
        half_cauchy = log_tau - np.log1p(np.exp(2 * log_tau))  # on the log scale
        log_weight.append(half_cauchy - np.linalg.slogdet(marginal)[1] / 2 - b @ pulled / 2)
        means.append(beta - cov[:, 1:] @ pulled)
    weight = np.exp(np.array(log_weight) - max(log_weight))
    return np.asarray(weight @ np.array(means) / weight.sum())


def roughness(basis: NaturalSplines) -> Array:
    """P, shape (K, K); exact, by Simpson's rule between knots: b'' is a line there."""
    t = np.asarray(basis.knots)
    left, right = t[:-1], t[1:]
    ends = [basis.curvature(d) for d in (left, (left + right) / 2, right)]
    step = (right - left) / 6
    total = sum(
        c * np.einsum("j,jk,jl->kl", step, b, b) for c, b in zip((1, 4, 1), ends, strict=True)
    )
    return np.asarray(total / (t[-1] - t[0]))


def _scale(terms: Array, outcome: Array, weights: Array, R: Array) -> float:
    """s."""
    terms = terms - np.average(terms, axis=0, weights=weights)
    line, curved = terms[:, :1], terms[:, 1:]
    curved = curved - line * ((weights * line[:, 0]) @ curved / (weights @ line[:, 0] ** 2))
    prior = np.average(np.einsum("nk,kl,nl->n", curved, R, curved), weights=weights)
    centre = np.average(outcome, weights=weights)
    return float(np.sqrt(np.average((outcome - centre) ** 2, weights=weights) / prior))
