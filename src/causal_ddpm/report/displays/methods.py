"""One estimand, many methods: how far apart their answers lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from causal_ddpm.report import style
from causal_ddpm.report.displays.base import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from causal_ddpm.evaluation.method_table import MethodTable


@dataclass(frozen=True, eq=False)
class MethodForestDisplay:
    """Estimates of one effect by method, with the range they span.

    Parameters
    ----------
    rows : DataFrame
        Columns method, value, ci_low, ci_high (NaN where a method offers no interval), own (bool:
        ours), agrees (bool: the interval holds our estimate; False without an interval).
    verdict : str
        How far the methods agree, in words.
    axis_label : str
    """

    rows: pd.DataFrame
    verdict: str
    axis_label: str

    @classmethod
    def of(cls, table: MethodTable, outcome: str) -> Self:
        """The methods that have an answer, ours first."""
        names = ["method", "value", "ci_low", "ci_high", "own", "agrees"]
        rows = table.frame()[names].sort_values("own", ascending=False, kind="stable")
        return cls(rows.reset_index(drop=True), table.verdict, f"{table.estimand} on {outcome}")

    def frame(self) -> pd.DataFrame:
        """One row a method."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """A forest, ours on top; the shaded range holds every point."""
        places = np.arange(len(self.rows))[::-1]
        values = self.rows["value"].to_numpy(dtype=float)
        ax.axvspan(values.min(), values.max(), color=style.HAIRLINE, alpha=0.4, lw=0)
        for place, row in zip(places, self.rows.to_dict("records"), strict=True):
            colour, marker = self._look(row)
            if np.isfinite(row["ci_low"]):
                ends = [row["ci_low"], row["ci_high"]]
                ax.plot(ends, [place, place], color=colour, lw=2.2, solid_capstyle="round")
                ax.plot(row["value"], place, marker, color=colour, ms=8, mec="white", mew=1.4)
            else:
                ax.plot(row["value"], place, marker, mfc="white", mec=colour, ms=7, mew=1.4)
        style.rule(ax)
        ax.set_yticks(places, [shortened(label, 40) for label in self.rows["method"]])
        ax.tick_params(axis="y", labelcolor=style.INK)
        ax.set_ylim(-0.6, len(places) - 0.4)
        style.y_title(ax, f"Points span {self._range()}")
        hollow = "" if np.isfinite(self.rows["ci_low"]).all() else " (hollow: no interval)"
        ax.set_xlabel(f"{self.axis_label}{hollow}")
        style.numbers(ax.xaxis)
        if not self.rows["agrees"].all():
            ax.plot([], [], "D-", color=style.NAIVE, ms=6, label="interval without our estimate")
            style.legend_above(ax)
        return ax

    @staticmethod
    def _look(row: Mapping[Any, Any]) -> tuple[str, str]:
        """Colour and marker: ours, those that hold it, those that do not."""
        if row["own"]:
            return style.TREATED, "o"
        return (style.UNTREATED, "o") if row["agrees"] else (style.NAIVE, "D")

    def _range(self) -> str:
        low, high = float(self.rows["value"].min()), float(self.rows["value"].max())
        return f"{low:.3g} to {high:.3g}".replace("-", "\N{MINUS SIGN}")
