"""What several generators recovered of several designs: generators down, aspects across."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from causal_ddpm.core.errors import DataError
from causal_ddpm.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ASPECTS: Mapping[str, str] = MappingProxyType({
    "distance": "looks\n(distances)",
    "coefficients": "regression\ncoefficients",
    "mean": "conditional\nmean",
    "quantiles": "conditional\nquantiles",
    "noise": "noise\nlaw",
    "assignment": "treatment\nassignment",
    "effects": "average\neffects",
    "counterfactual": "effects at x,\npotential laws",
})  # fmt: skip
"""Sections of a recovery, from what is seen in the rows to what is not."""

_HALF = 0.55
"""Share above which a cell is dark enough for white type."""


@dataclass(frozen=True, eq=False)
class LeaderboardDisplay:
    """Shares of checks recovered, as a table whose cells are the darker the more was recovered.

    Parameters
    ----------
    shares : DataFrame
        Generators by aspects, in [0, 1]; missing where an aspect was not assessed.
    """

    shares: pd.DataFrame

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Self:
        """From one row a fit, with columns ``generator`` and ``share_<section>``.

        Means over fits; fits without a share (they ran out of time) are left out of them.

        Raises
        ------
        DataError
            If the rows hold no such columns.
        """
        names = [name for name in ASPECTS if f"share_{name}" in rows]
        if "generator" not in rows or not names:
            raise DataError("the rows hold no shares of checks", "generator and share_<section>")
        columns = [f"share_{name}" for name in names]
        shares = rows.groupby("generator", sort=False)[columns].mean()
        return cls(shares.set_axis(names, axis=1))

    def frame(self) -> pd.DataFrame:
        """One row a generator."""
        return self.shares.reset_index()

    def plot(self, ax: Axes) -> Axes:
        """Cells with their shares in per cent."""
        from matplotlib.colors import LinearSegmentedColormap

        values = self.shares.to_numpy(dtype=float)
        colours = LinearSegmentedColormap.from_list("shares", ["#ffffff", style.TRUTH])
        ax.imshow(values, cmap=colours, vmin=0, vmax=1, aspect="auto")
        for i, j in np.ndindex(*values.shape):
            if not np.isnan(values[i, j]):
                ink = "#ffffff" if values[i, j] > _HALF else style.INK
                ax.text(j, i, f"{values[i, j]:.0%}", ha="center", va="center", color=ink)
        ax.set_xticks(range(values.shape[1]), [ASPECTS[str(name)] for name in self.shares])
        ax.set_yticks(range(len(values)), list(self.shares.index))
        ax.tick_params(axis="both", length=0, labelcolor=style.INK)
        ax.xaxis.tick_top()
        ax.spines[:].set_visible(False)
        return ax
