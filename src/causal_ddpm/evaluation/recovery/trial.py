"""One trial of a generator: what it learnt from, what it made, and fresh draws beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.random import seed_sequence
from causal_ddpm.evaluation.recovery.functions import Bench
from causal_ddpm.evaluation.recovery.generator import FittedGenerator, Interventional, Roles
from causal_ddpm.evaluation.recovery.known import LEVELS, Comparison, TrueRows
from causal_ddpm.evaluation.recovery.reading import Reading, read

Array = NDArray[np.float64]

N_POINTS = 300
"""Covariate rows at which functions are compared."""

N_DRAWS = 64
"""Draws of the outcome under a treatment that is set, at each point."""


@dataclass(frozen=True, eq=False)
class Trial:
    """Everything that the sections of a design are made of.

    Parameters
    ----------
    design : Any
    roles : Roles
    fitted : FittedGenerator
    real, generated : DataFrame
        The draw that was learnt from, and generated rows; columns with a role.
    many : DataFrame
        As many rows of the true process as were generated.
    n_replicates : int
        Fresh draws for the allowances.
    root : SeedSequence
    """

    design: Any
    roles: Roles
    fitted: FittedGenerator
    real: pd.DataFrame
    generated: pd.DataFrame
    many: pd.DataFrame
    n_replicates: int
    root: np.random.SeedSequence

    def fresh(self, k: int) -> np.random.SeedSequence:
        """Seed of the k-th fresh draw."""
        return seed_sequence(self.root, "replicate", k)

    @property
    def many_seed(self) -> np.random.SeedSequence:
        """Seed of the draw of many rows."""
        return seed_sequence(self.root, "many")

    def replicates(self) -> tuple[pd.DataFrame, ...]:
        """Fresh draws of n rows; columns with a role."""
        n, columns = len(self.real), list(self.roles.columns)
        return tuple(
            self.design.draw(n, self.fresh(k)).frame.loc[:, columns]
            for k in range(self.n_replicates)
        )


@dataclass(frozen=True, eq=False)
class Read:
    """A comparison with everything read that its sections need.

    Parameters
    ----------
    bench : Bench
    real : Reading
        Of the draw that was learnt from.
    reference : tuple of Reading and DataFrame
        Of as many true rows as were generated.
    replicates : tuple of TrueRows
        Fresh draws of n rows.
    """

    bench: Bench
    real: Reading
    reference: tuple[Reading, pd.DataFrame]
    replicates: tuple[TrueRows, ...]


def read_comparison(trial: Trial, comparison: Comparison, set_treatment: bool = True) -> Read:
    """Analyse generated rows, the real draw and fresh draws in the same way.

    Parameters
    ----------
    trial : Trial
    comparison : Comparison
    set_treatment : bool
        Whether a generator that can set the treatment is asked for its functions directly; not
        where covariates leave the treatment confounded.
    """
    many = comparison.draw(len(trial.generated), trial.many_seed)
    points = many.head(N_POINTS)
    x = comparison.encoding.matrix(points.frame)
    quantiles = comparison.law is not None

    def reading(frame: pd.DataFrame, name: str, k: int = 0, q: bool = quantiles) -> Reading:
        return read(frame, comparison, x, seed_sequence(trial.root, "reading", name, k), q)

    replicates = tuple(
        comparison.draw(len(trial.real), trial.fresh(k)) for k in range(trial.n_replicates)
    )
    generated = reading(trial.generated, "generated")
    if set_treatment and isinstance(trial.fitted, Interventional):
        generated = _asked(generated, trial, comparison, points.frame)
    bench = Bench(
        comparison, points, float(comparison.outcome(many.frame).std()), generated,
        tuple(reading(rows.frame, "replicate", k) for k, rows in enumerate(replicates)), many,
    )  # fmt: skip
    reference = (reading(many.frame, "reference", q=False), many.frame)
    return Read(bench, reading(trial.real, "real", q=False), reference, replicates)


def _asked(reading: Reading, trial: Trial, comparison: Comparison, rows: pd.DataFrame) -> Reading:
    """The same reading with functions of the generator's own draws under each arm."""
    setter: Callable[..., Array] = trial.fitted.interventional  # type: ignore[attr-defined]
    draws = [
        setter(rows, label, N_DRAWS, seed_sequence(trial.root, "set", a))
        for a, label in enumerate(comparison.labels)
    ]
    mean = np.column_stack([d.mean(axis=1) for d in draws])
    quantiles = np.stack([np.quantile(d, LEVELS, axis=1).T for d in draws], axis=1)
    return replace(reading, mean_at=mean, quantiles_at=quantiles)
