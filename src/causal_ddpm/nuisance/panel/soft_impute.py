r"""Matrix completion with two-way effects (Athey, Bayati, Doudchenko, Imbens and Khosravi, 2021).

    min  sum_{(i,t) seen} (y_it - a_i - f_t - M_it)^2 / 2 + share s_1 ||M||_*

s_1 is the largest singular value of what the two-way fit leaves (hidden cells at zero): from share
1 on, M vanishes. M = sum_r d_r u_r v_r' is found by penalised alternating least squares
(:mod:`causal_ddpm.nuisance.panel.alternating`), warm-started along falling shares. The penalty also
shrinks what is kept; debiased, the d_r and the two-way effects are refitted without it on the seen
cells, the u_r and v_r held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causal_ddpm.core.errors import DataError
from causal_ddpm.nuisance.panel.alternating import Factors, identified, restart, start, sweep
from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells
from causal_ddpm.nuisance.panel.completion import FittedTable, fit_table, two_way_tables

_PATH = (0.6, 0.3, 0.1, 0.03, 0.01)
"""Shares at which sweeps are warm-started."""

_REFITS = 20


@dataclass(frozen=True)
class SoftImpute:
    """Two-way effects and a matrix of small nuclear norm.

    Parameters
    ----------
    share : float
        Penalty over the one that leaves no matrix, in (0, 1).
    debias : bool
        Whether singular values are refitted.
    tolerance : float
        Sweeps stop when no prediction moves by this share of the spread of the outcomes.
    limit : int
        Most sweeps at each share of the path.
    max_rank : int
        Directions of M that are looked for.

    Raises
    ------
    DataError
        For a share outside (0, 1).
    """

    share: float = 0.1
    debias: bool = True
    tolerance: float = 1e-5
    limit: int = 300
    max_rank: int = 8

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise DataError(f"the share is {self.share}", "a number above 0 and below 1")

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"matrix completion (share {self.share:g})"

    def fit(self, cells: PanelCells) -> FittedTable:
        """Fit on the observed cells."""
        return fit_table(self, cells)

    def complete(self, y: Array, seen: Mask, rows: Mask | None = None) -> Array:
        """Predictions of all cells for each mask, shape (K, N, T)."""
        now = self.path(y, seen, (self.share,))[0]
        table = refitted(y, seen, now) if self.debias else now.table()
        return identified(table, y, seen)

    def path(self, y: Array, seen: Mask, shares: Sequence[float]) -> list[Factors]:
        """Effects and factors at several shares, not debiased, for the price of the smallest."""
        left = np.where(seen, y - two_way_tables(y, seen), 0.0)
        top = np.linalg.svd(left, compute_uv=False)[:, 0]
        now = start(y, seen, min(self.max_rank, *(n - 1 for n in seen.shape[1:])))
        found: dict[float, Factors] = {}
        for share in sorted({*(s for s in _PATH if s > min(shares)), *shares}, reverse=True):
            now = restart(y, seen, now) if found else now
            now = sweep(y, seen, now, share * top, self.tolerance, self.limit)
            found[share] = now
        return [found[share] for share in shares]


def refitted(y: Array, seen: Mask, now: Factors) -> Array:
    """The table with singular values and two-way effects refitted, shape (K, N, T)."""
    L, F = now.unit[..., 1:], now.period[..., 1:]
    if not L.shape[2]:
        return now.table()
    parts = np.einsum("knr,ktr->krnt", L, F)
    kept = np.where(seen[:, None], parts, 0.0)
    gram = np.einsum("krnt,kqnt->krq", kept, kept)
    gram += 1e-10 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(L.shape[2])
    low = L @ F.swapaxes(1, 2)
    for _ in range(_REFITS):
        level = two_way_tables(y - low, seen)
        goal = np.where(seen, y - level, 0.0)
        d = np.linalg.solve(gram, np.einsum("krnt,knt->kr", kept, goal)[..., None])[..., 0]
        low = np.einsum("kr,krnt->knt", d, parts)
    return level + low
