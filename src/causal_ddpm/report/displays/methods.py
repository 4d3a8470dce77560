"""One effect by many methods: how far apart their answers lie, and from a number believed."""

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

    from causal_ddpm.evaluation.method_table import MethodTable

_WIDE = 2.5
"""Median widths of an interval, to either side of the median estimate, that the axis shows."""
_ONE_LINE = 72
"""Characters of a label that fit below the axis; longer ones take two lines."""
_COLOURS = {"own": style.TREATED, "votes": style.UNTREATED, "naive": style.NAIVE}


@dataclass(frozen=True, eq=False)
class MethodForestDisplay:
    """Estimates and intervals by method, the centre of those with a vote, and a benchmark.

    Parameters
    ----------
    rows : DataFrame
        Columns method, value, ci_low, ci_high (NaN where a method offers no interval), kind ("own":
        ours, "votes", or "naive": no vote), and agrees (bool: the interval holds our estimate, or
        without ours the centre).
    centre, benchmark : float or None
        The precision-weighted median, and a number that is believed.
    axis_label : str
    """

    rows: pd.DataFrame
    centre: float | None
    benchmark: float | None
    axis_label: str

    @classmethod
    def of(cls, table: MethodTable, outcome: str | None = None) -> Self:
        """The methods that have an answer, ours first.

        Parameters
        ----------
        table : MethodTable
            Of a cross-section (``compare``) or a panel (``compare_panel``).
        outcome : str, optional
            With its unit, for the axis; a comparison of a cross-section knows it.
        """
        frame, agreement = table.frame(), table.agreement
        kind = np.select([frame["own"], frame["votes"]], ["own", "votes"], "naive")
        names = ["method", "value", "ci_low", "ci_high", "agrees"]
        rows = frame[names].assign(kind=kind).iloc[np.argsort(~frame["own"], kind="stable")]
        known = table if isinstance(table, Comparison) else None
        asked = table.estimand if known is None else known.asked
        return cls(
            rows.reset_index(drop=True),
            None if agreement is None else agreement.centre,
            None if known is None or known.benchmark is None else known.benchmark.value,
            asked if outcome is None else f"{table.estimand} on {outcome}",
        )

    def frame(self) -> pd.DataFrame:
        """One row a method."""
        return self.rows.copy()

    @property
    def height(self) -> float:
        """Inches that the rows need."""
        return 1.2 + 0.27 * len(self.rows)

    def plot(self, ax: Axes) -> Axes:
        """A forest, ours on top; an arrow marks what lies beyond the axis."""
        places = np.arange(len(self.rows))[::-1]
        window = self.window()
        for place, row in zip(places, self.rows.to_dict("records"), strict=True):
            _draw(ax, row, float(place), window)
        style.rule(ax)
        if self.centre is not None:
            ax.axvline(self.centre, color=style.QUIET, lw=1.0, ls=":", label="weighted median")
        if self.benchmark is not None:
            ax.axvline(self.benchmark, color=style.TRUTH, lw=1.4, ls=(0, (4, 2)), label="benchmark")
        if not self.rows["agrees"].all():
            ax.plot([], [], "D", color=style.NAIVE, ms=6, label=f"interval misses {self._middle()}")
        style.legend_above(ax)
        ax.set_yticks(places, [shortened(label, 40) for label in self.rows["method"]])
        ax.tick_params(axis="y", labelcolor=style.INK)
        ax.set(xlim=window, ylim=(-0.6, len(places) - 0.4))
        hollow = "" if np.isfinite(self.rows["ci_low"]).all() else " (hollow: no interval)"
        span = f"points span {self._range()}{hollow}"
        fits = len(self.axis_label) + len(span) <= _ONE_LINE
        ax.set_xlabel(f"{self.axis_label};{' ' if fits else chr(10)}{span}")
        style.numbers(ax.xaxis)
        return ax

    def window(self) -> tuple[float, float]:
        """Ends of the axis: around the median estimate, no wider than a few usual intervals."""
        ends = self.rows[["ci_low", "ci_high"]].dropna().to_numpy(dtype=float)
        values = self.rows["value"].to_numpy(dtype=float)
        middle = float(np.median(values))
        typical = float(np.median(ends[:, 1] - ends[:, 0])) if len(ends) else 0.0
        reach = _WIDE * (typical or float(np.ptp(values)) or 1.0)
        shown = [v for v in (*ends.ravel(), *values) if abs(v - middle) <= reach]
        shown += [v for v in (self.centre, self.benchmark) if v is not None]
        shown += [0.0] if abs(middle) <= reach else []
        margin = 0.03 * (max(shown) - min(shown)) or 1.0
        return min(shown) - margin, max(shown) + margin

    def _middle(self) -> str:
        return "our estimate" if (self.rows["kind"] == "own").any() else "the median"

    def _range(self) -> str:
        low, high = float(self.rows["value"].min()), float(self.rows["value"].max())
        return f"{low:,.4g} to {high:,.4g}".replace("-", "\N{MINUS SIGN}")


def _draw(ax: Axes, row: Mapping[Any, Any], place: float, window: tuple[float, float]) -> None:
    """One method: interval and estimate, with arrows where they leave the window."""
    low, high = window
    colour, marker = _COLOURS[row["kind"]], "o" if row["agrees"] else "D"
    whole = np.isfinite(row["ci_low"])
    if whole:
        ends = np.clip([row["ci_low"], row["ci_high"]], low, high)
        ax.plot(ends, [place, place], color=colour, lw=2.2, solid_capstyle="round")
    if min(row["value"], row["ci_low"]) < low:
        ax.plot(low, place, "<", color=colour, ms=6, clip_on=False)
    if max(row["value"], row["ci_high"]) > high:
        ax.plot(high, place, ">", color=colour, ms=6, clip_on=False)
    if low <= row["value"] <= high:
        face, edge = (colour, "white") if whole else ("white", colour)
        ax.plot(row["value"], place, marker, mfc=face, mec=edge, ms=8, mew=1.4)
