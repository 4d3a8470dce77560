"""The propensity of several arms: one probability an arm, brought to sum to one.

    p_a(x)  from :class:`~causal_ddpm.nuisance.propensity.ProbabilityMix` on the label 1{A = a}
    e_a(x) = p_a(x) / sum_b p_b(x)

Each p_a is calibrated on rows that its parts have not seen. If every p_a is right they sum to one
already, so nothing is lost by the division; of two arms only the second is fitted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.protocols import Array
from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.nuisance.boosting import boosting_backend, boosting_note
from causal_ddpm.nuisance.propensity import GUARD, SPARSE_PENALTIES, ProbabilityMix, both_arms


@dataclass(frozen=True)
class ArmPropensityMix:
    """Propensity model for any number of arms.

    Parameters
    ----------
    probability : ProbabilityMix
        Settings of the mix.
    """

    probability: ProbabilityMix = field(
        default_factory=lambda: ProbabilityMix(sparse_penalties=SPARSE_PENALTIES)
    )

    def cross_fit(
        self, data: CausalData, fold_ids: NDArray[np.int64], random_state: Seed, n_jobs: int = 1
    ) -> tuple[Array, Mapping[str, Any]]:
        """Out-of-fold probabilities, shape (n, A), and what was chosen for each arm and fold.

        Raises
        ------
        DataError
            If the treatment has no arms.
        """
        n_arms = checked_n_arms(data)
        fitted = range(1, 2) if n_arms == 2 else range(n_arms)
        folds = np.unique(fold_ids)
        keys = [(arm, int(k)) for arm in fitted for k in folds]
        jobs = [
            (self.probability, data, fold_ids != k, arm, integer_seed(random_state, arm, k))
            for arm, k in keys
        ]
        p, reports = np.empty((data.n, n_arms)), []
        for (arm, k), (own, report) in zip(keys, run_jobs(_fit_arm, jobs, n_jobs), strict=True):
            p[fold_ids == k, arm] = own
            reports.append({"arm": str(data.arms[arm]), "fold": k, **report})
        e = both_arms(p[:, 1]) if n_arms == 2 else normalised(p)
        summary = {
            "method": "calibrated mixes of logistic regressions and boosted trees, one an arm",
            "backend": boosting_backend(), "note": boosting_note(), "folds": reports,
            "log_loss": arms_log_loss(e, data.treatment, data.weights),
        }  # fmt: skip
        return e, summary


def checked_n_arms(data: CausalData) -> int:
    """Number of arms.

    Raises
    ------
    DataError
        For doses and factors, which have none.
    """
    if not data.arms:
        raise DataError(
            f"the treatment is of kind '{data.treatment_schema.kind}'",
            "a binary treatment or arms for the propensity",
            column=data.treatment_name,
        )
    return len(data.arms)


def normalised(p: Array) -> Array:
    """Probabilities (n, A) at least 1e-6 whose rows sum to one."""
    q = np.maximum(p, GUARD)
    return q / q.sum(axis=1, keepdims=True)


def arms_log_loss(e: Array, arm: NDArray[np.int64], weights: Array | None = None) -> float:
    """Mean negative log likelihood of arm codes (n,) under probabilities (n, A)."""
    own = np.maximum(e[np.arange(len(arm)), arm], GUARD)
    return float(-np.average(np.log(own), weights=weights))


def _fit_arm(
    settings: ProbabilityMix, data: CausalData, train: NDArray[np.bool_], arm: int, seed: int
) -> tuple[Array, Mapping[str, Any]]:
    """Fit one arm against the others on the training rows, predict the rest."""
    labels = (data.treatment[train] == arm).astype(np.int64)
    w = data.weights[train] if data.has_weights else None
    clusters = None if data.clusters is None else data.clusters[train]
    covariates = data.covariates
    fitted = settings.fit(covariates.rows(train), labels, w, seed, clusters=clusters)
    return fitted.predict(covariates.rows(~train)), fitted.report
