"""Scores: the formulas that turn outcomes and nuisances into effects.

Symbols, row by row: outcome Y, treatment D in {0, 1}, covariates x, row weight w,

    mu_a = E[Y | x, D = a],   e_a = P(D = a | x),   F_a(y) = P(Y <= y | x, D = a).

**Mean effects.** Each estimand solves sum_i w_i psi_i(theta) = 0 for a score that is linear in
theta, psi(theta) = psi_b - theta psi_a. The weights omega bound their denominator, and nothing
else, by c:

    ATE   omega = D / max(e_1, c) + (1 - D) / max(e_0, c)
          psi_b = mu_1 - mu_0 + D omega (Y - mu_1) - (1 - D) omega (Y - mu_0),   psi_a = 1
          (Robins, Rotnitzky and Zhao 1994; Chernozhukov et al. 2018, eq. 5.3)
    ATT   omega = D + (1 - D) e_1 / max(e_0, c)
          psi_b = (D - (1 - D) omega) (Y - mu_0),   psi_a = D
          (Hahn 1998; Chernozhukov et al. 2018, eq. 5.4)
    ATU   omega = D e_0 / max(e_1, c) + (1 - D)
          psi_b = (D omega - (1 - D)) (Y - mu_1),   psi_a = 1 - D
          (the ATT score with the arms exchanged)

    c = min(.02, .1 x share of the smaller arm)

**Distributions.** The corrected distribution function of Y(a) in a group of units (all, the
treated, the untreated: g = 1, D or 1 - D) solves sum w (psi_b - F psi_a) = 0 with

    psi_b(y; a) = g F_a(y) + 1{D = a} omega (1{Y <= y} - F_a(y)),   psi_a = g

and omega the weights of the ATE, ATT or ATU (Chernozhukov, Fernandez-Val and Melly 2013; Belloni
et al. 2017), is clipped to [0, 1], sorted (rearranged: Chernozhukov, Fernandez-Val and Galichon
2010) and inverted.

**Influence.** phi_i = (psi_b - theta psi_a) / J with J = sum w psi_a / sum w. Row i enters the
covariance of :func:`causal_ddpm.core.estimate.influence_covariance` as w_i phi_i / mean(w);
under frequency weights without clusters as sqrt(w_i) phi_i / mean(w), because a row of weight w
is w independent rows and not one row counted w times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Arms = NDArray[np.int64]

MAX_CLIP = 0.02
"""Largest bound on a propensity in a denominator."""

CLIP_SHARE = 0.1
"""The bound never exceeds this multiple of the share of the smaller arm."""


@dataclass(frozen=True, eq=False)
class LinearScore:
    """psi(theta) = psi_b - theta psi_a, both of shape (n,)."""

    psi_b: Array
    psi_a: Array


def clip_bound(d: Arms, w: Array) -> float:
    """The bound c for treatments d (n,) and row weights w (n,)."""
    share = float(w @ d / w.sum())
    return min(MAX_CLIP, CLIP_SHARE * min(share, 1.0 - share))


def ate_weights(d: Arms, e: Array, c: float) -> Array:
    """Weights omega of the ATE; e has shape (n, 2), the result (n,)."""
    return np.where(d == 1, 1 / np.maximum(e[:, 1], c), 1 / np.maximum(e[:, 0], c))


def att_weights(d: Arms, e: Array, c: float) -> Array:
    """Weights omega of the ATT: untreated rows are made to look like treated ones."""
    return np.where(d == 1, 1.0, e[:, 1] / np.maximum(e[:, 0], c))


def atu_weights(d: Arms, e: Array, c: float) -> Array:
    """Weights omega of the ATU: treated rows are made to look like untreated ones."""
    return np.where(d == 1, e[:, 0] / np.maximum(e[:, 1], c), 1.0)


def ate_score(y: Array, d: Arms, mu: Array, omega: Array) -> LinearScore:
    """AIPW score of the ATE; mu has shape (n, 2)."""
    mu0, mu1 = mu[:, 0], mu[:, 1]
    psi_b = mu1 - mu0 + d * omega * (y - mu1) - (1 - d) * omega * (y - mu0)
    return LinearScore(psi_b, np.ones_like(y))


def att_score(y: Array, d: Arms, mu: Array, omega: Array) -> LinearScore:
    """AIPW score of the ATT; of mu (n, 2) only the untreated column is used."""
    return LinearScore((d - (1 - d) * omega) * (y - mu[:, 0]), d.astype(float))


def atu_score(y: Array, d: Arms, mu: Array, omega: Array) -> LinearScore:
    """AIPW score of the ATU; of mu (n, 2) only the treated column is used."""
    return LinearScore((d * omega - (1 - d)) * (y - mu[:, 1]), (1 - d).astype(float))


def centred(phi: Array, w: Array) -> Array:
    """Influence values (n,) less their weighted mean."""
    return np.asarray(phi - np.average(phi, weights=w))


@dataclass(frozen=True)
class Target:
    """Units that an estimand is about, and how the others stand in for them.

    Parameters
    ----------
    weights : callable
        omega(d, e, c), shape (n,).
    members : callable
        g(d), shape (n,): one for the units meant, zero for the others.
    stand_ins : tuple of int
        Arms that stand in for the other one; see :mod:`causal_ddpm.estimators.overlap`.
    """

    weights: Callable[[Arms, Array, float], Array]
    members: Callable[[Arms], Array]
    stand_ins: tuple[int, ...]


TARGETS: dict[str, Target] = {
    "all": Target(ate_weights, lambda d: np.ones(len(d)), (0, 1)),
    "treated": Target(att_weights, lambda d: d.astype(float), (0,)),
    "untreated": Target(atu_weights, lambda d: (1 - d).astype(float), (1,)),
}
"""By ``Estimand.group``."""


def solve(score: LinearScore, w: Array) -> tuple[float, Array]:
    """Estimate and influence values.

    Returns
    -------
    theta : float
        Root of sum w psi(theta).
    phi : ndarray, shape (n,)
        (psi_b - theta psi_a) / J.
    """
    theta = float(w @ score.psi_b / (w @ score.psi_a))
    return theta, influence_at(theta, score, w)


def influence_at(theta: float, score: LinearScore, w: Array) -> Array:
    """(psi_b - theta psi_a) / J, shape (n,)."""
    jacobian = w @ score.psi_a / w.sum()
    return np.asarray((score.psi_b - theta * score.psi_a) / jacobian)


def cdf_scores(y: Array, g: Array, cdf: Array, omega: Array, grid: Array) -> Array:
    """psi_b(y; a) on a grid.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Observed outcomes.
    g : ndarray, shape (n,)
        One for the units meant.
    cdf : ndarray, shape (n, G)
        F_a(grid | x_i).
    omega : ndarray, shape (n,)
        1{D = a} omega.
    grid : ndarray, shape (G,)

    Returns
    -------
    ndarray, shape (n, G)
    """
    below = y[:, None] <= grid
    return g[:, None] * cdf + omega[:, None] * (below - cdf)


def rearranged(cdf: Array) -> Array:
    """Proper distribution functions from raw ones (..., G): in [0, 1], ascending, 1 at the end.

    The last grid point must be the largest observed outcome, above which no mass is placed.
    """
    proper = sorted_cdf(cdf)
    proper[..., -1] = 1.0
    return proper


def sorted_cdf(cdf: Array) -> Array:
    """Distribution functions (..., G) in [0, 1] and ascending; raw ones need not be."""
    proper = np.clip(cdf, 0.0, 1.0)
    proper.sort(axis=-1)
    return proper


def inverted(cdf: Array, levels: Array, grid: Array, jumps: NDArray[np.bool_]) -> Array:
    """Quantiles from distribution functions on a grid.

    Parameters
    ----------
    cdf : ndarray, shape (B, G)
        Ascending rows that end at one.
    levels : ndarray, shape (p,)
        Levels in (0, 1).
    grid : ndarray, shape (G,)
        Ascending outcome values.
    jumps : ndarray of bool, shape (G - 1,)
        True where no mass lies strictly between two grid points: there the quantile is the upper
        point; elsewhere it is interpolated.

    Returns
    -------
    ndarray, shape (B, p)
    """
    rows = np.arange(len(cdf))
    out = np.empty((len(cdf), len(levels)))
    for j, u in enumerate(levels):
        upper = np.minimum((cdf < u).sum(axis=1), len(grid) - 1)
        lower = np.maximum(upper - 1, 0)
        rise = cdf[rows, upper] - cdf[rows, lower]
        share = (u - cdf[rows, lower]) / np.where(rise > 0, rise, 1.0)
        share = np.where(jumps[lower] | (upper == 0) | (rise <= 0), 1.0, share)
        out[:, j] = grid[lower] + share * (grid[upper] - grid[lower])
        out[share == 1.0, j] = grid[upper][share == 1.0]
    return out


def row_influence(phi: Array, w: Array, independent_copies: bool) -> Array:
    """Influence of each row from phi (n, p) and row weights w (n,); see the module page.

    ``independent_copies`` is True for frequency weights without clusters.
    """
    weight = np.sqrt(w) if independent_copies else w
    return phi * (weight / w.mean())[:, None]


def effective_sample_size(weights: Array, counts: Array | None = None) -> float:
    """(sum w)^2 / sum w^2 (Kish 1965): how many equally weighted rows carry as much information.

    ``counts`` (n,) says that a row is several identical ones, which share its weight.
    """
    shared = weights / np.maximum(counts, 1.0) if counts is not None else weights
    total = float(weights @ shared)
    return float(weights.sum() ** 2 / total) if total > 0 else 0.0
