"""What a generator recovered of a design, in pictures: functions, noise, numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from causal_ddpm.evaluation.recovery.report import Recovery
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = (style.UNTREATED, style.TREATED, style.EFFECT)


@dataclass(frozen=True, eq=False)
class RecoveredCurveDisplay:
    """A function along one covariate: the truth as a line, what was recovered as dots.

    Parameters
    ----------
    rows : DataFrame
        Columns covariate, at, arm, truth, recovered.
    points : DataFrame or None
        The real draw's x, y and arm, drawn faintly.
    label : str
        What the vertical axis measures.
    """

    rows: pd.DataFrame
    points: pd.DataFrame | None
    label: str

    @classmethod
    def of(
        cls, recovery: Recovery, curve: str = "mean", covariate: str | None = None
    ) -> Self | None:
        """A curve of a recovery by name, along the covariate given or where the truth moves most.

        None where the recovery has no such curve.
        """
        found = [s.curves[curve] for s in recovery.sections if curve in s.curves]
        if not found or "covariate" not in found[0] or found[0].empty:
            return None
        table = found[0]
        spread = table.groupby("covariate")["truth"].std().fillna(0.0)
        name = str(spread.idxmax()) if covariate is None else covariate
        rows = table[table["covariate"] == name].reset_index(drop=True)
        points = _points(recovery, name) if curve == "mean" else None
        return None if rows.empty else cls(rows, points, curve)

    def frame(self) -> pd.DataFrame:
        """One row a point of the curve and arm."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Lines, dots, and the draw's points behind them."""
        arms = list(dict.fromkeys(self.rows["arm"]))
        for k, arm in enumerate(arms):
            colour = _COLOURS[k % len(_COLOURS)]
            if self.points is not None:
                own = self.points[self.points["arm"] == arm]
                ax.plot(own["x"], own["y"], "o", color=colour, ms=2.5, alpha=0.15, mew=0, zorder=0)
            part = self.rows[self.rows["arm"] == arm].sort_values("at")
            ax.plot(part["at"], part["truth"], "-", color=colour, lw=2, label=f"{arm}: truth")
            ax.plot(part["at"], part["recovered"], "o", mfc="white", mec=colour, mew=1.6,
                    label=f"{arm}: recovered")  # fmt: skip
        ax.set_xlabel(str(self.rows["covariate"].iloc[0]))
        style.y_title(ax, f"{self.label}, averaged over the other covariates")
        style.gridlines(ax)
        ax.legend(loc="best", fontsize=8.5)
        return ax


@dataclass(frozen=True, eq=False)
class RecoveredNoiseDisplay:
    """The law of the noise: the true density filled, the recovered one as a line.

    Parameters
    ----------
    rows : DataFrame
        Columns v, density, law ("truth" or "recovered").
    """

    rows: pd.DataFrame

    @classmethod
    def of(cls, recovery: Recovery) -> Self | None:
        """The noise of a recovery, or None where it was not assessed."""
        found = [s.curves["density"] for s in recovery.sections if "density" in s.curves]
        return cls(found[0]) if found else None

    def frame(self) -> pd.DataFrame:
        """One row a point of a density."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Two densities."""
        truth, made = (self.rows[self.rows["law"] == name] for name in ("truth", "recovered"))
        ax.fill_between(truth["v"], truth["density"], color=style.TRUTH, alpha=0.25, lw=0,
                        label="truth")  # fmt: skip
        ax.plot(made["v"], made["density"], color=style.INK, lw=2, label="recovered")
        ax.set_xlabel("Noise, in units of the true law")
        ax.set_ylim(bottom=0)
        style.y_title(ax, "Density")
        style.gridlines(ax)
        style.legend_above(ax)
        return ax


@dataclass(frozen=True, eq=False)
class RecoveredNumbersDisplay:
    """Numbers of one section with the truth beside them.

    Parameters
    ----------
    rows : DataFrame
        Columns quantity, truth, real, recovered, low, high.
    """

    rows: pd.DataFrame

    @classmethod
    def of(cls, recovery: Recovery, section: str = "effects") -> Self | None:
        """The numbers of a section that have a truth, or None where there are none."""
        if section not in recovery.verdicts:
            return None
        rows = recovery.section(section).frame().dropna(subset=["truth", "low"])
        columns = ["quantity", "truth", "real", "recovered", "low", "high"]
        return cls(rows[columns].reset_index(drop=True)) if len(rows) else None

    def frame(self) -> pd.DataFrame:
        """One row a number."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Dots with intervals, a green diamond for the truth."""
        r, places = self.rows, np.arange(len(self.rows))[::-1]
        style.rule(ax)
        ax.hlines(places, r["low"], r["high"], color=style.INK, lw=2)
        ax.plot(r["recovered"], places, "o", color=style.INK, label="recovered")
        ax.plot(r["real"], places - 0.22, "o", color=style.NAIVE, ms=4, label="real draw")
        ax.plot(r["truth"], places, "D", mfc="none", mec=style.TRUTH, mew=1.8, ms=9, label="truth")
        ax.set_yticks(places, [shortened(_short(q), 34) for q in r["quantity"]])
        ax.tick_params(axis="y", labelcolor=style.INK)
        ax.set_ylim(-0.6, len(places) - 0.4)
        style.numbers(ax.xaxis)
        style.legend_above(ax)
        return ax


def _short(quantity: str) -> str:
    text = quantity.removeprefix("the coefficient of ").removeprefix("the ")
    return text[:1].upper() + text[1:]


def _points(recovery: Recovery, covariate: str) -> pd.DataFrame | None:
    """x, y and arm of the real draw, where the covariate is one of its columns."""
    sample, roles = recovery.sample, recovery.roles
    if sample is None or roles is None or covariate not in sample:
        return None
    arm = roles.instrument or roles.treatments[0]
    return pd.DataFrame(
        {"x": sample[covariate], "y": sample[roles.outcome], "arm": sample[arm].astype(str)}
    )
