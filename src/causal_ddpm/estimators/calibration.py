"""Outcome models calibrated for the least variance of an average effect.

What the outcome model of arm a contributes to the variance of the AIPW score of the ATE is

    E[(1 - e_a) / e_a (mu_a(x) - m_a(x))^2],   m_a the truth;

for the ATT (a = 0) and the ATU (a = 1) it is the same up to a factor. The model learnt for
prediction weighs its errors alike; the score weighs them by (1 - e_a) / e_a. Each arm's model is
therefore put on the line

    mu*_a = alpha_a + beta_a mu_a,
    (alpha_a, beta_a) = argmin sum_{D = a} w v_a (Y - alpha - beta mu_a)^2,
    v_a = (1 - e_a) / e_a^2

(Rubin and van der Laan 2008, empirical efficiency maximisation; Cao, Tsiatis and Davidian 2009),
with the e_a of the score, bounded by c. If mu_a is right, alpha tends to 0 and beta to 1; if e_a is
right, any mu_a will do: the score stays doubly robust, and four numbers need no folds of their own.

**Leverage.** A row of weight w v_a pulls the line towards itself, and its residual looks too small,
by the factor sqrt(1 - h) on average, h its leverage. Residuals in the influence values are divided
by it (HC2, MacKinnon and White 1985); h is that of an independent unit: summed over the rows of a
cluster, and of one of the copies where frequency weights count them.

Measured on 240 draws each of two confounded designs, n = 500, with default nuisances: root mean
square error over the efficiency bound 1.27 and 1.18 without, 1.15 and 1.12 with the line; mean
standard error over the Monte Carlo sd .92 and .96 without, .99 and .99 with both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_ddpm.estimators.inference import Sampling
from causal_ddpm.estimators.scores import Arms, Array

MAX_LEVERAGE = 0.9
"""Beyond this a residual is no longer inflated further."""


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Calibrated means, and what their residuals are to be multiplied by in influence values.

    Parameters
    ----------
    mean : ndarray, shape (n, A)
        mu*; columns of arms that do not stand in are left as they were.
    inflation : ndarray, shape (n,)
        1 / sqrt(1 - h) for rows of the arms that stand in, one for the others.
    lines : dict
        (alpha, beta) by arm.
    """

    mean: Array
    inflation: Array
    lines: dict[int, tuple[float, float]]

    def inflated(self, y: Array, d: Arms) -> Array:
        """Outcomes whose residuals from mu* are multiplied by the inflation, shape (n,)."""
        own = self.mean[np.arange(len(y)), d]
        return np.asarray(own + (y - own) * self.inflation)


def calibrated_means(
    y: Array, d: Arms, mu: Array, e: Array, sampling: Sampling, c: float, arms: tuple[int, ...]
) -> Calibrated:
    """Put the outcome models of the arms that stand in on their lines.

    Parameters
    ----------
    y, d : ndarray, shape (n,)
    mu, e : ndarray, shape (n, A)
        Out-of-fold means and propensities.
    sampling : Sampling
        Row weights, clusters and what a weight counts.
    c : float
        Bound on the propensities.
    arms : tuple of int
        Arms that stand in for others.
    """
    mean, inflation = mu.copy(), np.ones(len(y))
    lines: dict[int, tuple[float, float]] = {}
    for a in arms:
        own, e_a = d == a, np.maximum(e[:, a], c)
        v = np.where(own, (1 - e_a) / e_a**2, 0.0)
        alpha, beta, h = _line(y, mu[:, a], v, sampling)
        mean[:, a] = alpha + beta * mu[:, a]
        inflation[own] = 1 / np.sqrt(1 - np.minimum(h[own], MAX_LEVERAGE))
        lines[a] = (alpha, beta)
    return Calibrated(mean, inflation, lines)


def _line(y: Array, mu: Array, v: Array, sampling: Sampling) -> tuple[float, float, Array]:
    """alpha, beta and the leverage of each row's unit, shape (n,)."""
    weight = sampling.weights * v
    total = weight.sum()
    if total <= 0:
        return 0.0, 1.0, np.zeros_like(y)
    centre = float(weight @ mu / total)
    x = mu - centre
    spread = float(weight @ x**2)
    level = float(weight @ y / total)
    flat = spread <= 1e-12 * float(weight @ (y**2 + mu**2))
    slope = 1.0 if flat else float(weight @ (x * (y - level))) / spread
    per_weight = v * (1 / total + (0.0 if flat else x**2 / spread))
    return level - slope * centre, slope, _of_units(per_weight, sampling)


def _of_units(leverage: Array, sampling: Sampling) -> Array:
    """Leverage of the independent unit that each row belongs to, shape (n,)."""
    if sampling.independent_copies:
        return leverage
    own = sampling.weights * leverage
    if sampling.clusters is None:
        return own
    return np.asarray(np.bincount(sampling.clusters, weights=own)[sampling.clusters])
