"""What happened beside what would have happened: the counterfactual path and the gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.estimators.panel.effect import PanelEffect
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import shortened
from causal_ddpm.report.displays.event_study import held
from causal_ddpm.report.displays.periods import apart, period_axis, places, start_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PATH = ["observed", "counterfactual", "low", "high", "low_uniform", "high_uniform"]
SINCE = "Periods since treatment began"
MOST_PLACEBOS = 150
"""Lines of placebos that one picture can hold; of more, evenly spaced ones are drawn."""


@dataclass(frozen=True, eq=False)
class CounterfactualPathDisplay:
    """The observed path of the treated, and the path without treatment with its fan.

    Parameters
    ----------
    rows : DataFrame
        Columns period, observed, counterfactual, low, high, low_uniform, high_uniform; bands are
        NaN before treatment.
    fan : DataFrame
        Columns period, level, low, high.
    start : object
        First treated period.
    axis_label, period_name, who : str
        What the vertical axis measures, what a period is called, whose paths these are.
    """

    rows: pd.DataFrame
    fan: pd.DataFrame
    start: Any
    axis_label: str
    period_name: str
    who: str

    @classmethod
    def of(cls, effect: PanelEffect, axis_label: str | None = None) -> Self:
        """The mean path of the treated units.

        Where cohorts differ the axis is event time, and every unit is measured from its own mean
        before treatment: in calendar time the units would change from period to period.
        """
        label, who = effect.outcome if axis_label is None else axis_label, treated_words(effect)
        if len(effect.by_cohort) > 1:
            return cls(
                _event_path(effect), effect.fan.head(0), 0,
                f"{label}, less each unit's mean before", SINCE, who,
            )  # fmt: skip
        path = effect.path[["period", *PATH]].reset_index(drop=True)
        return cls(path, effect.fan, _start(effect.path), label, effect.period, who)

    def frame(self) -> pd.DataFrame:
        """One row a period; columns fan_50_low, fan_50_high, ... for the levels of the fan."""
        wide = self.rows.copy()
        for level in self.fan["level"].unique():
            part = self.fan[self.fan["level"] == level].drop(columns="level")
            name = f"fan_{100 * level:g}"
            part = part.rename(columns={"low": f"{name}_low", "high": f"{name}_high"})
            wide = wide.merge(part, on="period", how="left")
        return wide

    def plot(self, ax: Axes) -> Axes:
        """Observed solid, counterfactual dashed inside its fan, start of treatment dotted."""
        periods = self.rows["period"].to_numpy()
        x = places(periods)
        self._bands(ax, dict(zip(periods.tolist(), x, strict=True)))
        ax.plot(x, self.rows["counterfactual"], color=style.UNTREATED, lw=2, ls=style.ARM_LINES[1])
        ax.plot(x, self.rows["observed"], color=style.TREATED, lw=2.4)
        mark_start(ax, x, periods, self.start)
        self._hold(ax)
        self._name_lines(ax, x)
        period_axis(ax, periods, self.period_name)
        style.y_title(ax, f"{self.axis_label}: {self.who}")
        style.numbers(ax.yaxis)
        style.gridlines(ax)
        ax.margins(x=0.02)
        return ax

    def _bands(self, ax: Axes, at: dict[Any, float]) -> None:
        """The uniform band palest, the levels of the fan darker towards the middle."""
        names = ["period", "low", "high"]
        bands = [self.rows[["period", "low_uniform", "high_uniform"]].set_axis(names, axis=1)]
        levels = sorted(self.fan["level"].unique(), reverse=True)
        bands += [self.fan[self.fan["level"] == level] for level in levels]
        bands += [self.rows[names]] if self.fan.empty else []
        for band in bands:
            part = band.dropna(subset=["low", "high"])
            ax.fill_between(
                part["period"].map(at).to_numpy(dtype=float), part["low"], part["high"],
                color=style.UNTREATED, alpha=0.13, lw=0,
            )  # fmt: skip

    def _hold(self, ax: Axes) -> None:
        """Keep uniform bands that run far out from flattening the paths."""
        inner = self.rows[["observed", "counterfactual", "low", "high"]]
        middle = float(inner["observed"].mean())
        outer = self.rows[["low_uniform", "high_uniform"]]
        low, high = held(inner - middle, outer - middle)
        ax.set_ylim(low + middle, high + middle)

    def _name_lines(self, ax: Axes, x: NDArray[np.float64]) -> None:
        low, high = ax.get_ylim()
        last = self.rows[["observed", "counterfactual"]].ffill().iloc[-1].to_numpy(dtype=float)
        heights = apart(last, 0.07 * (high - low))
        colours = (style.TREATED, style.UNTREATED)
        for name, height, colour in zip(("observed", "untreated"), heights, colours, strict=True):
            ax.annotate(
                name, (float(x[-1]), float(height)), xytext=(7, 0), textcoords="offset points",
                color=colour, va="center", fontsize=9.5, annotation_clip=False,
            )  # fmt: skip


@dataclass(frozen=True, eq=False)
class GapDisplay:
    """Observed minus counterfactual, beside the same gap of pretended treatments.

    Parameters
    ----------
    rows : DataFrame
        Columns unit, at (period, or event time where cohorts differ), gap, placebo (bool).
    band : DataFrame
        Columns at, effect, low, high; bands NaN before treatment.
    start : object
        Where treatment starts.
    axis_label, time_name, who : str
    """

    rows: pd.DataFrame
    band: pd.DataFrame
    start: Any
    axis_label: str
    time_name: str
    who: str

    @classmethod
    def of(cls, effect: PanelEffect, axis_label: str | None = None) -> Self:
        """Gaps of every placebo, and the mean gap of the treated units with its band.

        The axis is the calendar where all units are treated in one period, else event time.
        """
        label = f"Effect on {effect.outcome if axis_label is None else axis_label}"
        one = len(effect.by_cohort) == 1
        gaps = effect.placebo.gaps
        rows = pd.DataFrame({
            "unit": gaps["unit"], "at": gaps["period" if one else "event_time"],
            "gap": gaps["gap"], "placebo": ~gaps["treated"].astype(bool),
        })  # fmt: skip
        rows = rows[rows["placebo"]].reset_index(drop=True)
        name = effect.period if one else SINCE
        band = _calendar_band(effect) if one else _event_band(effect)
        start = _start(effect.path) if one else 0
        return cls(rows, band, start, label, name, treated_words(effect))

    def frame(self) -> pd.DataFrame:
        """One row a placebo and point of time, then the treated (unit "treated")."""
        treated = self.band.rename(columns={"effect": "gap"}).assign(unit="treated", placebo=False)
        return pd.concat([self.rows, treated], ignore_index=True)

    def plot(self, ax: Axes) -> Axes:
        """Placebo gaps thin and grey, the treated gap bold with its band."""
        points = np.unique(np.concatenate([self.rows["at"].to_numpy(), self.band["at"].to_numpy()]))
        at = dict(zip(points.tolist(), places(points), strict=True))
        ax.axhline(0, color=style.INK, lw=0.8)
        self._placebos(ax, at)
        x = self.band["at"].map(at).to_numpy(dtype=float)
        ax.fill_between(
            x, self.band["low"], self.band["high"], color=style.TREATED, alpha=0.18, lw=0
        )
        ax.plot(x, self.band["effect"], color=style.TREATED, lw=2.4, label=self.who)
        mark_start(ax, np.array(list(at.values())), points, self.start)
        self._limits(ax)
        period_axis(ax, points, self.time_name)
        style.y_title(ax, self.axis_label)
        style.numbers(ax.yaxis)
        style.gridlines(ax)
        style.legend_above(ax)
        ax.margins(x=0.02)
        return ax

    def _placebos(self, ax: Axes, at: dict[Any, float]) -> None:
        paths = [part for _, part in self.rows.groupby("unit", sort=False)]
        drawn = paths[:: -(-len(paths) // MOST_PLACEBOS)] if paths else []
        for part in drawn:
            ax.plot(part["at"].map(at), part["gap"], color=style.NAIVE, lw=0.7, alpha=0.5)
        if drawn:
            ax.plot([], [], color=style.NAIVE, lw=1, label=f"{len(drawn)} placebos")

    def _limits(self, ax: Axes) -> None:
        """Hold the axis where the effect, its band and most placebos lie."""
        sizes = self.rows["gap"].abs().dropna()
        most = float(sizes.quantile(0.99)) if len(sizes) else 0.0
        values = self.band[["effect", "low", "high"]].to_numpy(dtype=float)
        low, high = min(-most, np.nanmin(values)), max(most, np.nanmax(values))
        ax.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))


def treated_words(effect: PanelEffect) -> str:
    """Who is treated: the unit's name, or how many units."""
    if effect.n_treated > 1:
        return f"{effect.n_treated:,} treated units"
    return shortened(str(effect.unit_effects["unit"].iloc[0]))


