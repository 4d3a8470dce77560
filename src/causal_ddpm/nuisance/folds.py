"""Folds for cross-fitting: balanced over arms, whole clusters together."""

import warnings

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, SmallSampleWarning
from causal_ddpm.core.random import Seed, stream

MIN_CLUSTERS = 5
"""With fewer clusters no clustered interval means anything."""

FEW_CLUSTERS = 30
"""Below this many clusters intervals cover less than they say."""


def draw_folds(data: CausalData, n_folds: int, random_state: Seed) -> NDArray[np.int64]:
    """Assign each row to one of ``n_folds`` folds.

    Without clusters the rows of each arm (cell of factors, fifth of the doses) are spread evenly
    over the folds. With clusters whole
    clusters are dealt out, the largest first, to the fold where they balance the arms best.

    Parameters
    ----------
    data : CausalData
    n_folds : int
        Number of folds, at least 2.
    random_state : int, SeedSequence or None

    Returns
    -------
    ndarray of int, shape (n,)
        Fold of each row, 0 to ``n_folds - 1``.

    Raises
    ------
    DataError
        If an arm has fewer than ``2 * n_folds`` rows, or there are fewer than 5 clusters, fewer
        clusters than folds, or an arm lives in fewer than three folds' worth of clusters, or of
        rows with a positive weight.

    Warns
    -----
    SmallSampleWarning
        Below 30 clusters.
    """
    if n_folds < 2 or n_folds != int(n_folds):
        raise DataError(f"n_folds is {n_folds}", "a whole number, at least 2 folds")
    n_folds = int(n_folds)
    check_arm_sizes(data, n_folds)
    rng = stream(random_state, "folds")
    strata = data.treatment_schema.strata(data.treatment)
    if data.clusters is None:
        folds = stratified_folds(strata, n_folds, rng)
    else:
        _check_clusters(len(np.unique(data.clusters)), n_folds)
        folds = cluster_folds(strata, data.clusters, n_folds, rng)
        _check_arms_spread(data, folds, n_folds)
    _check_weights_spread(data, folds, n_folds)
    return folds


def check_arm_sizes(data: CausalData, n_folds: int) -> None:
    """Refuse when an arm has fewer than two rows a fold."""
    for name, rows in _rows_of_arms(data):
        count = int(rows.sum())
        if count < 2 * n_folds:
            raise DataError(
                f"there are only {count} {name} rows",
                f"at least {2 * n_folds} for {n_folds} folds",
                "Use fewer folds, or compare the arms by hand.",
            )


def stratified_folds(
    labels: NDArray[np.int64], n_folds: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Folds whose sizes differ by at most one overall and within each label."""
    folds = np.empty(len(labels), dtype=np.int64)
    start = 0
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        folds[rng.permutation(rows)] = (start + np.arange(len(rows))) % n_folds
        start += len(rows)
    return folds


def cluster_folds(
    labels: NDArray[np.int64], clusters: NDArray[np.int64], n_folds: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Folds of whole clusters: largest first, each to the fold that keeps labels most even.

    The cost of a fold with label shares p_l is sum_l p_l^2, so the rarer label weighs as much as
    the more frequent one.
    """
    groups, code = np.unique(clusters, return_inverse=True)
    kinds, kind = np.unique(labels, return_inverse=True)
    shares = np.zeros((len(groups), len(kinds)))
    np.add.at(shares, (code, kind), 1.0)
    shares /= shares.sum(axis=0)
    order = rng.permutation(len(groups))
    order = order[np.argsort(-shares[order].max(axis=1), kind="stable")]
    load, fold_of = np.zeros((n_folds, len(kinds))), np.empty(len(groups), dtype=np.int64)
    for g in order:
        growth = ((load + shares[g]) ** 2 - load**2).sum(axis=1)
        fold_of[g] = int(np.argmin(growth))
        load[fold_of[g]] += shares[g]
    return fold_of[code]


def _check_clusters(n_clusters: int, n_folds: int) -> None:
    if n_clusters < max(MIN_CLUSTERS, n_folds):
        raise DataError(
            f"there are {n_clusters} clusters",
            f"at least {max(MIN_CLUSTERS, n_folds)} ({MIN_CLUSTERS} for an interval, one a fold)",
            "With so few independent groups no standard error can be trusted.",
        )
    if n_clusters < FEW_CLUSTERS:
        warnings.warn(
            f"There are only {n_clusters} clusters: intervals are known to cover less than they "
            f"say below {FEW_CLUSTERS}.",
            SmallSampleWarning,
            stacklevel=3,
        )


def _rows_of_arms(data: CausalData) -> list[tuple[str, NDArray[np.bool_]]]:
    """What each arm is called, and its rows; nothing for doses and factors."""
    schema = data.treatment_schema
    names = [f"'{label}'" for label in schema.labels]
    if schema.kind == "binary":
        names = ["untreated", "treated"]
    return [(name, data.treatment == a) for a, name in enumerate(names)]


def _check_weights_spread(data: CausalData, folds: NDArray[np.int64], n_folds: int) -> None:
    """Leaving out folds must leave rows of every arm that have weight."""
    for name, rows in _rows_of_arms(data):
        counted = rows & (data.weights > 0)
        if len(np.unique(folds[counted])) < min(3, n_folds):
            raise DataError(
                f"only {int(counted.sum()):,} {name} rows have a positive weight",
                f"{name} rows with weight in at least {min(3, n_folds)} folds",
                "Drop rows of weight zero, and compare what is left of the arms by hand.",
                column=data.weights_name,
            )


def _check_arms_spread(data: CausalData, folds: NDArray[np.int64], n_folds: int) -> None:
    """Leaving out any two folds, or one of two, must leave rows of every arm."""
    for name, rows in _rows_of_arms(data):
        if len(np.unique(folds[rows])) < min(3, n_folds):
            raise DataError(
                f"the {name} rows lie in too few clusters to be split",
                f"{name} rows in at least three clusters",
                "An effect between groups needs several groups of each kind.",
            )
