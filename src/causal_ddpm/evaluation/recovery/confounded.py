"""Sections of a design with arms whose confounders are all seen."""

from __future__ import annotations

import numpy as np
import pandas as pd

from causal_ddpm.core.random import seed_sequence
from causal_ddpm.evaluation.recovery.causal import counterfactual_section, effect_section
from causal_ddpm.evaluation.recovery.coefficients import coefficient_section, outcome_equation
from causal_ddpm.evaluation.recovery.distance import distance_section
from causal_ddpm.evaluation.recovery.functions import (
    assignment_section,
    mean_section,
    quantile_section,
)
from causal_ddpm.evaluation.recovery.known import Comparison, TrueRows, comparison_of
from causal_ddpm.evaluation.recovery.noise import NOISE, noise_section
from causal_ddpm.evaluation.recovery.report import Section
from causal_ddpm.evaluation.recovery.trial import Trial, read_comparison

MANY = 100_000
"""Rows behind population coefficients: their error is a small part of that of the real draw."""


def confounded_sections(trial: Trial) -> tuple[Section, ...]:
    """All sections, from coefficients to distances."""
    comparison = comparison_of(trial.design)
    found = read_comparison(trial, comparison)
    bench = found.bench
    equation = outcome_equation(trial.roles, comparison.encoding, comparison.labels)
    population = trial.design.draw(MANY, seed_sequence(trial.root, "population")).frame
    columns = list(trial.roles.columns)
    return (
        coefficient_section((equation,), trial.real, trial.generated, population),
        mean_section(bench),
        quantile_section(bench),
        noise_section(
            bench, trial.generated, found.reference,
            tuple(with_noise(comparison, rows) for rows in found.replicates),
        ),
        assignment_section(bench),
        counterfactual_section(bench),
        effect_section(bench, found.real),
        distance_section(
            trial.generated, trial.many, tuple(r.frame.loc[:, columns] for r in found.replicates),
            trial.roles.outcome, trial.root,
        ),
    )  # fmt: skip


def with_noise(comparison: Comparison, rows: TrueRows) -> pd.DataFrame:
    """The rows of a draw with the noise of each in a column of its own."""
    codes = comparison.codes(rows.frame)
    own = rows.mean[np.arange(len(codes)), codes]
    return rows.frame.assign(**{NOISE: comparison.outcome(rows.frame) - own})
