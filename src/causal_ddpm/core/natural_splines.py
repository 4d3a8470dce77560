r"""Natural cubic splines: K functions of a dose, the first of which is the dose itself.

With knots t_0 < ... < t_K and u_+ = max(u, 0),

    b_1(d) = d,    b_(k+2)(d) = c_k(d) - c_(K-1)(d),    k = 0 .. K - 2,
    c_k(d) = ((d - t_k)_+^3 - (d - t_K)_+^3) / ((t_K - t_k) (t_K - t_0)),

piecewise cubic with two continuous derivatives, and straight lines outside [t_0, t_K], where
polynomials would run away (Hastie, Tibshirani and Friedman 2009, section 5.2.1). One term is the
line; the constant is left to whoever uses them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.outcome import weighted_quantiles

Array = NDArray[np.float64]

OUTER = (0.05, 0.95)
"""Quantiles of the outer knots."""


@dataclass(frozen=True)
class NaturalSplines:
    """A basis of this module.

    Parameters
    ----------
    knots : tuple of float
        Ascending, K + 1 of them; two for the line alone, which does not depend on them.
    """

    knots: tuple[float, ...]

    @classmethod
    def of(cls, dose: Array, n_terms: int, weights: Array | None = None) -> NaturalSplines:
        """A basis of ``n_terms`` with knots at evenly spaced quantiles of the doses.

        Raises
        ------
        DataError
            If the doses have too few distinct values for as many terms.
        """
        if n_terms < 1:
            raise DataError(f"n_terms is {n_terms}", "at least 1")
        knots = weighted_quantiles(dose, weights, np.linspace(*OUTER, n_terms + 1))
        if n_terms > 1 and len(np.unique(knots)) <= n_terms:
            raise DataError(
                f"the quantiles of the dose take {len(np.unique(knots))} distinct values",
                f"{n_terms + 1} for a curve of {n_terms} terms",
                "Ask for fewer terms.",
            )
        return cls(tuple(map(float, knots)))

    @property
    def n_terms(self) -> int:
        """K."""
        return len(self.knots) - 1

    def __call__(self, d: Array) -> Array:
        """Functions at doses (m,), shape (m, K)."""
        cubes = self._parts(np.asarray(d, dtype=float), 3)
        return np.column_stack([d, cubes[:, :-1] - cubes[:, -1:]])

    def slope(self, d: Array) -> Array:
        """Derivatives at doses (m,), shape (m, K)."""
        squares = 3 * self._parts(np.asarray(d, dtype=float), 2)
        return np.column_stack([np.ones(len(d)), squares[:, :-1] - squares[:, -1:]])

    def curvature(self, d: Array) -> Array:
        """Second derivatives at doses (m,), shape (m, K)."""
        lines = 6 * self._parts(np.asarray(d, dtype=float), 1)
        return np.column_stack([np.zeros(len(d)), lines[:, :-1] - lines[:, -1:]])

    def _parts(self, d: Array, power: int) -> Array:
        """c_k for k < K with cubes replaced by another power, shape (m, K)."""
        t = np.asarray(self.knots)
        if self.n_terms == 1:
            return np.zeros((len(d), 1))
        up = np.maximum(d[:, None] - t, 0.0) ** power
        return np.asarray((up[:, :-1] - up[:, -1:]) / ((t[-1] - t[:-1]) * (t[-1] - t[0])))
