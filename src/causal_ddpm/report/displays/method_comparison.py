"""Methods for one effect around a number that is believed: a forest with a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from causal_ddpm.evaluation.comparison import Comparison
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDE = 2.5
"""Median widths of an interval, to either side of the median estimate, that the axis shows."""
_COLOURS = {"own": style.TREATED, "votes": style.UNTREATED, "naive": style.NAIVE}


@dataclass(frozen=True, eq=False)
class ComparisonDisplay:
    """Estimates and intervals by method, the agreed centre and the benchmark.

    Parameters
    ----------
    rows : DataFrame
        Columns method, value, ci_low, ci_high, and kind: "own" (ours), "votes" or "naive".
    centre, benchmark : float or None
        The precision-weighted median, and a number that is believed.
    axis_label : str
    """

    rows: pd.DataFrame
    centre: float | None
    benchmark: float | None
    axis_label: str

    @classmethod
    def of(cls, comparison: Comparison) -> Self:
        """The methods that have an answer, in the order of the comparison."""
        frame, agreement = comparison.frame(), comparison.agreement
        kind = np.select([frame["own"], frame["votes"]], ["own", "votes"], "naive")
        rows = frame[["method", "value", "ci_low", "ci_high"]].assign(kind=kind)
        benchmark = comparison.benchmark
        return cls(
            rows,
            None if agreement is None else agreement.centre,
            None if benchmark is None else benchmark.value,
            comparison.asked,
        )

    def frame(self) -> pd.DataFrame:
        """One row a method."""
        return self.rows.copy()

    @property
    def height(self) -> float:
        """Inches that the rows need."""
        return 1.2 + 0.27 * len(self.rows)

    def plot(self, ax: Axes) -> Axes:
        """A forest; an arrow marks what lies beyond an axis that wide intervals do not flatten."""
        places = np.arange(len(self.rows))[::-1]
        window = self.window()
        for place, row in zip(places, self.rows.to_dict("records"), strict=True):
            _draw(ax, row, float(place), window)
        style.rule(ax)
        if self.centre is not None:
            ax.axvline(self.centre, color=style.QUIET, lw=1.0, ls=":", label="weighted median")
        if self.benchmark is not None:
            ax.axvline(self.benchmark, color=style.TRUTH, lw=1.4, ls=(0, (4, 2)), label="benchmark")
        if self.centre is not None or self.benchmark is not None:
            style.legend_above(ax)
        ax.set_yticks(places, [shortened(label, 40) for label in self.rows["method"]])
        ax.tick_params(axis="y", labelcolor=style.INK)
        ax.set(xlim=window, ylim=(-0.6, len(places) - 0.4))
        ax.set_xlabel(self.axis_label)
        style.numbers(ax.xaxis)
        return ax

    def window(self) -> tuple[float, float]:
        """Ends of the axis: around the median estimate, no wider than a few usual intervals."""
        ends = self.rows[["ci_low", "ci_high"]].to_numpy(dtype=float)
        middle = float(self.rows["value"].median())
        reach = _WIDE * float(np.median(ends[:, 1] - ends[:, 0]))
        shown = [v for v in ends.ravel() if abs(v - middle) <= reach]
        shown += [v for v in (self.centre, self.benchmark, middle) if v is not None]
        shown += [0.0] if abs(middle) <= reach else []
        margin = 0.03 * (max(shown) - min(shown)) or 1.0
        return min(shown) - margin, max(shown) + margin


def _draw(ax: Axes, row: Mapping[Any, Any], place: float, window: tuple[float, float]) -> None:
    """One method: interval and estimate, with arrows where they leave the window."""
    low, high = window
    colour = _COLOURS[row["kind"]]
    ends = np.clip([row["ci_low"], row["ci_high"]], low, high)
    ax.plot(ends, [place, place], color=colour, lw=2.2, solid_capstyle="round")
    if row["ci_low"] < low:
        ax.plot(low, place, "<", color=colour, ms=6, clip_on=False)
    if row["ci_high"] > high:
        ax.plot(high, place, ">", color=colour, ms=6, clip_on=False)
    if low <= row["value"] <= high:
        ax.plot(row["value"], place, "o", color=colour, ms=8, mec="white", mew=1.4)
