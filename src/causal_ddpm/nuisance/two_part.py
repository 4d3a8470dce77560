"""Cross-fitting and refitting of the two parts of an outcome law: atom and continuous part.

    Y | x, a  ~  p_a(x) delta_c + (1 - p_a(x)) L_a(x)

p_a is zero unless the outcome has an atom c, the most frequent value if its share exceeds 5 %
(``core.outcome``); it is the probability of the event Y = c (``nuisance.indicator``). L_a is learnt
from the rows off the atom (``nuisance.continuous``). Where those rows are constant or too few in
some arm, L_a is their empirical law, the same for all x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.distribution import ConditionalLaw
from causal_ddpm.core.outcome import find_atom
from causal_ddpm.core.progress import Progress
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.nuisance.continuous import (
    ContinuousSettings,
    CrossFittedContinuous,
    FittedContinuous,
    Support,
    cross_fit_continuous,
    empirical_nodes,
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

MIN_ROWS_OFF_ATOM = 4
"""An arm needs this many rows off the atom for each fold; with fewer, that part is not modelled."""


@dataclass(frozen=True, eq=False)
class EmpiricalPart:
    """A continuous part that does not depend on x: too few rows lie off the atom to model it."""

    values: Array

    @property
    def support(self) -> tuple[float, float]:
        """Range of the part."""
        return float(self.values[0]), float(self.values[-1])

    def nodes(self, covariates: Covariates, arm: int, n_nodes: int) -> Array:
        """The same nodes for every row and arm."""
        resampled = empirical_nodes(self.values, None, n_nodes)
        return np.broadcast_to(resampled, (len(covariates), n_nodes)).copy()


@dataclass(frozen=True, eq=False)
class FittedAtom:
    """Location c of the atom and its probability."""

    value: float
    indicator: FittedIndicator

    def probability(self, covariates: Covariates, arm: int) -> Array:
        """P(Y = c | x, arm), shape (n,)."""
        return self.indicator.probability(covariates, arm)


@dataclass(frozen=True, eq=False)
class FittedParts:
    """Both parts for new rows."""

    continuous: FittedContinuous | EmpiricalPart
    atom: FittedAtom | None

    def law(self, covariates: Covariates, arm: int, n_nodes: int) -> ConditionalLaw:
        """Law of Y(arm) for each row."""
        nodes = self.continuous.nodes(covariates, arm, n_nodes)
        if self.atom is None:
            return ConditionalLaw(nodes)
        probability = self.atom.probability(covariates, arm)
        return ConditionalLaw(nodes, self.atom.value, probability, self.continuous.support)


@dataclass(frozen=True)
class TwoPartSettings:
    """How both parts are learnt; ``stack`` is for the probability of the atom."""

    stack: LocationStack
    continuous: ContinuousSettings


@dataclass(frozen=True, eq=False)
class CrossFittedParts:
    """Out-of-fold reading of both parts.

    Parameters
    ----------
    sample : Sample
    atom : float or None
    indicator : CrossFittedIndicator or None
        Probability of the atom.
    continuous : CrossFittedContinuous, or ndarray of shape (A, n, Q)
        The array holds empirical nodes, where the continuous part is not modelled.
    report : mapping
        JSON-ready account of the fit.
    """

    sample: Sample
    atom: float | None
    indicator: CrossFittedIndicator | None
    continuous: CrossFittedContinuous | Array
    report: Mapping[str, Any]

    @property
    def nodes(self) -> Array:
        """Quantile nodes of the continuous part, shape (A, n, Q)."""
        if isinstance(self.continuous, CrossFittedContinuous):
            return self.continuous.nodes
        return self.continuous

    def law(self, arm: int) -> ConditionalLaw:
        """Out-of-fold law of Y(arm)."""
        if self.indicator is None:
            return ConditionalLaw(self.nodes[arm])
        groups = [self.sample.training_rows(k) for k in range(self.sample.n_folds)]
        ranges = [Support(observed=True).of(self.sample, rows) for rows in groups]
        low, high = np.asarray(ranges)[self.sample.fold_ids].T[:, :, None]
        probability = self.indicator.probability[:, arm]
        return ConditionalLaw(self.nodes[arm], self.atom, probability, (low, high))


def cross_fit_parts(
    settings: TwoPartSettings,
    sample: Sample,
    random_state: Seed,
    n_jobs: int,
    progress: Progress,
) -> CrossFittedParts:
    """Learn both parts without each fold, and read that fold.

    Parameters
    ----------
    settings : TwoPartSettings
    sample : Sample
        Rows with their folds; which of them lie on an atom is found here.
    random_state, n_jobs, progress
        As everywhere.
    """
    root = seed_sequence(random_state)
    atom = find_atom(sample.outcome, sample.weights)
    if atom is not None:
        sample = replace(sample, fit_rows=sample.outcome != atom)
    report: dict[str, Any] = {"atom": atom}
    indicator = None
    if atom is not None:
        progress("outcome model: probability of the atom", 0.02)
        seed, event = seed_sequence(root, "atom"), sample.outcome == atom
        indicator = cross_fit_indicator(settings.stack, sample, event, seed, n_jobs)
        report["probability of the atom"] = indicator.report(settings.stack)
    if _thin(sample):
        nodes = _empirical_nodes_by_fold(sample, settings.continuous.nodes_for(len(sample.arm)))
        report["continuous part"] = "empirical, not modelled: too few rows off the atom"
        return CrossFittedParts(sample, atom, indicator, nodes, report)
    support = Support(observed=atom is not None)
    continuous = cross_fit_continuous(settings.continuous, sample, support, root, n_jobs, progress)
    report.update(continuous.report)
    return CrossFittedParts(sample, atom, indicator, continuous, report)


def refit_parts(
    settings: TwoPartSettings, parts: CrossFittedParts, random_state: Seed
) -> tuple[FittedContinuous | EmpiricalPart, FittedAtom | None]:
    """Both parts for new rows."""
    seed, sample = seed_sequence(random_state, "refit"), parts.sample
    atom = None
    if parts.atom is not None and parts.indicator is not None:
        event = sample.outcome == parts.atom
        fitted_atom = refit_indicator(settings.stack, sample, event, parts.indicator, seed)
        atom = FittedAtom(parts.atom, fitted_atom)
    if isinstance(parts.continuous, CrossFittedContinuous):
        support = Support(observed=atom is not None)
        fitted = refit_continuous(settings.continuous, sample, parts.continuous, support, seed)
        return fitted, atom
    rows = np.flatnonzero(sample.fit_rows)
    outcome, weights = sample.outcome[rows], sample.row_weights(rows)
    return EmpiricalPart(empirical_nodes(outcome, weights, parts.nodes.shape[2])), atom


def _thin(sample: Sample) -> bool:
    """True when the rows off the atom are constant or too few in some arm."""
    rows = sample.fit_rows
    smallest = np.bincount(sample.arm[rows], minlength=sample.n_arms).min()
    too_few = not rows.all() and smallest < MIN_ROWS_OFF_ATOM * sample.n_folds
    return bool(too_few or np.ptp(sample.outcome[rows]) == 0)


def _empirical_nodes_by_fold(sample: Sample, n_nodes: int) -> Array:
    nodes = np.empty((sample.n_arms, len(sample.arm), n_nodes))
    for k in range(sample.n_folds):
        rows = sample.training_rows(k)
        values = empirical_nodes(sample.outcome[rows], sample.row_weights(rows), n_nodes)
        nodes[:, sample.fold_ids == k] = values
    return nodes
