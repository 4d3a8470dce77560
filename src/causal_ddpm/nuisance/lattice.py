"""Counts and positions of levels: the diffusion of them with uniform noise, rounded.

    position k of Y: the number itself (count), or 0 .. K - 1 (ordered levels)
    w = k + U,  U ~ uniform(-1/2, 1/2),     so that  round(w) = k

The location is learnt from k itself; the scale and the diffusion see w, which has a density. The
law of w given (x, a) is that of a continuous outcome, kept within [low - 1/2, high + 1/2], and
rounding carries it back: nothing is lost, and no value outside the support can come out. (Theis,
van den Oord and Bethge 2016 on uniform dequantisation.) U comes from its own random stream: the
same noise whatever ``n_jobs``.

**Zeros apart.** A smooth law cannot follow a peak with a gap beside it: where zeros stand apart
(``core.outcome.zeros_apart``), their probability is learnt as that of an event
(``nuisance.indicator``) and the rows above zero alone make the rest:

    P(Y = 0 | x, a) = p_a(x),     Y | Y > 0, x, a  by the diffusion above, from 1 on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.discrete import LatticeLaw
from causal_ddpm.core.distribution import ConditionalLaw
from causal_ddpm.core.outcome import zeros_apart
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
from causal_ddpm.nuisance.indicator import (
    CrossFittedIndicator,
    FittedIndicator,
    cross_fit_indicator,
    refit_indicator,
)
from causal_ddpm.nuisance.location import Sample
from causal_ddpm.nuisance.stack import LocationStack

Array = NDArray[np.float64]

_ROWS_ABOVE = 4
"""Rows above zero that an arm needs for each fold, if zeros are to stand apart."""

_FEWEST_NODES = 64
"""A law read by rounding needs nodes finer than its steps."""


@dataclass(frozen=True, eq=False)
class FittedLattice:
    """The law for new rows.

    Parameters
    ----------
    continuous : FittedContinuous
    n_levels : int
        K, or 0 for a count.
    zero : FittedIndicator or None
        Probability of zero, where zeros stand apart.
    """

    continuous: FittedContinuous
    n_levels: int
    zero: FittedIndicator | None

    def law(self, covariates: Covariates, arm: int, n_nodes: int) -> LatticeLaw:
        """Law of the position under an arm for each row."""
        nodes = self.continuous.nodes(covariates, arm, max(n_nodes, _FEWEST_NODES))
        zero = None if self.zero is None else self.zero.probability(covariates, arm)
        return _law(nodes, self.n_levels, zero)


@dataclass(frozen=True, eq=False)
class CrossFittedLattice:
    """Out-of-fold reading: the sample in positions, and the law of positions with their noise."""

    sample: Sample
    n_levels: int
    continuous: CrossFittedContinuous
    zero: CrossFittedIndicator | None
    report: Mapping[str, Any]

    def law(self, arm: int) -> LatticeLaw:
        """Out-of-fold law of the position under an arm."""
        zero = None if self.zero is None else self.zero.probability[:, arm]
        return _law(self.continuous.nodes[arm], self.n_levels, zero)


def cross_fit_lattice(
    settings: ContinuousSettings,
    stack: LocationStack,
    sample: Sample,
    n_levels: int,
    random_state: Seed,
    n_jobs: int,
    progress: Progress,
) -> CrossFittedLattice:
    """Learn the law of positions without each fold, and read that fold.

    Parameters
    ----------
    settings : ContinuousSettings
    stack : LocationStack
        For the probability of zero, where zeros stand apart.
    sample : Sample
        Its outcome are positions.
    n_levels : int
        K, or 0 for a count.
    random_state, n_jobs, progress
        As everywhere.
    """
    position = sample.outcome
    noise = stream(random_state, "dequantisation").uniform(-0.5, 0.5, size=len(position))
    positions = replace(sample, noise=noise)
    zero: CrossFittedIndicator | None = None
    account: dict[str, Any] = {}
    if not n_levels and _zeros_apart(sample):
        seed = seed_sequence(random_state, "zero")
        zero = cross_fit_indicator(stack, sample, position == 0, seed, n_jobs)
        account["zeros apart"] = zero.report(stack)
        positions = replace(positions, fit_rows=position > 0)
    n_nodes = settings.n_nodes or max(_FEWEST_NODES, settings.nodes_for(len(position)))
    finer = replace(settings, n_nodes=n_nodes)
    support = Support(*_range(n_levels, zero is not None))
    continuous = cross_fit_continuous(finer, positions, support, random_state, n_jobs, progress)
    account.update(continuous.report)
    return CrossFittedLattice(positions, n_levels, continuous, zero, account)


def refit_lattice(
    settings: ContinuousSettings,
    stack: LocationStack,
    parts: CrossFittedLattice,
    random_state: Seed,
) -> FittedLattice:
    """The law for new rows."""
    seed, sample = seed_sequence(random_state, "refit"), parts.sample
    support = Support(*_range(parts.n_levels, parts.zero is not None))
    fitted = refit_continuous(settings, sample, parts.continuous, support, seed)
    zero = None
    if parts.zero is not None:
        zero = refit_indicator(stack, sample, sample.outcome == 0, parts.zero, seed)
    return FittedLattice(fitted, parts.n_levels, zero)


def _zeros_apart(sample: Sample) -> bool:
    """Whether zeros stand apart, and enough rows above them are left in every arm."""
    left = np.bincount(sample.arm[sample.outcome > 0], minlength=sample.n_arms).min()
    return bool(left >= _ROWS_ABOVE * sample.n_folds) and zeros_apart(
        sample.outcome, sample.weights
    )


def _range(n_levels: int, zeros_apart: bool) -> tuple[float, float]:
    """Range of the noised positions that the diffusion learns."""
    return 0.5 if zeros_apart else -0.5, n_levels - 0.5 if n_levels else np.inf


def _law(nodes: Array, n_levels: int, zero: Array | None) -> LatticeLaw:
    support = _range(n_levels, zero is not None)
    atom = None if zero is None else 0.0
    return LatticeLaw(ConditionalLaw(nodes, atom, zero, support), 0.0, support[1] - 0.5)
