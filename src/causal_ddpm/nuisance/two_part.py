"""Cross-fitting and refitting of the two parts of an outcome law: atom and continuous part.

    Y | x, a  ~  p_a(x) delta_c + (1 - p_a(x)) L_a(x)

p_a is zero unless the outcome has an atom c (``nuisance.atom``); L_a is learnt from the rows off
the atom (``nuisance.continuous``). Where those rows are constant (a binary outcome) or too few in
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
from causal_ddpm.core.progress import Progress
from causal_ddpm.core.random import Seed, integer_seed, seed_sequence
from causal_ddpm.nuisance.arms import FittedContrasts
from causal_ddpm.nuisance.atom import atom_sample, clip_probability, cross_fit_atom, find_atom
from causal_ddpm.nuisance.continuous import (
    ContinuousSettings,
    CrossFittedContinuous,
    FittedContinuous,
    cross_fit_continuous,
    empirical_nodes,
    fold_support,
    refit_continuous,
)
from causal_ddpm.nuisance.location import Sample, fit_location
from causal_ddpm.nuisance.stack import FittedStack, LocationStack

Array = NDArray[np.float64]

MIN_ROWS_OFF_ATOM = 4
"""An arm needs this many rows off the atom for each fold; with fewer, that part is not modelled."""


@dataclass(frozen=True, eq=False)
class EmpiricalPart:
    """A continuous part that does not depend on x: too few rows lie off the atom to model it."""

    values: Array

    def nodes(self, covariates: Covariates, arm: int, n_nodes: int) -> Array:
        """The same nodes for every row and arm."""
        resampled = empirical_nodes(self.values, None, n_nodes)
        return np.broadcast_to(resampled, (len(covariates), n_nodes)).copy()


@dataclass(frozen=True, eq=False)
class FittedAtom:
    """Location c of the atom and its probability model."""

    value: float
    stack: FittedStack | FittedContrasts
    weights: tuple[float, ...]

    def probability(self, covariates: Covariates, arm: int) -> Array:
        """P(Y = c | x, arm), shape (n,)."""
        members = self.stack.predict(covariates)[:, arm]
        return clip_probability(members @ np.asarray(self.weights))


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
    atom_probability : ndarray, shape (n, A), or None
    atom_weights : ndarray, shape (J,), or None
        Stack weights of the atom's probability.
    continuous : CrossFittedContinuous, or ndarray of shape (A, n, Q)
        The array holds empirical nodes, where the continuous part is not modelled.
    report : mapping
        JSON-ready account of the fit.
    """

    sample: Sample
    atom: float | None
    atom_probability: Array | None
    atom_weights: Array | None
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
        if self.atom is None or self.atom_probability is None:
            return ConditionalLaw(self.nodes[arm])
        ranges = [fold_support(self.sample, k) for k in range(self.sample.n_folds)]
        low, high = np.asarray(ranges)[self.sample.fold_ids].T[:, :, None]
        return ConditionalLaw(
            self.nodes[arm], self.atom, self.atom_probability[:, arm], (low, high)
        )


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
    probability = atom_weights = None
    if atom is not None:
        progress("outcome model: probability of the atom", 0.02)
        seed = seed_sequence(root, "atom")
        probability, atom_weights = cross_fit_atom(settings.stack, sample, atom, seed, n_jobs)
        names = settings.stack.names
        report["atom_weights"] = dict(zip(names, map(float, atom_weights), strict=True))
    if _thin(sample):
        nodes = _empirical_nodes_by_fold(sample, settings.continuous.nodes_for(len(sample.arm)))
        report["continuous part"] = "empirical, not modelled: too few rows off the atom"
        return CrossFittedParts(sample, atom, probability, atom_weights, nodes, report)
    continuous = cross_fit_continuous(
        settings.continuous, sample, atom is not None, root, n_jobs, progress
    )
    report.update(continuous.report)
    return CrossFittedParts(sample, atom, probability, atom_weights, continuous, report)


def refit_parts(
    settings: TwoPartSettings, parts: CrossFittedParts, random_state: Seed
) -> tuple[FittedContinuous | EmpiricalPart, FittedAtom | None]:
    """Both parts for new rows."""
    seed = seed_sequence(random_state, "refit")
    atom = None if parts.atom is None else _refit_atom(settings.stack, parts, seed)
    if isinstance(parts.continuous, CrossFittedContinuous):
        bounded = parts.atom is not None
        fitted = refit_continuous(
            settings.continuous, parts.sample, parts.continuous, bounded, seed
        )
        return fitted, atom
    rows = np.flatnonzero(parts.sample.fit_rows)
    n_nodes = parts.nodes.shape[2]
    outcome, weights = parts.sample.outcome[rows], parts.sample.row_weights(rows)
    return EmpiricalPart(empirical_nodes(outcome, weights, n_nodes)), atom


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


def _refit_atom(stack: LocationStack, parts: CrossFittedParts, root: Seed) -> FittedAtom:
    assert parts.atom is not None
    assert parts.atom_weights is not None
    s = atom_sample(parts.sample, parts.atom)
    seed = integer_seed(root, "atom")
    fitted = fit_location(stack, s, np.arange(len(s.arm)), seed)
    return FittedAtom(parts.atom, fitted, tuple(map(float, parts.atom_weights)))
