"""One draw of a panel, with everything an analyst never sees.

Unit i is first treated in period g_i, its cohort (0: never), and stays treated. Its cells are

    Y_it = Y_it(0) + tau_it 1{g_i > 0, t >= g_i}
    Y_it(0) = a_i + d_t + (part of covariates) + (part of factors) + e_it

and the truth is the mean of tau_it over treated cells: all of them (ATT), those of one cohort g,
those of one event time k = t - g_i. Population values weigh the cells by how often the design
treats them, sample values are those of the cells drawn; an interval for one is no interval for the
other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.truth import Truth

Array = NDArray[np.float64]
Cohorts = NDArray[np.int64]

NEVER = 0
"""Cohort of units that are never treated."""


@dataclass(frozen=True)
class NoiseLaw:
    """Stationary Gaussian noise of a unit's cells, independent between units.

    e_i0 ~ N(0, sd^2), e_it = r e_i,t-1 + sqrt(1 - r^2) sd u_it, u_it ~ N(0, 1).

    Parameters
    ----------
    sd : float
        Standard deviation of every cell; 0 for none.
    autocorrelation : float
        r, above -1 and below 1.

    Raises
    ------
    DataError
        For numbers out of these ranges.
    """

    sd: float = 1.0
    autocorrelation: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.sd) and self.sd >= 0):
            raise DataError(f"the noise has standard deviation {self.sd}", "a number of at least 0")
        if not abs(self.autocorrelation) < 1:
            raise DataError(
                f"the noise has autocorrelation {self.autocorrelation}", "a number in (-1, 1)"
            )

    def sample(self, rng: np.random.Generator, n_units: int, n_periods: int) -> Array:
        """Noise of a panel, shape (n_units, n_periods)."""
        u, r = rng.standard_normal((n_units, n_periods)), self.autocorrelation
        for t in range(1, n_periods if r else 0):
            u[:, t] = r * u[:, t - 1] + np.sqrt(1 - r**2) * u[:, t]
        return self.sd * u

    def cdf(self, e: ArrayLike) -> Array:
        """P(e_it <= e) of a cell."""
        e = np.asarray(e, dtype=float)
        return np.asarray(ndtr(e / self.sd) if self.sd else e >= 0, dtype=float)

    def quantile(self, levels: ArrayLike) -> Array:
        """Quantiles of a cell at levels in (0, 1)."""
        return np.asarray(self.sd * ndtri(np.asarray(levels, dtype=float)))


@dataclass(frozen=True, eq=False)
class PanelDraw:
    """A simulated balanced panel of N units and T periods.

    Parameters
    ----------
    frame : DataFrame
        What an analyst gets to see, by unit and then period: unit, period (both from 0), y,
        covariates if any, treated (1 in treated cells) and cohort (0 for never treated).
    truth : Truth
        ATT, ATT(cohort=g) and ATT(event_time=k), of the population and of the cells drawn.
    untreated : ndarray, shape (N, T)
        Y_it(0).
    effect : ndarray, shape (N, T)
        tau_it in treated cells, 0 in the others.
    unit_effect : ndarray, shape (N,)
        a_i.
    period_effect : ndarray, shape (T,)
        d_t.
    structure : ndarray, shape (N, T)
        What covariates, factors and group trends add to Y_it(0).
    noise : ndarray, shape (N, T)
        e_it.
    noise_law : NoiseLaw
        The law of e_it.
    """

    frame: pd.DataFrame
    truth: Truth
    untreated: Array
    effect: Array
    unit_effect: Array
    period_effect: Array
    structure: Array
    noise: Array
    noise_law: NoiseLaw

    @property
    def outcome(self) -> Array:
        """Y_it, shape (N, T)."""
        return self.untreated + self.effect

    @property
    def untreated_mean(self) -> Array:
        """E[Y_it(0)] given everything but the noise, shape (N, T)."""
        return self.untreated - self.noise

    @property
    def cohort(self) -> Cohorts:
        """g_i, shape (N,)."""
        return self.frame["cohort"].to_numpy().reshape(self.untreated.shape)[:, 0]

    @property
    def treated(self) -> NDArray[np.bool_]:
        """Which cells are treated, shape (N, T)."""
        return treated_cells(self.cohort, self.untreated.shape[1])


@dataclass(frozen=True, eq=False)
class PanelParts:
    """What :func:`panel_draw` adds up; shapes as in :class:`PanelDraw`.

    Parameters
    ----------
    cohort : ndarray, shape (N,)
    effect : ndarray, shape (N, T)
        What treatment does, or would do; only treated cells get it.
    unit_effect, period_effect, structure, noise : ndarray
    covariates : mapping
        Columns that the analyst sees, each (N, T).
    """

    cohort: Cohorts
    effect: Array
    unit_effect: Array
    period_effect: Array
    structure: Array
    noise: Array
    covariates: Mapping[str, Array]


def panel_draw(parts: PanelParts, law: NoiseLaw, known: Truth, seed: int | None) -> PanelDraw:
    """The panel that its parts make up.

    Parameters
    ----------
    parts : PanelParts
    law : NoiseLaw
        The law of the noise among the parts.
    known : Truth
        The design's own: name, equations and population values.
    seed : int or None
        What the truth records.
    """
    n_units, n_periods = parts.noise.shape
    treated = treated_cells(parts.cohort, n_periods)
    effect = np.where(treated, parts.effect, 0.0)
    fixed = parts.unit_effect[:, None] + parts.period_effect
    untreated = fixed + parts.structure + parts.noise
    frame = pd.DataFrame({
        "unit": np.repeat(np.arange(n_units), n_periods),
        "period": np.tile(np.arange(n_periods), n_units),
        "y": (untreated + effect).ravel(),
        **{name: values.ravel() for name, values in parts.covariates.items()},
        "treated": treated.ravel().astype(np.int64),
        "cohort": np.repeat(parts.cohort, n_periods),
    })  # fmt: skip
    sample = average_effects(effect, parts.cohort, np.ones(n_units))
    truth = Truth(known.design, known.population, sample, equations=known.equations, seed=seed)
    return PanelDraw(
        frame, truth, untreated, effect, parts.unit_effect, parts.period_effect,
        parts.structure, parts.noise, law,
    )  # fmt: skip


def treated_cells(cohort: Cohorts, n_periods: int) -> NDArray[np.bool_]:
    """Cells from a unit's cohort on, shape (N, n_periods)."""
    own = cohort[:, None]
    return np.asarray((own != NEVER) & (np.arange(n_periods) >= own))


