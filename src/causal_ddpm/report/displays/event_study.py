"""Effects by time since treatment, with bands that hold point by point and all at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from causal_ddpm.core.estimate import Estimate
from causal_ddpm.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEYOND = 0.5
"""Uniform bands are cut off where they leave the pointwise ones by so many times their range."""
MARKERS = ("o", "s", "^", "D", "v")


@dataclass(frozen=True, eq=False)
class EventStudyDisplay:
    """Effects by event time; before treatment they are placebos.

    Parameters
    ----------
    rows : DataFrame
        Columns method, event_time, value, ci_low, ci_high, uniform_low, uniform_high.
    level : float
    axis_label : str
        What the vertical axis measures, with its unit.
    """

    rows: pd.DataFrame
    level: float
    axis_label: str

    @classmethod
    def of(
        cls,
        study: Estimate | Mapping[str, Estimate],
        outcome: str,
        level: float | None = None,
    ) -> Self:
        """Event studies whose labels are event times, one or several by method.

        Parameters
        ----------
        study : Estimate, or mapping from names of methods to Estimate
            The first method is drawn with its uniform band.
        outcome : str
            With its unit.
        level : float, optional
            That of the first estimate by default.
        """
        named = {study.method: study} if isinstance(study, Estimate) else dict(study)
        shown = next(iter(named.values())).level if level is None else level
        rows = pd.concat([_rows(e, name, shown) for name, e in named.items()], ignore_index=True)
        return cls(rows, shown, f"Effect on {outcome}")

    def frame(self) -> pd.DataFrame:
        """One row a method and event time."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Lines hold one by one, the shaded bars all at once; hollow before treatment."""
        methods = list(dict.fromkeys(self.rows["method"]))
        shifts = np.zeros(1) if len(methods) == 1 else np.linspace(-0.22, 0.22, len(methods))
        colours = [style.EFFECT, style.UNTREATED, style.TREATED, style.SECOND, style.NAIVE]
        ax.axhline(0, color=style.NAIVE, lw=0.9, zorder=1)
        ax.axvline(-0.5, color=style.QUIET, lw=1, ls=(0, (2, 2)), zorder=1)
        for k, (method, shift) in enumerate(zip(methods, shifts, strict=True)):
            part = self.rows[self.rows["method"] == method].sort_values("event_time")
            self._draw(ax, part, float(shift), colours[k % 5], MARKERS[k % 5], band=k == 0)
        low, high = self.rows["event_time"].min(), self.rows["event_time"].max()
        ax.set_xlim(low - 0.6, high + 0.6)
        ax.set_ylim(
            *held(self.rows[["ci_low", "ci_high"]], self.rows[["uniform_low", "uniform_high"]])
        )
        _whole_ticks(ax)
        ax.set_xlabel("Periods since treatment began (hollow: before it, where the effect is zero)")
        style.y_title(ax, self.axis_label)
        style.numbers(ax.yaxis)
        style.gridlines(ax)
        if len(methods) > 1:
            style.legend_above(ax)
        return ax

    @staticmethod
    def _draw(
        ax: Axes, part: pd.DataFrame, shift: float, colour: str, marker: str, band: bool
    ) -> None:
        x = part["event_time"].to_numpy(dtype=float)
        if band:
            reach = part["uniform_high"] - part["uniform_low"]
            ax.bar(x, reach, 0.86, part["uniform_low"], color=style.UNTREATED, alpha=0.16, lw=0)
        ax.vlines(x + shift, part["ci_low"], part["ci_high"], color=colour, lw=2)
        for before, fill in ((True, "white"), (False, colour)):
            side = part[(x < 0) == before]
            ax.plot(
                side["event_time"] + shift, side["value"], marker, mfc=fill,
                mec=colour if before else "white", ms=7, mew=1.3,
            )  # fmt: skip
        ax.plot([], [], marker + "-", color=colour, ms=6, label=str(part["method"].iloc[0]))


def _rows(study: Estimate, name: str, level: float) -> pd.DataFrame:
    low, high = (np.atleast_1d(end) for end in study.interval(level))
    wide = [np.atleast_1d(end) for end in study.interval(level, simultaneous=True)]
    return pd.DataFrame({
        "method": name, "event_time": [int(float(label)) for label in study.labels],
        "value": study.values, "ci_low": low, "ci_high": high,
        "uniform_low": wide[0], "uniform_high": wide[1],
    })  # fmt: skip


def held(inner: pd.DataFrame, outer: pd.DataFrame) -> tuple[float, float]:
    """Limits of an axis that show ``inner`` and zero, and of ``outer`` what is not far beyond."""
    low, high = (float(f(inner.to_numpy(), initial=0.0)) for f in (np.nanmin, np.nanmax))
    reach = (high - low) or 1.0
    below = max(float(np.nanmin(outer.to_numpy(), initial=low)), low - BEYOND * reach)
    above = min(float(np.nanmax(outer.to_numpy(), initial=high)), high + BEYOND * reach)
    return below - 0.05 * reach, above + 0.05 * reach


def _whole_ticks(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    style.numbers(ax.xaxis)
