"""How much hidden confounding a conclusion withstands, drawn over its strength."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from causal_ddpm.core.errors import DataError
from causal_ddpm.evaluation.sensitivity import Sensitivity
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CONTOURS = 8
_MARGIN = 1.25


@dataclass(frozen=True, eq=False)
class OmittedVariableDisplay:
    """Estimates left by omitted variables, over what they explain of treatment and outcome.

    Parameters
    ----------
    rows : DataFrame
        Columns r2_treatment, r2_outcome, estimate: a full grid, treatment fastest.
    points : DataFrame
        Columns label, r2_treatment, r2_outcome, estimate: benchmarks and the robustness value.
    null : float
    """

    rows: pd.DataFrame
    points: pd.DataFrame
    null: float

    @classmethod
    def of(cls, found: Sensitivity, method: str = "dml_ovb", n_points: int = 60) -> Self:
        """The contours of "dml_ovb" or "linear_ovb".

        Raises
        ------
        DataError
            If the record has no such part.
        """
        if method not in ("dml_ovb", "linear_ovb"):
            raise DataError(f"'{method}' has no contours", "'dml_ovb' or 'linear_ovb'")
        part = found[method]
        marks = [("robustness value", part.rv, part.rv, part.null)]
        for b in getattr(part, "benchmarks", ()):
            name = f"{b.multiple:g} x {b.confounder}"
            marks.append((name, b.r2_treatment, b.r2_outcome, b.estimate))
        columns = ["label", "r2_treatment", "r2_outcome", "estimate"]
        points = pd.DataFrame(marks, columns=columns)
        ends = [min(_MARGIN * float(points[name].max()) + 0.02, 0.98) for name in columns[1:3]]
        r_d, r_y = np.meshgrid(*(np.linspace(0.0, end, n_points) for end in ends))
        rows = pd.DataFrame(
            {
                "r2_treatment": r_d.ravel(),
                "r2_outcome": r_y.ravel(),
                "estimate": part.adjusted(r_d, r_y).ravel(),
            }
        )
        return cls(rows, points, found.null)

    def frame(self) -> pd.DataFrame:
        """One row a grid point."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Contours of the estimate left; the null bold, benchmarks as points."""
        side = int(np.sqrt(len(self.rows)))
        r_d, r_y, left = (self.rows[name].to_numpy().reshape(side, side) for name in self.rows)
        lines = ax.contour(r_d, r_y, left, levels=_CONTOURS, colors=style.QUIET, linewidths=0.8)
        ax.clabel(lines, fontsize=8.5, fmt=lambda v: f"{v:.3g}".replace("-", "\N{MINUS SIGN}"))
        null = ax.contour(
            r_d, r_y, left, levels=[self.null], colors=style.TREATED, linewidths=2, linestyles="--"
        )
        ax.clabel(null, fontsize=9, fmt=lambda v: f"{v:.3g}")
        for label, x, y, _ in self.points.itertuples(index=False):
            ax.plot([x], [y], "o", color=style.INK, ms=5)
            ax.annotate(
                label, (x, y), xytext=(5, 4), textcoords="offset points", color=style.INK, size=9
            )
        ax.set_xlabel("Share of the treatment's residual variation explained")
        style.y_title(ax, "Share of the outcome's residual variation explained")
        ax.xaxis.set_major_formatter(percent)
        ax.yaxis.set_major_formatter(percent)
        return ax


@dataclass(frozen=True, eq=False)
class HiddenBiasDisplay:
    """Bounds, or p-values, over the odds ratio that hidden confounders may have.

    Parameters
    ----------
    rows : DataFrame
        Columns strength, lower, upper, and ci_low, ci_high where there are confidence bounds.
    threshold : float
        What the bounds must not reach: the null, or the level of the test.
    limit : float
        Strength at which they do.
    axis_labels : tuple of str
        Of the strength and of what is bounded.
    """

    rows: pd.DataFrame
    threshold: float
    limit: float
    axis_labels: tuple[str, str]

    @classmethod
    def of(cls, found: Sensitivity, method: str = "msm") -> Self:
        """The curves of "msm" (bounds over Lambda) or "rosenbaum" (p-values over Gamma).

        Raises
        ------
        DataError
            If the record has no such part.
        """
        if method not in ("msm", "rosenbaum"):
            raise DataError(f"'{method}' has no curves", "'msm' or 'rosenbaum'")
        part = found[method]
        if method == "msm":
            rows = part.to_frame().rename(columns={"lambda": "strength"})
            words = (
                "Largest odds ratio of hidden confounders, Λ",
                f"Bounds on the {found.estimand}",
            )
            return cls(rows, found.null, part.lambda_limit_interval, words)
        names = {"gamma": "strength", "p_lower": "lower", "p_upper": "upper"}
        words = ("Largest odds ratio within a pair, Γ", "Bounds on the p-value of no effect")
        return cls(part.to_frame().rename(columns=names), part.alpha, part.gamma_limit, words)

    def frame(self) -> pd.DataFrame:
        """One row a strength."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """The bounds shaded, confidence bounds lighter, threshold dashed, limit dotted."""
        x = self.rows["strength"]
        if "ci_low" in self.rows:
            ax.fill_between(
                x, self.rows["ci_low"], self.rows["ci_high"], color=style.UNTREATED, alpha=0.12,
                lw=0, label="confidence bounds",
            )  # fmt: skip
        ax.fill_between(
            x, self.rows["lower"], self.rows["upper"], color=style.UNTREATED, alpha=0.3, lw=0,
            label="bounds",
        )  # fmt: skip
        ax.plot(x, self.rows["lower"], color=style.UNTREATED, lw=1.5)
        ax.plot(x, self.rows["upper"], color=style.UNTREATED, lw=1.5)
        ax.axhline(self.threshold, color=style.TREATED, lw=1.2, ls="--")
        if x.min() < self.limit <= x.max():
            ax.axvline(self.limit, color=style.INK, lw=1, ls=":")
            ax.annotate(
                f"{self.limit:.3g}", (self.limit, self.threshold), xytext=(4, 4),
                textcoords="offset points", color=style.INK,
            )  # fmt: skip
        ax.set_xlabel(self.axis_labels[0])
        style.y_title(ax, self.axis_labels[1])
        style.gridlines(ax)
        style.numbers(ax.yaxis)
        ax.margins(x=0)
        style.legend_above(ax)
        return ax
