"""Who is treated when, and what the raw outcomes did: pictures before any estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import shortened
from causal_ddpm.report.displays.periods import apart, period_axis, places, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STATES = ("missing", "untreated", "treated")
NAMED_UNITS = 45
"""So many units can be named beside their rows; more are named by cohort."""
DRAWN_COHORTS = 8
"""Lines that one picture of means can hold."""
MIDDLE = (0.1, 0.9)
"""Quantiles of the never-treated units between which their means are shaded."""
WIDEST = 2.5
"""The shade is left out where it is so many times as high as the range of the means."""


@dataclass(frozen=True, eq=False)
class TreatmentMapDisplay:
    """Units by periods: untreated, treated, missing; units sorted by cohort, the first on top.

    Parameters
    ----------
    state : ndarray of int8, shape (N, T)
        Index into :data:`STATES`.
    units, periods : ndarray, shapes (N,) and (T,)
        Labels, in the order drawn.
    cohorts : tuple of str, one a unit
        First treated period of each unit, in words, or "never treated".
    names : tuple of str
        What a unit and a period are called.
    """

    state: NDArray[np.int8]
    units: NDArray[Any]
    periods: NDArray[Any]
    cohorts: tuple[str, ...]
    names: tuple[str, str]

    @classmethod
    def of(cls, panel: PanelData) -> Self:
        """The cells of a panel."""
        order = np.argsort(panel.first, kind="stable")
        state = np.where(panel.treated, 2, 1)
        state[~panel.observed] = 0
        return cls(
            state[order].astype(np.int8), np.asarray(panel.units)[order],
            np.asarray(panel.periods), tuple(cohort_names(panel)[order]),
            (panel.unit_name, panel.period_name),
        )  # fmt: skip

    def frame(self) -> pd.DataFrame:
        """One row a cell, in the order drawn: unit, period, cohort, state."""
        n, t = self.state.shape
        return pd.DataFrame({
            "unit": np.repeat(self.units, t), "period": np.tile(self.periods, n),
            "cohort": np.repeat(self.cohorts, t),
            "state": np.asarray(STATES)[self.state.ravel()],
        })  # fmt: skip

    @property
    def height(self) -> float:
        """Inches that the picture needs."""
        n = len(self.units)
        return 1.1 + (0.125 * n if n <= NAMED_UNITS else 3.6)

    def plot(self, ax: Axes) -> Axes:
        """One coloured cell a unit and period; names of units, or of cohorts, on the left."""
        from matplotlib.colors import ListedColormap

        n, t = self.state.shape
        colours = ListedColormap([style.MISSING, style.UNTREATED_PALE, style.TREATED])
        ax.imshow(
            self.state, cmap=colours, vmin=0, vmax=2, aspect="auto", interpolation="nearest",
            extent=(-0.5, t - 0.5, n - 0.5, -0.5),
        )  # fmt: skip
        few = n <= NAMED_UNITS
        if t <= 60:
            ax.vlines(np.arange(t - 1) + 0.5, -0.5, n - 0.5, color="white", lw=0.5)
        if few:
            ax.hlines(np.arange(n - 1) + 0.5, -0.5, t - 0.5, color="white", lw=0.5)
            ax.set_yticks(np.arange(n), [shortened(str(u), 22) for u in self.units])
            ax.tick_params(axis="y", labelcolor=style.INK, labelsize=7.5)
        else:
            self._name_cohorts(ax)
        step = -(-t // 10)
        ax.set_xticks(np.arange(0, t, step), [written(p) for p in self.periods[::step]])
        ax.set_xlabel(self.names[1])
        style.y_title(ax, f"{self.names[0]} ({n:,})" + ("" if few else ", by cohort"))
        self._legend(ax)
        for spine in ax.spines.values():
            spine.set_visible(False)
        ax.grid(visible=False)
        return ax

    def _name_cohorts(self, ax: Axes) -> None:
        """The name and size of each cohort beside its rows, white lines between cohorts."""
        n = len(self.units)
        starts = [k for k in range(n) if k == 0 or self.cohorts[k] != self.cohorts[k - 1]]
        ends = [*starts[1:], n]
        sizes = np.subtract(ends, starts)
        shown = starts if len(starts) <= 14 else starts[:: -(-len(starts) // 14)]
        middle = {s: (s + e - 1) / 2 for s, e in zip(starts, ends, strict=True)}
        at = apart(np.array([middle[s] for s in shown]), 0.055 * n)
        at = at - max(0.0, at[-1] - (n - 1))
        size = dict(zip(starts, sizes, strict=True))
        labels = [f"{self.cohorts[s]} ({size[s]:,})" for s in shown]
        ax.set_yticks(at, labels)
        ax.tick_params(axis="y", labelcolor=style.INK)
        ax.hlines(np.array(starts[1:]) - 0.5, *ax.get_xlim(), color="white", lw=1.2)

    def _legend(self, ax: Axes) -> None:
        """The states that occur, as squares."""
        present = [k for k in (1, 2, 0) if (self.state == k).any()]
        colours = (style.MISSING, style.UNTREATED_PALE, style.TREATED)
        for k in present:
            ax.plot(
                [], [], "s", ms=8, color=colours[k], mec=style.HAIRLINE, mew=0.8, label=STATES[k]
            )
        style.legend_above(ax)


@dataclass(frozen=True, eq=False)
class CohortMeansDisplay:
    """Raw means of the outcome by cohort, over time.

    Parameters
    ----------
    rows : DataFrame
        Columns cohort, start (label, None for never treated), period, mean, n, and low, high: the
        middle 80 % of the cohort's units (NaN below ten units).
    periods : ndarray, shape (T,)
    axis_label, period_name : str
    """

    rows: pd.DataFrame
    periods: NDArray[Any]
    axis_label: str
    period_name: str

    @classmethod
    def of(cls, panel: PanelData, axis_label: str | None = None) -> Self:
        """Means of the observed cells, weighted where the panel has weights."""
        weights = np.ones(len(panel.units)) if panel.weights is None else panel.weights
        names = cohort_names(panel)
        parts = [
            _cohort_rows(panel, names == name, str(name), weights)
            for name in dict.fromkeys(names[np.argsort(panel.first, kind="stable")])
        ]
        rows = pd.concat(parts, ignore_index=True)
        label = panel.outcome_name if axis_label is None else axis_label
        return cls(rows, np.asarray(panel.periods), label, panel.period_name)

    def frame(self) -> pd.DataFrame:
        """One row a cohort and period."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Never treated in blue, cohorts in oranges with a dot where treatment starts."""
        at = dict(zip(self.periods.tolist(), places(self.periods), strict=True))
        cohorts = list(dict.fromkeys(self.rows["cohort"]))
        drawn = _largest(self.rows, cohorts)
        treated = [c for c in drawn if c != NEVER]
        colours = dict(zip(treated, style.ramp(len(treated)), strict=True))
        ends = []
        for name in drawn:
            part = self.rows[(self.rows["cohort"] == name) & self.rows["mean"].notna()]
            x = part["period"].map(at).to_numpy(dtype=float)
            colour = colours.get(name, style.UNTREATED)
            if name == NEVER and self._shaded(drawn):
                ax.fill_between(x, part["low"], part["high"], color=colour, alpha=0.1, lw=0)
            ax.plot(x, part["mean"], color=colour, lw=2, ls="-" if name == NEVER else (0, (6, 1)))
            begun = part[part["period"] == part["start"]]
            ax.plot(
                begun["period"].map(at), begun["mean"], "o", color=colour, ms=7, mec="white", mew=1
            )
            ends.append((name, colour, float(x[-1]), float(part["mean"].iloc[-1])))
        period_axis(ax, self.periods, self.period_name)
        style.y_title(ax, f"Mean {self.axis_label}")
        style.numbers(ax.yaxis)
        style.gridlines(ax)
        _label_ends(ax, ends)
        return ax

    def _shaded(self, drawn: list[str]) -> bool:
        """Whether the middle of the controls can be shaded without dwarfing the means."""
        rows = self.rows[self.rows["cohort"].isin(drawn)]
        reach = float((rows["high"] - rows["low"]).max())
        return reach < WIDEST * float(rows["mean"].max() - rows["mean"].min())


