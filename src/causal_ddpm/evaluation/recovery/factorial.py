"""Sections of a factorial experiment: its 0/1 coefficients, estimated again on generated rows.

    y on the products of the factors (0/1), up to all of them; of main effects alone where only a
    fraction of the cells is run, since higher products are aliased there

Factors are assigned at random, so these coefficients are simple effects.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pandas as pd

from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.core.random import seed_sequence
from causal_ddpm.dgp.factorial_designs import SIMPLE
from causal_ddpm.evaluation.recovery.coefficients import Equation, coefficient_section
from causal_ddpm.evaluation.recovery.confounded import MANY
from causal_ddpm.evaluation.recovery.distance import distance_section
from causal_ddpm.evaluation.recovery.generator import Roles
from causal_ddpm.evaluation.recovery.report import Section
from causal_ddpm.evaluation.recovery.trial import Trial


def factorial_roles(data: FactorialData) -> Roles:
    """Roles of the columns of a factorial experiment."""
    return Roles(
        tuple(data.factors), data.outcome_name, tuple(data.covariates.names),
        treatment_kind="factors",
    )  # fmt: skip


def factorial_sections(trial: Trial) -> tuple[Section, ...]:
    """Coefficients and distances."""
    roles, design = trial.roles, trial.design
    population = design.draw(MANY, seed_sequence(trial.root, "population")).frame
    order = len(roles.treatments) if getattr(design, "resolution", None) is None else 1
    known = design.truth().population if order > 1 else {}
    equation = Equation(
        "",
        lambda f: f[roles.outcome].to_numpy(float),
        _products(roles.treatments, order),
        known={k.removesuffix(SIMPLE): v for k, v in known.items() if k.endswith(SIMPLE)},
    )
    return (
        coefficient_section((equation,), trial.real, trial.generated, population),
        distance_section(
            trial.generated, trial.many, trial.replicates(), roles.outcome, trial.root
        ),
    )


def _products(factors: tuple[str, ...], order: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Products of up to ``order`` factors, named a, b, a:b, ..."""

    def columns(frame: pd.DataFrame) -> pd.DataFrame:
        terms: dict[str, Any] = {}
        for size in range(1, order + 1):
            for chosen in combinations(factors, size):
                product = frame.loc[:, list(chosen)].astype(float).prod(axis=1)
                terms[":".join(chosen)] = product.to_numpy()
        return pd.DataFrame(terms)

    return columns
