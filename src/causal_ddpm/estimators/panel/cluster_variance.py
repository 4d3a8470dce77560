r"""Covariances of averages over a panel from what they are without each cluster.

Clusters are in strata h of n_h, f_h = (n_h - 1) / n_h and 1 where n_h = 1. With d_c the difference
that cluster c makes to p averages,

    cov = sum_c f_h(c) d_c d_c',      V_h = the part of a variance that stratum h adds
    df  = (sum_h V_h)^2 / sum_h V_h^2 / max(n_h - 1, 1)                 (Satterthwaite 1946)

For effects of the sample at hand, whose cells are fixed, the strata are cohorts: clusters whose
treated units share a cohort, clusters with several, and clusters without a treated unit. For
effects of the population there are two, with treated units and without.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.random import Seed, stream
from causal_ddpm.estimators.panel.effect_cells import EffectCells

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_UNTREATED, _SEVERAL = -1, -2

LEAST_GROUPS = 10
"""Groups that the clusters of a stratum are dealt into at least: fewer leave few df."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """G clusters of the N units of a panel, in strata.

    Parameters
    ----------
    code : ndarray of int, shape (N,)
        0 .. G - 1.
    cohort : ndarray of int, shape (G,)
        Cohort that the treated units of a cluster share; -1 for none treated, -2 for several.
    """

    code: Codes
    cohort: Codes

    @classmethod
    def of(cls, code: Codes, cells: EffectCells) -> Clusters:
        """Clusters by any codes of units, whose treated units are those with cells."""
        distinct, code = np.unique(code, return_inverse=True)
        low = np.full(len(distinct), np.iinfo(np.int64).max)
        high = np.full(len(distinct), _UNTREATED)
        np.minimum.at(low, code[cells.unit], cells.cohort[cells.group])
        np.maximum.at(high, code[cells.unit], cells.cohort[cells.group])
        mixed = (high != _UNTREATED) & (low != high)
        return cls(code, np.where(mixed, _SEVERAL, high))

    @property
    def n(self) -> int:
        """G."""
        return len(self.cohort)

    @property
    def n_treated(self) -> int:
        """Clusters with a treated unit."""
        return int((self.cohort != _UNTREATED).sum())

    def strata(self, by_cohort: bool) -> Codes:
        """Stratum of each cluster, codes from 0, shape (G,)."""
        key = self.cohort if by_cohort else self.cohort != _UNTREATED
        return np.unique(key, return_inverse=True)[1]

    def merged(self, most: int, random_state: Seed) -> Clusters:
        """Clusters dealt into about ``most`` groups, each within a stratum that keeps some."""
        if self.n <= most:
            return self
        stratum = self.strata(by_cohort=True)
        order = stream(random_state, "groups of clusters").permutation(self.n)
        group, first = np.zeros(self.n, dtype=np.int64), 0
        for h in np.unique(stratum):
            members = order[stratum[order] == h]
            size = max(min(LEAST_GROUPS, len(members)), round(most * len(members) / self.n))
            group[members] = first + np.arange(len(members)) % size
            first += size
        cohort = np.zeros(first, dtype=np.int64)
        cohort[group] = self.cohort
        return Clusters(group[self.code], cohort)


def scaled(differences: Array, stratum: Codes) -> Array:
    """Differences times the root of f_h, shape (G, p)."""
    n = np.bincount(stratum)[stratum]
    return differences * np.sqrt(np.where(n > 1, (n - 1) / n, 1.0))[:, None]


def degrees_of_freedom(differences: Array, stratum: Codes) -> Array:
    """Satterthwaite's df of each average, shape (p,).

    Parameters
    ----------
    differences : ndarray, shape (G, p)
        Whose outer products add up to the covariance.
    stratum : ndarray of int, shape (G,)
    """
    part = np.zeros((stratum.max() + 1, differences.shape[1]))
    np.add.at(part, stratum, differences**2)
    n = np.maximum(np.bincount(stratum) - 1, 1)
    total, spread = part.sum(axis=0), (part**2 / n[:, None]).sum(axis=0)
    most = float(len(stratum) - 1)
    return np.divide(total**2, spread, out=np.full(len(total), most), where=spread > 0)


def unit_influence(differences: Array, code: Codes) -> Array:
    """Influence of each unit, shape (N, p), shared evenly by the units of a cluster.

    :func:`~causal_ddpm.core.estimate.influence_covariance` of it, summed within clusters, is the
    sum of outer products of the differences.
    """
    n_clusters, size = len(differences), np.bincount(code)[code]
    share = len(code) * np.sqrt((n_clusters - 1) / n_clusters) / size
    return np.asarray(share[:, None] * differences[code])
