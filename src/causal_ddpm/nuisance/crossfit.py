"""Cross-fitted nuisances: everything an estimator needs, each row read by models that never saw it.

Rows are split into K folds, stratified by arm (whole clusters stay together). For row i in fold k

    mean_a(i) = E[Y(a) | X = x_i]        from rows outside fold k,
    e_a(i)    = P(A = a | X = x_i)       from rows outside fold k

(Chernozhukov et al. 2018, double/debiased machine learning, definition 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.data import CausalData, require_data
from causal_ddpm.core.discrete import RowLaw
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.protocols import OutcomeModel, PropensityModel
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.nuisance.folds import draw_folds

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Nuisances:
    """Out-of-fold nuisances of one data set.

    Parameters
    ----------
    fold_ids : ndarray of int, shape (n,)
        Fold of each row.
    mean : ndarray, shape (n, n_arms)
        Out-of-fold E[Y(a) | x_i], in units of the outcome.
    propensity : ndarray, shape (n, n_arms)
        Out-of-fold P(A = a | x_i); rows sum to one.
    laws : tuple of RowLaw or None
        Out-of-fold law of Y(a) given x_i, one per arm, when the outcome model has one.
    fingerprint : str
        Fingerprint of the data they belong to.
    method : str
        Name of the outcome model.
    outcome_report, propensity_report : mapping
        What the fits have to say, JSON-ready.
    """

    fold_ids: NDArray[np.int64]
    mean: Array
    propensity: Array
    laws: tuple[RowLaw, ...] | None
    fingerprint: str
    method: str = "AIPW"
    outcome_report: Mapping[str, Any] = field(default_factory=dict)
    propensity_report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(np.unique(self.fold_ids))

    @property
    def n_synthetic(self) -> int:
        """Generated rows that helped to train the outcome model of a fold; never counted in n."""
        return int(self.outcome_report.get("n_synthetic", 0))

    def cdf(self, arm: int, y: ArrayLike) -> Array:
        """Out-of-fold P(Y(arm) <= y | x_i) on a grid, shape (n, G).

        Raises
        ------
        DataError
            If the outcome model learned means only.
        """
        return self.known_laws()[arm].cdf(y)

    def known_laws(self, use: str = "") -> tuple[RowLaw, ...]:
        """The laws, one an arm; ``use`` says what for.

        Raises
        ------
        DataError
            If the outcome model learned means only.
        """
        if self.laws is None:
            raise DataError(
                f"the outcome model ({self.method}) learned means only",
                f"a model of the whole law of the outcome{' for ' if use else ''}{use}",
                "Use PotentialOutcomeModel(), the default outcome model.",
            )
        return self.laws


def check_nuisances(data: CausalData, nuisances: Any) -> None:
    """Refuse what is no data or no nuisances, and nuisances of other rows.

    Raises
    ------
    DataError
    """
    require_data(data)
    if not hasattr(nuisances, "fingerprint"):
        raise DataError(
            f"the nuisances are a {type(nuisances).__name__}",
            "what fit_nuisances returns",
            "Write: nuisances = fit_nuisances(data).",
        )
    if nuisances.fingerprint != data.fingerprint:
        raise DataError(
            "the nuisances belong to other data (their fingerprints differ)",
            "the rows, in the order, for which they were fitted",
            "Run fit_nuisances on these data.",
        )


def fit_nuisances(
    data: CausalData,
    outcome_model: OutcomeModel | None = None,
    propensity_model: PropensityModel | None = None,
    n_folds: int = 5,
    random_state: Seed = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
    inspect: Callable[[Array], None] = lambda propensity: None,
) -> Nuisances:
    """Cross-fit the outcome law and the propensity.

    Parameters
    ----------
    data : CausalData
    outcome_model : OutcomeModel, optional
        ``PotentialOutcomeModel()``, the diffusion law, by default.
    propensity_model : PropensityModel, optional
        ``PropensityMix()`` by default, ``ArmPropensityMix()`` for several arms.
    n_folds : int
        Number of folds K.
    random_state : int, SeedSequence or None
        Root of all random streams; the same seed gives the same bits whatever ``n_jobs``.
    n_jobs : int
        Worker processes.
    progress : callable
        Told the stage and the share of the work that is done.
    inspect : callable
        Shown the propensity, shape (n, n_arms), before the outcome model is fitted; it may refuse
        data that lack overlap before the costly part begins.

    Raises
    ------
    DataError
        If an arm is too small for the folds, or a model is none.
    """
    require_data(data)
    _check_models(outcome_model, propensity_model)
    if outcome_model is None:
        from causal_ddpm.nuisance.outcome import PotentialOutcomeModel

        outcome_model = PotentialOutcomeModel()
    if propensity_model is None:
        propensity_model = _default_propensity(data)
    root = seed_sequence(random_state)
    fold_ids = draw_folds(data, n_folds, seed_sequence(root, "folds"))
    progress("propensity", 0.0)
    propensity, propensity_report = propensity_model.cross_fit(
        data, fold_ids, seed_sequence(root, "propensity"), n_jobs
    )
    inspect(propensity)
    predictions = outcome_model.cross_fit(
        data, fold_ids, seed_sequence(root, "outcome"), n_jobs, progress
    )
    progress("nuisances", 1.0)
    return Nuisances(
        fold_ids=fold_ids,
        mean=predictions.mean,
        propensity=propensity,
        laws=predictions.laws,
        fingerprint=data.fingerprint,
        method=f"cross-fitted AIPW, {getattr(outcome_model, 'name', type(outcome_model).__name__)}",
        outcome_report=predictions.report,
        propensity_report=propensity_report,
    )


def _check_models(outcome_model: Any, propensity_model: Any) -> None:
    """Refuse models that cannot be cross-fitted: classes, and learners that are not wrapped."""
    given = {"outcome_model": outcome_model, "propensity_model": propensity_model}
    for role, model in given.items():
        if isinstance(model, type):
            hint = f"Pass an instance: {model.__name__}()."
        elif model is None or callable(getattr(model, "cross_fit", None)):
            continue
        else:
            wrapper = role.replace("_", " ").title().replace(" ", "")
            hint = f"Wrap a scikit-learn learner: Learner{wrapper}({type(model).__name__}())."
        raise DataError(f"{role} is {model!r:.60}", "a model with cross_fit", hint)


def _default_propensity(data: CausalData) -> PropensityModel:
    if data.treatment_schema.kind == "arms":
        from causal_ddpm.nuisance.arm_propensity import ArmPropensityMix

        return ArmPropensityMix()
    from causal_ddpm.nuisance.propensity import PropensityMix

    return PropensityMix()
