"""Effects fitted once more without a further fold: how much tau(x) hangs on the sample.

The effect of row i of fold k was fitted on the K - 1 other folds. For each of those, j, the
location stack is fitted without both,

    t_ij = m_1(x_i) - m_0(x_i)     from the rows outside folds k and j,

so that row i has K - 1 replicates, none of which has seen its outcome. The fit without {j, k} gives
the replicates of the rows of both folds: K (K - 1) / 2 fits of the stack. Given the split, folds
are independent blocks of rows, and t_ij is the same function of all blocks but two. Hence (Efron
and Stein 1981, theorem 1)

    E sum_j (t_ij - mean_j t_ij)^2  >=  variance of the effect fitted on K - 2 folds,

whatever the learner: :mod:`causal_ddpm.estimators.cate_interval` makes intervals of it. One vector
of stack weights serves all fits, chosen on the factual residuals of the replicates; it is the one
thing that all folds share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.protocols import Array
from causal_ddpm.core.random import Seed, integer_seed, seed_sequence
from causal_ddpm.core.treatment import require_binary
from causal_ddpm.nuisance.crossfit import Nuisances, check_nuisances
from causal_ddpm.nuisance.location import Sample, fit_location
from causal_ddpm.nuisance.outcome import sample_of
from causal_ddpm.nuisance.stack import LocationStack, stack_weights

MIN_FOLDS = 3


@dataclass(frozen=True, eq=False)
class EffectReplicates:
    """Effects of each row from fits without its own fold and one more.

    Parameters
    ----------
    effect : ndarray, shape (n, K - 1)
        t_ij, in units of the outcome.
    stack_weights : tuple of float
        Weights of the members of the stack.
    fingerprint : str
        Fingerprint of the data they belong to.
    """

    effect: Array
    stack_weights: tuple[float, ...]
    fingerprint: str


def fit_replicates(
    data: CausalData,
    nuisances: Nuisances,
    stack: LocationStack | None = None,
    random_state: Seed = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> EffectReplicates:
    """Fit the location stack without each pair of folds.

    Parameters
    ----------
    data : CausalData
        With a binary treatment.
    nuisances : Nuisances
        Of these data; their folds are used.
    stack : LocationStack, optional
        The default stack, that of the diffusion law. Give the one the nuisances were fitted with.
    random_state : int, SeedSequence or None
    n_jobs : int
        Worker processes; the result does not depend on it.
    progress : callable
        Told the stage and the share of the fits that are done.

    Raises
    ------
    DataError
        If the nuisances belong to other data or have fewer than three folds, or the treatment is
        not binary.
    """
    require_binary(data.treatment_schema, "the effect of single rows")
    data.outcome_schema.check_order(data.outcome_name)
    _check_nuisances(data, nuisances)
    sample = sample_of(data, np.unique(nuisances.fold_ids, return_inverse=True)[1])
    root = seed_sequence(random_state, "replicates")
    pairs = list(combinations(range(sample.n_folds), 2))
    chosen = LocationStack() if stack is None else stack
    jobs = [(chosen, sample, pair, integer_seed(root, *pair)) for pair in pairs]
    members = np.empty((sample.n_folds, data.n, 2, len(chosen.names)))
    results = _told(run_jobs(_fit_without, jobs, n_jobs), len(jobs), progress)
    for (j, k), predicted in zip(pairs, results, strict=True):
        for own, other in ((j, k), (k, j)):
            rows = sample.fold_ids == own
            members[other, rows] = predicted[rows]
    others = _other_folds(sample.fold_ids, sample.n_folds)
    rows = np.arange(data.n)
    replicates = members[others, rows[:, None]]
    weights = _weights(replicates, sample)
    means = replicates @ weights
    return EffectReplicates(
        effect=means[:, :, 1] - means[:, :, 0],
        stack_weights=tuple(map(float, weights)),
        fingerprint=data.fingerprint,
    )


def _check_nuisances(data: CausalData, nuisances: Nuisances) -> None:
    check_nuisances(data, nuisances)
    if nuisances.n_folds < MIN_FOLDS:
        raise DataError(
            f"the nuisances have {nuisances.n_folds} folds",
            f"at least {MIN_FOLDS}",
            "Replicates leave out two folds at a time.",
        )


def _fit_without(stack: LocationStack, sample: Sample, folds: tuple[int, int], seed: int) -> Array:
    """Fit without two folds and read all rows: (n, 2, J), of use for the rows of both folds."""
    fitted = fit_location(stack, sample, sample.training_rows(*folds), seed)
    out = np.full((len(sample.arm), 2, len(stack.names)), np.nan)
    rows = np.flatnonzero(np.isin(sample.fold_ids, folds))
    out[rows] = fitted.predict(sample.covariates.rows(rows))
    return out


def _told(results: Iterable[Array], n_fits: int, progress: Progress) -> Iterator[Array]:
    """The same results; progress is told of each."""
    for done, result in enumerate(results, start=1):
        progress("replicates of the effect", done / n_fits)
        yield result


def _other_folds(fold_ids: NDArray[np.int64], n_folds: int) -> NDArray[np.int64]:
    """The folds that each row is not in, ascending, shape (n, K - 1)."""
    others = np.array([[j for j in range(n_folds) if j != k] for k in range(n_folds)])
    return np.asarray(others[fold_ids])


def _weights(replicates: Array, sample: Sample) -> Array:
    """Stack weights, shape (J,), from factual residuals of the mean replicate (n, K - 1, 2, J)."""
    residuals = sample.factual(replicates.mean(axis=1)) - sample.outcome[:, None]
    return stack_weights(residuals, sample.weights)
