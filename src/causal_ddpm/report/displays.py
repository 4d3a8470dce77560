"""Figures of an analysis. Each display keeps its numbers: ``frame()`` gives them, ``plot(ax)`` draws.

A display is made from an :class:`~causal_ddpm.evaluation.analysis.Analysis` by its ``of`` method,
which returns None where the analysis lacks what the picture needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import pandas as pd

from causal_ddpm.evaluation.analysis import Analysis
from causal_ddpm.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ARM_NAMES = ("untreated", "treated")
BALANCED = 0.1
"""Standardised differences below this are conventionally called balanced."""


class Display(Protocol):
    """A picture whose numbers can be had."""

    def frame(self) -> pd.DataFrame:
        """The numbers behind the picture."""
        ...

    def plot(self, ax: Axes) -> Axes:
        """Draw on the axes given and return them."""
        ...


@dataclass(frozen=True, eq=False)
class EffectDisplay:
    """The effects with their intervals above the naive difference.

    Parameters
    ----------
    rows : DataFrame
        Columns label, kind ("effect" or "naive"), value, ci_low, ci_high, truth (NaN if unknown).
    axis_label : str
        What the horizontal axis measures, with its unit.
    """

    rows: pd.DataFrame
    axis_label: str

    @classmethod
    def of(cls, analysis: Analysis) -> Self:
        """Effects on means, then the naive difference."""
        truth = {} if analysis.truth is None else analysis.truth.effects
        rows = [
            {
                "label": e.estimand,
                "kind": "effect",
                "value": e.value,
                "ci_low": e.interval()[0],
                "ci_high": e.interval()[1],
                "truth": truth.get(e.estimand, np.nan),
            }
            for e in analysis.mean_effects
        ]
        low, high = analysis.naive.interval(analysis.level)
        rows.append(
            {
                "label": "Naive difference",
                "kind": "naive",
                "value": analysis.naive.value,
                "ci_low": low,
                "ci_high": high,
                "truth": np.nan,
            }
        )
        return cls(pd.DataFrame(rows), f"Effect on {analysis.outcome_label}")

    def frame(self) -> pd.DataFrame:
        """One row an estimate."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """A forest plot with the values written beside the intervals."""
        places = np.arange(len(self.rows))[::-1]
        for place, row in zip(places, self.rows.itertuples(), strict=True):
            colour = style.EFFECT if row.kind == "effect" else style.NAIVE
            ax.plot(
                [row.ci_low, row.ci_high],
                [place, place],
                color=colour,
                lw=2.2,
                solid_capstyle="round",
            )
            ax.plot(row.value, place, "o", color=colour, ms=8, mec="white", mew=1.4)
            if np.isfinite(row.truth):
                ax.plot(
                    row.truth,
                    place + 0.3,
                    "v",
                    color=style.TRUTH,
                    ms=7,
                    mew=0,
                    label="truth (simulated)" if place == places[0] else None,
                )
        style.rule(ax)
        ax.set_yticks(places, list(self.rows["label"]))
        ax.tick_params(axis="y", labelcolor=style.INK)
        ax.set_ylim(-0.6, len(places) - 0.3)
        ax.set_xlabel(self.axis_label)
        if self.rows["truth"].notna().any():
            ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0))
        return ax


@dataclass(frozen=True, eq=False)
class OverlapDisplay:
    """Who could have been treated: estimated propensities by arm.

    Parameters
    ----------
    edges : ndarray, shape (B + 1,)
        Bin edges of the propensity.
    shares : ndarray, shape (2, B)
        Share of each arm's rows in each bin.
    """

    edges: np.ndarray
    shares: np.ndarray

    @classmethod
    def of(cls, analysis: Analysis) -> Self:
        """Histogram the out-of-fold propensities in bins of .04."""
        edges = np.linspace(0.0, 1.0, 26)
        counts = [
            np.histogram(
                analysis.propensity[analysis.treatment == arm],
                bins=edges,
                weights=analysis.weights[analysis.treatment == arm],
            )[0]
            for arm in (0, 1)
        ]
        return cls(edges, np.array([c / c.sum() for c in counts]))

    def frame(self) -> pd.DataFrame:
        """One row a bin: left, right, untreated, treated (shares within the arm)."""
        return pd.DataFrame(
            {
                "left": self.edges[:-1],
                "right": self.edges[1:],
                "untreated": self.shares[0],
                "treated": self.shares[1],
            }
        )

    def plot(self, ax: Axes) -> Axes:
        """Treated upwards, untreated downwards, on one axis of propensity."""
        width = np.diff(self.edges)
        for arm, sign in ((1, 1.0), (0, -1.0)):
            ax.bar(
                self.edges[:-1],
                sign * self.shares[arm],
                width=width * 0.92,
                align="edge",
                color=style.ARM_COLOURS[arm],
                alpha=0.9,
                linewidth=0,
            )
            ax.text(
                0.99,
                0.5 + sign * 0.42,
                ARM_NAMES[arm],
                color=style.ARM_COLOURS[arm],
                ha="right",
                va="center",
                transform=ax.transAxes,
                fontweight="bold",
            )
        top = 1.12 * float(self.shares.max())
        ax.axhline(0, color=style.INK, lw=0.8)
        ax.set(
            xlim=(0, 1),
            ylim=(-top, top),
            xlabel="Estimated probability of treatment given the confounders",
            ylabel="Share of the arm's rows",
        )
        ax.yaxis.set_major_formatter(lambda v, _: f"{abs(v):.0%}")
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
        rows = analysis.balance_frame()
        return cls(rows.sort_values("before", ascending=False).head(limit).reset_index(drop=True))

    def frame(self) -> pd.DataFrame:
        """One row a confounder."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Hollow dots before, filled dots after, a line between them."""
        places = np.arange(len(self.rows))[::-1]
        before, after = self.rows["before"].to_numpy(), self.rows["after"].to_numpy()
        ax.axvspan(0, BALANCED, color=style.HAIRLINE, alpha=0.35, lw=0)
        ax.hlines(
            places,
            np.minimum(before, after),
            np.maximum(before, after),
            color=style.HAIRLINE,
            lw=1.6,
        )
        ax.plot(
            before, places, "o", ms=7, mfc="white", mec=style.NAIVE, mew=1.6, label="as observed"
        )
        ax.plot(
            after,
            places,
            "o",
            ms=7,
            color=style.EFFECT,
            mec="white",
            mew=1.0,
            label="after weighting",
        )
        ax.set_yticks(places, [shortened(name) for name in self.rows["confounder"]])
        ax.tick_params(axis="y", labelcolor=style.INK)
        ax.set_xlim(0, 1.08 * max(float(np.nanmax([before, after])), 2 * BALANCED))
        ax.set_ylim(-0.6, len(places) - 0.4)
        ax.set_xlabel("Absolute standardised difference of the arms' means (shaded: below .1)")
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
        return ax


