r"""The bases that a choice is made from, in families that differ in one tuning number.

    two-way effects           the reference, and what is left where nothing beats it
    synthetic control         weights of donors; also with period weights
    synthetic DID             weights of donors and of periods
    ridge on donors           penalties; also with period weights
    matrix completion         shares of the penalty; debiased, or with period weights
    interactive fixed effects ranks

A family's tables of held-out cells are computed together where its members share work: the path of
shares of matrix completion is walked once, and plain tables are the start of weighted ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells
from causal_ddpm.nuisance.panel.completion import (
    Completion,
    FittedTable,
    fit_table,
    two_way_tables,
)
from causal_ddpm.nuisance.panel.factors import InteractiveFactors
from causal_ddpm.nuisance.panel.period_weights import PeriodWeighted, match_level
from causal_ddpm.nuisance.panel.ridge_donors import RidgeDonors
from causal_ddpm.nuisance.panel.soft_impute import SoftImpute, refitted
from causal_ddpm.nuisance.panel.synthetic_control import SyntheticControl
from causal_ddpm.nuisance.panel.synthetic_did import SyntheticDID

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)
SHARES = (0.5, 0.25, 0.1, 0.05)
MAX_RANK = 4


@dataclass(frozen=True)
class TwoWayCompletion:
    """The two-way fit as a completion."""

    @property
    def name(self) -> str:
        """What tables call it."""
        return "unit and period effects"

    def fit(self, cells: PanelCells) -> FittedTable:
        """Fit on the observed cells."""
        return fit_table(self, cells)

    def complete(self, y: Array, seen: Mask, rows: Mask | None = None) -> Array:
        """Predictions of all cells for each mask, shape (K, N, T)."""
        return two_way_tables(y, seen)


@dataclass(frozen=True)
class Family:
    """Bases that differ in their tuning.

    Parameters
    ----------
    name : str
    bases : tuple of Completion
    """

    name: str
    bases: tuple[Completion, ...]

    def tables(self, y: Array, seen: Mask, rows: Mask) -> list[Array]:
        """Predictions of every base, each of shape (K, N, T)."""
        return [base.complete(y, seen, rows) for base in self.bases]


@dataclass(frozen=True)
class WeightedFamily:
    """Bases, each as it is and with period weights.

    Parameters
    ----------
    name : str
    plain : tuple of Completion
    """

    name: str
    plain: tuple[Completion, ...]

    @property
    def bases(self) -> tuple[Completion, ...]:
        """The plain ones, then the weighted ones."""
        return self.plain + tuple(PeriodWeighted(base) for base in self.plain)

    def tables(self, y: Array, seen: Mask, rows: Mask) -> list[Array]:
        """Predictions of every base, each of shape (K, N, T)."""
        plain = [base.complete(y, seen, rows) for base in self.plain]
        return plain + [match_level(y, seen, rows, table) for table in plain]


@dataclass(frozen=True)
class CompletionFamily:
    """Matrix completion: debiased, or shrunk with period weights, at every share."""

    name: str = "matrix completion"
    shares: tuple[float, ...] = SHARES

    @property
    def bases(self) -> tuple[Completion, ...]:
        """Debiased at every share, then weighted at every share."""
        shrunk = (PeriodWeighted(_completion(s, debias=False)) for s in self.shares)
        return (*(_completion(s, debias=True) for s in self.shares), *shrunk)

    def tables(self, y: Array, seen: Mask, rows: Mask) -> list[Array]:
        """Predictions of every base, each of shape (K, N, T)."""
        found = _completion(min(self.shares), debias=False).path(y, seen, self.shares)
        weighted = [match_level(y, seen, rows, now.table()) for now in found]
        return [refitted(y, seen, now) for now in found] + weighted


AnyFamily = Family | WeightedFamily | CompletionFamily


def _completion(share: float, debias: bool) -> SoftImpute:
    """Sweeps as exact as a choice and its refits need."""
    return SoftImpute(share, debias, tolerance=1e-3, limit=60, max_rank=6)


def families(n_seen: int, n_units: int) -> tuple[AnyFamily, ...]:
    """Families that n_seen periods before treatment and n_units units allow.

    A rank needs twice as many seen periods, and two more: loadings of a treated unit come from
    those periods alone.
    """
    most = min(MAX_RANK, (n_seen - 2) // 2, n_units // 4)
    ranks = tuple(InteractiveFactors(r, tolerance=1e-4, limit=60) for r in range(1, most + 1))
    found: tuple[AnyFamily, ...] = (
        Family("synthetic DID", (SyntheticDID(),)),
        WeightedFamily("synthetic control", (SyntheticControl(),)),
        WeightedFamily("ridge on donors", tuple(RidgeDonors(p) for p in PENALTIES)),
        CompletionFamily(),
    )
    return (*found, Family("interactive fixed effects", ranks)) if ranks else found


def squared_errors(y: Array, scored: Mask, tables: Array) -> Array:
    """Mean squared error of every unit with cells to score, in order of mask and unit.

    Parameters
    ----------
    y : ndarray, shape (K, N, T)
    scored : ndarray of bool, shape (K, N, T)
    tables : ndarray, shape (..., K, N, T)

    Returns
    -------
    ndarray, shape (..., number of runs)
    """
    count = scored.sum(axis=2)
    total = (np.where(scored, y - tables, 0.0) ** 2).sum(axis=-1)
    return total[..., count > 0] / count[count > 0]
