"""Cross-fitted location m_a(x), with pairwise fits for residuals that do not leak.

Two kinds of prediction are needed for a row i of fold j:

- held out, m_{-j}(x_i): from the rows outside fold j. Scores and the stack weights use it.
- pairwise, m_{-{j,k}}(x_i): from the rows outside folds j and k. The diffusion of fold k is trained
  on these residuals. The held-out residual y_i - m_{-j}(x_i) would not do: m_{-j} was fitted on
  fold k, so it carries fold k's noise with a minus sign into the model that is to read fold k.

K folds take K + K (K - 1) / 2 fits of the stack, each independent of the others. Where each fold
has an outcome scale of its own (``Sample.targets``), the fit without j and k is made once on the
scale of k, to predict fold j, and once on that of j: K + K (K - 1) fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.nuisance.arms import FittedContrasts, fit_arms
from causal_ddpm.nuisance.stack import FittedStack, LocationStack, stack_weights

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sample:
    """What the learners see of the data.

    Parameters
    ----------
    covariates : Covariates, n rows
    arm : ndarray of int, shape (n,)
    outcome : ndarray, shape (n,)
    weights : ndarray, shape (n,), or None
        None when all rows count the same.
    fold_ids : ndarray of int, shape (n,)
    fit_rows : ndarray of bool, shape (n,)
        Rows that may train the model (all, or those off the atom); every row is predicted.
    n_arms : int
        A; arm codes are 0 .. A - 1. One arm is the plain conditional law of Y given X.
    targets : ndarray, shape (K, n), optional
        Row k is the outcome on the scale fitted without fold k, where each group has its own.
    noise : ndarray, shape (n,), optional
        Added to the outcome where its spread is learnt, and not where its location is.
    """

    covariates: Covariates
    arm: NDArray[np.int64]
    outcome: Array
    weights: Array | None
    fold_ids: NDArray[np.int64]
    fit_rows: NDArray[np.bool_]
    n_arms: int = 2
    targets: Array | None = None
    noise: Array | None = None

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return int(self.fold_ids.max()) + 1

    def training_rows(self, *left_out: int) -> NDArray[np.int64]:
        """Positions of the rows that may train a model without the given folds."""
        return np.flatnonzero(self.fit_rows & ~np.isin(self.fold_ids, left_out))

    def row_weights(self, rows: NDArray[np.int64]) -> Array | None:
        """Weights of some rows, or None."""
        return None if self.weights is None else self.weights[rows]

    def on_scale_of(self, fold: int) -> Sample:
        """The sample with its outcome on the scale of the group that leaves out ``fold``."""
        return self if self.targets is None else replace(self, outcome=self.targets[fold])

    @property
    def held_out_outcome(self) -> Array:
        """Outcome of each row on the scale on which its fold is read, shape (n,)."""
        if self.targets is None:
            return self.outcome
        return self.targets[self.fold_ids, np.arange(len(self.fold_ids))]

    @property
    def noised_outcome(self) -> Array:
        """Outcome with its noise, shape (n,)."""
        return self.outcome if self.noise is None else self.outcome + self.noise

    def factual(self, by_arm: Array) -> Array:
        """The entry of each row's own arm; ``by_arm`` has shape (n, n_arms, ...)."""
        return by_arm[np.arange(len(by_arm)), self.arm]


@dataclass(frozen=True, eq=False)
class MemberPredictions:
    """Predictions of every member of the stack, before they are combined.

    Parameters
    ----------
    held_out : ndarray, shape (n, A, J)
        From the fit without the row's own fold.
    pairwise : ndarray, shape (K, n, A, J), or None
        Entry [k, i] from the fit without fold k and the row's own fold; NaN for rows of fold k.
    """

    held_out: Array
    pairwise: Array | None


def cross_fit_members(
    stack: LocationStack,
    sample: Sample,
    random_state: Seed,
    n_jobs: int = 1,
    pairs: bool = True,
    report_share: Callable[[float], None] = lambda share: None,
) -> MemberPredictions:
    """Fit the stack without each fold and without each pair of folds.

    Parameters
    ----------
    stack : LocationStack
    sample : Sample
    random_state : seed
    n_jobs : int
        Worker processes; the result does not depend on it.
    pairs : bool
        Whether the pairwise fits are needed.
    report_share : callable
        Told the share of the fits that are done.
    """
    n, n_folds = len(sample.arm), sample.n_folds
    left_out: list[tuple[int, ...]] = [(k,) for k in range(n_folds)]
    if pairs:
        pairs_of = combinations if sample.targets is None else permutations
        left_out += list(pairs_of(range(n_folds), 2))
    held_out = np.full((n, sample.n_arms, len(stack.names)), np.nan)
    pairwise = np.full((n_folds, *held_out.shape), np.nan) if pairs else None
    jobs = [(stack, sample, folds, integer_seed(random_state, *folds)) for folds in left_out]
    for done, (folds, rows, predicted) in enumerate(run_jobs(_fit_without, jobs, n_jobs), start=1):
        if len(folds) == 1:
            held_out[rows] = predicted
        elif pairwise is not None:
            own, other = sample.fold_ids[rows], sum(folds) - sample.fold_ids[rows]
            assert np.isin(own, folds).all()
            pairwise[other, rows] = predicted
        report_share(done / len(jobs))
    return MemberPredictions(held_out, pairwise)


def _fit_without(
    stack: LocationStack, sample: Sample, folds: tuple[int, ...], seed: int
) -> tuple[tuple[int, ...], NDArray[np.int64], Array]:
    """Fit outside ``folds`` and predict the rows inside them.

    With a scale a fold the fit is on the scale of the first of ``folds`` and reads the last.
    """
    train = sample.training_rows(*folds)
    fitted = fit_location(stack, sample.on_scale_of(folds[0]), train, seed)
    read = folds if sample.targets is None else folds[-1:]
    rows = np.flatnonzero(np.isin(sample.fold_ids, read))
    return folds, rows, fitted.predict(sample.covariates.rows(rows))


def fit_location(
    stack: LocationStack, sample: Sample, rows: NDArray[np.int64], seed: int
) -> FittedStack | FittedContrasts:
    """Fit the stack on some rows of a sample."""
    return fit_arms(
        stack,
        sample.covariates.rows(rows),
        sample.arm[rows],
        sample.outcome[rows],
        sample.row_weights(rows),
        seed,
    )


def held_out_weights(members: MemberPredictions, sample: Sample) -> Array:
    """Stack weights, shape (J,), from the held-out factual residuals of the rows that train."""
    rows = sample.fit_rows
    outcome = sample.held_out_outcome[rows]
    residuals = sample.factual(members.held_out)[rows] - outcome[:, None]
    return stack_weights(residuals, sample.row_weights(np.flatnonzero(rows)))
