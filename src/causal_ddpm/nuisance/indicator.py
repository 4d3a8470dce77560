"""The probability of an event such as Y = c, given x and the arm.

    P(Y = c | x, a) = v p_stack(x, a) + (1 - v) p_likelihood(x, a)

p_stack is the location stack fitted to the indicator 1{Y = c}, a regression under squared loss with
the same diverse learners for every arm; p_likelihood is the propensity's mix of a logistic
regression and boosted trees (``nuisance.propensity``), with the arm as a covariate, under
likelihood. Both are cross-fitted over the same folds; the weights of the stack and v are chosen on
held-out rows and shared by all folds. The stack is stronger where arms differ, the likelihood where
probabilities come close to 0 and 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.random import Seed, integer_seed, seed_sequence
from causal_ddpm.nuisance.arms import FittedContrasts
from causal_ddpm.nuisance.location import (
    Sample,
    cross_fit_members,
    fit_location,
    held_out_weights,
)
from causal_ddpm.nuisance.propensity import FittedProbabilityMix, ProbabilityMix
from causal_ddpm.nuisance.stack import FittedStack, LocationStack

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

BOUND = 1e-3
"""Probabilities are kept this far from 0 and 1: an unseen event is not impossible."""

_SHARES = np.linspace(0.0, 1.0, 11)


@dataclass(frozen=True, eq=False)
class CrossFittedIndicator:
    """Out-of-fold probability of an event.

    Parameters
    ----------
    probability : ndarray, shape (n, A)
    weights : tuple of float
        Stack weights.
    share : float
        v, the share of the stack.
    """

    probability: Array
    weights: tuple[float, ...]
    share: float

    def report(self, stack: LocationStack) -> Mapping[str, Any]:
        """JSON-ready account."""
        return {
            "stack_weights": dict(zip(stack.names, self.weights, strict=True)),
            "share_of_stack": self.share,
        }


@dataclass(frozen=True, eq=False)
class FittedIndicator:
    """Probability of an event for new rows."""

    stack: FittedStack | FittedContrasts
    weights: tuple[float, ...]
    mix: FittedProbabilityMix
    share: float
    n_arms: int

    def probability(self, covariates: Covariates, arm: int) -> Array:
        """P(event | x, arm), shape (n,)."""
        members = self.stack.predict(covariates)[:, arm] @ np.asarray(self.weights)
        likely = _mix_under(self.mix, covariates, arm, self.n_arms)
        return _combined(members, likely, self.share)


def cross_fit_indicator(
    stack: LocationStack,
    sample: Sample,
    event: NDArray[np.bool_],
    random_state: Seed,
    n_jobs: int = 1,
) -> CrossFittedIndicator:
    """Learn P(event | x, a) without each fold and read that fold; all rows train.

    Parameters
    ----------
    stack : LocationStack
    sample : Sample
    event : ndarray of bool, shape (n,)
    random_state, n_jobs
        As everywhere.
    """
    indicator = _indicator_sample(sample, event)
    members = cross_fit_members(stack, indicator, random_state, n_jobs, pairs=False)
    weights = held_out_weights(members, indicator)
    jobs = [
        (indicator, k, integer_seed(random_state, "likelihood", k)) for k in range(sample.n_folds)
    ]
    likely = np.empty((len(event), sample.n_arms))
    for rows, read in run_jobs(_read_mix, jobs, n_jobs):
        likely[rows] = read
    stacked = members.held_out @ weights
    share = _choose_share(indicator, stacked, likely)
    probability = _combined(stacked, likely, share)
    return CrossFittedIndicator(probability, tuple(map(float, weights)), share)


def refit_indicator(
    stack: LocationStack,
    sample: Sample,
    event: NDArray[np.bool_],
    fitted: CrossFittedIndicator,
    random_state: Seed,
) -> FittedIndicator:
    """The probability for new rows: both parts are fitted once more, on all rows."""
    indicator = _indicator_sample(sample, event)
    everything = np.arange(len(event))
    seed = seed_sequence(random_state, "indicator")
    return FittedIndicator(
        fit_location(stack, indicator, everything, integer_seed(seed, "stack")),
        fitted.weights,
        _fit_mix(indicator, everything, integer_seed(seed, "likelihood")),
        fitted.share,
        sample.n_arms,
    )


def _indicator_sample(sample: Sample, event: NDArray[np.bool_]) -> Sample:
    everyone = np.ones(len(event), dtype=bool)
    return replace(sample, outcome=event.astype(float), fit_rows=everyone)


def _fit_mix(sample: Sample, rows: Rows, seed: int) -> FittedProbabilityMix:
    return ProbabilityMix().fit(
        sample.covariates.rows(rows),
        sample.outcome[rows].astype(np.int64),
        sample.row_weights(rows),
        seed,
        extra=_arm_columns(sample.arm[rows], sample.n_arms),
    )


def _read_mix(sample: Sample, fold: int, seed: int) -> tuple[Rows, Array]:
    fitted = _fit_mix(sample, sample.training_rows(fold), seed)
    rows = np.flatnonzero(sample.fold_ids == fold)
    here = sample.covariates.rows(rows)
    read = [_mix_under(fitted, here, a, sample.n_arms) for a in range(sample.n_arms)]
    return rows, np.column_stack(read)


def _mix_under(
    fitted: FittedProbabilityMix, covariates: Covariates, arm: int, n_arms: int
) -> Array:
    return fitted.predict(covariates, _arm_columns(np.full(len(covariates), arm), n_arms))


def _arm_columns(arm: NDArray[np.int64], n_arms: int) -> Array:
    """An indicator of each arm but the first, shape (n, A - 1)."""
    return (arm[:, None] == np.arange(1, n_arms)).astype(float)


def _choose_share(indicator: Sample, stacked: Array, likely: Array) -> float:
    """The share of the stack with the best held-out likelihood."""
    event = indicator.outcome == 1
    losses = []
    for share in _SHARES:
        p = indicator.factual(_combined(stacked, likely, float(share)))
        losses.append(np.average(-np.log(np.where(event, p, 1 - p)), weights=indicator.weights))
    return float(_SHARES[int(np.argmin(losses))])


def _combined(stacked: Array, likely: Array, share: float) -> Array:
    return np.clip(share * np.clip(stacked, 0, 1) + (1 - share) * likely, BOUND, 1 - BOUND)
