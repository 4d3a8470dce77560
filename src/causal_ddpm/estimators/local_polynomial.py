r"""Local polynomial regression: estimates, their equivalent weights, and a bandwidth.

For points (a_i, z_i) with row weights w_i, the fit of order p at a with bandwidth h is

    beta(a) = argmin sum_i w_i K((a_i - a) / h) (z_i - beta' P_i)^2,    P_i = (u_i^j)_{j=0..p},
              u_i = (a_i - a) / h,   K(u) = .75 (1 - u^2) on [-1, 1]

and the nu-th derivative of the regression is estimated by the linear function of z

    m^(nu)(a) = sum_i w_i l_i(a) z_i,    l_i(a) = nu! h^-nu e_nu' S^-1 P_i K(u_i),
                                         S = sum_i w_i K(u_i) P_i P_i'

(Fan and Gijbels 1996, section 3.1). A row of weight w_i has the leverage w_i K(u_i) P_i' S^-1 P_i.

**Bandwidth.** The rule of thumb of Fan and Gijbels (1996, section 4.2) for a fit of order p: with
q a global polynomial of order p + 3, s^2 its residual variance, [L, U] the middle 90 % of the a_i,

    h = C_{nu,p} ( s^2 (U - L) / sum_{a_i in [L, U]} q^(p+1)(a_i)^2 )^(1 / (2p + 3))

where weights count rows. It estimates the bandwidth of least mean squared error.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.polynomial import Polynomial

from causal_ddpm.estimators.scores import Array

CONSTANTS = {(0, 1): 1.719, (1, 2): 2.275}
"""C_{nu,p} of the Epanechnikov kernel (Fan and Gijbels 1996, table 3.2)."""

CENTRAL = (0.05, 0.95)
"""Quantiles between which the curvature is averaged."""


@dataclass(frozen=True, eq=False)
class LocalFit:
    """A local polynomial fit at G points.

    Parameters
    ----------
    weights : ndarray, shape (G, n)
        l_i(a_g), for rows of weight one.
    fitted : ndarray, shape (G, n)
        The polynomial around a_g at every row.
    leverage : ndarray, shape (G, n)
        K(u_i) P_i' S^-1 P_i, for rows of weight one.
    kernel : ndarray, shape (G, n)
        K(u_i).
    """

    weights: Array
    fitted: Array
    leverage: Array
    kernel: Array


def local_fit(
    a: Array, z: Array, w: Array, at: Array, bandwidths: Array, order: int, derivative: int
) -> LocalFit:
    """Fit of ``order`` at the points ``at`` (G,), each with its bandwidth (G,).

    Raises
    ------
    numpy.linalg.LinAlgError
        If a point has fewer different rows within its bandwidth than the fit needs.
    """
    u = (a - at[:, None]) / bandwidths[:, None]
    kernel = 0.75 * np.maximum(1.0 - u**2, 0.0)
    powers = np.where(kernel > 0, u, 0.0)[..., None] ** np.arange(order + 1)
    s = np.einsum("gnj,gn,gnk->gjk", powers, w * kernel, powers)
    inverse = np.linalg.inv(s)
    projected = np.einsum("gnj,gjk->gnk", powers, inverse)
    scale = factorial(derivative) / bandwidths[:, None] ** derivative
    beta = np.einsum("gnk,gn->gk", projected, w * kernel * z)
    return LocalFit(
        weights=scale * kernel * projected[:, :, derivative],
        fitted=np.einsum("gnk,gk->gn", powers, beta),
        leverage=kernel * np.einsum("gnk,gnk->gn", projected, powers),
        kernel=kernel,
    )


def rule_of_thumb(a: Array, z: Array, w: Array, order: int, derivative: int) -> float:
    """Bandwidth of least mean squared error for a fit of ``order``; see the module page.

    Parameters
    ----------
    a, z : ndarray, shape (n,)
    w : ndarray, shape (n,)
        Rows that each row counts as.
    order, derivative : int
        One of the pairs of :data:`CONSTANTS`.

    Returns
    -------
    float
        At most half the range of a.
    """
    q = Polynomial.fit(a, z, order + 3, w=np.sqrt(w))
    variance = float(w @ (z - q(a)) ** 2) / max(float(w.sum()) - order - 4, 1.0)
    low, high = central_quantiles(a, w)
    inside = (a >= low) & (a <= high)
    curvature = float(w[inside] @ q.deriv(order + 1)(a[inside]) ** 2)
    most = float(np.ptp(a)) / 2
    if curvature <= 0:
        return most
    h = CONSTANTS[derivative, order] * (variance * (high - low) / curvature) ** (
        1 / (2 * order + 3)
    )
    return float(min(h, most))


def central_quantiles(a: Array, w: Array) -> tuple[float, float]:
    """Weighted quantiles of a at the levels :data:`CENTRAL`."""
    low, high = np.quantile(a, CENTRAL, weights=w, method="inverted_cdf")
    return float(low), float(high)


def reaching(a: Array, counts: Array, at: Array, n_rows: int) -> Array:
    """Distance from each point (G,) within which at least ``n_rows`` rows lie, shape (G,)."""
    distance = np.abs(a - at[:, None])
    order = np.argsort(distance, axis=1, kind="stable")
    within = np.cumsum(counts[order], axis=1)
    position = np.argmax(within >= min(n_rows, within[0, -1]), axis=1)
    nearest = np.take_along_axis(distance, order, axis=1)
    return np.asarray(nearest[np.arange(len(at)), position])
