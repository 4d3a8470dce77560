"""Conditional laws of outcomes that take separate values: levels and whole numbers.

A finite table (:class:`DiscreteLaw`) has values c_1 < ... < c_K and probabilities p_ik:

    F_i(y) = sum_{k: c_k <= y} p_ik,    mean_i = sum_k c_k p_ik

A count (:class:`LatticeLaw`) is read from the law G_i of Y + U, U ~ uniform(-1/2, 1/2). Rounding
gives Y back, so nothing is lost:

    F_i(k) = G_i(k + 1/2),   F_i^-1(u) = round G_i^-1(u),   mean_i = integral of round G_i^-1(u) du

Ranks are randomised over the jump, uniform on (F(y-), F(y)], so that ``inverse(rank(y))`` is y.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.covariates import Index
from causal_ddpm.core.distribution import ConditionalLaw
from causal_ddpm.core.errors import DataError

Array = NDArray[np.float64]

_INSIDE = 1e-6
"""Randomised ranks keep this share of the jump away from its ends: rounding must not cross them."""


@runtime_checkable
class RowLaw(Protocol):
    """The law of one potential outcome for n rows, whatever the kind of the outcome."""

    def __len__(self) -> int: ...

    def is_finite(self) -> bool:
        """Whether everything the law is made of is a finite number."""
        ...

    def rows(self, index: Index) -> RowLaw:
        """The law of a subset of rows."""
        ...

    def mean(self) -> Array:
        """Mean of each row's law, shape (n,)."""
        ...

    def cdf(self, y: ArrayLike) -> Array:
        """F_i(y) on a grid (G,) or (n, G), shape (n, G)."""
        ...

    def density(self, y: ArrayLike) -> Array:
        """Density on a grid, where there is one, shape (n, G)."""
        ...

    def quantile(self, levels: Sequence[float] | ArrayLike) -> Array:
        """Generalised inverse of F_i at common levels, shape (n, len(levels))."""
        ...

    def inverse(self, u: Array) -> Array:
        """Generalised inverse of F_i at levels of its own, u and result of shape (n, m)."""
        ...

    def sample(self, n_samples: int, rng: np.random.Generator) -> Array:
        """Independent draws, shape (n, n_samples)."""
        ...

    def rank(self, y: Array, rng: np.random.Generator) -> Array:
        """Randomised probability integral transform of one outcome a row, shape (n,)."""
        ...


@dataclass(frozen=True, eq=False)
class DiscreteLaw:
    """A law on finitely many values.

    Parameters
    ----------
    values : ndarray, shape (K,)
        Ascending; codes of the levels where these have no numbers.
    probabilities : ndarray, shape (n, K)
        Rows sum to one.
    ordered : bool
        False for levels without an order: means and quantiles are then refused.
    """

    values: Array
    probabilities: Array
    ordered: bool = True

    def __len__(self) -> int:
        return len(self.probabilities)

    def is_finite(self) -> bool:
        """Whether the probabilities are finite."""
        return bool(np.isfinite(self.probabilities).all())

    def rows(self, index: Index) -> DiscreteLaw:
        """The law of a subset of rows."""
        return DiscreteLaw(self.values, self.probabilities[index], self.ordered)

    def probability(self, y: ArrayLike) -> Array:
        """P(Y = y) at each of some values, shape (n, len(y))."""
        wanted = np.atleast_1d(np.asarray(y, dtype=float))
        position = np.clip(np.searchsorted(self.values, wanted), 0, len(self.values) - 1)
        return np.where(self.values[position] == wanted, self.probabilities[:, position], 0.0)

    def mean(self) -> Array:
        """Mean of each row's law, shape (n,).

        Raises
        ------
        DataError
            If the levels have no order.
        """
        self._check_order("mean")
        return np.asarray(self.probabilities @ self.values)

    def cdf(self, y: ArrayLike) -> Array:
        """F_i(y) on a grid (G,) or (n, G), shape (n, G)."""
        self._check_order("distribution function")
        grid = np.atleast_1d(np.asarray(y, dtype=float))
        below = np.searchsorted(self.values, grid, side="right")
        steps = np.hstack([np.zeros((len(self), 1)), self._steps()])
        position = np.broadcast_to(below, (len(self), grid.shape[-1]))
        return np.take_along_axis(steps, position, axis=1)

    def density(self, y: ArrayLike) -> NoReturn:
        """Refused: separate values have probabilities, no density."""
        _refuse_density()

    def quantile(self, levels: Sequence[float] | ArrayLike) -> Array:
        """Generalised inverse of F_i, shape (n, len(levels))."""
        self._check_order("quantile")
        u = np.atleast_1d(np.asarray(levels, dtype=float))
        return self.inverse(np.broadcast_to(u, (len(self), len(u))))

    def inverse(self, u: Array) -> Array:
        """The smallest value whose F_i reaches u, u and result of shape (n, m)."""
        steps = self._steps()
        position = np.zeros(np.shape(u), dtype=np.int64)
        for k in range(len(self.values) - 1):
            position += u > steps[:, k : k + 1]
        return self.values[position]

    def sample(self, n_samples: int, rng: np.random.Generator) -> Array:
        """Independent draws from each row's law, shape (n, n_samples)."""
        return self.inverse(rng.random((len(self), n_samples)))

    def rank(self, y: Array, rng: np.random.Generator) -> Array:
        """A uniform draw from the jump of F_i at y_i, shape (n,)."""
        self._check_order("rank")
        own = np.asarray(y, dtype=float)[:, None]
        top = self.cdf(own)[:, 0]
        below = np.searchsorted(self.values, own, side="left")
        steps = np.hstack([np.zeros((len(self), 1)), self._steps()])
        return _within_jump(np.take_along_axis(steps, below, axis=1)[:, 0], top, rng)

    def _steps(self) -> Array:
        """F_i at the values, shape (n, K), the last of them exactly one."""
        steps = np.cumsum(self.probabilities, axis=1)
        steps[:, -1] = 1.0
        return steps

    def _check_order(self, what: str) -> None:
        if not self.ordered:
            raise DataError(
                f"the {what} of an outcome whose levels have no order was asked for",
                "an outcome of ordered values",
                "Ask for the probability of each level.",
            )


