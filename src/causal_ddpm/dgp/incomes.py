"""``incomes``: the ``gauss`` design with an outcome that is a positive amount.

    Y(a) = exp(Z(a) / 2),   Z(a) | x ~ N(l_a(z), r_a(z)^2),   z = x cut at 2 either way

Its Gini coefficients are .32 and .43. Cut covariates keep all moments finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtr, ndtri

from causal_ddpm.dgp.confounded import (
    EFFECT,
    LEVEL,
    NORMAL_COLUMNS,
    SELECTION,
    SPREAD,
    Array,
    ConfoundedDesign,
    location,
    spread,
    strong_selection,
)

_REACH = 8.0
_SMALLEST = 1e-300


@dataclass(frozen=True, eq=False)
class LogNormal:
    """Log-normal laws: log Y ~ N(m, s^2).

    Parameters
    ----------
    m, s : ndarray, shape (n,)
    """

    m: Array
    s: Array
    continuous: ClassVar[bool] = True

    def mean(self) -> Array:
        """Mean of each row, shape (n,)."""
        return np.asarray(np.exp(self.m + self.s**2 / 2))

    def variance(self) -> Array:
        """Variance of each row, shape (n,)."""
        return np.asarray(np.expm1(self.s**2) * self.mean() ** 2)

    def cdf(self, y: Array) -> Array:
        """P(Y <= y), shape (n, G), at y of shape (G,) or (n, G)."""
        z = (np.log(np.maximum(y, _SMALLEST)) - self.m[:, None]) / self.s[:, None]
        return np.asarray(ndtr(z))

    def quantile(self, levels: Array) -> Array:
        """Quantiles at levels (G,), shape (n, G)."""
        return np.asarray(np.exp(self.m[:, None] + self.s[:, None] * ndtri(levels)))

    def sample(self, rng: np.random.Generator) -> Array:
        """One draw a row, shape (n,)."""
        return np.asarray(np.exp(self.m + self.s * rng.standard_normal(len(self.m))))

    def bracket(self) -> tuple[float, float]:
        """Eight standard deviations beyond the outer medians, on the logarithmic scale."""
        reach = _REACH * float(self.s.max())
        return float(np.exp(self.m.min() - reach)), float(np.exp(self.m.max() + reach))


def _log_normal(x: Array, a: int) -> LogNormal:
    z = np.clip(x, -2.0, 2.0)
    return LogNormal(location(z, a) / 2, spread(z, a) / 2)


INCOMES = ConfoundedDesign(
    "incomes", 10, strong_selection, _log_normal,
    (NORMAL_COLUMNS, SELECTION, LEVEL, EFFECT, SPREAD, "Y(a) ~ exp(N(l_a, r_a^2) / 2), x cut at 2"),
)  # fmt: skip
