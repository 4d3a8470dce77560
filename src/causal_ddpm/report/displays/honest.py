"""The average effect when trends may part: robust intervals over how far they may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from causal_ddpm.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from causal_ddpm.evaluation.panel.honest import HonestDiD


@dataclass(frozen=True, eq=False)
class HonestDisplay:
    """Intervals under violations of parallel trends of growing size.

    Parameters
    ----------
    rows : DataFrame
        Columns bound (Mbar), low, high.
    average : float
    breakdown : float
        Smallest bound whose interval holds zero; infinite beyond the search.
    level : float
    axis_label : str
    """

    rows: pd.DataFrame
    average: float
    breakdown: float
    level: float
    axis_label: str

    @classmethod
    def of(cls, honest: HonestDiD, outcome: str) -> Self:
        """The intervals by relative magnitudes."""
        rows = honest.frame()
        chosen = rows[rows["restriction"] == "relative magnitudes"]
        return cls(
            chosen[["bound", "low", "high"]].reset_index(drop=True), honest.average,
            honest.breakdown_mbar, honest.level, f"Average effect on {outcome}",
        )  # fmt: skip

    def frame(self) -> pd.DataFrame:
        """One row a bound."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Intervals that grow with the bound, grey once they hold zero."""
        holds = (self.rows["low"] <= 0) & (self.rows["high"] >= 0)
        for part, colour in ((self.rows[~holds], style.EFFECT), (self.rows[holds], style.NAIVE)):
            ax.vlines(part["bound"], part["low"], part["high"], color=colour, lw=2.4)
            ax.plot(part["bound"], np.full(len(part), self.average), "o", color=colour, ms=6,
                    mec="white", mew=1)  # fmt: skip
        ax.axhline(0, color=style.INK, lw=0.8)
        last = float(self.rows["bound"].max())
        if 0 < self.breakdown <= last:
            ax.axvline(self.breakdown, color=style.TREATED, lw=1.2, ls="--")
            ax.annotate(
                f"zero enters at {self.breakdown:.2g}", (self.breakdown, 0.97),
                xycoords=("data", "axes fraction"), xytext=(5, 0), textcoords="offset points",
                color=style.TREATED, va="top", fontsize=9.5,
            )  # fmt: skip
        ax.set_xlim(-0.15, last + 0.15)
        ax.set_xlabel("Largest step of trends apart, as a multiple of the largest one seen before")
        style.numbers(ax.xaxis)
        style.y_title(ax, f"{self.axis_label}, {self.level:.0%} intervals (grey: hold zero)")
        style.numbers(ax.yaxis)
        style.gridlines(ax)
        return ax
