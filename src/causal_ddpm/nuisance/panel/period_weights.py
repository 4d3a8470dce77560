r"""Period weights, and the level that they give to any base.

Which seen periods say most of the hidden ones is learnt from donors (Arkhangelsky et al., 2021):

    min_{lambda in simplex, c}  sum_j (mean_{t in U} y_jt - c - sum_{s in P} lambda_s y_js)^2

with a tiny ridge. They weigh the last periods where outcomes wander, all of them where outcomes
revert to a mean. A base m_it then has its level matched on those periods,

    m_it + sum_{s in P} lambda_s (y_is - m_is),

in place of the plain mean over P, which is what its unit effect matches. With m a weighted mean of
donors this is synthetic difference-in-differences.
"""

from __future__ import annotations

from dataclasses import dataclass

from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells
from causal_ddpm.nuisance.panel.completion import Completion, FittedTable, fit_table
from causal_ddpm.nuisance.panel.donors import DonorPool, complete_from_donors
from causal_ddpm.nuisance.panel.simplex import simplex_weights
from causal_ddpm.nuisance.panel.synthetic_control import TINY, noise_level


@dataclass(frozen=True)
class PeriodWeighted:
    """A base whose level matches the periods that say most of the hidden ones.

    Parameters
    ----------
    base : Completion
    """

    base: Completion

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.base.name}, period weights"

    def fit(self, cells: PanelCells) -> FittedTable:
        """Fit on the observed cells."""
        return fit_table(self, cells)

    def complete(self, y: Array, seen: Mask, rows: Mask | None = None) -> Array:
        """Predictions of all cells for each mask, shape (K, N, T)."""
        return match_level(y, seen, rows, self.base.complete(y, seen, rows))


def match_level(y: Array, seen: Mask, rows: Mask | None, table: Array) -> Array:
    """Tables whose targets have their level matched, shape (K, N, T)."""
    return complete_from_donors(y, seen, rows, _level, table)


def _level(pool: DonorPool, path: Array) -> Array:
    return path + period_weights(pool) @ (pool.target - path)[pool.before]


def period_weights(pool: DonorPool) -> Array:
    """lambda, shape (number of seen periods,)."""
    A = pool.donors[:, pool.before]
    b = pool.donors[:, ~pool.before].mean(axis=1)
    zeta = TINY * noise_level(pool)
    return simplex_weights(A - A.mean(axis=0), b - b.mean(), ridge=len(b) * zeta**2)