@dataclass(frozen=True, eq=False)
class DistributionsDisplay:
    """The laws of the outcome had everyone been untreated, and had everyone been treated.

    Parameters
    ----------
    rows : DataFrame
        Columns y, arm, cdf, lower, upper; the band covers both curves at once when ``uniform``.
    axis_label : str
        Outcome with its unit.
    level : float
        Confidence level of the band.
    """

    rows: pd.DataFrame
    axis_label: str
    level: float

    @classmethod
    def of(cls, analysis: Analysis) -> Self | None:
        """DR-corrected distribution functions, if the outcome model gives laws."""
        rows = analysis.distribution_frame()
        return None if rows is None else cls(rows, analysis.outcome_label, analysis.level)

    def frame(self) -> pd.DataFrame:
        """One row a grid point and arm."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Two step-free curves with their bands, named by a legend."""
        for arm in (0, 1):
            part = self.rows[self.rows["arm"] == arm]
            ax.fill_between(
                part["y"],
                part["lower"],
                part["upper"],
                color=style.ARM_COLOURS[arm],
                alpha=0.16,
                lw=0,
            )
            ax.plot(
                part["y"],
                part["cdf"],
                color=style.ARM_COLOURS[arm],
                lw=2,
                ls=style.ARM_LINES[arm],
                label=f"if all were {ARM_NAMES[arm]}",
            )
        ax.set(
            ylim=(0, 1), xlabel=capitalised(self.axis_label), ylabel="Share of units at or below"
        )
        ax.margins(x=0.01)
        ax.yaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
        style.gridlines(ax)
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
        return ax


