"""Which controls the counterfactual rests on, and what happens without each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from causal_ddpm.report import style
from causal_ddpm.report.displays.base import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from causal_ddpm.estimators.panel.effect import PanelEffect
    from causal_ddpm.evaluation.panel.donors import Donors

SHOWN = 12
"""Donors named in a picture."""


@dataclass(frozen=True, eq=False)
class DonorDisplay:
    """The controls that carry most of the counterfactual.

    Parameters
    ----------
    rows : DataFrame
        Columns unit, weight; the largest absolute weight first.
    axis_label : str
        What a weight is.
    """

    rows: pd.DataFrame
    axis_label: str

    @classmethod
    def of(cls, found: Donors) -> Self:
        """The donors that were looked at."""
        words = "Rise of the counterfactual when the donor's outcome is one unit higher"
        return cls(found.frame()[["unit", "weight"]], words)

    def frame(self) -> pd.DataFrame:
        """One row a donor."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Bars of the largest weights, each with its number; the rest in one line of words."""
        top = self.shown()
        at = np.arange(len(top))[::-1]
        weights = top["weight"].to_numpy(dtype=float)
        ax.barh(at, weights, 0.62, color=np.where(weights < 0, style.NAIVE, style.UNTREATED), lw=0)
        for place, weight in zip(at, weights, strict=True):
            ax.annotate(
                f"{weight:.2f}".replace("-", "\N{MINUS SIGN}"), (weight, place),
                xytext=(4 if weight >= 0 else -4, 0), textcoords="offset points", va="center",
                ha="left" if weight >= 0 else "right", color=style.INK, fontsize=9,
            )  # fmt: skip
        ax.axvline(0, color=style.INK, lw=0.8)
        ax.set_yticks(at, [shortened(str(u)) for u in top["unit"]])
        ax.tick_params(axis="y", labelcolor=style.INK)
        ax.set_xlabel(self.axis_label)
        ax.margins(x=0.12)
        rest = self.rows.iloc[len(top) :]
        if len(rest):
            share = float(rest["weight"].abs().sum() / self.rows["weight"].abs().sum())
            style.y_title(ax, f"{len(rest)} more donors carry {share:.0%} of the absolute weight")
        style.numbers(ax.xaxis)
        return ax

    def shown(self) -> pd.DataFrame:
        """The largest weights, without those that would be written as zero."""
        n = max(3, int((self.rows["weight"].abs() >= 0.005).sum()))
        return self.rows.head(min(n, SHOWN))


@dataclass(frozen=True, eq=False)
class LeaveOneOutDisplay:
    """The effect when each donor is left out.

    Parameters
    ----------
    rows : DataFrame
        Columns unit (left out), value.
    value, low, high : float
        The effect with all donors and its interval.
    axis_label : str
    """

    rows: pd.DataFrame
    value: float
    low: float
    high: float
    axis_label: str

    @classmethod
    def of(cls, found: Donors, effect: PanelEffect, outcome: str) -> Self:
        """The effect without each donor, on the interval of the effect with all."""
        rows = found.frame()[["unit", "att_without"]].rename(columns={"att_without": "value"})
        low, high = effect.att.interval(effect.level)
        return cls(rows, found.att, float(low), float(high), f"ATT on {outcome}")

    def frame(self) -> pd.DataFrame:
        """One row a donor left out, from the smallest effect to the largest."""
        return self.rows.sort_values("value", ignore_index=True)

    def plot(self, ax: Axes) -> Axes:
        """The donors that move the effect most, on the interval of the effect with all."""
        moved = self.rows.assign(move=(self.rows["value"] - self.value).abs())
        top = moved.sort_values("move", ascending=False).head(SHOWN)
        at = np.arange(len(top))[::-1]
        ax.axvspan(self.low, self.high, color=style.HAIRLINE, alpha=0.4, lw=0)
        ax.axvline(self.value, color=style.TREATED, lw=1.6)
        ax.hlines(at, self.value, top["value"], color=style.NAIVE, lw=1.4)
        ax.plot(top["value"], at, "o", color=style.EFFECT, ms=7, mec="white", mew=1.2)
        style.rule(ax)
        ax.set_yticks(at, [f"without {shortened(str(u))}" for u in top["unit"]])
        ax.tick_params(axis="y", labelcolor=style.INK)
        ax.set_ylim(-0.6, len(at) - 0.4)
        ax.set_xlabel(self.axis_label)
        style.y_title(ax, "Line: with all donors; shaded: its interval")
        style.numbers(ax.xaxis)
        return ax
