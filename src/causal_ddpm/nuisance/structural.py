r"""Cross-fitted nuisances of a structural curve.

For a row i of fold k, from the rows of other folds,

    l(x_i)          E[Y | x_i]
    e(z_i, x_i)     E[b(D) | z_i, x_i] for a basis b of the dose, from the law of the dose
    r(x_i)          E[e(z, x_i) | x_i], which is E[b(D) | x_i]

(:mod:`causal_ddpm.nuisance.dose_law`). The basis is chosen later, so what is kept is the law.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.instrument_data import InstrumentData
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.nuisance.dose_law import (
    Design,
    DiffusionStages,
    DoseLaw,
    Stages,
    mean_given,
    side_by_side,
    smooth_and_mean,
)
from causal_ddpm.nuisance.folds import MIN_CLUSTERS, cluster_folds, stratified_folds
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel

Array = NDArray[np.float64]
Functions = Callable[[Array], Array]


class Expectations(Protocol):
    """Says what functions are expected to be given (z, x) and given x."""

    def __call__(self, functions: Functions) -> tuple[Array, Array]:
        """e and r of functions of the dose (m,) -> (m, J), shape (n, J) each."""
        ...

    def given_covariates(self, values: Array) -> Array:
        """E[v | x_i] of functions v of the instruments, values (n, J), same shape."""
        ...


@dataclass(frozen=True, eq=False)
class LearntExpectations:
    """Those of a cross-fitted law of the dose.

    Parameters
    ----------
    law : DoseLaw
    instruments, covariates : Covariates
        z and x.
    design : Design
    random_state : seed
    """

    law: DoseLaw
    instruments: Covariates
    covariates: Covariates
    design: Design
    random_state: Seed

    def __call__(self, functions: Functions) -> tuple[Array, Array]:
        """e and r, out of fold."""
        return smooth_and_mean(
            self.instruments,
            self.covariates,
            self.law.expected(functions),
            self.design,
            self.random_state,
        )

    def given_covariates(self, values: Array) -> Array:
        """By the same regression, out of fold."""
        everywhere = np.broadcast_to(values, (self.design.n_folds, *values.shape))
        return mean_given(self.covariates, everywhere, self.design, self.random_state)


@dataclass(frozen=True, eq=False)
class StructuralNuisances:
    """Out-of-fold nuisances of one data set with a dose and instruments.

    Parameters
    ----------
    fold_ids : ndarray of int, shape (n,)
    outcome : ndarray, shape (n,)
        l(x_i), in units of the outcome.
    expectations : Expectations
    fingerprint : str
        Fingerprint of the data they belong to.
    method : str
    report : mapping
        What the fits have to say, JSON-ready.
    """

    fold_ids: NDArray[np.int64]
    outcome: Array
    expectations: Expectations
    fingerprint: str
    method: str = "given first stage"
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(np.unique(self.fold_ids))


def fit_structural_nuisances(
    data: InstrumentData,
    model: PotentialOutcomeModel | Stages | None = None,
    n_folds: int = 5,
    random_state: Seed = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> StructuralNuisances:
    """Cross-fit the law of the dose given (z, x) and the mean outcome given x.

    Parameters
    ----------
    data : InstrumentData
    model : PotentialOutcomeModel or Stages, optional
        The diffusion law by default.
    n_folds, random_state, n_jobs, progress
        As in :func:`causal_ddpm.nuisance.crossfit.fit_nuisances`.

    Raises
    ------
    DataError
        For fewer than two folds, too few clusters, or a model of another kind.
    """
    stages, root = checked_stages(model), seed_sequence(random_state)
    weights = None if data.weights_name is None else data.weights
    design = Design(structural_folds(data, n_folds, seed_sequence(root, "folds")), weights)
    progress("law of the dose", 0.0)
    both = side_by_side(data.instruments, data.covariates)
    law = stages.law(both, data.dose, design, seed_sequence(root, "dose"), n_jobs)
    progress("mean outcome", 0.8)
    seeds = seed_sequence(root, "outcome"), seed_sequence(root, "given covariates")
    learnt = LearntExpectations(law, data.instruments, data.covariates, design, seeds[1])
    if data.covariates.columns:
        outcome = stages.mean(data.covariates, data.outcome, design, seeds[0], n_jobs)
    else:
        outcome = learnt.given_covariates(data.outcome[:, None])[:, 0]
    progress("nuisances", 1.0)
    method = f"sieve instrumental variables with optimal instruments, {stages.name}"
    return StructuralNuisances(
        design.fold_ids, outcome, learnt, data.fingerprint, method, dict(law.report)
    )


def checked_stages(model: Any) -> Stages:
    """The model, wrapped where it is a diffusion law's settings.

    Raises
    ------
    DataError
        If it cannot learn the law of a dose.
    """
    if model is None:
        return DiffusionStages()
    if isinstance(model, PotentialOutcomeModel):
        return DiffusionStages(model)
    if not (callable(getattr(model, "law", None)) and callable(getattr(model, "mean", None))):
        raise DataError(
            f"the model is a {type(model).__name__}",
            "PotentialOutcomeModel or a model with law and mean",
            "NormalStages wraps a scikit-learn regressor.",
        )
    checked: Stages = model
    return checked


def structural_folds(data: InstrumentData, n_folds: int, random_state: Seed) -> NDArray[np.int64]:
    """Fold of each row, balanced over fifths of the dose; clusters stay together.

    Raises
    ------
    DataError
        For fewer than two folds, or too few clusters or rows for them.
    """
    if not 2 <= n_folds <= data.n // 20:
        raise DataError(f"n_folds is {n_folds}", f"2 to {data.n // 20} folds for {data.n:,} rows")
    rng, strata = stream(random_state, "folds"), data.treatment_schema.strata(data.dose)
    if data.clusters is None:
        return stratified_folds(strata, n_folds, rng)
    n_clusters = len(np.unique(data.clusters))
    if n_clusters < max(MIN_CLUSTERS, n_folds):
        raise DataError(
            f"there are {n_clusters} clusters",
            f"at least {max(MIN_CLUSTERS, n_folds)} ({MIN_CLUSTERS} for an interval, one a fold)",
            column=data.clusters_name,
        )
    return cluster_folds(strata, data.clusters, n_folds, rng)