@dataclass(frozen=True, eq=False)
class QuantileDisplay:
    """Effects on the quantiles of the outcome.

    Parameters
    ----------
    rows : DataFrame
        Columns quantile, value, ci_low, ci_high.
    axis_label : str
        Outcome with its unit.
    """

    rows: pd.DataFrame
    axis_label: str

    @classmethod
    def of(cls, analysis: Analysis) -> Self | None:
        """Quantile effects, if they were estimated."""
        rows = analysis.quantile_frame()
        return None if rows is None else cls(rows, analysis.outcome_label)

    def frame(self) -> pd.DataFrame:
        """One row a quantile."""
        return self.rows.copy()

    def plot(self, ax: Axes) -> Axes:
        """Points with intervals against the quantile."""
        r = self.rows
        ax.axhline(0, color=style.HAIRLINE, lw=1.2, zorder=0)
        ax.vlines(r["quantile"], r["ci_low"], r["ci_high"], color=style.EFFECT, lw=2)
        ax.plot(r["quantile"], r["value"], "o", color=style.EFFECT, ms=7, mec="white", mew=1.2)
        ax.set(xlim=(0, 1), xlabel="Quantile", ylabel=f"Effect on {self.axis_label}")
        ax.xaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
        style.gridlines(ax)
        return ax


@dataclass(frozen=True, eq=False)
class UnitEffectsDisplay:
    """How the predicted effect varies across units.

    Parameters
    ----------
    row_ids, effects : ndarray, shape (n,)
        Out-of-fold effect of each unit given its confounders; not an interval of that effect.
    average : float
        The estimated average effect.
    axis_label : str
        Outcome with its unit.
    """

    row_ids: np.ndarray
    effects: np.ndarray
    average: float
    axis_label: str

    @classmethod
    def of(cls, analysis: Analysis) -> Self:
        """Out-of-fold effects beside the first estimated mean effect."""
        return cls(
            analysis.row_ids, analysis.unit_effects, analysis.headline.value, analysis.outcome_label
        )

    def frame(self) -> pd.DataFrame:
        """One row a unit."""
        return pd.DataFrame({"row_id": self.row_ids, "effect": self.effects})

    def plot(self, ax: Axes) -> Axes:
        """A histogram of the central 99 % of the units, with the average marked."""
        low, high = np.quantile(self.effects, [0.005, 0.995])
        inside = self.effects[(self.effects >= low) & (self.effects <= high)]
        ax.hist(
            inside,
            bins=min(40, max(8, int(np.sqrt(len(inside))))),
            color=style.UNTREATED,
            alpha=0.85,
            weights=np.full(len(inside), 1 / len(self.effects)),
            edgecolor="white",
            linewidth=0.6,
        )
        style.rule(ax)
        ax.axvline(self.average, color=style.INK, lw=1.4, ls=(0, (4, 2)))
        ax.annotate(
            "average",
            (self.average, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(4, 2),
            textcoords="offset points",
            color=style.INK,
            fontsize=9.5,
        )
        ax.set(xlabel=f"Predicted effect on {self.axis_label}", ylabel="Share of units")
        ax.yaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
        style.gridlines(ax)
        return ax


def shortened(name: str, limit: int = 28) -> str:
    """A label that fits beside an axis."""
    return name if len(name) <= limit else name[: limit - 1] + "…"


def capitalised(text: str) -> str:
    """First letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]