def average_effects(effect: Array, cohort: Cohorts, weight: Array) -> dict[str, float]:
    """Mean effects over treated cells: all, by cohort, by event time.

    Parameters
    ----------
    effect : ndarray, shape (N, T)
    cohort : ndarray, shape (N,)
    weight : ndarray, shape (N,)
        How much a unit's cells count: 1 each for a sample; the probability of a cohort where rows
        are cohorts and effects their means.

    Returns
    -------
    dict
        ATT, ATT(cohort=g) and ATT(event_time=k) for every g and k with a treated cell.
    """
    unit, period = np.nonzero(treated_cells(cohort, effect.shape[1]))
    tau, w, g = effect[unit, period], weight[unit], cohort[unit]
    table = {"ATT": float(tau @ w / w.sum())}
    for name, group in (("cohort", g), ("event_time", period - g)):
        mass, total = np.bincount(group, w), np.bincount(group, w * tau)
        seen = np.flatnonzero(mass)
        table |= {f"ATT({name}={key})": float(total[key] / mass[key]) for key in seen}
    return table


def drawn_cohorts(
    n: int, cohorts: tuple[int, ...], probabilities: tuple[float, ...], rng: np.random.Generator
) -> Cohorts:
    """Cohorts of n units, independent, drawn again until each cohort has a unit.

    Raises
    ------
    DataError
        If there are fewer units than cohorts.
    """
    if n < len(cohorts):
        raise DataError(
            f"a panel of {n} units was asked for",
            f"at least {len(cohorts)}, one for each group of units",
        )
    while True:
        drawn = rng.choice(np.asarray(cohorts, dtype=np.int64), n, p=probabilities)
        if len(np.unique(drawn)) == len(cohorts):
            return drawn


def check_numbers(design: Any) -> None:
    """Refuse a design one of whose numbers is missing or infinite."""
    for name, value in asdict(design).items():
        if isinstance(value, float) and not np.isfinite(value):
            raise DataError(f"{name} is {value}", "a finite number")


def check_periods(n_periods: int, start: int) -> None:
    """Refuse a panel without periods before treatment, or without periods of treatment."""
    if not 1 <= start < n_periods:
        raise DataError(
            f"treatment starts in period {start} of a panel with {n_periods} periods",
            f"a start from 1 to {n_periods - 1}" if n_periods > 1 else "at least 2 periods",
            "Periods are counted from 0.",
        )


def build_up(effect: float, remaining: float, n_periods: int, start: int) -> Array:
    """Effects by period, effect (1 - remaining^(k + 1)) at event time k >= 0, shape (n_periods,).

    Parameters
    ----------
    effect : float
        The effect in the long run; in every treated period when ``remaining`` is 0.
    remaining : float
        Share of what is missing that is still missing one period later, in [0, 1).
    n_periods, start : int

    Raises
    ------
    DataError
        If ``remaining`` is not in [0, 1).
    """
    if not 0 <= remaining < 1:
        raise DataError(f"the share remaining is {remaining}", "a number from 0 to below 1")
    k = np.arange(n_periods) - start
    return np.asarray(np.where(k >= 0, effect * (1 - remaining ** np.maximum(k + 1, 1)), 0.0))
