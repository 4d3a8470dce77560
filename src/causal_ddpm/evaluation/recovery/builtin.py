"""Generators of this package: whole rows at once, or covariates, treatment and outcome in turn.

    joint          (X, D, Y) from one diffusion of table rows
    conditional    X from the training rows with replacement, D given X from a propensity model, Y
                   given (X, D) from the diffusion law of the outcome
    end-to-end     the same, where the diffusion learns the outcome itself, without a regression
    bootstrap      the training rows with replacement: it learns nothing, and repeats everything

With an instrument Z, the conditional generators draw Z given X, D given (X, Z) and Y given
(X, Z, D). Factors stay with the covariates of their row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData, read_covariates
from causal_ddpm.core.discrete import RowLaw
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed, integer_seed, seed_sequence, stream
from causal_ddpm.core.synthetic import SYNTHETIC_MARKER
from causal_ddpm.diffusion.joint import FittedJoint, JointDiffusion
from causal_ddpm.evaluation.recovery.generator import Generator, Roles, check_interventional
from causal_ddpm.nuisance.arm_propensity import normalised
from causal_ddpm.nuisance.law import PotentialOutcomeLaw
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel
from causal_ddpm.nuisance.propensity import (
    SPARSE_PENALTIES,
    FittedProbabilityMix,
    ProbabilityMix,
    both_arms,
)

Array = NDArray[np.float64]

N_NODES = 128
"""Quantiles through which a law is drawn from: they reach the tails."""


# ----------------------------------------------------------------------------- whole rows


@dataclass(frozen=True)
class JointGenerator:
    """The joint diffusion of whole rows.

    Parameters
    ----------
    model : JointDiffusion
    name : str
    """

    model: JointDiffusion = field(default_factory=JointDiffusion)
    name: str = "joint diffusion"

    def fit(self, frame: pd.DataFrame, roles: Roles, random_state: Seed = None) -> FittedRows:
        """Learn the joint law of the columns that have a role."""
        columns = list(roles.columns)
        return FittedRows(self.model.fit(frame, columns, random_state), roles)


@dataclass(frozen=True, eq=False)
class FittedRows:
    """A fitted joint diffusion with roles."""

    joint: FittedJoint
    roles: Roles

    def sample(self, n: int, random_state: Seed = None) -> pd.DataFrame:
        """Whole rows."""
        rows: pd.DataFrame = self.joint.sample(n, random_state)
        return rows.drop(columns=SYNTHETIC_MARKER)

    def interventional(
        self, rows: pd.DataFrame, treatment: Any, n_samples: int, random_state: Seed = None
    ) -> Array:
        """Draws of the outcome given covariates and treatment, shape (n, n_samples).

        They are draws under do(treatment) where nothing but the covariates confounds.
        """
        check_interventional(self.roles, rows)
        given = rows.loc[:, list(self.roles.covariates)].reset_index(drop=True)
        values = treatment if isinstance(treatment, tuple) else (treatment,)
        for name, value in zip(self.roles.treatments, values, strict=True):
            given[name] = value
        drawn = self.joint.sample_given(given, n_samples, random_state)
        return np.asarray(drawn[self.roles.outcome], dtype=float).reshape(len(rows), n_samples)


@dataclass(frozen=True)
class Bootstrap:
    """Rows drawn from the training rows with replacement."""

    name: str = "bootstrap"

    def fit(self, frame: pd.DataFrame, roles: Roles, random_state: Seed = None) -> FittedBootstrap:
        """Keep the rows."""
        return FittedBootstrap(frame.loc[:, list(roles.columns)])


@dataclass(frozen=True, eq=False)
class FittedBootstrap:
    """The rows to draw from."""

    frame: pd.DataFrame

    def sample(self, n: int, random_state: Seed = None) -> pd.DataFrame:
        """Rows with replacement."""
        rng = stream(random_state, "bootstrap")
        return self.frame.iloc[rng.integers(len(self.frame), size=n)].reset_index(drop=True)


# ------------------------------------------------------------------- one variable after another


@dataclass(frozen=True)
class ConditionalGenerator:
    """Covariates, treatment and outcome in turn.

    Parameters
    ----------
    model : PotentialOutcomeModel
        The law of the outcome given covariates and treatment.
    probability : ProbabilityMix
        The law of a binary treatment, of each arm, or of the instrument.
    name : str
    """

    model: PotentialOutcomeModel = field(default_factory=PotentialOutcomeModel)
    probability: ProbabilityMix = field(
        default_factory=lambda: ProbabilityMix(sparse_penalties=SPARSE_PENALTIES)
    )
    name: str = "conditional diffusion"

    def fit(
        self, frame: pd.DataFrame, roles: Roles, random_state: Seed = None
    ) -> FittedConditional:
        """Learn each law given what comes before it.

        Raises
        ------
        DataError
            If the treatment is a dose, for which there is no propensity model here.
        """
        if roles.treatment_kind == "dose":
            raise DataError("the treatment is a dose", "a binary treatment, arms or factors",
                            "The joint diffusion generates doses.")  # fmt: skip
        root = seed_sequence(random_state)
        before = roles.covariates + ((roles.instrument,) if roles.instrument else ())
        data = replace(roles, covariates=before, instrument=None).data(frame)
        law = self.model.fit(data, seed_sequence(root, "outcome"))
        instrument = treatment = None
        if roles.instrument:
            x = CausalData(frame, roles.instrument, roles.outcome, roles.covariates)
            instrument = ArmChoice.fit(self.probability, x, seed_sequence(root, "instrument"))
        if roles.treatment_kind != "factors":
            treatment = ArmChoice.fit(self.probability, data, seed_sequence(root, "treatment"))
        rows = frame.loc[:, list(roles.columns)].reset_index(drop=True)
        return FittedConditional(rows, roles, law, treatment, instrument)


@dataclass(frozen=True, eq=False)
class ArmChoice:
    """P(label | columns) for the labels of one column, and draws from it."""

    labels: tuple[Any, ...]
    columns: tuple[Any, ...]
    mixes: tuple[FittedProbabilityMix, ...]

    @classmethod
    def fit(cls, settings: ProbabilityMix, data: CausalData, random_state: Seed) -> ArmChoice:
        """One probability an arm; of two arms the second alone."""
        arms = range(1, 2) if len(data.arms) == 2 else range(len(data.arms))
        mixes = []
        for arm in arms:
            labels = (data.treatment == arm).astype(np.int64)
            seed = integer_seed(random_state, arm)
            mixes.append(settings.fit(data.covariates, labels, None, seed))
        return cls(data.arms, data.covariates.columns, tuple(mixes))

    def probability(self, rows: pd.DataFrame) -> Array:
        """Probabilities of the labels, shape (n, A)."""
        covariates = read_covariates(rows, self.columns)
        p = np.column_stack([mix.predict(covariates) for mix in self.mixes])
        return both_arms(p[:, 0]) if p.shape[1] == 1 else normalised(p)

    def fill(self, rows: pd.DataFrame, name: str, rng: np.random.Generator) -> None:
        """Draw a label for each row, in place of the column ``name``."""
        cuts = np.cumsum(self.probability(rows), axis=1)[:, :-1]
        codes = (rng.random((len(rows), 1)) > cuts).sum(axis=1)
        rows[name] = pd.Series(np.asarray(self.labels)[codes]).astype(rows[name].dtype)


@dataclass(frozen=True, eq=False)
class FittedConditional:
    """The fitted laws, and the training rows whose covariates are drawn again."""

    rows: pd.DataFrame
    roles: Roles
    law: PotentialOutcomeLaw
    treatment: ArmChoice | None
    instrument: ArmChoice | None

    def sample(self, n: int, random_state: Seed = None) -> pd.DataFrame:
        """Whole rows."""
        root = seed_sequence(random_state)
        source = stream(root, "covariates").integers(len(self.rows), size=n)
        out = self.rows.iloc[source].reset_index(drop=True)
        if self.instrument is not None:
            self.instrument.fill(out, str(self.roles.instrument), stream(root, "instrument"))
        if self.treatment is not None:
            self.treatment.fill(out, self.roles.treatments[0], stream(root, "treatment"))
        out[self.roles.outcome] = self._outcomes(out, stream(root, "outcome"))
        return out

    def interventional(
        self, rows: pd.DataFrame, treatment: Any, n_samples: int, random_state: Seed = None
    ) -> Array:
        """Draws of the outcome given covariates and treatment, shape (n, n_samples)."""
        check_interventional(self.roles, rows)
        return self.law.sample(rows, treatment, n_samples, random_state, n_nodes=64)

    def _outcomes(self, rows: pd.DataFrame, rng: np.random.Generator) -> Array:
        """One outcome a row; laws are read once for rows that agree in all that they depend on."""
        names = [c.name for c in self.law.columns]
        treatments = self.roles.treatments
        by = treatments[0] if len(treatments) == 1 else list(treatments)
        drawn, u = np.empty(len(rows)), rng.random(len(rows))
        for value, own in rows.groupby(by, sort=True).indices.items():
            here = rows.iloc[own]
            group = here.groupby(names, sort=False, dropna=False).ngroup().to_numpy()
            first = np.unique(group, return_index=True)[1]
            law: RowLaw = self.law.predictive(here.iloc[first], value, N_NODES)
            drawn[own] = law.rows(group).inverse(u[own, None])[:, 0]
        return drawn


GENERATORS: Mapping[str, Callable[[], Generator]] = MappingProxyType(
    {
        "joint": JointGenerator,
        "conditional": ConditionalGenerator,
        "end-to-end": lambda: ConditionalGenerator(
            PotentialOutcomeModel(location="none"), name="end-to-end diffusion"
        ),
        "bootstrap": Bootstrap,
    }
)
"""Generators of this package by the name of the command line."""


def generator_by_name(name: str) -> Generator:
    """The generator called ``name``.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    if name not in GENERATORS:
        raise DataError(f"there is no generator '{name}'", " or ".join(GENERATORS))
    return GENERATORS[name]()
