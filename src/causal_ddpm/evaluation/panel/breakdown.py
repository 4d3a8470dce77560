r"""How wrong the untreated path of few treated units would have to be.

With theta the average effect and [theta - l, theta + u] its interval from placebos, which reaches
towards zero by h (l where theta > 0, else u),

    scale        kappa = |theta| / h           errors of the treated so many times as large as those
                                               of placebos would let the interval touch zero
    own events   theta itself                  what an event of the treated units alone must have
                                               done to the outcome, on average, to be all of it
    spillovers   theta / (1 - s W)             the effect if every donor caught a share s of it, W
                                               the sum of the donors' weights

The first is the breakdown value of the assumption that errors of treated and controls are of one
kind; kappa below 1 means that the interval holds zero as it is. The last follows from
y - sum_j w_j (y_j(0) + s theta) = theta (1 - s W), to which the estimate is equal: spillovers that
go the same way hide a part of the effect (s > 0), those that go the other way add to it (s < 0).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from causal_ddpm.estimators.panel.effect import PanelEffect
from causal_ddpm.evaluation.panel.donors import Donors

CAUGHT = 0.25
"""A share of the effect that donors might have caught, or its opposite."""
SHARES = (-0.5, -CAUGHT, 0.0, CAUGHT, 0.5)


@dataclass(frozen=True)
class Breakdown:
    """What would overturn the average effect of few treated units.

    Parameters
    ----------
    effect, level : float
        The average effect, and the level of its interval.
    half_width : float
        How far the interval reaches from the effect towards zero.
    weight : float
        Sum of the donors' weights.
    typical : float
        Root mean square of the placebos' average effects.
    """

    effect: float
    level: float
    half_width: float
    weight: float
    typical: float

    @property
    def scale(self) -> float:
        """How many times as large the errors of the treated may be before zero is inside."""
        return abs(self.effect) / self.half_width

    def frame(self) -> pd.DataFrame:
        """One row a share of the effect that donors caught: share, effect."""
        corrected = [self.effect / (1 - share * self.weight) for share in SHARES]
        return pd.DataFrame({"share": SHARES, "effect": corrected})

    @property
    def words(self) -> str:
        """The breakdown value, the size of an event that would do, and spillovers."""
        if self.scale < 1:
            first = (
                "The interval holds zero as it is: errors of the treated like those of placebos "
                "are enough."
            )
        else:
            first = (
                f"The {self.level:.0%} interval would reach zero if errors of the treated were "
                f"{self.scale:.2g} times as large as those of placebos."
            )
        corrected = self.frame().set_index("share")["effect"]
        return (
            f"{first} To be all of the effect, something else that happened to the treated alone "
            f"must have moved the outcome by {self.effect:.3g} on average, "
            f"{abs(self.effect) / self.typical:.2g} times what controls stray by (root mean "
            f"square). Had spillovers moved every donor by {CAUGHT:.0%} of the effect, it would be "
            f"{corrected[CAUGHT]:.3g}; by as much the other way, {corrected[-CAUGHT]:.3g}."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields, with the words."""
        return {
            **asdict(self), "scale": self.scale, "spillovers": self.frame().to_dict("records"),
            "words": self.words,
        }  # fmt: skip


def breakdown(effect: PanelEffect, donors: Donors) -> Breakdown:
    """Breakdown values of an effect whose interval comes from placebos.

    Parameters
    ----------
    effect : PanelEffect
    donors : Donors
        Of the same effect.
    """
    theta = float(effect.att.value)
    low, high = (float(end) for end in effect.att.interval(effect.level))
    table = effect.placebo.units
    placebos = table.loc[~table["treated"].astype(bool), "effect"].astype(float)
    return Breakdown(
        theta, effect.level, theta - low if theta > 0 else high - theta,
        float(donors.table["weight"].sum()), float((placebos**2).mean() ** 0.5),
    )  # fmt: skip
