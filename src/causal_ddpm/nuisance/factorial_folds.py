"""Folds of a factorial experiment: cells spread evenly, whole clusters together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.checks import MIN_ROWS
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.nuisance.folds import MIN_CLUSTERS, cluster_folds, stratified_folds


def factorial_folds(data: FactorialData, n_folds: int, random_state: Seed) -> NDArray[np.int64]:
    """Folds with the cells spread evenly over them, whole clusters together; shape (n,).

    Raises
    ------
    DataError
        For fewer than 40 rows, or fewer clusters than folds.
    """
    if data.n < MIN_ROWS:
        raise DataError(
            f"the data have {data.n} rows",
            f"at least {MIN_ROWS} to learn from some rows and read others",
            "Least squares with the noise of small effects (Lenth) is made for so few runs.",
        )
    rng = stream(random_state, "folds")
    if data.clusters is None:
        return stratified_folds(data.cell_of_row, n_folds, rng)
    n_clusters = len(np.unique(data.clusters))
    if n_clusters < max(MIN_CLUSTERS, n_folds):
        raise DataError(f"there are {n_clusters} clusters", f"at least {n_folds}, one a fold")
    return cluster_folds(data.cell_of_row, data.clusters, n_folds, rng)
