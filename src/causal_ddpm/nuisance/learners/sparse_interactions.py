"""Products of two-valued columns, most of which do not matter.

With z_1 .. z_k the two-valued columns recoded to 0 and 1, x the other columns, and terms S the
sets of at most ``order`` of the k,

    m(z, x) = a + sum_S theta_S prod_{j in S} (z_j - c_j) + x'b

is fitted by :mod:`causal_ddpm.nuisance.spike_slab`; terms of one size share the probability of
being needed. c = 0 suits effects that are zero in the 0/1 coding, c = mean(z) effects that are
zero on average: coefficients that are sparse in the one coding are not in the other. Which of the
two it is, held-out rows say when both stand in a stack.

The products of at most :data:`MAX_TERMS` terms enter, those of the two-valued columns that go most
with the outcome; the others enter alone.
"""

from dataclasses import dataclass
from itertools import chain, combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.coding import columns
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.protocols import Array
from causal_ddpm.nuisance.spike_slab import SpikeSlab, fit_spike_slab

MAX_TERMS = 400
"""More products than this cost more than they bring."""


@dataclass(frozen=True, eq=False)
class FittedSparseInteractions:
    """m(z, x) for encoded rows.

    Attributes
    ----------
    factors : ndarray of int, shape (k,)
        The two-valued columns whose products enter.
    middle : ndarray, shape (k,)
        What lies between their two values.
    centre : ndarray, shape (k,)
        c.
    terms : tuple of tuple of int
        Of two and more factors; every column enters alone too.
    model : SpikeSlab
        On the columns, then the products.
    """

    factors: NDArray[np.int64]
    middle: Array
    centre: Array
    terms: tuple[tuple[int, ...], ...]
    model: SpikeSlab

    def predict(self, x: Array) -> Array:
        """Means, shape (n, 2); the arm plays no part."""
        mean = self.model.predict(self.features(x))
        return np.column_stack([mean, mean])

    def features(self, x: Array) -> Array:
        """Columns with the factors recoded, then the products."""
        z = (x[:, self.factors] > self.middle) - self.centre
        alone = x.copy()
        alone[:, self.factors] = z
        return np.column_stack([alone, columns(z, self.terms)])


@dataclass(frozen=True)
class SparseInteractions:
    """Spike-and-slab regression on products of two-valued columns; see the module page.

    Parameters
    ----------
    name : str
        Name in a stack.
    order : int
        Largest number of columns in a product.
    centred : bool
        Whether c = mean(z), else 0.
    """

    name: str
    order: int = 2
    centred: bool = False

    def __post_init__(self) -> None:
        if self.order < 1:
            raise DataError(f"order is {self.order}", "at least 1")

    def fit(
        self, x: Array, arm: NDArray[np.int64], y: Array, weights: Array | None, seed: int
    ) -> FittedSparseInteractions:
        """Fit on training rows; see the Learner protocol. Nothing is drawn."""
        low, high = x.min(axis=0), x.max(axis=0)
        two_valued = np.flatnonzero(((x == low) | (x == high)).all(axis=0) & (high > low))
        factors = self._leading(two_valued, x, y)
        middle = (low[factors] + high[factors]) / 2
        z = x[:, factors] > middle
        centre = np.average(z, axis=0, weights=weights) if self.centred else np.zeros(len(factors))
        terms = tuple(
            chain.from_iterable(
                combinations(range(len(factors)), size) for size in range(2, self.order + 1)
            )
        )
        unfitted = FittedSparseInteractions(factors, middle, centre, terms, _NOTHING)
        sizes = np.ones(x.shape[1], dtype=np.int64)
        sizes[np.setdiff1d(np.arange(x.shape[1]), factors)] = 0
        groups = np.concatenate([sizes, np.array([len(term) for term in terms], dtype=np.int64)])
        model = fit_spike_slab(unfitted.features(x), y, groups, weights)
        return FittedSparseInteractions(factors, middle, centre, terms, model)

    def _leading(self, two_valued: NDArray[np.int64], x: Array, y: Array) -> NDArray[np.int64]:
        """As many two-valued columns as make no more than MAX_TERMS products."""
        k = len(two_valued)
        while k > 2 and sum(comb(k, size) for size in range(2, self.order + 1)) > MAX_TERMS:
            k -= 1
        strength = np.abs((y - y.mean()) @ (x[:, two_valued] - x[:, two_valued].mean(axis=0)))
        return np.sort(two_valued[np.argsort(-strength, kind="stable")[:k]])


_NOTHING = SpikeSlab(0.0, np.empty(0), np.empty(0), 0.0, 0.0)
