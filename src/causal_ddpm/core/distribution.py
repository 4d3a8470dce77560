"""A conditional law of a scalar outcome, row by row, as quantile nodes plus an optional atom.

Each row i carries mid-quantile nodes q_i1 <= ... <= q_iQ at levels u_j = (j - 1/2) / Q of the
continuous part, and, when the outcome has an atom c, the probability p_i = P(Y = c | x_i):

    F_i(y) = p_i 1{c <= y} + (1 - p_i) G_i(y),      G_i = linear interpolation of (q_i, u)
    mean_i = p_i c + (1 - p_i) mean_j q_ij

The two end pieces of G_i reach half a node beyond the outer nodes, never beyond ``support``.
Everything here is numpy: no model is needed to read a law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from causal_ddpm.core.covariates import Index
from causal_ddpm.core.density import map_density

Array = NDArray[np.float64]


def mid_levels(n_nodes: int) -> Array:
    """Mid-quantile levels (j - 1/2) / n_nodes, shape (n_nodes,)."""
    return (np.arange(n_nodes) + 0.5) / n_nodes


@dataclass(frozen=True, eq=False)
class ConditionalLaw:
    """The law of one potential outcome for n rows.

    Parameters
    ----------
    nodes : ndarray, shape (n, Q)
        Sorted mid-quantiles of the continuous part, in units of the outcome.
    atom : float or None
        Location of the atom, if the outcome has one.
    atom_probability : ndarray, shape (n,), or None
        P(Y = atom | x) for each row.
    support : tuple of float or ndarray, shape (n, 1)
        Closed interval, common or of each row, outside which the outcome is never drawn.
    """

    nodes: Array
    atom: float | None = None
    atom_probability: Array | None = None
    support: tuple[float | Array, float | Array] = (-np.inf, np.inf)

    def __len__(self) -> int:
        return len(self.nodes)

    def is_finite(self) -> bool:
        """Whether nodes and probabilities are finite."""
        p = 0.0 if self.atom_probability is None else self.atom_probability
        return bool(np.isfinite(self.nodes).all() and np.isfinite(p).all())

    def rows(self, index: Index) -> ConditionalLaw:
        """The law of a subset of rows."""
        p = None if self.atom_probability is None else self.atom_probability[index]
        low, high = (s[index] if isinstance(s, np.ndarray) else s for s in self.support)
        return ConditionalLaw(self.nodes[index], self.atom, p, (low, high))

    def mean(self) -> Array:
        """Mean of each row's law, shape (n,)."""
        m: Array = self.nodes.mean(axis=1)
        if self.atom is None or self.atom_probability is None:
            return m
        p = self.atom_probability
        return np.asarray(p * self.atom + (1 - p) * m)

    def knots(self) -> tuple[Array, Array]:
        """Nodes with both end pieces, (n, Q + 2), and their levels, (Q + 2,)."""
        q = self.nodes
        if q.shape[1] == 1:
            low, high = q[:, :1], q[:, -1:]
        else:
            low = q[:, :1] - (q[:, 1:2] - q[:, :1]) / 2
            high = q[:, -1:] + (q[:, -1:] - q[:, -2:-1]) / 2
        knots = np.clip(np.hstack([low, q, high]), *self.support)
        return knots, np.concatenate([[0.0], mid_levels(q.shape[1]), [1.0]])

    def cdf(self, y: ArrayLike) -> Array:
        """F_i(y) on a grid.

        Parameters
        ----------
        y : array_like, shape (G,) or (n, G)
            Grid in units of the outcome, common or of each row.

        Returns
        -------
        ndarray, shape (n, G)
        """
        grid = np.atleast_1d(np.asarray(y, dtype=float))
        grid = np.broadcast_to(grid, (len(self), grid.shape[-1]))
        knots, levels = self.knots()
        out = np.empty(grid.shape)
        for i, row in enumerate(knots):
            out[i] = np.interp(grid[i], row, levels)
        # A point mass (equal knots) belongs to the closed half line: F jumps to its top level.
        out[grid >= knots[:, -1:]] = 1.0
        if self.atom is None or self.atom_probability is None:
            return out
        p = self.atom_probability[:, None]
        return p * (self.atom <= grid) + (1 - p) * out

    def density(self, y: ArrayLike) -> Array:
        """Density of the part of F_i that has one, shape (n, G), in 1 / units of the outcome.

        By change of variables from a smooth curve through the nodes (``core.density``). An atom
        has none, so the integral over y is 1 - p_i (less what the support cuts off).

        Parameters
        ----------
        y : array_like, shape (G,) or (n, G)
            Grid in units of the outcome, common or of each row.

        Raises
        ------
        DataError
            If the law has a single node, or the grid is not finite.
        """
        grid = np.atleast_1d(np.asarray(y, dtype=float))
        out = map_density(ndtri(mid_levels(self.nodes.shape[1])), self.nodes, grid)
        low, high = self.support
        out = np.where((grid >= low) & (grid <= high), out, 0.0)
        if self.atom is None or self.atom_probability is None:
            return out
        return np.asarray((1 - self.atom_probability[:, None]) * out)

    def quantile(self, levels: Sequence[float] | ArrayLike) -> Array:
        """Generalised inverse of F_i, shape (n, len(levels))."""
        u = np.atleast_1d(np.asarray(levels, dtype=float))
        return self.inverse(np.broadcast_to(u, (len(self), len(u))))

    def sample(self, n_samples: int, rng: np.random.Generator) -> Array:
        """Independent draws from each row's law, shape (n, n_samples)."""
        return self.inverse(rng.random((len(self), n_samples)))

    def rank(self, y: Array, rng: np.random.Generator) -> Array:
        """Randomised probability integral transform of one outcome a row, shape (n,).

        F_i(y_i), or a uniform draw from the jump of F_i where y_i lies on the atom, so that
        ``inverse(rank(y))`` gives y back.
        """
        knots, levels = self.knots()
        g = _row_levels(knots, levels, y)
        if self.atom is None or self.atom_probability is None:
            return g
        p = self.atom_probability
        rank = (1 - p) * g + p * (y >= self.atom)
        return np.where(y == self.atom, rank - p * rng.random(len(y)), rank)

    def inverse(self, u: Array) -> Array:
        """Generalised inverse of each F_i at levels of its own, u and result of shape (n, m)."""
        knots, levels = self.knots()
        if self.atom is None or self.atom_probability is None:
            return _interpolate_rows(u, levels, knots)
        p = self.atom_probability[:, None]
        below = (1 - p) * _row_levels(knots, levels, np.full(len(knots), self.atom))[:, None]
        after = below + p
        scale = np.where(p < 1, 1 - p, 1.0)
        continuous = np.where(u < below, u, u - p) / scale
        y = _interpolate_rows(np.clip(continuous, 0.0, 1.0), levels, knots)
        return np.where((u >= below) & (u <= after) | (p >= 1), self.atom, y)


def _row_levels(knots: Array, levels: Array, y: Array) -> Array:
    """G_i(y_i) for one point a row, shape (n,)."""
    j = np.clip((knots <= y[:, None]).sum(axis=1) - 1, 0, len(levels) - 2)
    row = np.arange(len(y))
    left, right = knots[row, j], knots[row, j + 1]
    width = np.where(right > left, right - left, 1.0)
    share = np.where(right > left, (y - left) / width, y >= right)
    return np.asarray(levels[j] + np.clip(share, 0.0, 1.0) * (levels[j + 1] - levels[j]))


def _interpolate_rows(u: Array, levels: Array, knots: Array) -> Array:
    """Row-wise linear interpolation of knots (n, K) at common levels (K,), at u (n, m)."""
    j = np.clip(np.searchsorted(levels, u, side="right") - 1, 0, len(levels) - 2)
    left, right = np.take_along_axis(knots, j, 1), np.take_along_axis(knots, j + 1, 1)
    share = (u - levels[j]) / (levels[j + 1] - levels[j])
    return left + share * (right - left)
