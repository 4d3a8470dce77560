"""The diffusion law of potential outcomes: settings, cross-fitting, and the fitted law.

    Y | x, a  ~  p_a(x) delta_c + (1 - p_a(x)) L_a(x)

for a continuous outcome (other kinds: ``nuisance.kinds``), with p_a = 0 unless it has an atom c
(``nuisance.two_part``), and L_a(x) the law with quantile function m_a + s_a (Q_v(u | x, a) -
(1 - kappa) mean Q_v) (``nuisance.shape``). ``location="none"`` leaves out the stack and the scale:
the diffusion learns y itself, end to end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Column
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.outcome import Outcome
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.protocols import OutcomePredictions
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.core.treatment import Treatment
from causal_ddpm.diffusion.conditional import DiffusionSettings
from causal_ddpm.diffusion.roles import check_names
from causal_ddpm.nuisance.arms import stack_for
from causal_ddpm.nuisance.continuous import ContinuousSettings, SharedScalars
from causal_ddpm.nuisance.folds import draw_folds
from causal_ddpm.nuisance.kinds import cross_fit_outcome, refit_outcome
from causal_ddpm.nuisance.law import PotentialOutcomeLaw
from causal_ddpm.nuisance.location import Sample
from causal_ddpm.nuisance.stack import LocationStack
from causal_ddpm.nuisance.two_part import TwoPartSettings


@dataclass(frozen=True)
class LawSchema:
    """What the columns of a law are."""

    columns: tuple[Column, ...]
    treatment: Treatment
    outcome: Outcome
    outcome_name: str


@dataclass(frozen=True)
class PotentialOutcomeModel:
    """Settings of the diffusion law of Y(a) given X; fitting leaves them untouched.

    Worlds a are the two arms of a binary treatment, one of several arms, doses, or cells of factors
    (:class:`CausalData` says which). Arms are kept apart by every learner; doses and factors stand
    beside the confounders in one conditional law.

    Parameters
    ----------
    location : {"stack", "none"}
        "stack" diffuses the standardised residual of a cross-fitted stack of regressions, the
        recommended form; "none" diffuses the outcome itself, end to end.
    stack : LocationStack
        Members of the stack (ignored by ``location="none"`` but for the atom's probability).
    diffusion : DiffusionSettings
        Network, schedule, training recipe and sampler.
    n_folds : int
        Folds of :meth:`fit`; :meth:`cross_fit` is given its folds.
    n_nodes : int, optional
        Quantile nodes a row; 32 below 20 000 rows and 16 from there on.
    shared : SharedScalars, optional
        Stack weights and kappa, when they are not to be chosen on held-out rows.
    one_step : bool
        Whether the location may be fitted once more, to one-step outcomes of the learnt noise,
        where that noise is far from Gaussian (:mod:`causal_ddpm.nuisance.one_step`).

    Raises
    ------
    DataError
        If ``location`` is unknown or a number is out of range.
    """

    location: Literal["stack", "none"] = "stack"
    stack: LocationStack = field(default_factory=LocationStack)
    diffusion: DiffusionSettings = field(default_factory=DiffusionSettings)
    n_folds: int = 5
    n_nodes: int | None = None
    shared: SharedScalars | None = None
    one_step: bool = True

    def __post_init__(self) -> None:
        if self.location not in ("stack", "none"):
            raise DataError(f"location is {self.location!r}", "'stack' or 'none'")
        if self.n_nodes is not None and self.n_nodes < 2:
            raise DataError(f"n_nodes is {self.n_nodes}", "at least 2")

    @property
    def name(self) -> str:
        """What tables call this model."""
        return "diffusion law" if self.location == "stack" else "end-to-end diffusion law"

    def cross_fit(
        self,
        data: CausalData,
        fold_ids: NDArray[np.int64],
        random_state: Seed,
        n_jobs: int = 1,
        progress: Progress = silent,
    ) -> OutcomePredictions:
        """Read the law of each row from models trained without its fold.

        Returns
        -------
        OutcomePredictions
            Means (n, A), one law per arm, and the fit report.

        Raises
        ------
        DataError
            If the levels of the outcome have no order.
        """
        data.outcome_schema.check_order(data.outcome_name)
        self.check_columns(data)
        self._check_folds(fold_ids)
        sample = sample_of(data, fold_ids)
        settings = self._settings(sample.n_arms)
        kind = data.outcome_schema
        parts = cross_fit_outcome(settings, sample, kind, random_state, n_jobs, progress)
        laws = tuple(parts.law(a) for a in range(sample.n_arms))
        mean = np.column_stack([law.mean() for law in laws])
        return OutcomePredictions(mean, laws, self._report(kind, parts.report))

    def fit(
        self,
        data: CausalData,
        random_state: Seed = 0,
        n_jobs: int = 1,
        progress: Progress = silent,
    ) -> PotentialOutcomeLaw:
        """Fit the law for use on new rows.

        Parameters
        ----------
        data : CausalData
        random_state : int, SeedSequence or None
        n_jobs : int
        progress : callable

        Returns
        -------
        PotentialOutcomeLaw
            A new frozen object.
        """
        self.check_columns(data)
        root = seed_sequence(random_state)
        fold_ids = draw_folds(data, self.n_folds, seed_sequence(root, "folds"))
        schema = LawSchema(
            data.covariates.columns, data.treatment_schema, data.outcome_schema, data.outcome_name
        )
        return self.fit_sample(sample_of(data, fold_ids), schema, root, n_jobs, progress)

    def fit_sample(
        self,
        sample: Sample,
        schema: LawSchema,
        random_state: Seed = 0,
        n_jobs: int = 1,
        progress: Progress = silent,
    ) -> PotentialOutcomeLaw:
        """Fit the law to rows as learners read them; see :meth:`fit`.

        Parameters
        ----------
        sample : Sample
            Rows with their folds.
        schema : LawSchema
            What their columns are.
        random_state, n_jobs, progress
            As everywhere.
        """
        self._check_folds(sample.fold_ids)
        settings, kind = self._settings(sample.n_arms), schema.outcome
        parts = cross_fit_outcome(settings, sample, kind, random_state, n_jobs, progress)
        part = refit_outcome(settings, parts, kind, random_state)
        progress("outcome model", 1.0)
        report = self._report(kind, parts.report)
        return PotentialOutcomeLaw(
            part=part, n_train=len(sample.arm), report=report, **vars(schema)
        )

    def _report(self, kind: Outcome, parts: Mapping[str, Any]) -> dict[str, Any]:
        return {"model": self.name, "outcome kind": kind.to_dict(), **parts}

    def check_columns(self, data: CausalData) -> None:
        """Refuse a graph over columns that names other columns than the confounders.

        Raises
        ------
        DataError
        """
        check_names(self.diffusion.graph or (), data.covariates.names)

    def _settings(self, n_arms: int) -> TwoPartSettings:
        stack = stack_for(self.stack, n_arms)
        location = stack if self.location == "stack" else None
        continuous = ContinuousSettings(
            location, self.diffusion, self.n_nodes, self.shared, one_step=self.one_step
        )
        return TwoPartSettings(stack, continuous)

    def _check_folds(self, fold_ids: NDArray[np.int64]) -> None:
        n_folds = len(np.unique(fold_ids))
        if self.location == "stack" and n_folds < 3:
            raise DataError(
                f"n_folds is {n_folds}",
                "at least 3 for the diffusion law",
                "Its residuals come from fits that leave out two folds at a time.",
            )


def sample_of(data: CausalData, fold_ids: NDArray[np.int64]) -> Sample:
    """What the learners see of the data: all rows, in their folds."""
    schema = data.treatment_schema
    covariates, arm = schema.inputs(data.covariates, data.treatment)
    weights = data.weights if data.has_weights else None
    rows = np.ones(data.n, dtype=bool)
    return Sample(covariates, arm, data.outcome, weights, fold_ids, rows, schema.n_arms)
