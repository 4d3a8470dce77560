"""Ordered levels: two readings of their probabilities, mixed.

    P(Y = c_k | x, a) = v P_diffusion(k) + (1 - v) P_steps(k),    P_steps(k) = S_k - S_(k-1)

P_diffusion is the noised position, diffused and rounded (``nuisance.lattice``); S_k is the
probability of the event Y <= c_k, each learnt by itself (``nuisance.indicator``), raised to the
largest below it so that no step falls. v is chosen on held-out likelihood and shared by all folds.
The two err differently, as a smooth law and a set of separate regressions do. With more than
``MOST_STEPS`` events the diffusion stands alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.discrete import DiscreteLaw
from causal_ddpm.core.outcome import Outcome
from causal_ddpm.core.progress import Progress
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.nuisance.continuous import ContinuousSettings, FittedContinuous
from causal_ddpm.nuisance.indicator import (
    CrossFittedIndicator,
    FittedIndicator,
    cross_fit_indicator,
    refit_indicator,
)
from causal_ddpm.nuisance.lattice import (
    CrossFittedLattice,
    FittedLattice,
    cross_fit_lattice,
    refit_lattice,
)
from causal_ddpm.nuisance.location import Sample
from causal_ddpm.nuisance.stack import LocationStack

Array = NDArray[np.float64]

MOST_STEPS = 10
"""So many events at most are learnt one by one."""

_SHARES = np.linspace(0.0, 1.0, 11)
_LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class FittedRatings:
    """Probabilities of the levels for new rows; ``share`` is v."""

    lattice: FittedLattice
    values: tuple[float, ...]
    steps: tuple[FittedIndicator, ...]
    share: float

    @property
    def continuous(self) -> FittedContinuous:
        """The diffusion of the noised position."""
        return self.lattice.continuous

    def law(self, covariates: Covariates, arm: int, n_nodes: int) -> DiscreteLaw:
        """Law of Y(arm) for each row."""
        diffused = self.lattice.law(covariates, arm, n_nodes).table(len(self.values))
        steps = [step.probability(covariates, arm) for step in self.steps]
        return _law(self.values, diffused, steps, self.share)


@dataclass(frozen=True, eq=False)
class CrossFittedRatings:
    """Out-of-fold readings and their mix."""

    lattice: CrossFittedLattice
    values: tuple[float, ...]
    steps: tuple[CrossFittedIndicator, ...]
    share: float
    report: Mapping[str, Any]

    def law(self, arm: int) -> DiscreteLaw:
        """Out-of-fold law of Y(arm)."""
        diffused = self.lattice.law(arm).table(len(self.values))
        steps = [step.probability[:, arm] for step in self.steps]
        return _law(self.values, diffused, steps, self.share)


def cross_fit_ratings(
    settings: ContinuousSettings,
    stack: LocationStack,
    sample: Sample,
    outcome: Outcome,
    random_state: Seed,
    n_jobs: int,
    progress: Progress,
) -> CrossFittedRatings:
    """Learn both readings without each fold, and read that fold."""
    position = np.searchsorted(outcome.values, sample.outcome).astype(float)
    positions, n_levels = replace(sample, outcome=position), len(outcome.values)
    lattice = cross_fit_lattice(
        settings, stack, positions, n_levels, random_state, n_jobs, progress
    )
    steps = [
        cross_fit_indicator(stack, sample, position <= k, seed, n_jobs)
        for k, seed in _events(n_levels, random_state)
    ]
    share = _choose_share(lattice, steps) if steps else 1.0
    report = {**lattice.report, "share_of_diffusion": share}
    if steps:
        report["steps"] = [step.report(stack) for step in steps]
    return CrossFittedRatings(lattice, outcome.values, tuple(steps), share, report)


def refit_ratings(
    settings: ContinuousSettings,
    stack: LocationStack,
    parts: CrossFittedRatings,
    random_state: Seed,
) -> FittedRatings:
    """Both readings for new rows."""
    sample, events = parts.lattice.sample, _events(len(parts.values), random_state)
    steps = [
        refit_indicator(stack, sample, sample.outcome <= k, step, seed)
        for (k, seed), step in zip(events, parts.steps, strict=True)
    ]
    lattice = refit_lattice(settings, stack, parts.lattice, random_state)
    return FittedRatings(lattice, parts.values, tuple(steps), parts.share)


def _events(n_levels: int, random_state: Seed) -> list[tuple[int, Seed]]:
    """Positions k of the events Y <= c_k that are learnt, with their seeds."""
    if n_levels - 1 > MOST_STEPS:
        return []
    return [(k, seed_sequence(random_state, "step", k)) for k in range(n_levels - 1)]


def _choose_share(lattice: CrossFittedLattice, steps: Sequence[CrossFittedIndicator]) -> float:
    """v with the best held-out likelihood."""
    sample, n_levels = lattice.sample, lattice.n_levels
    own = np.arange(len(sample.arm)), sample.outcome.astype(np.int64)
    likely = np.empty((sample.n_arms, 2, len(sample.arm)))
    for a in range(sample.n_arms):
        table = _stepped([step.probability[:, a] for step in steps])
        likely[a] = lattice.law(a).table(n_levels)[own], table[own]
    diffused, stepped = sample.factual(np.moveaxis(likely, 2, 0)).T
    fit = [
        np.average(np.log(np.maximum(v * diffused + (1 - v) * stepped, _LEAST)),
                   weights=sample.weights)
        for v in _SHARES
    ]  # fmt: skip
    return float(_SHARES[int(np.argmax(fit))])


def _stepped(steps: list[Array]) -> Array:
    """Probabilities of the levels from those of Y <= c_k, shape (n, K)."""
    rising = np.maximum.accumulate(np.column_stack([*steps, np.ones(len(steps[0]))]), axis=1)
    return np.diff(rising, axis=1, prepend=0.0)


def _law(
    values: tuple[float, ...], diffused: Array, steps: list[Array], share: float
) -> DiscreteLaw:
    table = share * diffused + (1 - share) * _stepped(steps) if steps else diffused
    return DiscreteLaw(np.asarray(values), table)
