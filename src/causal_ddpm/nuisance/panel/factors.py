r"""Interactive fixed effects of a given rank (Bai, 2009), on untreated cells.

    y_it = a_i + f_t + l_i' F_t + e_it,      l_i, F_t of R numbers each

by least squares on seen cells (:mod:`causal_ddpm.nuisance.panel.alternating`): the estimator of
Gobillon and Magnac (2016) and Xu (2017) of untreated outcomes. A unit with few seen cells has its
loadings from those few: the rank must be well below their number.
"""

from __future__ import annotations

from dataclasses import dataclass

from causal_ddpm.core.errors import DataError
from causal_ddpm.nuisance.panel.alternating import identified, start, sweep
from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells
from causal_ddpm.nuisance.panel.completion import FittedTable, fit_table


@dataclass(frozen=True)
class InteractiveFactors:
    """Unit effects, period effects and R factors.

    Parameters
    ----------
    rank : int
        R, from 1.
    tolerance : float
        Sweeps stop when no prediction moves by this share of the spread of the outcomes.
    limit : int
        Most sweeps.

    Raises
    ------
    DataError
        For a rank below 1.
    """

    rank: int = 1
    tolerance: float = 1e-6
    limit: int = 500

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise DataError(f"the rank is {self.rank}", "a whole number from 1 upwards",
                            "Without factors it is TwoWay().")  # fmt: skip

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"interactive fixed effects (rank {self.rank})"

    def fit(self, cells: PanelCells) -> FittedTable:
        """Fit on the observed cells."""
        return fit_table(self, cells)

    def complete(self, y: Array, seen: Mask, rows: Mask | None = None) -> Array:
        """Predictions of all cells for each mask, shape (K, N, T)."""
        rank = min(self.rank, *(n - 1 for n in seen.shape[1:]))
        begin = start(y, seen, rank)
        table = sweep(y, seen, begin, 0.0, self.tolerance, self.limit).table()
        return identified(table, y, seen)
