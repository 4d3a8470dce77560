"""Pictures of a factorial experiment: what stands out, main effects, how factors combine."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from causal_ddpm.core.coding import all_cells
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.estimators.factorial import FactorialFit
from causal_ddpm.estimators.lenth import LenthTest
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class HalfNormalDisplay:
    """Half-normal plot of effects with Lenth's margins.

    Parameters
    ----------
    rows : DataFrame
        As :meth:`LenthTest.frame`.
    pse, me, sme : float
    """

    rows: pd.DataFrame
    pse: float
    me: float
    sme: float

    @classmethod
    def of(cls, test: LenthTest) -> Self:
        """The effects of a test, the smallest first."""
        return cls(test.frame(), test.pse, test.me, test.sme)

    def frame(self) -> pd.DataFrame:
        """One row an effect."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Effects over half-normal quantiles, the line of noise, both margins; names beyond ME."""
        active = self.rows["beyond"] != ""
        ends = np.array([0.0, 1.08 * self.rows["quantile"].max()])
        ax.plot(ends, self.pse * ends, color=style.QUIET, lw=1, label="noise (PSE)")
        ax.axhline(self.me, color=style.TREATED, lw=1.1, ls="--", label="ME")
        ax.axhline(self.sme, color=style.TREATED, lw=1.1, ls=":", label="SME")
        for chosen, colour in ((~active, style.NAIVE), (active, style.EFFECT)):
            part = self.rows[chosen]
            ax.plot(part["quantile"], part["size"], "o", color=colour, ms=6, mec="white", mew=0.8)
        for row in self.rows[active].itertuples():
            ax.annotate(
                shortened(str(row.term)), (float(row.quantile), float(row.size)), xytext=(-6, 2),  # type: ignore[arg-type]
                textcoords="offset points", ha="right", color=style.INK, size=9,
            )  # fmt: skip
        ax.set_xlim(*ends)
        ax.set_ylim(bottom=0)
        ax.set_xlabel("Half-normal quantile")
        style.y_title(ax, "Size of the effect (mean at 1 less mean at 0)")
        style.gridlines(ax)
        style.numbers(ax.yaxis)
        style.legend_above(ax)
        return ax


@dataclass(frozen=True, eq=False)
class FactorialEffectsDisplay:
    """Effects with their intervals, one by one and simultaneous, a line each.

    Parameters
    ----------
    rows : DataFrame
        Columns label, method, value, ci_low, ci_high, simultaneous_low, simultaneous_high, truth
        (NaN where it is not known).
    axis_label : str
    """

    rows: pd.DataFrame
    axis_label: str

    @classmethod
    def of(
        cls,
        estimates: dict[str, Estimate],
        outcome: str,
        level: float = 0.95,
        truth: dict[str, float] | None = None,
    ) -> Self:
        """Effects by method; equal labels lie beside each other."""
        parts = []
        for method, estimate in estimates.items():
            low, high = estimate.interval(level)
            wide = estimate.interval(level, simultaneous=True)
            parts.append(
                pd.DataFrame(
                    {
                        "label": estimate.labels,
                        "method": method,
                        "value": estimate.values,
                        "ci_low": np.atleast_1d(low),
                        "ci_high": np.atleast_1d(high),
                        "simultaneous_low": np.atleast_1d(wide[0]),
                        "simultaneous_high": np.atleast_1d(wide[1]),
                        "truth": [(truth or {}).get(label, np.nan) for label in estimate.labels],
                    }
                )
            )
        name = next(iter(estimates.values())).estimand
        return cls(pd.concat(parts, ignore_index=True), f"{name.capitalize()} on {outcome}")

    def frame(self) -> pd.DataFrame:
        """One row an effect and method."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Thick lines hold one effect each, thin ones all at once."""
        labels = list(dict.fromkeys(self.rows["label"]))
        methods = list(dict.fromkeys(self.rows["method"]))
        place = {label: len(labels) - 1 - i for i, label in enumerate(labels)}
        shift = dict(zip(methods, _spread(len(methods)), strict=True))
        colours = dict(zip(methods, _colours(len(methods)), strict=True))
        for row in self.rows.to_dict("records"):
            y, colour = place[row["label"]] + shift[row["method"]], colours[row["method"]]
            ends = [row["simultaneous_low"], row["simultaneous_high"]]
            ax.plot(ends, [y, y], color=colour, lw=0.9)
            ax.plot([row["ci_low"], row["ci_high"]], [y, y], color=colour, lw=2.6)
            ax.plot(row["value"], y, "o", color=colour, ms=6, mec="white", mew=1)
        style.rule(ax)
        ax.set_yticks(list(place.values()), [shortened(label) for label in place])
        ax.tick_params(axis="y", labelcolor=style.INK)
        ax.set_ylim(-0.7, len(labels) - 0.3)
        ax.set_xlabel(f"{self.axis_label} (thin: all intervals hold at once)")
        style.numbers(ax.xaxis)
        known = self.rows[self.rows["truth"].notna()].drop_duplicates("label")
        if len(known):
            y = known["label"].map(place) + 0.35
            ax.plot(known["truth"], y, "v", color=style.TRUTH, label="true effect")
        if len(methods) > 1:
            for method in methods:
                ax.plot([], [], "o-", color=colours[method], label=method)
        if len(known) or len(methods) > 1:
            style.legend_above(ax)
        return ax


