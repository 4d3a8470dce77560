"""Rows in the order of a prediction, each fold by itself.

Within a stratum (a fold) of total weight W the rows are laid out from the largest value to the
smallest. A row of value s occupies the interval of ranks

    [a, b] = [weight of rows with a larger value, weight of rows with at least s] / W,

so that equal values share one interval, a row of weight w is w rows, and the order of the rows in
the table plays no part. With U the position of a row in [0, 1] and psi its score:

- the top share u takes part (u - a) / (b - a), within [0, 1], of a row;
- m(u) = E[psi | U = u], a mean over the rows within .1 of u, is what the marginal row brings;
- rank-weighted averages (Yadlowsky et al. 2025; :data:`RANK_WEIGHTS`)

      theta = E[omega(U) psi],   AUTOC: omega(u) = -log u - 1,   Qini: omega(u) = 1/2 - u

  with the mean of omega over [a, b] as the weight of a row. The influence of a row counts that it
  moves the ranks of others,

      phi = omega(U) psi - theta + R(U) - E[R],   R(v) = integral_v^1 omega'(u) m(u) du,

  where m is the psi of each interval: an integral needs no smoothing. Only a row's own interval,
  on which R depends through its own psi, takes the fold's mean instead: otherwise the influence of
  the top rows is too small by their own noise (standard errors of AUTOC 9 % short with 60 rows a
  fold, 1 % with it).

Ranks within folds, never across: the predictions of fold k come from models that the scores of fold
k did not enter, and whose level is low where those scores are high. Across folds that would look
like predictions that err.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from causal_ddpm.estimators.scores import Array

RankWeight = Literal["AUTOC", "Qini"]
NEIGHBOURHOOD = 0.1
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Ranking:
    """Intervals of ranks, from the largest value (0) to the smallest (1) of each stratum.

    Parameters
    ----------
    above, through : ndarray, shape (n,)
        a and b of each row.
    strata : ndarray of int, shape (n,)
        Codes 0, 1, ... of the strata.
    weights : ndarray, shape (n,)
    """

    above: Array
    through: Array
    strata: NDArray[np.int64]
    weights: Array

    @classmethod
    def of(cls, values: Array, weights: Array, strata: NDArray[np.int64]) -> Ranking:
        """Rank ``values`` (n,) within the strata."""
        codes = np.unique(strata, return_inverse=True)[1]
        above, through = np.zeros(len(values)), np.zeros(len(values))
        for k in range(int(codes.max()) + 1):
            own = np.flatnonzero(codes == k)
            _, group = np.unique(-values[own], return_inverse=True)
            shares = np.bincount(group, weights=weights[own]) / weights[own].sum()
            ends = np.cumsum(shares)
            above[own], through[own] = (ends - shares)[group], ends[group]
        return cls(above, through, codes, weights)

    @property
    def middle(self) -> Array:
        """U: the middle of each interval, shape (n,)."""
        return (self.above + self.through) / 2

    def top(self, share: float) -> Array:
        """How much of each row belongs to the top share of its stratum, shape (n,)."""
        width = self.through - self.above
        part = np.divide(share - self.above, width, out=np.zeros_like(width), where=width > 0)
        return np.clip(part, 0.0, 1.0)

    def groups(self, n_groups: int) -> NDArray[np.int64]:
        """Groups 0 (smallest values) to n_groups - 1 of about equal weight, shape (n,)."""
        rank = np.floor(n_groups * (1 - self.middle) + _ROUNDING).astype(np.int64)
        return np.clip(rank, 0, n_groups - 1)

    def near(self, u: float) -> Array:
        """Weights, zero elsewhere, of the rows of rank near u in all strata, shape (n,)."""
        distance = np.abs(self.middle - u)
        return (distance <= max(NEIGHBOURHOOD, float(distance.min()))) * self.weights

    def mean_near(self, psi: Array, u: float) -> float:
        """m(u): mean of psi over the rows of rank near u, of all strata."""
        near = self.near(u)
        return float(near @ psi / near.sum()) if near.any() else 0.0


def _autoc(a: Array, b: Array) -> Array:
    return (xlogy(a, a) - xlogy(b, b)) / (b - a)


def _qini(a: Array, b: Array) -> Array:
    return 0.5 - (a + b) / 2


def _autoc_passed(a: Array, b: Array) -> tuple[Array, Array]:
    first = a <= 0
    log_ratio = np.where(first, 0.0, np.log(b / np.where(first, 1.0, a)))
    return -log_ratio, -(1 - a * log_ratio / (b - a))


def _qini_passed(a: Array, b: Array) -> tuple[Array, Array]:
    return -(b - a), -(b - a) / 2


RANK_WEIGHTS: dict[
    RankWeight,
    tuple[Callable[[Array, Array], Array], Callable[[Array, Array], tuple[Array, Array]]],
] = {"AUTOC": (_autoc, _autoc_passed), "Qini": (_qini, _qini_passed)}
"""Mean of omega over [a, b]; integral of omega' over [a, b], and the mean over v in [a, b] of the
integral of omega' from v to b."""


def rank_weighted(psi: Array, ranking: Ranking, kind: RankWeight) -> tuple[float, Array]:
    """A rank-weighted average of psi (n,) and its influence values (n,).

    The average over strata, each weighted by its rows.
    """
    phi, w = np.zeros(len(psi)), ranking.weights
    for k in range(int(ranking.strata.max()) + 1):
        own = np.flatnonzero((ranking.strata == k) & (w > 0))
        a, first, group = np.unique(ranking.above[own], return_index=True, return_inverse=True)
        b = ranking.through[own][first]
        mean_weight, passed = RANK_WEIGHTS[kind]
        share = np.bincount(group, weights=w[own])
        psi_of = np.bincount(group, weights=w[own] * psi[own]) / share
        whole, part = passed(a, b)
        whole, part = whole * psi_of, part * (share @ psi_of / share.sum())
        rest = np.cumsum(whole[::-1])[::-1] - whole + part
        rest -= share @ rest / share.sum()
        phi[own] = mean_weight(a, b)[group] * psi[own] + rest[group]
    theta = float(w @ phi / w.sum())
    return theta, phi - theta
