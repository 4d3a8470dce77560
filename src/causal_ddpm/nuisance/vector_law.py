r"""The law of an outcome vector Y(a) given X, with economic constraints.

    Y = p(x) + M w,    w_j = m_j,a(x) + s_j,a(x) v_j,    v | x, a ~ vector diffusion

Location and scale are learnt coordinate by coordinate as for a scalar outcome; the diffusion learns
the joint law of the standardised residuals: dependence, tails, modes. Equalities that hold in the
training rows are built into (p, M); other equalities, and all inequalities, condition the draws
(``diffusion.constrained``), in the units of the outcomes.

No interval comes with anything here. Effects with intervals are estimated outcome by outcome, with
:func:`~causal_ddpm.estimators.api.estimate_effects`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.core.data import CausalData, read_covariates
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.core.treatment import Kind, Treatment
from causal_ddpm.diffusion.constrained import ConstrainedDraws, Coordinates, constrained_draws
from causal_ddpm.diffusion.constraints import Constraints, LinearConstraint, flat, polyhedron
from causal_ddpm.diffusion.persistence import load_model, save_model
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.diffusion.vector import VectorDiffusion, train_vector
from causal_ddpm.nuisance.arms import stack_for
from causal_ddpm.nuisance.folds import draw_folds
from causal_ddpm.nuisance.outcome import sample_of
from causal_ddpm.nuisance.residual_recipe import residual_settings
from causal_ddpm.nuisance.stack import LocationStack
from causal_ddpm.nuisance.vector_parts import (
    Component,
    FreeCoordinates,
    equalities_of,
    fit_component,
    free_coordinates,
    given_columns,
)

Array = NDArray[np.float64]

_MEAN_DRAWS = 256


@dataclass(frozen=True)
class VectorOutcomeModel:
    """Settings of the law of several outcomes at once; fitting leaves them untouched.

    Parameters
    ----------
    constraints : sequence of LinearEquality, LinearInequality
        On the outcomes and numeric confounders, in their units; see
        :mod:`causal_ddpm.diffusion.constraints`.
    stack : LocationStack
        Learners of each coordinate's location.
    diffusion : DiffusionSettings
    n_folds : int
        Folds of the residuals.
    """

    constraints: Constraints = ()
    stack: LocationStack = field(default_factory=LocationStack)
    diffusion: DiffusionSettings = field(default_factory=DiffusionSettings)
    n_folds: int = 5

    def __post_init__(self) -> None:
        flat(self.constraints)
        if self.n_folds < 2:
            raise DataError(f"n_folds is {self.n_folds}", "at least 2")

    def fit(
        self,
        df: Any,
        treatment: str | Sequence[str],
        outcomes: Sequence[str],
        confounders: Sequence[str],
        treatment_kind: Kind = "binary",
        random_state: Seed = 0,
        n_jobs: int = 1,
        progress: Progress = silent,
    ) -> VectorOutcomeLaw:
        """Learn the law.

        Parameters
        ----------
        df : pandas, polars or pyarrow frame
        treatment, confounders, treatment_kind
            As in :class:`~causal_ddpm.core.data.CausalData`.
        outcomes : sequence of str
            At least two numeric columns.
        random_state : int, SeedSequence or None
        n_jobs : int
        progress : callable

        Raises
        ------
        DataError
            In one sentence, for data or constraints that cannot be used.
        """
        names = _checked_outcomes(outcomes)
        data = [
            CausalData(df, treatment, name, confounders, treatment_kind=treatment_kind)
            for name in names
        ]
        y, covariates = np.column_stack([d.outcome for d in data]), data[0].covariates
        constraints = flat(self.constraints)
        A, b = equalities_of(constraints, names, covariates)
        free = free_coordinates(y, A, b)
        w = free.encode(y, free.offset(A, b))
        parts = _learn(self, data[0], w, seed_sequence(random_state), n_jobs, progress)
        components, diffusion = parts
        return VectorOutcomeLaw(
            components=components,
            diffusion=diffusion,
            free=free,
            constraints=constraints,
            columns=covariates.columns,
            treatment=data[0].treatment_schema,
            outcomes=names,
            n_train=len(y),
            report={
                "equalities_built_in": len(names) - free.dim,
                "equalities_imposed": len(A) - len(free.rows),
                "diffusion": dict(diffusion.report),
            },
        )


def _checked_outcomes(outcomes: Sequence[str]) -> tuple[str, ...]:
    names = (outcomes,) if isinstance(outcomes, str) else tuple(outcomes)
    if len(names) < 2 or len(set(names)) < len(names):
        raise DataError(
            f"the outcomes are {', '.join(names) or 'none'}",
            "at least two different columns",
            "For one outcome use PotentialOutcomeModel.",
        )
    return names


def _learn(
    model: VectorOutcomeModel,
    data: CausalData,
    w: Array,
    seed: np.random.SeedSequence,
    n_jobs: int,
    progress: Progress,
) -> tuple[tuple[Component, ...], VectorDiffusion]:
    """Components of the coordinates w (n, dim), and the diffusion of what they leave."""
    sample = sample_of(data, draw_folds(data, model.n_folds, seed_sequence(seed, "folds")))
    stack = stack_for(model.stack, sample.n_arms)
    fitted = []
    for j, column in enumerate(w.T):
        progress("outcome vector: location", 0.7 * j / w.shape[1])
        own = seed_sequence(seed, "component", j)
        fitted.append(fit_component(stack, sample, column, own, n_jobs))
    components = tuple(f.component for f in fitted)
    locations = np.stack([f.location for f in fitted], axis=2)
    condition = _condition(components, sample.covariates, locations, sample.arm)
    v = np.column_stack([f.residual for f in fitted])
    progress("outcome vector: diffusion", 0.7)
    settings = residual_settings(model.diffusion, len(v))
    diffusion = train_vector(v, condition, settings, seed_sequence(seed, "diffusion"))
    progress("outcome vector", 1.0)
    return components, diffusion


def _condition(
    components: Sequence[Component],
    covariates: Covariates,
    locations: Array,
    arm: NDArray[np.int64],
) -> Array:
    """What the diffusion is told: encoded x, the arm, and the locations (n, A, k) under it."""
    features = components[0].features
    x = features.condition.encoder.transform(covariates)
    dummies = arm[:, None] == np.arange(1, features.n_arms)
    return np.column_stack([x, dummies, locations[np.arange(len(arm)), arm]])


@dataclass(frozen=True, eq=False)
class VectorOutcomeLaw:
    """The fitted law of several outcomes Y(a) given X; made by :class:`VectorOutcomeModel`.

    ``X`` is a frame with the confounder columns of the training data; ``arm`` a world of the
    treatment (0 or 1 for a binary one). Arrays have one column an outcome, in their units and in
    the order of ``outcomes``.
    """

    components: tuple[Component, ...]
    diffusion: VectorDiffusion
    free: FreeCoordinates
    constraints: tuple[LinearConstraint, ...]
    columns: tuple[Column, ...]
    treatment: Treatment
    outcomes: tuple[str, ...]
    n_train: int
    report: Mapping[str, Any] = field(default_factory=dict)

    def sample(self, X: Any, arm: Any, n_samples: int = 1, random_state: Seed = None) -> Array:
        """Draws of Y(arm) given X that obey every constraint, shape (n, n_samples, k)."""
        return self.draws(X, arm, n_samples, random_state).x

    def draws(
        self,
        X: Any,
        arm: Any,
        n_samples: int = 1,
        random_state: Seed = None,
        constraints: Constraints | None = None,
    ) -> ConstrainedDraws:
        """Draws with an account of how hard the constraints were to meet.

        Parameters
        ----------
        X : frame
        arm : label
        n_samples : int
        random_state : seed
        constraints : sequence of LinearEquality, LinearInequality, optional
            Instead of those of the model; equalities found in the data hold all the same.

        Raises
        ------
        DataError
            If the arm is unknown, X lacks a column, or the constraints cannot be met.
        """
        if n_samples < 1:
            raise DataError(f"n_samples is {n_samples}", "a whole number from 1 upwards")
        covariates = read_covariates(X, self.columns)
        coordinates, condition = self._coordinates(covariates, arm)
        asked = self.constraints if constraints is None else flat(constraints)
        region = polyhedron(asked, self.outcomes, len(covariates), given_columns(covariates))
        return constrained_draws(
            self.diffusion, condition, coordinates, region, n_samples, random_state
        )

    def mean(self, X: Any, arm: Any, n_samples: int | None = None) -> Array:
        """E[Y(arm) | X], shape (n, k).

        The location, or the mean of ``n_samples`` draws when that is given. Where constraints
        condition the law (inequalities, imposed equalities) it is always a mean of draws, 256 of
        them by default.
        """
        if n_samples is None and not self._conditioned():
            covariates = read_covariates(X, self.columns)
            return self._coordinates(covariates, arm)[0].offset
        count = _MEAN_DRAWS if n_samples is None else n_samples
        return np.asarray(self.sample(X, arm, count, 0).mean(axis=1))

    def cate(self, X: Any, arm: Any = 1, control: Any = None) -> Array:
        """E[Y(arm) - Y(control) | X], shape (n, k). A plug-in: no interval comes with it."""
        base = self.treatment.control if control is None else control
        return self.mean(X, arm) - self.mean(X, base)

    def quantile(
        self,
        X: Any,
        arm: Any,
        levels: Sequence[float] | ArrayLike,
        n_samples: int = 512,
        random_state: Seed = 0,
    ) -> Array:
        """Marginal quantiles of each outcome from draws, shape (n, len(levels), k)."""
        u = np.atleast_1d(np.asarray(levels, dtype=float))
        if not ((u > 0) & (u < 1)).all():
            raise DataError(f"quantile levels are {u.tolist()}", "numbers strictly between 0 and 1")
        drawn = self.sample(X, arm, n_samples, random_state)
        return np.moveaxis(np.quantile(drawn, u, axis=1), 0, 1)

    def save(self, path: str | Path) -> Path:
        """Write the law to a file (JSON and safetensors in a zip, no pickle)."""
        return save_model(self, path)

    @classmethod
    def load(cls, path: str | Path) -> VectorOutcomeLaw:
        """Read a law back.

        Raises
        ------
        ModelFileError
            If the file is missing, damaged, or holds something else.
        """
        law: VectorOutcomeLaw = load_model(path, expected=cls)
        return law

    def __repr__(self) -> str:
        limits = f", {len(self.constraints)} constraints" if self.constraints else ""
        return (
            f"VectorOutcomeLaw of {', '.join(self.outcomes)} given {len(self.columns)} confounders "
            f"and {self.treatment.name} ({self.n_train:,} training rows{limits})"
        )

    def _conditioned(self) -> bool:
        """Whether constraints beyond the built-in equalities restrict the draws."""
        region = polyhedron(self.constraints, self.outcomes, 1, _ones(self.columns))
        return bool(len(region.C) or len(region.A) > len(self.free.rows))

    def _coordinates(self, covariates: Covariates, arm: Any) -> tuple[Coordinates, Array]:
        """y = offset + matrix v for rows under an arm, and the diffusion's condition."""
        seen, code = self.treatment.under(covariates, arm)
        locations = [c.locate(seen) for c in self.components]
        scale = np.column_stack(
            [c.scale(seen, m, code) for c, m in zip(self.components, locations, strict=True)]
        )
        stacked = np.stack(locations, axis=2)
        arms = np.full(len(seen), code, dtype=np.int64)
        matrix = self.free.matrix
        base = self.free.offset(*equalities_of(self.constraints, self.outcomes, covariates))
        offset = base + stacked[:, code] @ matrix.T
        condition = _condition(self.components, seen, stacked, arms)
        return Coordinates(offset, matrix * scale[:, None]), condition


def _ones(columns: Sequence[Column]) -> dict[str, Array]:
    """One row of ones for the numeric confounders: enough to count constraints."""
    return given_columns(Covariates(tuple(columns), np.ones((1, len(columns)))))
