"""The effect beside the naive difference, and how it varies across units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.evaluation.analysis import Analysis
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import percent, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
SHOWN = 0.99
"""Central share of the units that a histogram of their effects shows."""


@dataclass(frozen=True, eq=False)
class EffectDisplay:
    """The effects with their intervals above the naive difference.

    Parameters
    ----------
    rows : DataFrame
        Columns label, kind ("effect", "reference" or "naive"), value, ci_low, ci_high, and truth
        (NaN where it is not known).
    axis_label : str
        What the horizontal axis measures, with its unit.
    """

    rows: pd.DataFrame
    axis_label: str

    @classmethod
    def of(cls, analysis: Analysis) -> Self:
        """Average effects, numbers from elsewhere, then the naive difference."""
        truth = {} if analysis.truth is None else analysis.truth.population
        level, naive = analysis.level, analysis.naive
        rows: list[tuple[Any, ...]] = [
            (e.estimand, "effect", e.value, *e.interval(level), truth.get(e.estimand, np.nan))
            for e in analysis.mean_effects
        ]
        others: list[tuple[str, str, Any]] = [
            (r.label, "reference", r) for r in analysis.source.references
        ]
        rows += [
            (label, kind, found.value, *found.interval(level), np.nan)
            for label, kind, found in [*others, ("Naive difference", "naive", naive)]
        ]
        columns = ["label", "kind", "value", "ci_low", "ci_high", "truth"]
        return cls(pd.DataFrame(rows, columns=columns), f"Effect on {analysis.outcome_label}")

    def frame(self) -> pd.DataFrame:
        """One row an estimate."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """A forest plot; true effects of a simulation are triangles above their estimates."""
        places = np.arange(len(self.rows))[::-1]
        for place, row in zip(places, self.rows.to_dict("records"), strict=True):
            colour = style.KIND_COLOURS[row["kind"]]
            ends = [row["ci_low"], row["ci_high"]]
            ax.plot(ends, [place, place], color=colour, lw=2.2, solid_capstyle="round")
            ax.plot(row["value"], place, "o", color=colour, ms=8, mec="white", mew=1.4)
        style.rule(ax)
        ax.set_yticks(places, [shortened(label) for label in self.rows["label"]])
        ax.tick_params(axis="y", labelcolor=style.INK)
        ax.set_ylim(-0.6, len(places) - 0.3)
        ax.set_xlabel(self.axis_label)
        style.numbers(ax.xaxis)
        known = self.rows["truth"].notna().to_numpy()
        if known.any():
            truth = self.rows["truth"].to_numpy()[known]
            ax.plot(truth, places[known] + 0.3, "v", color=style.TRUTH, label="true effect")
            style.legend_above(ax)
        return ax


@dataclass(frozen=True, eq=False)
class UnitEffectsDisplay:
    """How the predicted effect varies across units.

    Parameters
    ----------
    row_ids : ndarray, shape (n,)
    effects, weights : ndarray, shape (n,)
        Out-of-fold effect of each unit given its confounders, and the unit's weight.
    average : float
        The estimated average effect.
    axis_label : str
        What the horizontal axis measures, with its unit.
    """

    row_ids: NDArray[Any]
    effects: Array
    weights: Array
    average: float
    axis_label: str

    @classmethod
    def of(cls, analysis: Analysis) -> Self:
        """Out-of-fold effects of the units that the headline is about, beside their average."""
        data, rows = analysis.data, analysis.headline_rows
        return cls(
            data.row_ids[rows], analysis.unit_effects[rows], data.weights[rows],
            float(analysis.headline.value), f"Predicted effect on {analysis.outcome_label}",
        )  # fmt: skip

    def frame(self) -> pd.DataFrame:
        """One row a unit."""
        columns = {"row_id": self.row_ids, "effect": self.effects, "weight": self.weights}
        return pd.DataFrame(columns)

    def plot(self, ax: Axes) -> Axes:
        """A histogram of the central 99 % of the units, with the average marked."""
        ends = np.quantile(self.effects, [(1 - SHOWN) / 2, (1 + SHOWN) / 2])
        bins = int(np.clip(np.sqrt(len(self.effects)), 8, 40))
        share = self.weights / self.weights.sum()
        ax.hist(
            self.effects, bins, range=tuple(ends), weights=share,
            color=style.UNTREATED, alpha=0.85, edgecolor="white", linewidth=0.6,
        )  # fmt: skip
        style.rule(ax)
        ax.axvline(self.average, color=style.INK, lw=1.4, ls=(0, (4, 2)), label="average effect")
        ax.set_xlabel(self.axis_label)
        style.numbers(ax.xaxis)
        style.y_title(ax, "Share of units")
        ax.yaxis.set_major_formatter(percent)
        style.gridlines(ax)
        style.legend_above(ax)
        return ax