def mark_start(ax: Axes, x: NDArray[np.float64], periods: NDArray[Any], start: Any) -> None:
    """A line half a period before the first treated one."""
    if start is not None:
        step = float(np.diff(x).min()) if len(x) > 1 else 1.0
        start_line(ax, float(x[list(periods).index(start)]) - step / 2)


def _start(path: pd.DataFrame) -> Any:
    treated = path.loc[path["treated"].astype(bool), "period"]
    return treated.iloc[0] if len(treated) else None


def _calendar_band(effect: PanelEffect) -> pd.DataFrame:
    path = effect.path
    return pd.DataFrame({
        "at": path["period"], "effect": path["effect"], "low": path["effect_low"],
        "high": path["effect_high"],
    }).reset_index(drop=True)  # fmt: skip


def _event_band(effect: PanelEffect) -> pd.DataFrame:
    study = effect.event_study
    low, high = (np.atleast_1d(end) for end in study.interval(effect.level))
    at = np.array([int(label) for label in study.labels])
    band = pd.DataFrame({"at": at, "effect": study.values, "low": low, "high": high})
    return band.sort_values("at", ignore_index=True)


def _event_path(effect: PanelEffect) -> pd.DataFrame:
    """Both paths by event time, measured from each unit's mean before treatment."""
    cells = effect.unit_paths
    before = cells[cells["event_time"] < 0].groupby("unit")["observed"].mean()
    cells = cells.assign(observed=cells["observed"] - cells["unit"].map(before))
    mean = cells.groupby("event_time")[["observed", "effect"]].mean()
    study, level = effect.event_study, effect.level
    ends = [np.atleast_1d(e) for s in (False, True) for e in study.interval(level, s)]
    after = pd.DataFrame(
        dict(zip(["value", "low", "high", "low_uniform", "high_uniform"],
                 [study.values, *ends], strict=True)),
        index=[int(label) for label in study.labels],
    ).query("index >= 0").reindex(mean.index)  # fmt: skip
    gap = after["value"].fillna(mean["effect"])
    return pd.DataFrame({
        "period": mean.index, "observed": mean["observed"],
        "counterfactual": mean["observed"] - gap, "low": mean["observed"] - after["high"],
        "high": mean["observed"] - after["low"],
        "low_uniform": mean["observed"] - after["high_uniform"],
        "high_uniform": mean["observed"] - after["low_uniform"],
    }).reset_index(drop=True)  # fmt: skip
