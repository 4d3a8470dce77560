"""The analysis that is repeated: one set of models, one estimand, any version of the data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.protocols import OutcomeModel, PropensityModel
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.core.rows import subset
from causal_ddpm.estimators.registry import estimator_for
from causal_ddpm.nuisance.crossfit import Nuisances, fit_nuisances

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class RepeatedAnalysis:
    """Models, estimand and seed that every run shares, so that only the data differ.

    Parameters
    ----------
    estimand : Estimand
    outcome_model, propensity_model
        As in ``estimate_effects``.
    n_folds : int
    level : float
    seed : int or SeedSequence
    n_jobs : int
        Worker processes over the runs.
    """

    estimand: Estimand
    outcome_model: OutcomeModel
    propensity_model: PropensityModel
    n_folds: int
    level: float
    seed: Seed
    n_jobs: int

    def nuisances(self, data: CausalData) -> Nuisances:
        """Cross-fitted nuisances of one version of the data."""
        return fit_nuisances(
            data, self.outcome_model, self.propensity_model, self.n_folds, self.seed
        )

    def refitted(self, data: CausalData, nuisances: Nuisances, rows: Rows) -> Nuisances:
        """Nuisances of some rows of a data set, which stay in their folds."""
        fold_ids = nuisances.fold_ids[rows]
        propensity, _ = self.propensity_model.cross_fit(
            data, fold_ids, seed_sequence(self.seed, "propensity")
        )
        found = self.outcome_model.cross_fit(data, fold_ids, seed_sequence(self.seed, "outcome"))
        return replace(
            nuisances, fold_ids=fold_ids, mean=found.mean, propensity=propensity, laws=found.laws,
            fingerprint=data.fingerprint,
        )  # fmt: skip

    def estimate(self, data: CausalData, nuisances: Nuisances | None = None) -> Estimate:
        """The estimate for one version of the data.

        Raises
        ------
        DataError
            If it has more than one entry or no standard error.
        """
        given = self.nuisances(data) if nuisances is None else nuisances
        found = estimator_for(self.estimand, self.seed).estimate(data, given, self.level)
        if len(found) != 1:
            raise DataError(
                f"the {self.estimand.name} has {len(found)} entries", "an estimand with one"
            )
        if not float(found.std_error) > 0:
            raise DataError("the standard error of the estimate is zero", "outcomes that vary")
        return found

    def estimate_subset(self, data: CausalData, nuisances: Nuisances, rows: Rows) -> Estimate:
        """The estimate for some rows, which stay in their folds."""
        part = subset(data, rows)
        return self.estimate(part, self.refitted(part, nuisances, rows))

    def repeat(self, versions: Sequence[CausalData]) -> tuple[Array, Array]:
        """Estimates and standard errors of several versions, (R,) each."""
        jobs: list[tuple[Any, ...]] = [(self, version) for version in versions]
        return _collected(run_jobs(RepeatedAnalysis.estimate, jobs, self.n_jobs))

    def repeat_subsets(
        self, data: CausalData, nuisances: Nuisances, parts: Sequence[Rows]
    ) -> tuple[Array, Array]:
        """Estimates and standard errors of several subsets of the rows, (R,) each."""
        jobs: list[tuple[Any, ...]] = [(self, data, nuisances, rows) for rows in parts]
        return _collected(run_jobs(RepeatedAnalysis.estimate_subset, jobs, self.n_jobs))


def _collected(estimates: Iterable[Estimate]) -> tuple[Array, Array]:
    found = list(estimates)
    return np.array([float(e.value) for e in found]), np.array([e.std_error for e in found])