@dataclass(frozen=True, eq=False)
class LatticeLaw:
    """A law on whole numbers, read from the law of Y + uniform(-1/2, 1/2).

    Parameters
    ----------
    smooth : ConditionalLaw
        Law of the outcome with its uniform noise, within [low - 1/2, high + 1/2]; an atom, if it
        has one, is a whole number below its continuous part (zeros apart).
    low, high : float
        Smallest and largest value the outcome can take (``high`` may be infinite).
    """

    smooth: ConditionalLaw
    low: float
    high: float

    def __len__(self) -> int:
        return len(self.smooth)

    def is_finite(self) -> bool:
        """Whether nodes and probabilities are finite."""
        return self.smooth.is_finite()

    def rows(self, index: Index) -> LatticeLaw:
        """The law of a subset of rows."""
        return LatticeLaw(self.smooth.rows(index), self.low, self.high)

    def probability(self, y: ArrayLike) -> Array:
        """P(Y = y) at each of some values, shape (n, len(y))."""
        wanted = np.atleast_1d(np.asarray(y, dtype=float))
        jump = self.cdf(wanted) - self.cdf(wanted - 1.0)
        return np.where(wanted == np.floor(wanted), jump, 0.0)

    def table(self, n_levels: int) -> Array:
        """Probabilities of low, low + 1, .., shape (n, n_levels); the last takes what is left."""
        steps = self.cdf(self.low + np.arange(n_levels))
        steps[:, -1] = 1.0
        return np.diff(steps, axis=1, prepend=0.0)

    def mean(self) -> Array:
        """Mean of each row's law, shape (n,).

        G_i^-1 is linear between knots a < b, so round has there the mean (R(b) - R(a)) / (b - a)
        with R(x) = k x - k^2 / 2, k = round(x), an antiderivative of round.
        """
        knots, levels = self.smooth.knots()
        left, right = knots[:, :-1], knots[:, 1:]
        width = right - left
        wide = width > 1e-9
        slope = (_round_area(right) - _round_area(left)) / np.where(wide, width, 1.0)
        pieces = np.where(wide, slope, _rounded((left + right) / 2))
        rest = np.clip(pieces, self.low, self.high) @ np.diff(levels)
        atom, p = self.smooth.atom, self.smooth.atom_probability
        return np.asarray(rest if atom is None or p is None else p * atom + (1 - p) * rest)

    def cdf(self, y: ArrayLike) -> Array:
        """F_i(y) on a grid (G,) or (n, G), shape (n, G): steps at whole numbers."""
        whole = np.floor(np.atleast_1d(np.asarray(y, dtype=float)))
        steps = self.smooth.cdf(np.clip(whole, self.low - 1, self.high) + 0.5)
        return np.where(whole < self.low, 0.0, np.where(whole >= self.high, 1.0, steps))

    def density(self, y: ArrayLike) -> NoReturn:
        """Refused: separate values have probabilities, no density."""
        _refuse_density()

    def quantile(self, levels: Sequence[float] | ArrayLike) -> Array:
        """Generalised inverse of F_i, shape (n, len(levels))."""
        u = np.atleast_1d(np.asarray(levels, dtype=float))
        return self.inverse(np.broadcast_to(u, (len(self), len(u))))

    def inverse(self, u: Array) -> Array:
        """The smallest whole number whose F_i reaches u, u and result of shape (n, m)."""
        return np.clip(_rounded(self.smooth.inverse(u)), self.low, self.high)

    def sample(self, n_samples: int, rng: np.random.Generator) -> Array:
        """Independent draws from each row's law, shape (n, n_samples)."""
        return self.inverse(rng.random((len(self), n_samples)))

    def rank(self, y: Array, rng: np.random.Generator) -> Array:
        """A uniform draw from the jump of F_i at y_i, shape (n,)."""
        own = np.asarray(y, dtype=float)[:, None]
        return _within_jump(self.cdf(own - 1.0)[:, 0], self.cdf(own)[:, 0], rng)


def _within_jump(below: Array, top: Array, rng: np.random.Generator) -> Array:
    share = _INSIDE + (1 - 2 * _INSIDE) * rng.random(len(top))
    return np.asarray(below + share * (top - below))


def _rounded(x: Array) -> Array:
    """The whole number k with k - 1/2 < x <= k + 1/2; zero has no sign."""
    return np.ceil(x - 0.5) + 0.0


def _round_area(x: Array) -> Array:
    k = _rounded(x)
    return np.asarray(k * x - k**2 / 2)


def _refuse_density() -> NoReturn:
    raise DataError(
        "the density of an outcome that takes separate values was asked for",
        "a continuous outcome",
        "Ask for the probability of each value.",
    )
