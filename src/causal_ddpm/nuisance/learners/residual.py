"""A learner on the residual of another: first the smooth part, then what it left.

    m(x, a) = first(x, a) + second(x, a),   second fitted on y - first(x, arm)

The sum is better than any convex mixture of the two where the surface is smooth with steps. In the
stack a first stage that is also a member of its own is fitted once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.protocols import Array, FittedLearner, Learner
from causal_ddpm.core.random import integer_seed


@dataclass(frozen=True, eq=False)
class FittedResidual:
    """Sum of two fitted stages."""

    first: FittedLearner
    second: FittedLearner

    def predict(self, x: Array) -> Array:
        """Means under both arms, shape (n, 2)."""
        return self.first.predict(x) + self.second.predict(x)


@dataclass(frozen=True)
class ResidualLearner:
    """Fit ``second`` on the in-sample residual of ``first``.

    Parameters
    ----------
    name : str
        Name in the stack, e.g. ``gsB_bcb``.
    first, second : Learner
        The two stages.
    """

    name: str
    first: Learner
    second: Learner

    def fit(
        self, x: Array, arm: NDArray[np.int64], y: Array, weights: Array | None, seed: int
    ) -> FittedResidual:
        """Fit both stages, each with a seed of its own."""
        first = self.first.fit(x, arm, y, weights, integer_seed(seed, self.first.name))
        second_seed = integer_seed(seed, self.second.name)
        return FittedResidual(first, self.fit_second(first, x, arm, y, weights, second_seed))

    def fit_second(
        self,
        first: FittedLearner,
        x: Array,
        arm: NDArray[np.int64],
        y: Array,
        weights: Array | None,
        seed: int,
    ) -> FittedLearner:
        """Fit the second stage behind an already fitted first one."""
        left = y - first.predict(x)[np.arange(len(y)), arm]
        return self.second.fit(x, arm, left, weights, seed)
