"""Laws of a potential outcome given covariates, row by row, in closed form.

Mixture    w N(m_1, s^2) + (1 - w) N(m_2, s^2)
Student    m + s T,  T ~ t(k), k > 2
Bernoulli  1 with probability p, else 0
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr, stdtrit

Array = NDArray[np.float64]
_REACH = 8.0
_FAR = 1e-6


class KnownLaw(Protocol):
    """The law of one potential outcome for n rows."""

    @property
    def continuous(self) -> bool:
        """Whether it has a density (quantile effects are about nothing else)."""
        ...

    def mean(self) -> Array:
        """Mean of each row, shape (n,)."""
        ...

    def variance(self) -> Array:
        """Variance of each row, shape (n,)."""
        ...

    def cdf(self, y: Array) -> Array:
        """P(Y <= y), shape (n, G), at y of shape (G,) or (n, G)."""
        ...

    def quantile(self, levels: Array) -> Array:
        """Generalised inverse of the distribution function at levels (G,), shape (n, G)."""
        ...

    def sample(self, rng: np.random.Generator) -> Array:
        """One draw a row, shape (n,)."""
        ...

    def bracket(self) -> tuple[float, float]:
        """An interval outside which no row has probability to speak of."""
        ...


@dataclass(frozen=True, eq=False)
class Mixture:
    """Two-component Gaussian mixtures for n rows.

    Parameters
    ----------
    weight : ndarray, shape (n,)
        Probability of the first component.
    modes : ndarray, shape (n, 2)
        Means of the components.
    sd : ndarray, shape (n,)
        Their common standard deviation.
    """

    weight: Array
    modes: Array
    sd: Array
    continuous: ClassVar[bool] = True

    @property
    def weights(self) -> Array:
        """Both weights, shape (n, 2)."""
        return np.column_stack([self.weight, 1 - self.weight])

    def mean(self) -> Array:
        """Mean of each row, shape (n,)."""
        return (self.weights * self.modes).sum(axis=1)

    def variance(self) -> Array:
        """Variance of each row, shape (n,)."""
        spread = (self.modes - self.mean()[:, None]) ** 2
        return self.sd**2 + (self.weights * spread).sum(axis=1)

    def cdf(self, y: Array) -> Array:
        """P(Y <= y), shape (n, G), at y of shape (G,) or (n, G)."""
        if (self.weight == 1).all():
            return np.asarray(ndtr((y - self.modes[:, [0]]) / self.sd[:, None]))
        z = [(y - self.modes[:, [k]]) / self.sd[:, None] for k in (0, 1)]
        return self.weights[:, [0]] * ndtr(z[0]) + self.weights[:, [1]] * ndtr(z[1])

    def quantile(self, levels: Array) -> Array:
        """Quantiles at levels (G,) by bisection, shape (n, G)."""
        reach = _REACH * self.sd
        shape = (len(self.sd), len(levels))
        low = np.broadcast_to((self.modes.min(axis=1) - reach)[:, None], shape)
        high = np.broadcast_to((self.modes.max(axis=1) + reach)[:, None], shape)
        for _ in range(50):
            middle = (low + high) / 2
            below = self.cdf(middle) < levels
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2

    def sample(self, rng: np.random.Generator) -> Array:
        """One draw a row, shape (n,)."""
        n = len(self.sd)
        component = (rng.random(n) > self.weight).astype(int)
        return self.modes[np.arange(n), component] + self.sd * rng.standard_normal(n)

    def bracket(self) -> tuple[float, float]:
        """Eight standard deviations beyond the outer modes."""
        reach = _REACH * float(self.sd.max())
        return float(self.modes.min()) - reach, float(self.modes.max()) + reach


@dataclass(frozen=True, eq=False)
class Student:
    """Shifted and scaled t laws for n rows.

    Parameters
    ----------
    location, scale : ndarray, shape (n,)
        Mean, and the factor of a t variable.
    df : float
        Degrees of freedom, above 2; moments of order ``df`` and above are infinite.
    """

    location: Array
    scale: Array
    df: float = 3.0
    continuous: ClassVar[bool] = True

    def mean(self) -> Array:
        """Mean of each row, shape (n,)."""
        return self.location

    def variance(self) -> Array:
        """Variance of each row, scale^2 df / (df - 2), shape (n,)."""
        return self.scale**2 * self.df / (self.df - 2)

    def cdf(self, y: Array) -> Array:
        """P(Y <= y), shape (n, G), at y of shape (G,) or (n, G)."""
        return np.asarray(stdtr(self.df, (y - self.location[:, None]) / self.scale[:, None]))

    def quantile(self, levels: Array) -> Array:
        """Quantiles at levels (G,), shape (n, G)."""
        return self.location[:, None] + self.scale[:, None] * stdtrit(self.df, levels)

    def sample(self, rng: np.random.Generator) -> Array:
        """One draw a row, shape (n,)."""
        return self.location + self.scale * rng.standard_t(self.df, len(self.scale))

    def bracket(self) -> tuple[float, float]:
        """From the lowest to the highest quantile of any row at one in a million."""
        reach = float(self.scale.max() * stdtrit(self.df, 1 - _FAR))
        return float(self.location.min()) - reach, float(self.location.max()) + reach


@dataclass(frozen=True, eq=False)
class Bernoulli:
    """Outcomes 0 and 1 for n rows.

    Parameters
    ----------
    p : ndarray, shape (n,)
        Probability of 1.
    """

    p: Array
    continuous: ClassVar[bool] = False

    def mean(self) -> Array:
        """Probability of 1, shape (n,)."""
        return self.p

    def variance(self) -> Array:
        """p (1 - p), shape (n,)."""
        return self.p * (1 - self.p)

    def cdf(self, y: Array) -> Array:
        """P(Y <= y), shape (n, G), at y of shape (G,) or (n, G)."""
        return (1 - self.p[:, None]) * (y >= 0) + self.p[:, None] * (y >= 1)

    def quantile(self, levels: Array) -> Array:
        """1 where the level exceeds 1 - p, else 0; shape (n, G)."""
        return (levels > 1 - self.p[:, None]).astype(float)

    def sample(self, rng: np.random.Generator) -> Array:
        """One draw a row, shape (n,)."""
        return (rng.random(len(self.p)) < self.p).astype(float)

    def bracket(self) -> tuple[float, float]:
        """The two values."""
        return 0.0, 1.0


def gaussian(location: Array, spread: Array) -> Mixture:
    """N(location, spread^2) for each row."""
    return Mixture(np.ones(len(location)), np.column_stack([location, location]), spread)
