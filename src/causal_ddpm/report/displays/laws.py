"""The outcome with and without treatment as whole distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.evaluation.analysis import Analysis, distribution_frame
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import ARM_NAMES, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DistributionsDisplay:
    """The laws of the outcome, among the headline's units, had none or all been treated.

    Parameters
    ----------
    rows : DataFrame
        Columns arm, y, cdf, lower, upper, jump; the band covers both curves at once. ``jump`` is
        True where no mass lies between a point and the next one.
    axis_label : str
        Outcome with its unit.
    """

    rows: pd.DataFrame
    axis_label: str

    @classmethod
    def of(cls, analysis: Analysis) -> Self | None:
        """DR-corrected distribution functions, if the outcome model gives laws."""
        rows = distribution_frame(analysis)
        return None if rows is None else cls(rows, analysis.outcome_label)

    def frame(self) -> pd.DataFrame:
        """One row a grid point and arm."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Two curves with their bands."""
        for arm in (0, 1):
            part = self.rows[self.rows["arm"] == arm]
            y, cdf, lower, upper = stepped(part)
            colour, name = style.ARM_COLOURS[arm], f"if all were {ARM_NAMES[arm]}"
            ax.fill_between(y, lower, upper, color=colour, alpha=0.16, lw=0)
            ax.plot(y, cdf, color=colour, lw=2, ls=style.ARM_LINES[arm], label=name)
        ax.set(ylim=(0, 1.01), xlabel=self.axis_label)
        ax.margins(x=0.01)
        style.y_title(ax, "Share of units at or below")
        style.numbers(ax.xaxis)
        ax.yaxis.set_major_formatter(percent)
        style.gridlines(ax)
        style.legend_above(ax)
        return ax


def stepped(rows: pd.DataFrame) -> tuple[Array, ...]:
    """y, cdf, lower and upper of one arm, with a level stretch before every jump."""
    y = rows["y"].to_numpy()
    jumps = np.flatnonzero(rows["jump"].to_numpy()[:-1])
    curves = (rows[name].to_numpy() for name in ("cdf", "lower", "upper"))
    levels = [np.insert(curve, jumps + 1, curve[jumps]) for curve in curves]
    return (np.insert(y, jumps + 1, y[jumps + 1]), *levels)


@dataclass(frozen=True, eq=False)
class QuantileDisplay:
    """Effects on the quantiles of the outcome.

    Parameters
    ----------
    rows : DataFrame
        Columns quantile, value, ci_low, ci_high.
    axis_label : str
        What the vertical axis measures, with its unit.
    """

    rows: pd.DataFrame
    axis_label: str

    @classmethod
    def of(cls, analysis: Analysis) -> Self | None:
        """Quantile effects, if they were estimated and rest on enough comparable rows."""
        if analysis.quantiles is None or analysis.thin_laws:
            return None
        rows = analysis.quantiles.to_frame(analysis.level)
        rows.insert(0, "quantile", analysis.quantiles.details["levels"])
        columns = ["quantile", "value", "ci_low", "ci_high"]
        return cls(rows[columns], f"Effect on {analysis.outcome_label}")

    def frame(self) -> pd.DataFrame:
        """One row a quantile."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Points with intervals against the quantile."""
        r = self.rows
        ax.axhline(0, color=style.NAIVE, lw=0.8, zorder=0)
        ax.vlines(r["quantile"], r["ci_low"], r["ci_high"], color=style.EFFECT, lw=2)
        ax.plot(r["quantile"], r["value"], "o", color=style.EFFECT, ms=7, mec="white", mew=1.2)
        ax.set(xlim=(0, 1), xlabel="Quantile of the outcome")
        style.y_title(ax, self.axis_label)
        ax.xaxis.set_major_formatter(percent)
        style.numbers(ax.yaxis)
        style.gridlines(ax)
        return ax
