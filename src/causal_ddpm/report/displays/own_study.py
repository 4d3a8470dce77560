"""Estimators on data like yours: bias and what the intervals cover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from causal_ddpm.evaluation.own_study.result import OwnStudy
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SPAN = 1.96
"""Monte Carlo errors that the thick line shows on either side of the bias."""


@dataclass(frozen=True, eq=False)
class OwnStudyDisplay:
    """A forest of biases, with the coverage of each estimator's intervals beside it.

    Parameters
    ----------
    rows : DataFrame
        Columns title, bias, bias_low, bias_high (Monte Carlo interval of the bias), half_width
        (mean half width of an interval), coverage, coverage_error, holds, draws.
    level : float
        That the intervals claim.
    axis_label : str
    """

    rows: pd.DataFrame
    level: float
    axis_label: str

    @classmethod
    def of(cls, study: OwnStudy) -> Self:
        """The estimators of a study, by RMSE."""
        table = study.table
        rows = pd.DataFrame(
            {
                "title": table["title"],
                "bias": table["bias"],
                "bias_low": table["bias"] - _SPAN * table["bias_error"],
                "bias_high": table["bias"] + _SPAN * table["bias_error"],
                "half_width": table["width"] / 2,
                "coverage": table["coverage"],
                "coverage_error": table["coverage_error"],
                "holds": table["intervals"] == "hold",
                "draws": table["draws"],
            }
        )
        return cls(rows, study.level, f"Error of the {study.estimand}: bias and mean interval")

    def frame(self) -> pd.DataFrame:
        """One row an estimator."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Bias as a dot with its Monte Carlo error, the mean interval thin, coverage in words."""
        places = np.arange(len(self.rows))[::-1]
        for place, row in zip(places, self.rows.to_dict("records"), strict=True):
            colour = style.EFFECT if row["holds"] else style.TREATED
            ends = [row["bias"] - row["half_width"], row["bias"] + row["half_width"]]
            ax.plot(ends, [place, place], color=style.HAIRLINE, lw=5, solid_capstyle="butt")
            ax.plot([row["bias_low"], row["bias_high"]], [place, place], color=colour, lw=2.2)
            ax.plot(row["bias"], place, "o", color=colour, ms=7, mec="white", mew=1.2)
            ax.text(
                1.02, place, self._words(row), color=colour, va="center", fontsize=9.5,
                transform=ax.get_yaxis_transform(),
            )  # fmt: skip
        style.rule(ax)
        ax.set_yticks(places, [shortened(title) for title in self.rows["title"]])
        ax.tick_params(axis="y", labelcolor=style.INK)
        ax.set_ylim(-0.6, len(places) - 0.4)
        ax.set_xlabel(self.axis_label)
        style.numbers(ax.xaxis)
        ax.text(
            1.02, len(places) - 0.35, f"{self.level:.0%} intervals cover", color=style.QUIET,
            fontsize=9.5, transform=ax.get_yaxis_transform(),
        )  # fmt: skip
        return ax

    @staticmethod
    def _words(row: Mapping[Any, Any]) -> str:
        return f"{row['coverage']:.2f} ± {row['coverage_error']:.2f}  ({row['draws']} draws)"
