"""Blocks of neighbouring cells, left out together.

Errors of one unit are alike from period to period, and the cells to be predicted are a run of
periods, not scattered ones. So every unit's observed cells, in order of time, are cut into K runs
of about equal length, units are dealt into K groups, and

    fold of a cell = (its run + its unit's group) mod K

(a Latin square): a fold leaves out one run of every unit, a different one in different groups, so
that every unit and, in all but the smallest panels, every period keeps most of its cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.nuisance.panel.cells import Mask


def block_folds(observed: Mask, n_folds: int, random_state: Seed) -> NDArray[np.int64]:
    """Fold 0 .. n_folds - 1 of each observed cell, -1 elsewhere, shape (N, T).

    Raises
    ------
    DataError
        For fewer than three folds.
    """
    if n_folds < 3:
        raise DataError(
            f"n_folds is {n_folds}", "at least 3",
            "Residuals come from fits that leave out two folds at a time.",
        )  # fmt: skip
    rng = stream(random_state, "blocks")
    group = rng.permutation(len(observed)) % n_folds
    place = np.cumsum(observed, axis=1) - 1
    run = place * n_folds // np.maximum(observed.sum(axis=1, keepdims=True), 1)
    return np.where(observed, (run + group[:, None]) % n_folds, -1)
