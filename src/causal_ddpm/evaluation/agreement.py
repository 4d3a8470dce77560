"""Do methods that were asked about the same rows agree: one rule, stated.

Methods k = 1..K give estimates theta_k, standard errors s_k and intervals C_k at one level.

    centre   theta* = weighted median of theta_k, weights 1 / s_k^2
    share    = share of k with theta* in C_k
    spread   = (max theta_k - min theta_k) / median s_k

**They agree where share >= .8.** On the same rows their errors move together: methods that estimate
the same thing differ by less than their intervals are wide, so that a share below .8 is hardly
chance. It shows that assumptions matter, not which of them fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

AGREE = 0.8
"""Share of the intervals that must hold the centre."""


@dataclass(frozen=True)
class Agreement:
    """Whether methods agree; see the module page for the rule.

    Parameters
    ----------
    n_methods : int
        Methods with a vote.
    centre : float
        Precision-weighted median of their estimates.
    share : float
        Share of their intervals that hold it.
    spread : float
        Range of their estimates over the median standard error.
    """

    n_methods: int
    centre: float
    share: float
    spread: float

    @classmethod
    def of(
        cls, values: ArrayLike, std_errors: ArrayLike, lows: ArrayLike, highs: ArrayLike
    ) -> Self | None:
        """The agreement of two or more methods, each array of shape (K,); None for fewer."""
        theta, s = np.asarray(values, dtype=float), np.asarray(std_errors, dtype=float)
        if len(theta) < 2:
            return None
        centre = precision_weighted_median(theta, s)
        holds = (np.asarray(lows) <= centre) & (centre <= np.asarray(highs))
        typical = float(np.median(s))
        spread = float(np.ptp(theta) / typical) if typical > 0 else 0.0
        return cls(len(theta), centre, float(holds.mean()), spread)

    @property
    def agree(self) -> bool:
        """Whether enough intervals hold the centre."""
        return self.share >= AGREE

    def in_words(self) -> str:
        """The finding with the rule."""
        held = round(self.share * self.n_methods)
        return (
            f"The methods {'agree' if self.agree else 'do not agree'}: {held} of {self.n_methods} "
            f"intervals hold their precision-weighted median {self.centre:,.4g} (from {AGREE:.0%} "
            f"on they agree); the estimates span {self.spread:.1f} standard errors."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields, with the rule."""
        return {
            "agree": self.agree,
            "rule": f"at least {AGREE:.0%} of the intervals hold the precision-weighted median",
            "n_methods": self.n_methods,
            "centre": self.centre,
            "share": self.share,
            "spread_in_standard_errors": self.spread,
        }


def precision_weighted_median(theta: ArrayLike, std_errors: ArrayLike) -> float:
    """The smallest theta_k at which half of all weight 1 / s^2 is reached, arrays of shape (K,)."""
    theta, s = np.asarray(theta, dtype=float), np.asarray(std_errors, dtype=float)
    weights = np.ones_like(s) if (s <= 0).any() else 1 / s**2
    order = np.argsort(theta, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(theta[order][np.searchsorted(reached, 0.5 - 1e-12)])
