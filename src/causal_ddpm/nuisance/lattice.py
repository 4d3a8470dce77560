"""Counts and ordered levels: the diffusion of the outcome with uniform noise, read by rounding.

    position k of Y: the number itself (count), or 0 .. K - 1 (ordinal)
    w = k + U,  U ~ uniform(-1/2, 1/2),     so that  round(w) = k

The location is learnt from k itself; the scale and the diffusion see w, which has a density. The
law of w given (x, a) is that of a continuous outcome, kept within [low - 1/2, high + 1/2], and
rounding carries it back: nothing is lost, no value outside the support can come out, and zeros that
are more frequent than any Poisson law has them need no part of their own. (Theis, van den Oord and
Bethge 2016 on uniform dequantisation.) U comes from its own random stream: the same noise whatever
``n_jobs``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.discrete import DiscreteLaw, LatticeLaw
from causal_ddpm.core.distribution import ConditionalLaw
from causal_ddpm.core.outcome import Outcome
from causal_ddpm.core.progress import Progress
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.nuisance.continuous import (
    ContinuousSettings,
    CrossFittedContinuous,
    FittedContinuous,
    Support,
    cross_fit_continuous,
    refit_continuous,
)
from causal_ddpm.nuisance.location import Sample

Array = NDArray[np.float64]

_FEWEST_NODES = 64
"""A law read by rounding needs nodes finer than its steps."""


@dataclass(frozen=True, eq=False)
class FittedLattice:
    """The law for new rows; ``values`` are the levels of an ordinal outcome, else empty."""

    continuous: FittedContinuous
    values: tuple[float, ...]

    def law(self, covariates: Covariates, arm: int, n_nodes: int) -> LatticeLaw | DiscreteLaw:
        """Law of Y(arm) for each row."""
        nodes = self.continuous.nodes(covariates, arm, max(n_nodes, _FEWEST_NODES))
        return _law(nodes, self.values)


@dataclass(frozen=True, eq=False)
class CrossFittedLattice:
    """Out-of-fold reading: the sample in positions, and the law of positions with their noise."""

    sample: Sample
    values: tuple[float, ...]
    continuous: CrossFittedContinuous
    report: Mapping[str, Any]

    def law(self, arm: int) -> LatticeLaw | DiscreteLaw:
        """Out-of-fold law of Y(arm)."""
        return _law(self.continuous.nodes[arm], self.values)


def cross_fit_lattice(
    settings: ContinuousSettings,
    sample: Sample,
    outcome: Outcome,
    random_state: Seed,
    n_jobs: int,
    progress: Progress,
) -> CrossFittedLattice:
    """Learn the law of a count or an ordinal outcome without each fold, and read that fold."""
    position = sample.outcome
    if outcome.values:
        position = np.searchsorted(outcome.values, sample.outcome).astype(float)
    noise = stream(random_state, "dequantisation").uniform(-0.5, 0.5, size=len(position))
    positions = replace(sample, outcome=position, noise=noise)
    n_nodes = settings.n_nodes or max(_FEWEST_NODES, settings.nodes_for(len(position)))
    finer = replace(settings, n_nodes=n_nodes)
    support = Support(*_range(outcome.values))
    continuous = cross_fit_continuous(finer, positions, support, random_state, n_jobs, progress)
    return CrossFittedLattice(positions, outcome.values, continuous, dict(continuous.report))


def refit_lattice(
    settings: ContinuousSettings, parts: CrossFittedLattice, random_state: Seed
) -> FittedLattice:
    """The law for new rows."""
    seed, support = seed_sequence(random_state, "refit"), Support(*_range(parts.values))
    fitted = refit_continuous(settings, parts.sample, parts.continuous, support, seed)
    return FittedLattice(fitted, parts.values)


def _range(values: tuple[float, ...]) -> tuple[float, float]:
    """Range of the noised positions."""
    return -0.5, len(values) - 0.5 if values else np.inf


def _law(nodes: Array, values: tuple[float, ...]) -> LatticeLaw | DiscreteLaw:
    low, high = _range(values)
    law = LatticeLaw(ConditionalLaw(nodes, support=(low, high)), low + 0.5, high - 0.5)
    return DiscreteLaw(np.asarray(values), law.table(len(values))) if values else law
