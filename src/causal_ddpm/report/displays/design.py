"""What a draw from a design of the laboratory looks like, beside what is true.

Each family has its picture: outcomes against the probability of treatment, by arm, against the
dose; prices against quantities; mean paths of cohorts; outcomes by cell. Points are rows that an
analyst sees, lines are what only a simulator knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.coding import all_cells, cell_label
from causal_ddpm.core.estimand import DoseResponse
from causal_ddpm.dgp.catalog import Entry
from causal_ddpm.dgp.panel_draw import NEVER, PanelDraw
from causal_ddpm.dgp.spillovers import CUT
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import ARM_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

COLOURS = (style.UNTREATED, style.TREATED, "#7a5195", "#8a8d2f")
MAX_POINTS = 600
_N_BINS = 15
_MANY_TICKS = 8
_HALF_WIDTH = 0.34
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, eq=False)
class DesignDisplay:
    """A picture of one draw.

    Parameters
    ----------
    points : DataFrame
        Columns series, x, y: what an analyst sees.
    lines : DataFrame
        Columns series, x, y: what is true; a row without numbers interrupts a line.
    x_label, y_label : str
    ticks : tuple of str
        Names of the places 0, 1, ... on the horizontal axis, where it counts categories.
    paths : bool
        Whether the points of a series follow each other in time; the k-th line is then the k+1-st
        path as it would have been.
    """

    points: pd.DataFrame
    lines: pd.DataFrame
    x_label: str
    y_label: str
    ticks: tuple[str, ...] = ()
    paths: bool = False

    @classmethod
    def of(cls, entry: Entry, draw: Any) -> Self:
        """The picture of the design's family."""
        points, lines, labels, ticks = _PICTURES[entry.family](entry, draw)
        paths = isinstance(draw, PanelDraw)
        return cls(_stacked(points), _stacked(lines), *labels, tuple(ticks), paths)

    def frame(self) -> pd.DataFrame:
        """Everything drawn, with ``kind`` "row" or "truth"."""
        kinds = {"row": self.points, "truth": self.lines.dropna()}
        parts = [part.assign(kind=kind) for kind, part in kinds.items()]
        return pd.concat(parts, ignore_index=True)[["kind", "series", "x", "y"]]

    def plot(self, ax: Axes) -> Axes:
        """Faint points, lines above them."""
        for k, (name, part) in enumerate(_series(self.points)):
            shown = part.iloc[:: -(-len(part) // MAX_POINTS)]
            look: dict[str, Any] = {"color": _colour(k), "label": name, "ms": 5, "mew": 0}
            look |= {"lw": 1.2, "alpha": 0.7} if self.paths else {"lw": 0, "alpha": 0.4}
            ax.plot(shown["x"], shown["y"], marker=".", **look)
        for k, (name, part) in enumerate(_series(self.lines)):
            dash: Any = style.ARM_LINES[1 if self.paths else k % 2]
            label = None if self.paths and k else name
            colour = _colour(k + self.paths)
            ax.plot(part["x"], part["y"], color=colour, lw=2, ls=dash, label=label)
        if self.ticks:
            many = len(self.ticks) > _MANY_TICKS
            ax.set_xticks(range(len(self.ticks)), self.ticks, rotation=90 if many else 0)
        low, high = _reach(pd.concat([self.points["y"], self.lines["y"]]))
        ax.set(xlabel=self.x_label, ylim=(low, high))
        style.y_title(ax, self.y_label)
        style.gridlines(ax)
        ax.figure.legend(loc="outside lower center", ncols=3 if self.paths else 2)
        return ax


Named = Mapping[str, tuple[Array, Array]]
Parts = tuple[Named, Named, tuple[str, str], list[str]]


def _by_propensity(entry: Entry, draw: Any) -> Parts:
    """Outcomes against P(D = 1 | x), with mean potential outcomes at that probability."""
    e, y, d = draw.propensity[:, 1], draw.data.outcome, draw.data.treatment
    points = {name: (e[d == a], y[d == a]) for a, name in enumerate(ARM_NAMES)}
    order = np.array_split(np.argsort(e, kind="stable"), _N_BINS)
    centres = np.array([e[rows].mean() for rows in order])
    lines = {
        f"mean if all were {name}": (
            centres,
            np.array([draw.mean[rows, a].mean() for rows in order]),
        )
        for a, name in enumerate(ARM_NAMES)
    }
    return points, lines, (_chance(entry), draw.data.outcome_name), []


def _chance(entry: Entry) -> str:
    if entry.family == "instrument":
        return "Probability of treatment given the covariates"
    return "Probability of treatment"


def _by_arm(entry: Entry, draw: Any) -> Parts:
    """Outcomes of each arm, with the mean had all units been in it."""
    y, d, arms = draw.data.outcome, draw.data.treatment, draw.data.arms
    values = [y[d == a] for a in range(len(arms))]
    points = {str(arm): _scattered(a, values[a]) for a, arm in enumerate(arms)}
    true = [draw.truth.population[f"E[Y({arm})]"] for arm in arms]
    lines = {"mean if all were there": _levels(true), "mean of those there": _levels(values)}
    return points, lines, ("Arm", draw.data.outcome_name), [str(arm) for arm in arms]


def _by_dose(entry: Entry, draw: Any) -> Parts:
    """Outcomes against doses, with the mean had all units had that dose."""
    y, dose = draw.data.outcome, draw.frame[draw.data.treatment_name].to_numpy()
    low, high = np.quantile(dose, [0.02, 0.98])
    grid = np.linspace(low, high, 40)
    design: Any = entry.design
    curve = np.array(list(design.truth_of(DoseResponse(tuple(grid))).values()))
    line = np.polyval(np.polyfit(dose, y, 1), grid)
    lines = {"mean if all had the dose": (grid, curve), "least-squares line": (grid, line)}
    return {"units": (dose, y)}, lines, ("Dose", draw.data.outcome_name), []


def _market(entry: Entry, draw: Any) -> Parts:
    """Markets, and the two curves at mean shifters and shocks."""
    q, p = np.log(draw.frame["quantity"].to_numpy()), np.log(draw.frame["price"].to_numpy())
    grid, zero = np.linspace(p.min(), p.max(), 40), np.zeros(40)
    design: Any = entry.design
    demand, supply = design.demand(grid, zero, zero), design.supply(grid, zero, zero)
    within = [(curve > q.min()) & (curve < q.max()) for curve in (demand, supply)]
    lines = {
        "mean demand": (demand[within[0]], grid[within[0]]),
        "mean supply": (supply[within[1]], grid[within[1]]),
    }
    return {"markets": (q, p)}, lines, ("Log quantity", "Log price"), []


def _panel(entry: Entry, draw: PanelDraw) -> Parts:
    """Mean outcomes of each cohort, and those of the treated had they not been treated."""
    periods = np.arange(draw.outcome.shape[1], dtype=float)
    points: dict[str, tuple[Array, Array]] = {}
    lines: dict[str, tuple[Array, Array]] = {}
    for g in np.unique(draw.cohort):
        rows = draw.cohort == g
        name = "never treated" if g == NEVER else f"treated from {g}"
        points[name] = (periods, draw.outcome[rows].mean(axis=0))
    for g in np.unique(draw.cohort[draw.cohort != NEVER]):
        after = periods >= g
        untreated = draw.untreated[draw.cohort == g].mean(axis=0)
        name = f"without treatment (from {g})" if len(lines) else "without treatment"
        lines[name] = (periods[after], untreated[after])
    return points, lines, ("Period", "Mean outcome of the cohort"), []


def _by_cell(entry: Entry, draw: Any) -> Parts:
    """Outcomes by cell of the factors, with the true cell means."""
    factors, y = draw.data.factors, draw.frame["y"].to_numpy()
    cells = all_cells(len(factors))
    own = draw.frame[list(factors)].to_numpy() @ (1 << np.arange(len(factors)))
    codes = cells @ (1 << np.arange(len(factors)))
    parts = [_scattered(k, y[own == code]) for k, code in enumerate(codes)]
    units = tuple(np.concatenate(axis) for axis in zip(*parts, strict=True))
    true = [draw.truth.population[cell_label(cell, factors)] for cell in cells]
    names = ["".join(map(str, cell)) for cell in cells]
    axis = f"Cell ({', '.join(factors)})"
    return {"units": (units[0], units[1])}, {"true mean": _levels(true)}, (axis, "y"), names


def _by_exposure(entry: Entry, draw: Any) -> Parts:
    """Outcomes by treatment and exposure, with the mean had all units been there."""
    d, g = draw.data.treatment, draw.network.share(draw.data.treatment) >= CUT
    cells = [(a, b) for a in (0, 1) for b in (0, 1)]
    parts = [_scattered(2 * a + b, draw.data.outcome[(d == a) & (g == b)]) for a, b in cells]
    units = tuple(np.concatenate(axis) for axis in zip(*parts, strict=True))
    true = [draw.potential_outcomes[:, a, b].mean() for a, b in cells]
    names = [f"{ARM_NAMES[a]},\n{('few', 'many')[b]} around" for a, b in cells]
    lines = {"mean if all were there": _levels(true)}
    axis = "Own treatment, and how many neighbours are treated"
    return {"units": (units[0], units[1])}, lines, (axis, draw.data.outcome_name), names


_PICTURES: Mapping[str, Callable[[Entry, Any], Parts]] = {
    "confounded": _by_propensity,
    "adoption": _by_propensity,
    "arms": _by_arm,
    "dose": _by_dose,
    "instrument": _by_propensity,
    "structural": _by_dose,
    "market": _market,
    "mixed": _by_propensity,
    "panel": _panel,
    "spillover": _by_exposure,
    "factorial": _by_cell,
}


def _colour(k: int) -> str:
    return COLOURS[k % len(COLOURS)]


def _scattered(place: int, y: Array) -> tuple[Array, Array]:
    """Values beside a place on the axis, evenly spread."""
    offset = (np.arange(len(y)) * _GOLDEN) % 1 - 0.5
    return np.asarray(place + _HALF_WIDTH * offset), y


def _levels(values: list[Any]) -> tuple[Array, Array]:
    """A level stretch at each place 0, 1, ..., at the mean of its values."""
    means = [float(np.mean(v)) for v in values]
    stretch = np.append(np.linspace(-_HALF_WIDTH, _HALF_WIDTH, 9), np.nan)
    x = np.concatenate([k + stretch for k in range(len(means))])
    return x, np.repeat(means, len(stretch)) + 0 * x


def _stacked(named: Named) -> pd.DataFrame:
    parts = [pd.DataFrame({"series": name, "x": x, "y": y}) for name, (x, y) in named.items()]
    return pd.concat(parts, ignore_index=True)


def _series(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(name, frame[frame["series"] == name]) for name in frame["series"].unique()]


def _reach(y: pd.Series) -> tuple[float, float]:
    """Limits that show all but the outermost half per cent of each side."""
    low, high = np.nanquantile(y, [0.005, 0.995])
    margin = 0.06 * (high - low)
    return float(low - margin), float(high + margin)
