"""Training on generated rows inside the folds: the one scheme that stays valid.

For fold k, with T_k the rows outside it,

    1. the generator is fitted on T_k;
    2. every row of T_k gets ``factor`` generated outcomes under each other arm;
    3. the learner of the outcome is fitted on T_k and the generated rows together;
    4. it predicts the *real* rows of fold k, which none of this has seen.

Scores are taken on real rows alone, so n stays n and the theory of cross-fitting holds as it does
for any other learner (Chernozhukov et al. 2018, definition 3.2). What the generated rows can do is
regularise: they tell the learner again what the generator has made of the same rows, and nothing
else.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.protocols import Array, OutcomePredictions
from causal_ddpm.core.random import Seed, integer_seed, seed_sequence
from causal_ddpm.core.rows import subset, with_generated
from causal_ddpm.core.treatment import require_binary
from causal_ddpm.nuisance.encoding import Encoder
from causal_ddpm.nuisance.learner_model import as_learner
from causal_ddpm.nuisance.stack import LocationStack


class Law(Protocol):
    """Draws of a potential outcome."""

    def sample(self, X: Any, arm: Any, n_samples: int, random_state: Seed) -> NDArray[Any]:
        """Draws of Y(arm) given the rows of X, shape (n, n_samples)."""
        ...


class Generator(Protocol):
    """Settings of a law; :class:`~causal_ddpm.nuisance.outcome.PotentialOutcomeModel` is one."""

    def fit(self, data: CausalData, random_state: Seed) -> Law:
        """Fit to rows, the settings left untouched."""
        ...


def generated_rows(
    law: Law, data: CausalData, factor: int, random_state: Seed
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Counterfactual rows: every row under every other arm, ``factor`` times.

    Returns
    -------
    source : ndarray of int, shape (m,)
        The row that each was made from.
    arm : ndarray of int, shape (m,)
        Its arm.
    outcome : ndarray, shape (m,)
        A draw of Y(arm) given the covariates of the source.
    """
    root = seed_sequence(random_state)
    parts = []
    for arm, label in enumerate(data.arms):
        source = np.flatnonzero(data.treatment != arm)
        draws = law.sample(
            data.covariates.rows(source), label, factor, seed_sequence(root, "arm", arm)
        )
        each = np.tile(source, factor)
        parts.append((each, np.full(len(each), arm), np.asarray(draws, dtype=float).T.ravel()))
    source, arms, outcome = (np.concatenate(column) for column in zip(*parts, strict=True))
    return source, arms, outcome


@dataclass(frozen=True)
class AugmentedOutcomeModel:
    """Mean outcomes from a learner that trains on real and generated rows of its own folds.

    Parameters
    ----------
    learner : Learner or scikit-learn regressor
        As in :class:`~causal_ddpm.nuisance.learner_model.LearnerOutcomeModel`.
    generator : Generator
        For example ``PotentialOutcomeModel()``; fitted once a fold.
    factor : int
        Generated rows a real training row and other arm.
    encoder : Encoder
        How covariates become numbers, fitted inside each fold.

    Raises
    ------
    DataError
        If ``factor`` is below one, or the learner is none.
    """

    learner: Any
    generator: Generator
    factor: int = 1
    encoder: Encoder = field(default_factory=Encoder)

    def __post_init__(self) -> None:
        as_learner(self.learner)
        check_factor(self.factor)

    @property
    def name(self) -> str:
        """What tables call this model."""
        return f"learner with {self.factor} generated rows each"

    def cross_fit(
        self,
        data: CausalData,
        fold_ids: NDArray[np.int64],
        random_state: Seed,
        n_jobs: int = 1,
        progress: Progress = silent,
    ) -> OutcomePredictions:
        """Predict each real row from real and generated rows of the other folds."""
        require_binary(data.treatment_schema, "AugmentedOutcomeModel")
        root, folds = seed_sequence(random_state), np.unique(fold_ids)
        jobs = [(self, data, fold_ids != k, seed_sequence(root, "fold", int(k))) for k in folds]
        mean, n_generated = np.empty((data.n, 2)), 0
        for done, (k, (predicted, m)) in enumerate(
            zip(folds, run_jobs(_fit_fold, jobs, n_jobs), strict=True), start=1
        ):
            mean[fold_ids == k] = predicted
            n_generated += m
            progress("outcome (with generated rows)", done / len(folds))
        return OutcomePredictions(
            mean, None, {"method": self.name, "n_synthetic": n_generated // len(folds)}
        )


def _fit_fold(
    model: AugmentedOutcomeModel, data: CausalData, train: NDArray[np.bool_], seed: Seed
) -> tuple[Array, int]:
    """Predictions of the rows that are not in ``train``, and how many rows were generated."""
    root = seed_sequence(seed)
    own = subset(data, train)
    law = model.generator.fit(own, seed_sequence(root, "generator"))
    source, arm, outcome = generated_rows(law, own, model.factor, seed_sequence(root, "rows"))
    both = with_generated(own, source, arm, outcome)
    weights = both.weights if both.has_weights else None
    stack = LocationStack((as_learner(model.learner),), encoder=model.encoder)
    fitted = stack.fit(
        both.covariates, both.treatment, both.outcome, weights, integer_seed(root, "learner")
    )
    return fitted.predict(data.covariates.rows(~train))[:, :, 0], len(source)


def check_factor(factor: int) -> None:
    """Refuse a number of generated rows that is none.

    Raises
    ------
    DataError
    """
    if int(factor) != factor or factor < 1:
        raise DataError(f"factor is {factor!r}", "a whole number of at least 1")
