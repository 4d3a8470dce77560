"""Any learner as a nuisance model: light outcome and propensity models by plain cross-fitting.

Each fold is predicted by a learner fitted on the other folds, with the encoding of covariates and
the scaling of the outcome learnt there too. There is no law of the outcome, only its mean; ridge,
logistic regression or boosted trees make quick and respectable nuisances.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.protocols import Array, Learner, OutcomePredictions
from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.nuisance.arm_propensity import arms_log_loss, checked_n_arms, normalised
from causal_ddpm.nuisance.arms import fit_arms
from causal_ddpm.nuisance.encoding import Encoder
from causal_ddpm.nuisance.learners.sklearn_learner import SklearnLearner, fit_clone, is_sklearn
from causal_ddpm.nuisance.propensity import GUARD, both_arms
from causal_ddpm.nuisance.stack import LocationStack


@dataclass(frozen=True)
class LearnerOutcomeModel:
    """Mean outcome under each arm from one learner.

    Parameters
    ----------
    learner : Learner or scikit-learn regressor
        A regressor is cloned and fitted arm by arm; wrap it in :class:`SklearnLearner` for one
        joint fit.
    encoder : Encoder
        How covariates become numbers, fitted inside each fold.
    """

    learner: Any
    encoder: Encoder = field(default_factory=Encoder)

    def __post_init__(self) -> None:
        as_learner(self.learner)

    def cross_fit(
        self,
        data: CausalData,
        fold_ids: NDArray[np.int64],
        random_state: Seed,
        n_jobs: int = 1,
        progress: Progress = silent,
    ) -> OutcomePredictions:
        """Predict each row from a fit on the other folds; see the OutcomeModel protocol."""
        n_arms = checked_n_arms(data)
        learner = as_learner(self.learner)
        stack = LocationStack((learner,), encoder=self.encoder)
        folds = np.unique(fold_ids)
        jobs = [(stack, data, fold_ids != k, integer_seed(random_state, int(k))) for k in folds]
        mean = np.empty((data.n, n_arms))
        for done, (k, predicted) in enumerate(
            zip(folds, run_jobs(_fit_and_predict, jobs, n_jobs), strict=True), start=1
        ):
            mean[fold_ids == k] = predicted
            progress(f"outcome ({learner.name})", done / len(folds))
        factual = mean[np.arange(data.n), data.treatment]
        loss = float(np.average((data.outcome - factual) ** 2, weights=data.weights))
        return OutcomePredictions(mean, None, {"method": learner.name, "held_out_mse": loss})


@dataclass(frozen=True)
class LearnerPropensityModel:
    """P(A = a | X) from any scikit-learn classifier.

    Parameters
    ----------
    classifier : scikit-learn classifier with ``predict_proba``
        Cloned and fitted in each fold.
    encoder : Encoder
        How covariates become numbers, fitted inside each fold.
    """

    classifier: Any
    encoder: Encoder = field(default_factory=Encoder)

    def __post_init__(self) -> None:
        if not (is_sklearn(self.classifier) and hasattr(self.classifier, "predict_proba")):
            raise DataError(
                f"the propensity learner is a {type(self.classifier).__name__}",
                "a scikit-learn classifier with predict_proba",
            )

    def cross_fit(
        self, data: CausalData, fold_ids: NDArray[np.int64], random_state: Seed, n_jobs: int = 1
    ) -> tuple[Array, Mapping[str, Any]]:
        """Out-of-fold probabilities, shape (n, A); see the PropensityModel protocol."""
        n_arms = checked_n_arms(data)
        folds = np.unique(fold_ids)
        jobs = [(self, data, fold_ids != k, integer_seed(random_state, int(k))) for k in folds]
        p = np.empty((data.n, n_arms))
        for k, predicted in zip(folds, run_jobs(_classify, jobs, n_jobs), strict=True):
            p[fold_ids == k] = predicted
        e = both_arms(np.clip(p[:, 1], GUARD, 1 - GUARD)) if n_arms == 2 else normalised(p)
        report = {
            "method": type(self.classifier).__name__,
            "log_loss": arms_log_loss(e, data.treatment, data.weights),
        }
        return e, report


def as_learner(model: Any) -> Learner:
    """A Learner as it is, a scikit-learn regressor wrapped."""
    if is_sklearn(model):
        return SklearnLearner(model)
    if callable(getattr(model, "fit", None)) and isinstance(getattr(model, "name", None), str):
        return model
    raise DataError(
        f"the outcome learner is a {type(model).__name__}",
        "a Learner (name, fit) or a scikit-learn regressor",
    )


def _training(data: CausalData, train: NDArray[np.bool_]) -> tuple[Any, Array | None]:
    return data.covariates.rows(train), data.weights[train] if data.has_weights else None


def _fit_and_predict(
    stack: LocationStack, data: CausalData, train: NDArray[np.bool_], seed: int
) -> Array:
    covariates, weights = _training(data, train)
    fitted = fit_arms(stack, covariates, data.treatment[train], data.outcome[train], weights, seed)
    return fitted.predict(data.covariates.rows(~train))[:, :, 0]


def _classify(
    model: LearnerPropensityModel, data: CausalData, train: NDArray[np.bool_], seed: int
) -> Array:
    covariates, weights = _training(data, train)
    encoder = model.encoder.fit(covariates, weights)
    x, labels = encoder.transform(covariates), data.treatment[train].astype(float)
    fitted = fit_clone(model.classifier, x, labels, weights, seed)
    return fitted.predict_proba(encoder.transform(data.covariates.rows(~train)))
