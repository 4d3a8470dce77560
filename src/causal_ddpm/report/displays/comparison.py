"""Are the groups comparable: overlap of propensities, balance of confounders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.evaluation.analysis import Analysis
from causal_ddpm.evaluation.diagnostics import Overlap
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import ARM_NAMES, percent, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BALANCED = 0.1
"""Standardised differences below this are conventionally called balanced."""


@dataclass(frozen=True, eq=False)
class OverlapDisplay:
    """Who could have been treated: estimated propensities by arm.

    Parameters
    ----------
    edges : ndarray, shape (B + 1,)
        Bin edges of the propensity.
    shares : ndarray, shape (2, B)
        Share of each arm's rows (by weight) in each bin.
    """

    edges: NDArray[np.float64]
    shares: NDArray[np.float64]

    @classmethod
    def of(cls, source: Analysis | Overlap) -> Self:
        """The histogram of an analysis, or of an overlap report."""
        found = source if isinstance(source, Overlap) else source.overlap
        return cls(found.edges, found.shares)

    def frame(self) -> pd.DataFrame:
        """One row a bin: left, right, untreated, treated (shares within the arm)."""
        columns = (self.edges[:-1], self.edges[1:], *self.shares)
        return pd.DataFrame(dict(zip(("left", "right", *ARM_NAMES), columns, strict=True)))

    def plot(self, ax: Axes) -> Axes:
        """Treated upwards, untreated downwards, on one axis of propensity."""
        width = 0.92 * np.diff(self.edges)
        for arm, sign in ((1, 1.0), (0, -1.0)):
            colour, heights = style.ARM_COLOURS[arm], sign * self.shares[arm]
            ax.bar(self.edges[:-1], heights, width, align="edge", color=colour, alpha=0.9, lw=0)
            style.corner_label(ax, ARM_NAMES[arm], colour, top=arm == 1)
        top = 1.12 * float(self.shares.max())
        ax.axhline(0, color=style.INK, lw=0.8)
        ax.set(xlim=(0, 1), ylim=(-top, top))
        ax.set_xlabel("Estimated probability of treatment given the confounders")
        style.y_title(ax, "Share of the group's rows")
        ax.yaxis.set_major_formatter(percent)
        style.gridlines(ax)
        return ax


@dataclass(frozen=True, eq=False)
class BalanceDisplay:
    """A love plot: how unlike the arms were, and are after weighting.

    Parameters
    ----------
    rows : DataFrame
        Columns confounder, before, after: absolute standardised mean differences.
    """

    rows: pd.DataFrame

    @classmethod
    def of(cls, analysis: Analysis, limit: int = 20) -> Self:
        """The confounders with the largest differences before weighting, at most ``limit``."""
        rows = analysis.balance.frame()
        return cls(rows.sort_values("before", ascending=False).head(limit).reset_index(drop=True))

    def frame(self) -> pd.DataFrame:
        """One row a confounder."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Hollow dots before, filled dots after, a line between them."""
        places = np.arange(len(self.rows))[::-1]
        limit = self._limit()
        before, after = (np.minimum(self.rows[x].to_numpy(), limit) for x in ("before", "after"))
        ax.axvspan(0, BALANCED, color=style.HAIRLINE, alpha=0.35, lw=0)
        ax.hlines(places, before, after, color=style.HAIRLINE, lw=1.6)
        ax.plot(
            before, places, "o", mfc="white", mec=style.NAIVE, clip_on=False, label="as observed"
        )
        ax.plot(after, places, "o", color=style.EFFECT, clip_on=False, label="after weighting")
        ax.set_yticks(places, self._names())
        ax.tick_params(axis="y", labelcolor=style.INK)
        ax.set(xlim=(0, 1.04 * limit), ylim=(-0.6, len(places) - 0.4))
        ax.set_xlabel("Absolute standardised difference of the groups' means (shaded: below .1)")
        style.legend_above(ax)
        return ax

    def _limit(self) -> float:
        """Right end of the axis; an infinite difference is drawn there."""
        values = self.rows[["before", "after"]].to_numpy(dtype=float)
        return 1.04 * float(np.max(values[np.isfinite(values)], initial=2 * BALANCED))

    def _names(self) -> list[str]:
        """Labels; an infinite difference (no spread in the group) is said there."""
        largest = self.rows[["before", "after"]].max(axis=1)
        return [
            shortened(name) + (" (∞)" if np.isinf(value) else "")
            for name, value in zip(self.rows["confounder"], largest, strict=True)
        ]
