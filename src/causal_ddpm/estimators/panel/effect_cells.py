r"""The cells whose effects are averaged, in groups, and the averages that a panel is asked for.

A group is a cohort g in a period t; its event time is k = t - g, and k < 0 is a lead. With effects
tau_it of cells and weights omega_i of units,

    S_gt = sum_{i in g} omega_i tau_it,     W_gt = sum_{i in g} omega_i,     m_gt = S_gt / W_gt

and every target is a mean over groups, theta = sum_gt W_gt m_gt / sum_gt W_gt over those that
belong to it: all groups with k >= 0 (ATT), those of one g with k >= 0, those of one k.

Where units are left out, S and W change. For the effects of the sample at hand the shares of the
groups stay and only their means are those of the units left; for effects of the population both
are. A group that loses its only units borrows the mean of its event time, or else of all cells on
its side of the start of treatment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class EffectCells:
    """m cells in K groups; made by :func:`effect_cells`.

    Parameters
    ----------
    unit, period, group : ndarray of int, shape (m,)
    weight : ndarray, shape (m,)
        omega_i.
    cohort, event : ndarray of int, shape (K,)
        First treated period and event time of each group.
    """

    unit: Codes
    period: Codes
    group: Codes
    weight: Array
    cohort: Codes
    event: Codes

    @property
    def mass(self) -> Array:
        """W, shape (K,)."""
        return np.asarray(np.bincount(self.group, self.weight, len(self.event)), dtype=float)

    def sums(self, effects: Array, rows: Mask | None = None) -> tuple[Array, Array]:
        """(S, W), shape (K,) each, of the cells whose effect is known.

        Parameters
        ----------
        effects : ndarray, shape (N, T)
            tau, NaN where it is not known.
        rows : ndarray of bool, shape (N,), optional
            Units that count; all by default.
        """
        tau = effects[self.unit, self.period]
        use = np.isfinite(tau) if rows is None else np.isfinite(tau) & rows[self.unit]
        group, omega = self.group[use], self.weight[use]
        size = len(self.event)
        total = np.bincount(group, omega * tau[use], size)
        return np.asarray(total, dtype=float), np.asarray(np.bincount(group, omega, size), float)


def effect_cells(first: Codes, weight: Array, cells: Mask) -> EffectCells:
    """The cells of a mask, in groups.

    Parameters
    ----------
    first : ndarray of int, shape (N,)
        First treated period of each unit.
    weight : ndarray, shape (N,)
        Units of weight zero have no cells.
    cells : ndarray of bool, shape (N, T)
    """
    unit, period = np.nonzero(cells & (weight > 0)[:, None])
    n_periods = cells.shape[1]
    code, group = np.unique(first[unit] * n_periods + period, return_inverse=True)
    cohort = code // n_periods
    return EffectCells(unit, period, group, weight[unit], cohort, code % n_periods - cohort)


@dataclass(frozen=True, eq=False)
class Targets:
    """p averages over groups.

    Parameters
    ----------
    labels : tuple of str
    member : ndarray of bool, shape (p, K)
        Groups that belong to each average.
    cells : EffectCells
    """

    labels: tuple[str, ...]
    member: Mask
    cells: EffectCells

    def values(self, sums: Array, mass: Array) -> Array:
        """theta from S and W, shape (p,)."""
        return np.asarray(self.member @ sums / (self.member @ mass))

    def values_left(self, sums: Array, mass: Array, fixed_shares: bool) -> Array:
        """theta where units are left out, shape (G, p).

        Parameters
        ----------
        sums, mass : ndarray, shape (G, K)
            S and W of those that remain.
        fixed_shares : bool
            Whether groups keep their shares of the whole panel.
        """
        if fixed_shares:
            share = self.member * self.cells.mass
            share = share / share.sum(axis=1, keepdims=True)
            return np.asarray(_group_means(sums, mass, self.cells.event) @ share.T)
        whole = mass @ self.member.T
        borrowed = _group_means(sums, mass, self.cells.event) @ self.member.T
        count = self.member.sum(axis=1)
        own = np.divide(sums @ self.member.T, whole, out=borrowed / count, where=whole > 0)
        return np.asarray(own)


def targets(cells: EffectCells, period_labels: NDArray[np.generic]) -> tuple[Targets, ...]:
    """ATT, its parts by cohort, and by event time with the leads first."""
    after = cells.event >= 0
    cohorts, events = np.unique(cells.cohort[after]), np.unique(cells.event)
    by_cohort = (cells.cohort == cohorts[:, None]) & after
    return (
        Targets(("ATT",), after[None, :], cells),
        Targets(tuple(str(period_labels[g]) for g in cohorts), by_cohort, cells),
        Targets(tuple(str(k) for k in events), cells.event == events[:, None], cells),
    )


def _group_means(sums: Array, mass: Array, event: Codes) -> Array:
    """m of every group, borrowed where none of its units are left, shape (G, K)."""
    mean = np.divide(sums, mass, out=np.full(sums.shape, np.nan), where=mass > 0)
    side = (event >= 0).astype(np.int64)
    for key in (event, side):
        lost = np.isnan(mean)
        if not lost.any():
            break
        kin = (key == key[:, None]).astype(float)
        total, weight = sums @ kin, mass @ kin
        wider = np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0)
        mean = np.where(lost, wider, mean)
    return mean
