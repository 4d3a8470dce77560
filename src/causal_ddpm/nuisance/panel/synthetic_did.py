r"""Synthetic difference-in-differences (Arkhangelsky, Athey, Hirshberg, Imbens and Wager, 2021).

    w       simplex weights of donors, free intercept, zeta = |U|^(1/4) sd(first differences)
    lambda  simplex weights of seen periods (:mod:`causal_ddpm.nuisance.panel.period_weights`)
    prediction  sum_j w_j y_jt + sum_{s in P} lambda_s (y_is - sum_j w_j y_js)

Their estimate of the effect is the mean over U of y_it less the prediction. Periods that say most
of the hidden ones decide the level: the last ones where outcomes wander, all of them where they
revert to a mean.
"""

from __future__ import annotations

from dataclasses import dataclass

from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells
from causal_ddpm.nuisance.panel.completion import FittedTable, fit_table
from causal_ddpm.nuisance.panel.donors import DonorPool, complete_from_donors
from causal_ddpm.nuisance.panel.period_weights import period_weights
from causal_ddpm.nuisance.panel.synthetic_control import donor_weights, noise_level


@dataclass(frozen=True)
class SyntheticDID:
    """Donor weights and period weights."""

    @property
    def name(self) -> str:
        """What tables call it."""
        return "synthetic difference-in-differences"

    def fit(self, cells: PanelCells) -> FittedTable:
        """Fit on the observed cells."""
        return fit_table(self, cells)

    def complete(self, y: Array, seen: Mask, rows: Mask | None = None) -> Array:
        """Predictions of all cells for each mask, shape (K, N, T)."""
        return complete_from_donors(y, seen, rows, _path)


def _path(pool: DonorPool, _: Array) -> Array:
    n_hidden = int((~pool.before).sum())
    w = donor_weights(pool, n_hidden**0.25 * noise_level(pool), intercept=True)
    path = w @ pool.donors
    return path + period_weights(pool) @ (pool.target - path)[pool.before]
