"""The two-part law of an outcome with an atom, such as earnings with many zeros.

    P(Y = c | x, a) = p_a(x),     Y | Y != c, x, a  ~  the continuous part

The atom c is the most frequent value if its share exceeds 5 %. Its probability is the location
stack fitted to the indicator 1{Y = c} (a regression under squared loss, clipped to [0, 1]): the
same diverse learners under every arm, cross-fitted over the same folds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.random import Seed
from causal_ddpm.nuisance.location import Sample, cross_fit_members, held_out_weights
from causal_ddpm.nuisance.stack import LocationStack

Array = NDArray[np.float64]

ATOM_SHARE = 0.05
"""A value that more than this share of the rows take is an atom."""

BOUND = 1e-3
"""Probabilities of an atom are kept this far from 0 and 1: an unseen event is not impossible."""


def find_atom(outcome: Array, weights: Array | None = None) -> float | None:
    """The most frequent value, if its (weighted) share exceeds 5 %; otherwise None."""
    values, position = np.unique(outcome, return_inverse=True)
    share = np.bincount(position, weights=weights) / (
        len(outcome) if weights is None else weights.sum()
    )
    top = int(np.argmax(share))
    return float(values[top]) if share[top] > ATOM_SHARE else None


def cross_fit_atom(
    stack: LocationStack, sample: Sample, atom: float, random_state: Seed, n_jobs: int = 1
) -> tuple[Array, Array]:
    """Out-of-fold P(Y = atom | x_i, a), shape (n, A), and the stack weights, shape (J,)."""
    indicator = atom_sample(sample, atom)
    members = cross_fit_members(stack, indicator, random_state, n_jobs, pairs=False)
    weights = held_out_weights(members, indicator)
    return clip_probability(members.held_out @ weights), weights


def atom_sample(sample: Sample, atom: float) -> Sample:
    """The sample with the indicator of the atom as its outcome; all rows train."""
    indicator = (sample.outcome == atom).astype(float)
    return replace(sample, outcome=indicator, fit_rows=np.ones(len(indicator), dtype=bool))


def clip_probability(p: Array) -> Array:
    """Probabilities inside [BOUND, 1 - BOUND]."""
    return np.clip(p, BOUND, 1.0 - BOUND)
