"""Targeting: means of potential outcomes moved until they solve the score (TMLE).

Outcomes are brought to [0, 1], y* = (y - l) / (h - l) with l and h the smallest and the largest
outcome, and so are the means, q_a = (mu_a - l) / (h - l), kept within [delta, 1 - delta]. In each
arm that stands in for others, one number epsilon_a moves all of them on the logit scale,

    q_a(epsilon) = S(logit q_a + epsilon),     sum_{D = a} w omega (y* - q_a(epsilon_a)) = 0,

S the logistic function, w row weights and omega the estimand's (:mod:`causal_ddpm.estimators.
scores`). The equation is the likelihood score of a logistic fluctuation with the clever covariate
1{D = a}, weighted by omega (van der Laan and Rubin 2006; Gruber and van der Laan 2010, for bounded
outcomes; omega as weight rather than as covariate is the steadier form under weak overlap). It
falls in epsilon, so the root is unique.

With out-of-fold mu and one epsilon for all folds this is the cross-validated TMLE of Zheng and van
der Laan (2011). At the targeted means the correction term of the AIPW score vanishes: the estimate
is the mean of differences of means, each within the outcome's range, and has the same influence
function.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from causal_ddpm.estimators.scores import Arms, Array

DELTA = 5e-4
"""Means stay this share of the range away from its ends."""

_REACH = 40.0


def targeted_means(
    y: Array, d: Arms, mu: Array, omega: Array, w: Array, arms: Sequence[int]
) -> tuple[Array, dict[str, float]]:
    """Targeted means, shape (n, 2), and epsilon by arm.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Outcomes.
    d : ndarray of int, shape (n,)
    mu : ndarray, shape (n, 2)
        Out-of-fold means.
    omega, w : ndarray, shape (n,)
        Weights of the estimand, and of rows.
    arms : sequence of int
        Arms whose means enter the estimand; the others are returned as they are.
    """
    low, high = float(y[w > 0].min()), float(y[w > 0].max())
    q = logit(np.clip((mu - low) / (high - low), DELTA, 1 - DELTA))
    share = (y - low) / (high - low)
    moved, epsilons = mu.copy(), {}
    for a in arms:
        own = (d == a) & (w > 0)
        epsilon = fluctuation(share[own], q[own, a], (w * omega)[own])
        moved[:, a] = low + (high - low) * expit(q[:, a] + epsilon)
        epsilons[str(a)] = epsilon
    return moved, epsilons


def fluctuation(share: Array, q: Array, weights: Array) -> float:
    """The epsilon with sum weights (share - S(q + epsilon)) = 0, within +-40."""

    def score(epsilon: float) -> float:
        return float(weights @ (share - expit(q + epsilon)))

    if score(-_REACH) <= 0:
        return -_REACH
    if score(_REACH) >= 0:
        return _REACH
    return float(brentq(score, -_REACH, _REACH, xtol=1e-14, rtol=1e-14))
