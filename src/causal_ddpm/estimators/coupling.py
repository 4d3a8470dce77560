"""The distribution of Y(1) - Y(0) under a Gaussian copula of the two, given their laws.

Both laws are read at J mid-quantiles, q_0j(x) and q_1k(x). The copula with correlation rho puts the
mass p_jk on cell j x k of the unit square, each side of which is cut into J equal parts. Then

    H(delta) = sum_jk p_jk A_jk(delta),    A_jk(delta) = mean_i 1{q_1k(x_i) - q_0j(x_i) <= delta}
    E[Y(0) Y(1)] = sum_jk p_jk M_jk,       M_jk = mean_i q_0j(x_i) q_1k(x_i)

A and M do not depend on rho: the data are read once for all couplings, and nothing is sampled.
Rows and columns of p sum to 1/J, so that the marginal laws, and the mean effect, are the same at
every rho. At rho = 1 and -1, p is the identity and its mirror image, divided by J.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from causal_ddpm.core.discrete import RowLaw
from causal_ddpm.core.distribution import mid_levels
from causal_ddpm.estimators.scores import Array

N_NODES = 64
_SUB_NODES, _BALANCING_STEPS = 16, 50
_CHUNK = 256


@dataclass(frozen=True, eq=False)
class CoupledEffects:
    """H at G effects and the spread of the effect, for R correlations.

    Parameters
    ----------
    cdf : ndarray, shape (R, G)
    sd : ndarray, shape (R,)
    """

    cdf: Array
    sd: Array


def copula_mass(rho: float, n_cells: int = N_NODES) -> Array:
    """Mass p of a Gaussian copula on n_cells x n_cells equal cells, rows and columns 1 / n_cells.

    P(z_1 in cell k | z_0) = Phi((c_{k+1} - rho z_0) / s) - Phi((c_k - rho z_0) / s) with
    s^2 = 1 - rho^2, averaged over z_0 in cell j; then scaled until rows and columns agree (Sinkhorn
    and Knopp 1967).
    """
    if abs(rho) == 1.0:
        identity = np.eye(n_cells) / n_cells
        return identity if rho > 0 else identity[::-1]
    z0 = ndtri(mid_levels(n_cells * _SUB_NODES))
    cuts = ndtri(np.arange(n_cells + 1) / n_cells)
    below = ndtr((cuts - rho * z0[:, None]) / np.sqrt(1 - rho**2))
    p = np.diff(below, axis=1).reshape(n_cells, _SUB_NODES, n_cells).mean(axis=1) / n_cells
    for _ in range(_BALANCING_STEPS):
        p = p / (n_cells * p.sum(axis=0))
        p = p / (n_cells * p.sum(axis=1, keepdims=True))
    return p


def coupled_effects(
    laws: tuple[RowLaw, RowLaw], w: Array, correlations: Array, deltas: Array
) -> CoupledEffects:
    """Average over rows the law of Y(1) - Y(0) given x, for each correlation.

    Parameters
    ----------
    laws : tuple of two RowLaw
        Laws of Y(0) and Y(1) for n rows.
    w : ndarray, shape (n,)
        Row weights.
    correlations : ndarray, shape (R,)
        rho in [-1, 1].
    deltas : ndarray, shape (G,)
        Effects, ascending.
    """
    levels, share = mid_levels(N_NODES), w / w.sum()
    cells, n_steps = N_NODES**2, len(deltas) + 1
    mass = np.zeros(n_steps * cells)
    product, mean, square = np.zeros((N_NODES, N_NODES)), 0.0, 0.0
    for start in range(0, len(w), _CHUNK):
        part = slice(start, start + _CHUNK)
        q0, q1 = (law.rows(part).quantile(levels) for law in laws)
        effect = (q1[:, None, :] - q0[:, :, None]).reshape(len(q0), cells)
        place = np.searchsorted(deltas, effect) * cells + np.arange(cells)
        mass += np.bincount(place.ravel(), np.repeat(share[part], cells), len(mass))
        product += (share[part, None] * q0).T @ q1
        mean += share[part] @ (q1 - q0).mean(axis=1)
        square += share[part] @ (q0**2 + q1**2).mean(axis=1)
    below = mass.reshape(n_steps, cells).cumsum(axis=0)[:-1]
    masses = np.array([copula_mass(float(rho)).ravel() for rho in correlations])
    variance = square - 2 * masses @ product.ravel() - mean**2
    return CoupledEffects(np.minimum(masses @ below.T, 1.0), np.sqrt(np.maximum(variance, 0.0)))
