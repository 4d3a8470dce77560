"""Outcomes of two values, or of levels without an order: a table of probabilities.

    P(Y = c_k | x, a) = p_k(x, a) / sum_l p_l(x, a)

with p_k the probability of 1{Y = c_k} (``nuisance.indicator``), each learnt by itself. Two values
need one of them, the other has the rest. Nothing is diffused: a table has no shape beyond its
probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.discrete import DiscreteLaw
from causal_ddpm.core.outcome import Outcome
from causal_ddpm.core.progress import Progress
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.nuisance.indicator import (
    CrossFittedIndicator,
    FittedIndicator,
    cross_fit_indicator,
    refit_indicator,
)
from causal_ddpm.nuisance.location import Sample
from causal_ddpm.nuisance.stack import LocationStack

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FittedLevels:
    """Probabilities of the levels for new rows."""

    values: tuple[float, ...]
    ordered: bool
    indicators: tuple[FittedIndicator, ...]

    def law(self, covariates: Covariates, arm: int, n_nodes: int) -> DiscreteLaw:
        """Law of Y(arm) for each row (``n_nodes`` is for laws that have nodes)."""
        raw = [indicator.probability(covariates, arm) for indicator in self.indicators]
        return _law(self.values, self.ordered, raw)


@dataclass(frozen=True, eq=False)
class CrossFittedLevels:
    """Out-of-fold probabilities of the levels.

    Parameters
    ----------
    sample : Sample
    outcome : Outcome
    indicators : tuple of CrossFittedIndicator
        One a level; for two values that of the larger one.
    report : mapping
        JSON-ready account of the fit.
    """

    sample: Sample
    outcome: Outcome
    indicators: tuple[CrossFittedIndicator, ...]
    report: Mapping[str, Any]

    def law(self, arm: int) -> DiscreteLaw:
        """Out-of-fold law of Y(arm)."""
        raw = [indicator.probability[:, arm] for indicator in self.indicators]
        return _law(self.outcome.values, self.outcome.kind != "categorical", raw)


def cross_fit_levels(
    stack: LocationStack,
    sample: Sample,
    outcome: Outcome,
    random_state: Seed,
    n_jobs: int,
    progress: Progress,
) -> CrossFittedLevels:
    """Learn the probability of each level without each fold, and read that fold."""
    learnt, indicators = _learnt_values(outcome), []
    for done, value in enumerate(learnt):
        progress("outcome model: probability of each level", 0.9 * done / len(learnt))
        seed = seed_sequence(random_state, "level", done)
        event = sample.outcome == value
        indicators.append(cross_fit_indicator(stack, sample, event, seed, n_jobs))
    names = outcome.labels or tuple(f"{v:g}" for v in outcome.values)
    shown = names[-len(learnt) :]
    report = {
        "levels": {
            name: indicator.report(stack) for name, indicator in zip(shown, indicators, strict=True)
        }
    }
    return CrossFittedLevels(sample, outcome, tuple(indicators), report)


def refit_levels(
    stack: LocationStack, parts: CrossFittedLevels, random_state: Seed
) -> FittedLevels:
    """The probabilities for new rows."""
    fitted = []
    learnt = zip(_learnt_values(parts.outcome), parts.indicators, strict=True)
    for k, (value, indicator) in enumerate(learnt):
        event = parts.sample.outcome == value
        seed = seed_sequence(random_state, "level", k)
        fitted.append(refit_indicator(stack, parts.sample, event, indicator, seed))
    return FittedLevels(parts.outcome.values, parts.outcome.kind != "categorical", tuple(fitted))


def _learnt_values(outcome: Outcome) -> tuple[float, ...]:
    """Values whose indicator is learnt: the larger of two, or all."""
    return outcome.values[1:] if len(outcome.values) == 2 else outcome.values


def _law(values: tuple[float, ...], ordered: bool, raw: list[Array]) -> DiscreteLaw:
    table = np.column_stack([1 - raw[0], raw[0]] if len(raw) == 1 else raw)
    return DiscreteLaw(np.asarray(values), table / table.sum(axis=1, keepdims=True), ordered)
