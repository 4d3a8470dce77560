"""What placebos say: is the treated unit unusual, and do bands hold where there is no effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom

from causal_ddpm.estimators.panel.effect import PlaceboRecord
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import percent, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes


BINS = 44
"""Columns into which the dots of a distribution are stacked."""
LONG_TAIL = 10.0
"""A largest value beyond so many medians asks for a logarithmic axis."""


@dataclass(frozen=True, eq=False)
class PlaceboDistributionDisplay:
    """A statistic of the treated among the same statistic of every placebo.

    Parameters
    ----------
    rows : DataFrame
        Columns unit, statistic, treated (bool).
    p_value, floor : float
        Rank p-value, and the smallest that so many placebos can give.
    axis_label : str
        What the statistic is.
    """

    rows: pd.DataFrame
    p_value: float
    floor: float
    axis_label: str

    @classmethod
    def of(cls, placebo: PlaceboRecord) -> Self:
        """Errors after over errors before (pretended) treatment; perfect fits are left out."""
        rows = placebo.units[["unit", "ratio", "treated"]].rename(columns={"ratio": "statistic"})
        rows = rows[np.isfinite(rows["statistic"].astype(float))].reset_index(drop=True)
        words = "Root mean squared gap after treatment, as a multiple of the one before"
        return cls(rows, placebo.p_value, placebo.p_value_floor, words)

    def frame(self) -> pd.DataFrame:
        """One row a unit, the largest first."""
        return self.rows.sort_values("statistic", ascending=False, ignore_index=True)

    def plot(self, ax: Axes) -> Axes:
        """Dots stacked in bins, the treated named above its own, p-value in words."""
        x, level, long_tail = self._dots()
        treated = self.rows["treated"].to_numpy(dtype=bool)
        ax.plot(x[~treated], level[~treated], "o", color=style.NAIVE, ms=6.5, mec="white", mew=0.6)
        ax.plot(x[treated], level[treated], "o", color=style.TREATED, ms=9, mec="white", mew=0.8)
        if treated.sum() <= 3:
            for k in np.flatnonzero(treated):
                ax.annotate(
                    shortened(str(self.rows["unit"].iloc[k])), (x[k], level[k]), xytext=(0, 9),
                    textcoords="offset points", color=style.TREATED, ha="center", fontweight="bold",
                )  # fmt: skip
        if long_tail:
            ax.set_xscale("log")
            ax.xaxis.set_minor_formatter(lambda v, _: "")
        ax.set(ylim=(-0.6, max(4.0, float(level.max()) + 1.6)), yticks=[])
        style.y_title(ax, self.words())
        ax.set_xlabel(self.axis_label)
        style.numbers(ax.xaxis)
        return ax

    def _dots(self) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
        """Where the dots lie, and whether the axis is logarithmic; placebos below the treated."""
        values = self.rows["statistic"].to_numpy(dtype=float)
        treated = self.rows["treated"].to_numpy(dtype=bool)
        long_tail = bool(values.min() > 0 and values.max() > LONG_TAIL * np.median(values))
        scale = np.log(values) if long_tail else values
        width = float(np.ptp(scale)) / BINS or 1.0
        bins = np.floor((scale - scale.min()) / width).astype(int)
        order, level = np.argsort(treated, kind="stable"), np.zeros(len(values))
        for b in np.unique(bins):
            inside = order[bins[order] == b]
            level[inside] = np.arange(len(inside))
        x = scale.min() + (bins + 0.5) * width
        return (np.exp(x) if long_tail else x), level, long_tail

    def words(self) -> str:
        """The p-value and its floor."""
        n = int((~self.rows["treated"]).sum())
        at_floor = self.p_value <= self.floor * (1 + 1e-9)
        text = f"rank p-value {self.p_value:.2g} among {n} placebos"
        return text + (
            ", the smallest possible" if at_floor else f"; smallest possible {self.floor:.2g}"
        )


@dataclass(frozen=True, eq=False)
class PlaceboCoverageDisplay:
    """How often the band holds the observed path of placebos, by periods since treatment.

    Parameters
    ----------
    rows : DataFrame
        Columns event_time, coverage, n, and low, high: where 95 % of such shares of n placebos
        would lie if the band held what it claims.
    level : float
        That the band claims.
    overall, overall_error : float
        Coverage of all cells together, and its Monte Carlo standard error.
    """

    rows: pd.DataFrame
    level: float
    overall: float
    overall_error: float

    @classmethod
    def of(cls, placebo: PlaceboRecord) -> Self:
        """The coverage measured on a panel's own placebos."""
        rows = placebo.by_horizon[["event_time", "coverage", "n"]].reset_index(drop=True)
        n = rows["n"].to_numpy(dtype=int)
        low, high = (binom.ppf(q, n, placebo.level) / n for q in (0.025, 0.975))
        return cls(
            rows.assign(low=low, high=high), placebo.level, placebo.coverage,
            placebo.coverage_error,
        )  # fmt: skip

    def frame(self) -> pd.DataFrame:
        """One row a horizon."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Dots by horizon on the range that chance allows around the claimed level."""
        x = self.rows["event_time"].to_numpy(dtype=float) + 1
        reach = self.rows["high"] - self.rows["low"]
        ax.bar(x, reach, 1.0, self.rows["low"], color=style.HAIRLINE, alpha=0.45, lw=0)
        ax.axhline(self.level, color=style.TREATED, lw=1.3, ls="--")
        ax.annotate(
            f"claimed {self.level:.0%}", (1.0, self.level), xycoords=("axes fraction", "data"),
            xytext=(4, 0), textcoords="offset points", color=style.TREATED, va="center",
            fontsize=9.5, annotation_clip=False,
        )  # fmt: skip
        ax.plot(
            x, self.rows["coverage"], "o-", color=style.EFFECT, ms=7, mec="white", mew=1.2,
            lw=1, clip_on=False,
        )  # fmt: skip
        lowest = float(min(self.rows["coverage"].min(), self.rows["low"].min(), 0.5))
        ax.set(
            ylim=(lowest - 0.02 if lowest > 0.02 else 0, 1.0), xlim=(x.min() - 0.6, x.max() + 0.6)
        )
        ax.set_xticks(x[:: -(-len(x) // 12)])
        style.numbers(ax.xaxis)
        ax.set_xlabel("Periods since the pretended treatment began (shaded: what chance allows)")
        style.y_title(
            ax, f"Placebo cells inside the band; all together {self.overall:.1%}, "
            f"standard error {self.overall_error:.1%}",
        )  # fmt: skip
        ax.yaxis.set_major_formatter(percent)
        style.gridlines(ax)
        return ax