NEVER = "never treated"


def cohort_names(panel: PanelData) -> NDArray[Any]:
    """First treated period of every unit in words, or "never treated", shape (N,)."""
    labels = [*(written(p) for p in panel.periods), NEVER]
    return np.array([labels[k] for k in panel.first], dtype=object)


def _cohort_rows(
    panel: PanelData, rows: NDArray[np.bool_], name: str, weights: NDArray[np.float64]
) -> pd.DataFrame:
    y, seen = panel.y[rows], panel.observed[rows]
    w = weights[rows][:, None] * seen
    total = w.sum(axis=0)
    means = np.where(
        total > 0, (w * np.where(seen, y, 0.0)).sum(axis=0) / np.where(total > 0, total, 1), np.nan
    )
    low, high = np.full((2, len(means)), np.nan)
    many = seen.sum(axis=0) >= 10
    if many.any():
        low[many], high[many] = np.nanquantile(np.where(seen, y, np.nan)[:, many], MIDDLE, axis=0)
    first = int(panel.first[rows][0])
    start = None if name == NEVER else panel.periods[first]
    if name != NEVER and rows.sum() == 1:
        name = f"{shortened(str(panel.units[rows][0]), 20)} ({name})"
    return pd.DataFrame({
        "cohort": name, "start": start, "period": np.asarray(panel.periods), "mean": means,
        "n": seen.sum(axis=0), "low": low, "high": high,
    })  # fmt: skip


def _largest(rows: pd.DataFrame, cohorts: list[str]) -> list[str]:
    """At most :data:`DRAWN_COHORTS` cohorts, the largest, in their order."""
    if len(cohorts) <= DRAWN_COHORTS:
        return cohorts
    sizes = rows.groupby("cohort")["n"].max().sort_values(ascending=False)
    kept = set(sizes.index[:DRAWN_COHORTS])
    return [c for c in cohorts if c in kept]


def _label_ends(ax: Axes, ends: list[tuple[str, str, float, float]]) -> None:
    """Each line named at its right end, no name on another."""
    low, high = ax.get_ylim()
    heights = apart(np.array([end[3] for end in ends]), 0.065 * (high - low))
    edge = max(end[2] for end in ends)
    for (name, colour, _, _), height in zip(ends, heights, strict=True):
        ax.annotate(
            name, (edge, height), xytext=(8, 0), textcoords="offset points", color=colour,
            va="center", fontsize=9.5, annotation_clip=False,
        )  # fmt: skip
