"""Rosenbaum bounds: matched pairs in which hidden bias may favour one unit (Rosenbaum 2002, ch. 4).

Within a pair the odds of being the treated one differ by at most Gamma because of what was not
observed. With y_s the treated-minus-untreated difference of pair s, q_s the rank of |y_s| among all
pairs (average ranks for ties) and q_s = 0 where y_s = 0, Wilcoxon's statistic T = sum_{y_s > 0} q_s
is, under no effect, bounded by sums of independent q_s B_s with B_s ~ Bernoulli(p),

    p+ = Gamma / (1 + Gamma),  p- = 1 / (1 + Gamma),   E = p sum q_s,   V = p (1 - p) sum q_s^2

so that the one-sided p-value lies between 1 - Phi((T - E-) / sqrt(V)) and 1 - Phi((T - E+) /
sqrt(V)) (section 4.3.3). The test looks in the direction of T at Gamma = 1. The largest Gamma at
which the upper p-value stays at alpha solves the same equation; it is closed enough for bisection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.evaluation.sensitivity.matching import checked_pairs, matched_pairs
from causal_ddpm.nuisance.crossfit import Nuisances
from causal_ddpm.nuisance.encoding import Encoder
from causal_ddpm.nuisance.logistic import fit_logistic
from causal_ddpm.nuisance.propensity import GUARD

Array = NDArray[np.float64]
GAMMAS = tuple(1.0 + k / 4 for k in range(21))
_LARGEST_GAMMA = 1e6


@dataclass(frozen=True, eq=False)
class RosenbaumBounds:
    """P-values of no effect under hidden bias in matched pairs.

    Parameters
    ----------
    gammas : ndarray, shape (G,)
    p_lower, p_upper : ndarray, shape (G,)
        Smallest and largest one-sided p-values.
    gamma_limit : float
        Gamma at which the largest p-value passes alpha; 1 when it does so without hidden bias.
    alpha : float
    statistic : float
        Wilcoxon's T in the direction tested.
    direction : str
        "higher" or "lower" outcomes of the treated.
    n_pairs : int
    null : float
        Effect that was subtracted from the differences.
    """

    gammas: Array
    p_lower: Array
    p_upper: Array
    gamma_limit: float
    alpha: float
    statistic: float
    direction: str
    n_pairs: int
    null: float

    def quantities(self) -> dict[str, float]:
        """Pairs, p-value without hidden bias, and the limiting Gamma."""
        return {
            "pairs": float(self.n_pairs),
            "p-value at Gamma = 1": float(self.p_upper[0]),
            f"Gamma at which p passes {self.alpha:.2g}": self.gamma_limit,
        }

    def sentence(self) -> str:
        """How much hidden bias the matched comparison withstands."""
        start = f"Matched pairs ({self.n_pairs:,}): "
        if self.gamma_limit == 1.0:
            return start + (
                f"not significant at {self.alpha:.2g} even without hidden bias, so there is "
                "nothing to explain away."
            )
        return start + (
            f"that the treated have {self.direction} outcomes stays significant at "
            f"{self.alpha:.2g} (one-sided) until a hidden confounder multiplies the odds of "
            f"treatment within a pair by {self.gamma_limit:.3g}."
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a Gamma: gamma, p_lower, p_upper."""
        return pd.DataFrame(
            {"gamma": self.gammas, "p_lower": self.p_lower, "p_upper": self.p_upper}
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {
            "n_pairs": self.n_pairs,
            "statistic": self.statistic,
            "direction": self.direction,
            "alpha": self.alpha,
            "gamma_limit": self.gamma_limit,
            "bounds": self.to_frame().to_dict(orient="list"),
        }


def rosenbaum_bounds(
    differences: Array,
    gammas: Sequence[float] = GAMMAS,
    alpha: float = 0.05,
    null: float = 0.0,
    treated_higher: bool | None = None,
) -> RosenbaumBounds:
    """Bounds of the signed rank test from differences of matched pairs.

    Parameters
    ----------
    differences : ndarray, shape (m,)
        Treated minus untreated outcome of each pair.
    gammas : sequence of float
        Each at least 1; 1 is added.
    alpha : float
        One-sided level.
    null : float
    treated_higher : bool, optional
        The side of the alternative; by default the side on which the statistic lies.

    Raises
    ------
    DataError
        If a Gamma is below one or every difference is zero.
    """
    grid = np.unique(np.array([1.0, *gammas], dtype=float))
    if not np.isfinite(grid).all() or grid[0] < 1.0:
        raise DataError(f"the values of Gamma are {list(gammas)}", "finite numbers of at least 1")
    y = np.asarray(differences, dtype=float) - null
    ranks = np.where(y == 0.0, 0.0, stats.rankdata(np.abs(y)))
    if not ranks.any():
        raise DataError("every matched pair has a difference of zero", "outcomes that differ")
    total, squares, positive = ranks.sum(), float(ranks @ ranks), float(ranks[y > 0].sum())
    if treated_higher is None:
        treated_higher = positive >= total / 2
    t = positive if treated_higher else float(total - positive)

    def p_value(p: Array | float) -> Array:
        return np.asarray(stats.norm.sf((t - p * total) / np.sqrt(p * (1 - p) * squares)))

    def excess(log_gamma: float) -> float:
        return float(p_value(1 / (1 + np.exp(-log_gamma)))) - alpha

    limit = 1.0
    if excess(0.0) < 0:
        top = float(np.log(_LARGEST_GAMMA))
        limit = float(np.exp(brentq(excess, 0.0, top))) if excess(top) > 0 else _LARGEST_GAMMA
    return RosenbaumBounds(
        grid, p_value(1 / (1 + grid)), p_value(grid / (1 + grid)), limit, alpha, t,
        "higher" if treated_higher else "lower", len(y), null,
    )  # fmt: skip


def matched_bounds(
    data: CausalData,
    nuisances: Nuisances | None = None,
    pairs: object = None,
    gammas: Sequence[float] = GAMMAS,
    alpha: float = 0.05,
    null: float = 0.0,
) -> RosenbaumBounds:
    """Rosenbaum bounds of pairs that are given, or matched on the propensity.

    Without nuisances the propensity is a logistic regression on all confounders.

    Raises
    ------
    DataError
        If the data have weights, for which the test has no place, or the pairs are unusable.
    OverlapError
        If fewer than ten pairs can be made.
    """
    if data.has_weights:
        raise DataError("the rows have weights", "equally weighted rows for the signed rank test")
    if pairs is not None:
        found = checked_pairs(pairs, data)
    else:
        found = matched_pairs(data.treatment, _propensity(data, nuisances))
    differences = data.outcome[found[:, 0]] - data.outcome[found[:, 1]]
    return rosenbaum_bounds(differences, gammas, alpha, null)


def _propensity(data: CausalData, nuisances: Nuisances | None) -> Array:
    if nuisances is not None:
        p = nuisances.propensity[:, 1]
    else:
        x = Encoder().fit(data.covariates).transform(data.covariates)
        p = fit_logistic(x, data.treatment, None, 1.0).predict(x)
    return np.clip(p, GUARD, 1 - GUARD)
