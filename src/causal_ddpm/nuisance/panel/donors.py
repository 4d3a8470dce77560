r"""What counterfactuals made of other units share: targets, their donors, and the loop over them.

A target is a unit i with cells to predict. With U its hidden periods and P its seen ones, its
donors are the other units that are seen in all of U and in at least half of P; gaps of donors in P
are filled by the two-way fit. Targets with the same periods seen have the same donors. A rule then
predicts a target in every period from

    B (P, J) donors before, b (P,) the target before, A (T, J) donors in all periods.

Units with nothing hidden, and targets with fewer than two donors or no period seen, keep the
two-way fit (or the table handed in).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.nuisance.panel.cells import Array, Mask
from causal_ddpm.nuisance.panel.completion import two_way_tables

MIN_DONORS = 2
"""Donors without which the two-way fit stays."""

MAX_DONORS = 200
"""Donors nearest to the target's seen path are enough; weights of more are slow to find."""


@dataclass(frozen=True, eq=False)
class DonorPool:
    """Targets that share their hidden periods, and their donors.

    Parameters
    ----------
    donors : ndarray, shape (J, T)
        Outcomes of donors, gaps filled.
    target : ndarray, shape (T,)
        Outcomes of the target, the two-way fit where hidden.
    before : ndarray of bool, shape (T,)
        P.
    """

    donors: Array
    target: Array
    before: Mask


Rule = Callable[[DonorPool, Array], Array]
"""From a pool and the target's path so far, shape (T,), to its path."""


def complete_from_donors(
    y: Array, seen: Mask, rows: Mask | None, rule: Rule, table: Array | None = None
) -> Array:
    """Predictions of all cells for each mask, shape (K, N, T); rows of targets by ``rule``.

    Parameters
    ----------
    y : ndarray, shape (N, T) or (K, N, T)
    seen : ndarray of bool, shape (K, N, T)
    rows : ndarray of bool, shape (K, N), or None
        Units that are asked for, all for None.
    rule : callable
    table : ndarray, shape (K, N, T), optional
        Predictions so far; the two-way fits by default.
    """
    level = two_way_tables(y, seen)
    full = np.where(seen, y, level)
    out = level if table is None else table.copy()
    targets = ~seen.all(axis=2) & seen.any(axis=2)
    for k, i in np.argwhere(targets if rows is None else targets & rows):
        index = donors_of(seen[k], i)
        if len(index) >= MIN_DONORS:
            index = _nearest(full[k], index, i, seen[k, i])
            pool = DonorPool(full[k, index], full[k, i], seen[k, i])
            out[k, i] = rule(pool, out[k, i])
    return out


def donors_of(seen: Mask, unit: int) -> NDArray[np.int64]:
    """Rows of the donors of a target, for a mask of shape (N, T)."""
    before = seen[unit]
    there = seen[:, ~before].all(axis=1) & (seen[:, before].mean(axis=1) >= 0.5)
    there[unit] = False
    return np.flatnonzero(there)


def _nearest(full: Array, index: NDArray[np.int64], unit: int, before: Mask) -> NDArray[np.int64]:
    """The donors whose paths, less their means, are nearest to the target's while it is seen."""
    if len(index) <= MAX_DONORS:
        return index
    path = full[:, before] - full[:, before].mean(axis=1, keepdims=True)
    distance = ((path[index] - path[unit]) ** 2).sum(axis=1)
    return np.sort(index[np.argsort(distance, kind="stable")[:MAX_DONORS]])
