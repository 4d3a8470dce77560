"""Do methods that were asked about the same rows agree: one rule, stated.

Methods k = 1..K give estimates theta_k, standard errors s_k and intervals C_k at one level.

    centre   theta* = weighted median of theta_k, weights 1 / s_k^2
    share    = share of k with theta* in C_k
    spread   = (max theta_k - min theta_k) / median s_k

**They agree where share >= .8.** On the same rows their errors move together: methods that estimate
the same thing differ by less than their intervals are wide, so that a share below .8 is hardly
chance. It shows that assumptions matter, not which of them fail.

A method with more than half of all weight is the centre whatever the others say. The rule is then
applied to the others as well, and both findings are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
    leans_on : int or None
        Position of a method with more than half of all weight.
    weight : float
        Largest share of weight of one method.
    others : Agreement or None
        The agreement of the others where one method is leant on, and two or more are left.
    """

    n_methods: int
    centre: float
    share: float
    spread: float
    leans_on: int | None = None
    weight: float = 0.0
    others: Agreement | None = None

    @classmethod
    def of(
        cls, values: ArrayLike, std_errors: ArrayLike, lows: ArrayLike, highs: ArrayLike
    ) -> Self | None:
        """The agreement of two or more methods, each array of shape (K,); None for fewer."""
        theta, s = np.asarray(values, dtype=float), np.asarray(std_errors, dtype=float)
        low, high = np.asarray(lows, dtype=float), np.asarray(highs, dtype=float)
        if len(theta) < 2:
            return None
        centre = precision_weighted_median(theta, s)
        holds = (low <= centre) & (centre <= high)
        typical = float(np.median(s))
        spread = float(np.ptp(theta) / typical) if typical > 0 else 0.0
        found = cls(len(theta), centre, float(holds.mean()), spread)
        weights = _weights(s)
        heaviest = int(weights.argmax())
        if len(theta) == 2 or weights[heaviest] <= 0.5:
            return replace(found, weight=float(weights[heaviest]))
        rest = np.arange(len(theta)) != heaviest
        others = cls.of(theta[rest], s[rest], low[rest], high[rest])
        return replace(found, leans_on=heaviest, weight=float(weights[heaviest]), others=others)

    @property
    def agree(self) -> bool:
        """Whether enough intervals hold the centre."""
        return self.share >= AGREE

    def in_words(self, names: Sequence[str] = ()) -> str:
        """The finding with the rule.

        Parameters
        ----------
        names : sequence of str
            Of the methods, in their order; without them a method that is leant on has no name.
        """
        text = (
            f"The methods {'agree' if self.agree else 'do not agree'}: {self._held()} hold their "
            f"precision-weighted median {self.centre:,.4g} (from {AGREE:.0%} on they agree); the "
            f"estimates span {self.spread:.1f} standard errors."
        )
        if self.leans_on is None or self.others is None:
            return text
        who = names[self.leans_on] if names else "one method"
        return (
            f"{text} That median leans on {who}, whose standard error gives it {self.weight:.0%} "
            f"of the weight; without it {self.others._held()} hold {self.others.centre:,.4g}."
        )

    def _held(self) -> str:
        return f"{round(self.share * self.n_methods)} of {self.n_methods} intervals"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields, with the rule."""
        return {
            "agree": self.agree,
            "rule": f"at least {AGREE:.0%} of the intervals hold the precision-weighted median",
            "n_methods": self.n_methods,
            "centre": self.centre,
            "share": self.share,
            "spread_in_standard_errors": self.spread,
            "leans_on": self.leans_on,
            "largest_weight": self.weight,
            "others": None if self.others is None else self.others.to_dict(),
        }


def precision_weighted_median(theta: ArrayLike, std_errors: ArrayLike) -> float:
    """The smallest theta_k at which half of all weight 1 / s^2 is reached, arrays of shape (K,)."""
    theta, s = np.asarray(theta, dtype=float), np.asarray(std_errors, dtype=float)
    order = np.argsort(theta, kind="stable")
    reached = np.cumsum(_weights(s)[order])
    return float(theta[order][np.searchsorted(reached, 0.5 - 1e-12)])


def _weights(s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of precision, equal ones where a standard error is zero, shape (K,)."""
    weights = np.ones_like(s) if (s <= 0).any() else 1 / s**2
    return np.asarray(weights / weights.sum())
