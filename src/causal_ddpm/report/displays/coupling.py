"""What is not identified: a curve over the coupling, inside the bounds that hold under any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from causal_ddpm.core.errors import DataError
from causal_ddpm.estimators.counterfactual import JointEffects
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LAMBDAS = (0.0, 0.5, 1.0, 2.0, 5.0, np.inf)
"""Marked on the upper axis, each at its correlation."""


@dataclass(frozen=True, eq=False)
class CouplingDisplay:
    """One quantity over the correlation of the two potential outcomes.

    Parameters
    ----------
    rows : DataFrame
        Columns correlation, treatment_strength, value, lower, upper, lower_limit, upper_limit;
        the last four are the same at every correlation.
    axis_label : str
        What the vertical axis measures.
    is_share : bool
        Whether it is a share of units.
    """

    rows: pd.DataFrame
    axis_label: str
    is_share: bool

    @classmethod
    def of(cls, effects: JointEffects, quantity: str = "share") -> Self:
        """The curve of "share", or of a quantile, such as "q0.5".

        Raises
        ------
        DataError
            If the record holds no such quantity.
        """
        bounds = effects.bounds().set_index("quantity")
        if quantity not in bounds.index:
            raise DataError(f"there is no curve of {quantity!r}", " or ".join(bounds.index))
        curve = effects.frame()
        rows = curve[["correlation", "treatment_strength"]].assign(value=curve[quantity])
        for name in bounds.columns:
            rows[name] = float(bounds[name][quantity])
        label = f"Share with an effect of at most {effects.threshold:g}"
        if quantity != "share":
            label = f"{quantity[1:]} quantile of the effect"
        return cls(rows, label, quantity == "share")

    def frame(self) -> pd.DataFrame:
        """One row a correlation."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """The curve, dashed since it is assumed; bounds shaded, their limits dotted."""
        rho, ends = self.rows["correlation"], self.rows.iloc[0]
        ax.axhspan(
            ends["lower"], ends["upper"], color=style.UNTREATED, alpha=0.14, lw=0,
            label="bounds under any coupling",
        )  # fmt: skip
        limits = ends[["lower_limit", "upper_limit"]].to_numpy(dtype=float)
        for limit in limits[np.isfinite(limits)]:
            ax.axhline(limit, color=style.UNTREATED, lw=1, ls=":")
        ax.plot([], [], color=style.UNTREATED, lw=1, ls=":", label="confidence limits")
        ax.plot(
            rho, self.rows["value"], color=style.INK, lw=2, ls=(0, (4, 2)),
            label="if this were the correlation (not identified)",
        )  # fmt: skip
        ax.set(xlim=(-1, 1), xlabel="Assumed correlation of the ranks with and without treatment")
        if self.is_share:
            ax.set_ylim(0, 1)
            ax.yaxis.set_major_formatter(percent)
        else:
            style.numbers(ax.yaxis)
        self._mark_lambdas(ax)
        style.gridlines(ax)
        ax.set_ylabel(self.axis_label)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
        return ax

    def _mark_lambdas(self, ax: Axes) -> None:
        """The treatment strength on a second axis above, where it exists."""
        upper = ax.secondary_xaxis("top")
        places = [1 / np.sqrt(1 + strength**2) for strength in LAMBDAS]
        upper.set_xticks(places, ["∞" if np.isinf(x) else f"{x:g}" for x in LAMBDAS])
        upper.set_xlabel("treatment strength λ", loc="right")
