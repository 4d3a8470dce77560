"""A structural curve without a band, the line whose slope has a set, and where the doses lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from causal_ddpm.core.instrument_data import InstrumentData
from causal_ddpm.estimators.sieve_iv import WEAK_F
from causal_ddpm.estimators.structural_record import NO_INTERVAL, StructuralCurve
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import percent, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 30
"""Bars of the doses, over the stretch on which the curve is drawn."""
_STRIP = 0.18
"""Share of the height, at the bottom, that belongs to the bars."""
_ONE_LINE = 86
"""Characters that fit below the axis; the slope of a longer text gets a line of its own."""


@dataclass(frozen=True, eq=False)
class StructuralCurveDisplay:
    """The curve over the central 90 % of the doses, as what has no valid interval.

    Parameters
    ----------
    rows : DataFrame
        Columns dose, value, line (the straight line by the same instruments), interval.
    doses : DataFrame
        Columns low, high, share: how the rows spread over the doses drawn.
    n_terms : int
        Of the curve; with one it is the line.
    slope : str
        The Anderson-Rubin set of the slope of the line, in words.
    weak_f : float or None
        The first-stage F where it says that the curve must not be used.
    outcome_label, dose_name : str
    """

    rows: pd.DataFrame
    doses: pd.DataFrame
    n_terms: int
    slope: str
    weak_f: float | None
    outcome_label: str
    dose_name: str

    @classmethod
    def of(cls, found: StructuralCurve, outcome_label: str | None = None) -> Self:
        """The curve, the line, and the doses.

        Parameters
        ----------
        found : StructuralCurve
        outcome_label : str, optional
            The outcome with its unit.
        """
        curve, f = found.curve, found.first_stage_f
        line = replace(found, fit=found.fits[0]).value(curve["dose"])
        low, high = (float(curve["dose"].iloc[end]) for end in (0, -1))
        level = f"{found.level * 100:g} %"
        return cls(
            rows=curve.assign(line=line)[["dose", "value", "line", "interval"]],
            doses=_shares(found.data, low, high),
            n_terms=found.n_terms,
            slope=f"{level} Anderson-Rubin set of its slope: {found.slope_in_words}",
            weak_f=f if f < WEAK_F else None,
            outcome_label=found.data.outcome_name if outcome_label is None else outcome_label,
            dose_name=found.data.treatment_name,
        )

    def frame(self) -> pd.DataFrame:
        """One row a dose; no column holds an interval, for none is valid."""
        return self.rows.copy()

    @property
    def caption(self) -> str:
        """What the picture shows, and what it must not be taken for."""
        use = " With one term the curve is this line." if self.n_terms == 1 else ""
        if self.weak_f is not None:
            use += (
                f" The instruments are weak (first-stage F {self.weak_f:.1f}): the curve is not to "
                "be used, the set is."
            )
        return (
            f"Mean {self.outcome_label} if everybody got the dose, over the central 90 % of the "
            f"doses; the bars show where the rows lie. The curve has {NO_INTERVAL} at any dose, so "
            f"no band is drawn. Dashed, the straight line by the same instruments; {self.slope}."
            f"{use}"
        )

    def plot(self, ax: Axes) -> Axes:
        """The curve solid, or pale where it must not be used; the line dashed; bars below."""
        colour = style.TREATED if self.weak_f is None else style.NAIVE
        ax.plot(self.rows["dose"], self.rows["value"], color=colour, lw=2.4, label=self._verdict())
        ax.plot(
            self.rows["dose"], self.rows["line"], color=style.UNTREATED, lw=1.6,
            ls=style.ARM_LINES[1], label="straight line",
        )  # fmt: skip
        self._bars(ax)
        gap = "\n" if len(self.dose_name) + len(self.slope) > _ONE_LINE else "; "
        ax.set_xlabel(f"{shortened(self.dose_name)}{gap}dashed line, {self.slope}")
        style.y_title(ax, f"Mean {shortened(self.outcome_label)}")
        style.numbers(ax.xaxis)
        style.numbers(ax.yaxis)
        style.gridlines(ax)
        style.legend_above(ax)
        ax.margins(x=0.01)
        return ax

    def _verdict(self) -> str:
        if self.weak_f is not None:
            return f"curve: F {self.weak_f:.1f}, not to be used"
        return f"curve: {NO_INTERVAL}"

    def _bars(self, ax: Axes) -> None:
        """The doses in a strip of their own below the curve."""
        low, high = ax.get_ylim()
        ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= high])
        ax.set_ylim(high - (high - low) / (1 - _STRIP), high)
        d, most = self.doses, self.doses["share"].max()
        ax.bar(
            d["low"], 0.8 * _STRIP * d["share"] / most, d["high"] - d["low"], align="edge",
            color=style.UNTREATED_PALE, edgecolor="white", linewidth=0.4,
            transform=ax.get_xaxis_transform(),
        )  # fmt: skip
        ax.annotate(
            f"rows, up to {percent(most, 0)} a bar", (0.005, 0.83 * _STRIP), color=style.QUIET,
            xycoords="axes fraction", fontsize=8.5,
        )  # fmt: skip


def _shares(data: InstrumentData, low: float, high: float) -> pd.DataFrame:
    """Weighted shares of the rows between two doses: one bar a value, or of equal widths."""
    inside = (data.dose >= low) & (data.dose <= high)
    d, w = data.dose[inside], data.weights[inside]
    values = np.unique(d)
    if 1 < len(values) <= BINS:
        half = 0.3 * np.diff(values).min()
        counts = np.array([w[d == value].sum() for value in values])
        left, right = values - half, values + half
    else:
        counts, edges = np.histogram(d, BINS, range=(low, high), weights=w)
        left, right = edges[:-1], edges[1:]
    return pd.DataFrame({"low": left, "high": right, "share": counts / counts.sum()})
