r"""Densities by change of variables, from a quantile map read at a few latents.

v = q(z) with z ~ N(0, 1) and q increasing has the density

    p(v) = phi(z) / q'(z),        q(z) = v.

q is known at latents z_1 < ... < z_K, the same for all rows. Between them it is a cubic with slopes
d_k at the nodes, beyond them a straight line. With c_k the slope of the chord from z_k to z_{k+1},

    d_k = slope at z_k of the quartic through the five nearest nodes, where the chords between them
          differ by less than a factor of 4, else 2 / (1 / c_{k-1} + 1 / c_k)

the second being the rule of Fritsch and Butland (1984) for a jump, which the quartic would smear.
d_k is kept within a factor of 3 of min(c_{k-1}, c_k), so that the cubic rises (Fritsch, Carlson
1980). So the density is continuous, exact for a Gaussian, integrates to one, and has Gaussian
tails. Equal nodes are a point mass, which has no density: it is left out of p and of the chords.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.errors import DataError

Array = NDArray[np.float64]

_NEWTON_STEPS, _STEEP, _BLOCK = 30, 4.0, 2**17


def map_density(z: ArrayLike, q: Array, v: ArrayLike) -> Array:
    """Density of v = q(z), z ~ N(0, 1), row by row.

    Parameters
    ----------
    z : array_like, shape (K,)
        Rising latents, at least two.
    q : ndarray, shape (n, K)
        Values of each row's map there, not falling.
    v : array_like, shape (G,) or (n, G)
        Points at which the density is read.

    Returns
    -------
    ndarray, shape (n, G)
        In units of 1 / v; zero for a row whose nodes are all equal.

    Raises
    ------
    DataError
        For fewer than two nodes, or points that are not finite.
    """
    z, q = np.asarray(z, dtype=float), np.asarray(q, dtype=float)
    if q.ndim != 2 or z.shape != q.shape[1:] or len(z) < 2:
        raise DataError(f"a map with nodes of shape {q.shape}", "(n, K) with K from 2")
    points = np.broadcast_to(np.asarray(v, dtype=float), (len(q), np.shape(v)[-1]))
    if not np.isfinite(points).all():
        raise DataError("points of a density are missing or infinite", "finite numbers")
    p, weights = np.empty(points.shape), _quartic_weights(z)
    size = max(1, _BLOCK // max(points.shape[1], 4 * len(z)))
    for i in range(0, len(q), size):
        rows = slice(i, i + size)
        nodes = _tied(q[rows])
        latent, slope = _inverse(z, nodes, _slopes(z, nodes, weights), points[rows])
        height = np.exp(-(latent**2) / 2) / np.sqrt(2 * np.pi)
        p[rows] = np.where(slope > 0, height / np.where(slope > 0, slope, 1.0), 0.0)
    return p


def _tied(q: Array) -> Array:
    """Nodes with steps below 1e-9 of their range, or 1e-12 of their size, made equal."""
    step, ends = np.diff(q, axis=1), q[:, [0, -1]]
    rounding = 1e-9 * np.ptp(ends, axis=1) + 1e-12 * np.abs(ends).max(axis=1)
    step = np.where(step > rounding[:, None], step, 0.0)
    return np.hstack([q[:, :1], q[:, :1] + np.cumsum(step, axis=1)])


def _slopes(z: Array, q: Array, weights: Array) -> Array:
    """Slopes d_k of the rising cubic at its nodes, (n, K); zero inside a point mass."""
    chord = np.diff(q, axis=1) / np.diff(z)
    solid = np.pad(np.where(chord > 0, chord, np.inf), ((0, 0), (1, 1)), constant_values=np.inf)
    least = np.minimum(solid[:, :-1], solid[:, 1:])
    lonely = ~np.isfinite(least)
    least = np.where(lonely, 1.0, least)
    left, right = (np.where(np.isfinite(c), c, least) for c in (solid[:, :-1], solid[:, 1:]))
    gentle = 2 / (least / left + least / right)
    smooth = np.clip((q @ weights.T) / least, 1 / 3, 3.0)
    return np.where(lonely, 0.0, least * np.where(_is_steep(chord), gentle, smooth))


def _is_steep(chord: Array) -> NDArray[np.bool_]:
    """Whether the chords among the five nodes around each node differ by more than _STEEP."""
    first = np.clip(np.arange(chord.shape[1] + 1) - 2, 0, max(0, chord.shape[1] - 4))
    near = first[:, None] + np.arange(min(4, chord.shape[1]))
    some = chord[:, near]
    return np.asarray(some.max(axis=2) > _STEEP * some.min(axis=2))


def _quartic_weights(z: Array) -> Array:
    """W with (W q)_k the slope at z_k of the polynomial through the five nearest nodes, (K, K)."""
    K, m = len(z), min(5, len(z))
    weights = np.zeros((K, K))
    for k, first in enumerate(np.clip(np.arange(K) - 2, 0, K - m)):
        near = slice(first, first + m)
        width = z[first + m - 1] - z[first]
        powers = ((z[near] - z[k]) / width)[None, :] ** np.arange(m)[:, None]
        weights[k, near] = np.linalg.solve(powers, np.eye(m)[1]) / width
    return weights


def _inverse(z: Array, q: Array, d: Array, v: Array) -> tuple[Array, Array]:
    """z with q(z) = v, and q'(z) there, both (n, G)."""
    k = np.stack([np.searchsorted(*pair, side="right") for pair in zip(q, v, strict=True)]) - 1
    inside = np.clip(k, 0, len(z) - 2)
    h, left = np.diff(z)[inside], np.take_along_axis(q, inside, 1)
    rise = np.take_along_axis(q, inside + 1, 1) - left
    d0, d1 = (h * np.take_along_axis(d, inside + i, 1) for i in (0, 1))
    s, slope = _cubic_root(rise, d0, d1, v - left)
    latent, slope = z[inside] + h * s, slope / h
    for outer, end in ((k < 0, 0), (v >= q[:, -1:], -1)):
        steep = np.broadcast_to(d[:, [end]], v.shape)
        line = z[end] + (v - q[:, [end]]) / np.where(steep > 0, steep, 1.0)
        latent, slope = np.where(outer, line, latent), np.where(outer, steep, slope)
    return latent, slope


def _cubic_root(rise: Array, d0: Array, d1: Array, level: Array) -> tuple[Array, Array]:
    """s in [0, 1] at which the rising cubic reaches ``level``, and its slope there.

    The cubic goes from 0 to ``rise`` with end slopes d0 and d1. Newton's rule, kept in a bracket.
    """
    b, c = 3 * rise - 2 * d0 - d1, d0 + d1 - 2 * rise
    low, high = np.zeros_like(rise), np.ones_like(rise)
    s = np.clip(level / np.where(rise > 0, rise, 1.0), 0.0, 1.0)
    for _ in range(_NEWTON_STEPS):
        gap = s * (d0 + s * (b + s * c)) - level
        slope = d0 + s * (2 * b + 3 * c * s)
        low, high = np.where(gap < 0, s, low), np.where(gap < 0, high, s)
        newton = s - gap / np.where(slope > 0, slope, 1.0)
        outside = (newton < low) | (newton > high) | (slope <= 0)
        s = np.where(outside, (low + high) / 2, newton)
    return s, d0 + s * (2 * b + 3 * c * s)
