"""The average effect where both treatments were likely enough.

    trimmed ATE = E[Y(1) - Y(0) | low < e(X) < high],     e(X) = P(A = 1 | X)

The bounds are given, or those under which the effect can be told most exactly. With equal noise in
both arms the variance of an efficient estimate for the units with 1 / (e (1 - e)) <= g is
proportional to

    V(g) = E[1{G <= g} G] / P(G <= g)^2,     G = 1 / (e (1 - e)),

and the bounds are 1/2 -+ sqrt(1/4 - 1/g) at the g that makes it least (Crump, Hotz, Imbens and
Mitnik 2009, theorem 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand.base import Estimand

Array = NDArray[np.float64]
Rule = float | tuple[float, float] | Literal["crump"]


@dataclass(frozen=True)
class TrimmedATE(Estimand):
    """Average effect on the units whose propensity lies within bounds.

    Who they are is told by the estimate's ``population``; the interval is about them.

    Parameters
    ----------
    rule : "crump", float or (float, float)
        The optimal bounds; or a, for a < e < 1 - a; or the bounds themselves.
    targeted, calibrated : bool
        As in :class:`~causal_ddpm.core.estimand.ATE`.

    Raises
    ------
    DataError
        If the rule is none of these, or leaves nobody.
    """

    name: ClassVar[str] = "trimmed ATE"
    rule: Rule = "crump"
    targeted: bool = False
    calibrated: bool = True

    def __post_init__(self) -> None:
        if self.rule != "crump":
            low, high = self._given()
            if not 0.0 <= low < high <= 1.0:
                raise DataError(
                    f"the rule of trimming is {self.rule!r}",
                    "'crump', a number from 0 to .5, or two ascending bounds between 0 and 1",
                    "For example TrimmedATE(0.1) keeps units with .1 < e < .9.",
                )

    @property
    def population(self) -> str:
        """The units in words; an estimate counts them."""
        if self.rule == "crump":
            return "units with propensities within the optimal bounds"
        return in_words(*self._given())

    @property
    def overlap_needed(self) -> str:
        """What must have been possible for whom, in words."""
        return "every unit within the bounds could have been treated or untreated"

    def bounds(self, e: Array, w: Array) -> tuple[float, float]:
        """The bounds low and high for propensities e (n,) and row weights w (n,)."""
        return optimal_bounds(e, w) if self.rule == "crump" else self._given()

    def _given(self) -> tuple[float, float]:
        try:
            pair: Any = self.rule if isinstance(self.rule, tuple) else (self.rule, None)
            low, high = pair
            return float(low), 1 - float(low) if high is None else float(high)
        except (TypeError, ValueError):
            return np.nan, np.nan


def optimal_bounds(e: Array, w: Array) -> tuple[float, float]:
    """Bounds of the smallest V; (0, 1) where no unit should go.

    Parameters
    ----------
    e : ndarray, shape (n,)
        P(A = 1 | x).
    w : ndarray, shape (n,)
        Row weights; rows of weight zero play no part.
    """
    seen = w > 0
    g, w = 1 / (e[seen] * (1 - e[seen])), w[seen]
    order = np.argsort(g, kind="stable")
    g, w = g[order], w[order]
    variance = np.cumsum(w * g) / np.cumsum(w) ** 2
    last = np.append(g[1:] > g[:-1], True)  # equal propensities stay or go together
    k = int(np.argmin(np.where(last, variance, np.inf)))
    if k == len(g) - 1:
        return 0.0, 1.0
    middle = (g[k] + g[k + 1]) / 2
    half = float(np.sqrt(0.25 - 1 / middle))
    return 0.5 - half, 0.5 + half


def in_words(low: float, high: float) -> str:
    """The units in words."""
    return f"units with {low:.3g} < e < {high:.3g}"
