"""What the layers ask of each other, as structural types.

An estimator sees only :class:`OutcomePredictions` and propensities: it does not know whether a
diffusion model, a ridge regression or an oracle made them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.discrete import RowLaw
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OutcomePredictions:
    """Out-of-fold reading of an outcome model.

    Parameters
    ----------
    mean : ndarray, shape (n, n_arms)
        E[Y(a) | x_i] from models that never saw row i.
    laws : tuple of RowLaw, one per arm, or None
        The whole law, where the model has one.
    report : mapping
        What the fit has to say (weights, losses, kappa, time), JSON-ready.
    """

    mean: Array
    laws: tuple[RowLaw, ...] | None = None
    report: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class OutcomeModel(Protocol):
    """Learns the law (or the mean) of Y(a) given X."""

    def cross_fit(
        self,
        data: CausalData,
        fold_ids: NDArray[np.int64],
        random_state: Seed,
        n_jobs: int = 1,
        progress: Progress = silent,
    ) -> OutcomePredictions:
        """Predict each row from models trained without its fold."""
        ...


@runtime_checkable
class PropensityModel(Protocol):
    """Learns P(A = a | X)."""

    def cross_fit(
        self, data: CausalData, fold_ids: NDArray[np.int64], random_state: Seed, n_jobs: int = 1
    ) -> tuple[Array, Mapping[str, Any]]:
        """Out-of-fold probabilities, shape (n, n_arms), rows summing to one, and a report."""
        ...


@runtime_checkable
class OutcomeLaw(Protocol):
    """A fitted law of Y(a) given X, for new rows."""

    def mean(self, X: Any, arm: int) -> Array:
        """E[Y(arm) | X], shape (n,)."""
        ...

    def predictive(self, X: Any, arm: int, n_nodes: int = 32) -> RowLaw:
        """The law of Y(arm) given each row of X."""
        ...


class Learner(Protocol):
    """A regression of Y on (X, A): the members of the location stack.

    ``fit`` returns a new fitted object and leaves the settings untouched. Arm codes are all zero
    where there is no treatment; only the first column of a prediction is read then.
    """

    @property
    def name(self) -> str:
        """Name in a stack."""
        ...

    def fit(
        self, x: Array, arm: NDArray[np.int64], y: Array, weights: Array | None, seed: int
    ) -> FittedLearner:
        """Fit on an encoded, standardised matrix x (n, p), arm codes 0/1 and a scaled outcome."""
        ...


class FittedLearner(Protocol):
    """A fitted member of the stack."""

    def predict(self, x: Array) -> Array:
        """Means under both arms, shape (n, 2)."""
        ...


class Design(Protocol):
    """A data-generating process whose truth is known."""

    @property
    def name(self) -> str:
        """What the catalogue calls it."""
        ...

    def draw(self, n: int, seed: Seed) -> Any:
        """A ``Draw(data, truth)`` with n rows."""
        ...


def as_array(x: ArrayLike | Covariates) -> Array:
    """Values of covariates or of anything numpy reads as a float matrix."""
    return x.values if isinstance(x, Covariates) else np.asarray(x, dtype=float)