@dataclass(frozen=True, eq=False)
class InteractionDisplay:
    """Mean outcomes over one factor at each level of another, averaged over all others.

    Parameters
    ----------
    rows : DataFrame
        Columns factor, by (names), level, by_level (as in the data), value, ci_low, ci_high.
    outcome : str
    """

    rows: pd.DataFrame
    outcome: str

    @classmethod
    def of(cls, fit: FactorialFit, factor: str, by: str | None = None, level: float = 0.95) -> Self:
        """Means over ``factor``, by the levels of ``by``; without it the main effect alone.

        Raises
        ------
        DataError
            For a factor that there is not, or one factor twice.
        """
        names = fit.data.factors
        chosen = [factor] if by is None else [factor, by]
        estimate, cells = fit.marginal_means(chosen), all_cells(len(chosen))
        low, high = estimate.interval(level)
        levels = [fit.data.levels[names.index(name)] for name in chosen]
        rows = pd.DataFrame(
            {
                "factor": factor,
                "by": "" if by is None else by,
                "level": [str(levels[0][c[0]]) for c in cells],
                "by_level": ["" if by is None else str(levels[1][c[1]]) for c in cells],
                "value": estimate.values,
                "ci_low": low,
                "ci_high": high,
            }
        )
        return cls(rows, fit.data.outcome_name)

    def frame(self) -> pd.DataFrame:
        """One row a combination of levels."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """A line for each level of the second factor, with intervals."""
        by = self.rows["by"].iloc[0]
        groups = list(dict.fromkeys(self.rows["by_level"]))
        for i, group in enumerate(groups):
            part = self.rows[self.rows["by_level"] == group]
            x = np.arange(len(part)) + (0.0 if len(groups) == 1 else 0.03 * (2 * i - 1))
            colour = style.EFFECT if len(groups) == 1 else style.ARM_COLOURS[i]
            reach = np.abs(part[["ci_low", "ci_high"]].to_numpy().T - part["value"].to_numpy())
            ax.errorbar(
                x, part["value"], yerr=reach, color=colour, ls=style.ARM_LINES[i], marker="o",
                ms=6, lw=1.6, elinewidth=1.2, mec="white", label=f"{by} = {group}" if by else None,
            )  # fmt: skip
        ax.set_xticks([0, 1], list(dict.fromkeys(self.rows["level"])))
        ax.set_xlim(-0.35, 1.35)
        ax.set_xlabel(self.rows["factor"].iloc[0])
        style.y_title(ax, f"Mean {self.outcome}")
        style.gridlines(ax)
        style.numbers(ax.yaxis)
        if by:
            style.legend_above(ax)
        return ax


@dataclass(frozen=True, eq=False)
class FactorGridDisplay:
    """Main effects of all factors side by side: the mean outcome at both levels of each.

    Parameters
    ----------
    parts : tuple of InteractionDisplay
        One a factor.
    """

    parts: tuple[InteractionDisplay, ...]

    @classmethod
    def of(cls, fit: FactorialFit, level: float = 0.95) -> Self:
        """Every factor of a fit."""
        return cls(tuple(InteractionDisplay.of(fit, f, level=level) for f in fit.data.factors))

    def frame(self) -> pd.DataFrame:
        """One row a factor and level."""
        return pd.concat([part.frame() for part in self.parts], ignore_index=True)

    def plot(self, ax: Axes) -> Axes:
        """Lines from level to level, factor after factor on one axis."""
        ticks: list[float] = []
        for i, part in enumerate(self.parts):
            rows, x = part.rows, np.array([0.0, 1.0]) + 2 * i
            reach = np.abs(rows[["ci_low", "ci_high"]].to_numpy().T - rows["value"].to_numpy())
            ax.errorbar(
                x, rows["value"], yerr=reach, color=style.EFFECT, marker="o", ms=6, lw=1.6,
                elinewidth=1.2, mec="white",
            )  # fmt: skip
            ticks.extend(x)
        names = [
            f"{row.level}\n{row.factor}" for part in self.parts for row in part.rows.itertuples()
        ]
        ax.set_xticks(ticks, names)
        ax.set_xlabel("Levels of each factor")
        style.y_title(ax, f"Mean {self.parts[0].outcome}, averaged over the other factors")
        style.gridlines(ax)
        style.numbers(ax.yaxis)
        return ax


def interactions_to_show(fit: FactorialFit, most: int = 3) -> list[tuple[str, str]]:
    """Pairs of factors in the order of their interactions' t statistics, the largest first."""
    if fit.order < 2:
        return []
    estimate = fit.effects("ame", order=2)
    size = estimate.test()["statistic"].abs()
    pairs = combinations(fit.data.factors, 2)
    return sorted(pairs, key=lambda pair: -float(size[":".join(pair)]))[:most]


def _spread(n: int) -> list[float]:
    return [0.0] if n == 1 else list(np.linspace(0.16, -0.16, n))


def _colours(n: int) -> list[str]:
    return [style.EFFECT, style.UNTREATED, style.TREATED, style.NAIVE][:n]
