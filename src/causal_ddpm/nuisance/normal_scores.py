"""Normal scores of a heavy-tailed outcome: an increasing map T to a scale on which it is normal.

    w = asinh((y - c) / b),        c the median, b the interquartile range / 1.349
    z = T(y) = interpolation of the knots (w_j, Phi^-1((j - 1/2) / J)),    w_j quantiles of w

A stack of regressions and a diffusion learn z; quantiles of z are carried back by T^-1, which is
increasing. Between knots w is linear in z; beyond the outer knots it goes on with the slope of the
outer eighth of them. As sinh grows like exp, that is the tail of a log-normal law: heavier than
normal, with all moments finite. Nothing is put further out (on the scale of w) than a quarter of
the training range beyond it, and nothing below zero if no training outcome is negative. T is fitted
on training rows alone.

A quantile node stands for a slice of the law, and on a convex map the middle of a slice is not its
mean (32 mid-quantiles of a log-normal law with sigma = 1.5 miss 11 % of its mean). Nodes are
therefore carried back slice by slice: each is the mean of T^-1 over its slice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from causal_ddpm.core.distribution import mid_levels
from causal_ddpm.core.outcome import weighted_quantiles

Array = NDArray[np.float64]

_MOST_KNOTS, _FEWEST_KNOTS, _ROWS_PER_KNOT = 65, 9, 20
_TAIL_SHARE = 8
_ROOM = 0.25
_POINTS_PER_SLICE = 8


@dataclass(frozen=True, eq=False)
class NormalScores:
    """A fitted map T.

    Attributes
    ----------
    center, spread : float
        c and b, in units of the outcome.
    w, z : ndarray, shape (J,)
        Knots, both strictly increasing.
    slopes : tuple of float
        dw/dz beyond the lowest and the highest knot.
    limits : tuple of float
        Range of w outside which nothing is carried back.
    """

    center: float
    spread: float
    w: Array
    z: Array
    slopes: tuple[float, float]
    limits: tuple[float, float]

    def __call__(self, y: Array) -> Array:
        """T(y), of the shape of y."""
        w = np.arcsinh((y - self.center) / self.spread)
        low = self.z[0] + (w - self.w[0]) / self.slopes[0]
        high = self.z[-1] + (w - self.w[-1]) / self.slopes[1]
        inside = np.interp(w, self.w, self.z)
        return np.where(w < self.w[0], low, np.where(w > self.w[-1], high, inside))

    def inverse(self, z: Array) -> Array:
        """T^-1(z), of the shape of z."""
        low = self.w[0] + (z - self.z[0]) * self.slopes[0]
        high = self.w[-1] + (z - self.z[-1]) * self.slopes[1]
        inside = np.interp(z, self.z, self.w)
        w = np.where(z < self.z[0], low, np.where(z > self.z[-1], high, inside))
        return np.asarray(self.center + self.spread * np.sinh(np.clip(w, *self.limits)))

    def outcome_nodes(self, nodes: Array) -> Array:
        """Nodes (m, Q) of z as nodes of the outcome: the mean of T^-1 over each slice.

        Within a row the quantile function of z is linear in the normal score of its level.
        """
        n_nodes = nodes.shape[1]
        if n_nodes < 2:
            return self.inverse(nodes)
        at, fine = (ndtri(mid_levels(k)) for k in (n_nodes, n_nodes * _POINTS_PER_SLICE))
        left = np.clip(np.searchsorted(at, fine) - 1, 0, n_nodes - 2)
        share = (fine - at[left]) / (at[left + 1] - at[left])
        dense = nodes[:, left] + share * (nodes[:, left + 1] - nodes[:, left])
        return self.inverse(dense).reshape(len(nodes), n_nodes, _POINTS_PER_SLICE).mean(axis=2)


def fit_normal_scores(outcome: Array, weights: Array | None = None) -> NormalScores:
    """Fit T on training outcomes.

    Parameters
    ----------
    outcome : ndarray, shape (n,)
        At least two distinct values.
    weights : ndarray, shape (n,), optional
    """
    low, center, high = weighted_quantiles(outcome, weights, np.array([0.25, 0.5, 0.75]))
    spread = float(high - low) / 1.34898 or float(outcome.std())
    w = np.arcsinh((outcome - center) / spread)
    n_knots = int(np.clip(len(w) // _ROWS_PER_KNOT, _FEWEST_KNOTS, _MOST_KNOTS))
    levels = mid_levels(n_knots)
    knots = weighted_quantiles(w, weights, levels)
    new = np.concatenate([[True], np.diff(knots) > 1e-9])
    knots, z = knots[new], ndtri(levels)[new]
    if len(knots) < 2:
        knots, z = np.array([w.min(), w.max()]), ndtri(levels)[[0, -1]]
    step = max(1, len(knots) // _TAIL_SHARE)
    slopes = (
        float((knots[step] - knots[0]) / (z[step] - z[0])),
        float((knots[-1] - knots[-1 - step]) / (z[-1] - z[-1 - step])),
    )
    room = _ROOM * float(np.ptp(w))
    lowest = float(w.min()) - room
    if outcome.min() >= 0:
        lowest = max(lowest, float(np.arcsinh(-center / spread)))
    limits = (lowest, float(w.max()) + room)
    return NormalScores(float(center), spread, knots, z, slopes, limits)
