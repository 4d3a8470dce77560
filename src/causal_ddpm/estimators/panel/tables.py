"""Tables of a panel estimate: paths with their bands, effects of units, cumulative, quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.estimators.panel.averages import Averages
from causal_ddpm.estimators.panel.bands import Bands
from causal_ddpm.estimators.panel.conformal import Central, Stretch
from causal_ddpm.estimators.panel.error_law import ErrorLaw
from causal_ddpm.estimators.panel.placebo_coverage import LEVELS, rank_p_value, ratios
from causal_ddpm.estimators.panel.placebos import Paths

Array = NDArray[np.float64]

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """The treated units beside what would have been.

    Parameters
    ----------
    panel : PanelData
    own : Paths
        Of the K treated units.
    placebos : Paths
    law : ErrorLaw
    draws : ndarray, shape (K, S, H)
        Errors of the treated units, as the law has them.
    averages : Averages
    bands : Bands
    cell_stretch, average_stretch : Stretch
        Of what is said of single units: of a cell, and of the average over a path.
    level : float
    """

    panel: PanelData
    own: Paths
    placebos: Paths
    law: ErrorLaw
    draws: Array
    averages: Averages
    bands: Bands
    cell_stretch: Stretch
    average_stretch: Stretch
    level: float

    @property
    def effect(self) -> Array:
        """Gap less mean error, NaN where it is not known, shape (K, H)."""
        return self.own.error - self.draws.mean(axis=1)

    @property
    def weight(self) -> Array:
        """Weights of the treated units, shape (K,)."""
        w = self.panel.weights
        return np.ones(len(self.own)) if w is None else np.asarray(w[self.own.unit])

    def gap(self, family: str) -> Array:
        """Average gaps, whose effect and error are told apart by the bands, shape (F,)."""
        return self.averages.of(family, self.own.error)

    def effect_interval(self, family: str, level: float) -> tuple[Array, Array]:
        """Interval of average effects."""
        low, high = self.bands.interval(family, level)
        return self.gap(family) - high, self.gap(family) - low

    def effect_draws(self, family: str) -> Array:
        """Draws of average effects, shape (S, F)."""
        return self.gap(family) - self.bands.error_draws(family, self.level)

    @property
    def observed(self) -> Array:
        """Mean observed outcome of the treated, by period of ``averages.periods``."""
        return self.averages.of("period", _by_horizon(self.panel.y[self.own.unit], self.own))


def _by_horizon(cells: Array, paths: Paths) -> Array:
    """Cells (P, T) at the horizons (P, H) of paths whose error is known, NaN elsewhere."""
    t = paths.first[:, None] + np.arange(paths.error.shape[1])
    found = np.take_along_axis(cells, np.minimum(t, cells.shape[1] - 1), axis=1)
    return np.where(np.isfinite(paths.error), found, np.nan)


def path_table(c: Counterfactual) -> pd.DataFrame:
    """The mean over treated units, before and after treatment."""
    observed, gap = c.observed, c.gap("period")
    effect = c.averages.of("period", c.effect)
    (low, high), (low_u, high_u) = (
        (observed - gap + a, observed - gap + b)
        for a, b in (c.bands.interval("period", c.level), c.bands.uniform("period", c.level))
    )
    after = pd.DataFrame({
        "period": c.panel.periods[c.averages.periods],
        "n_units": np.isfinite(_at_periods(c)).sum(axis=0),
        "treated": True,
        "observed": observed, "counterfactual": observed - effect,
        "low": low, "high": high, "low_uniform": low_u, "high_uniform": high_u,
        "effect": effect, "effect_low": observed - high, "effect_high": observed - low,
        "effect_low_uniform": observed - high_u, "effect_high_uniform": observed - low_u,
    })  # fmt: skip
    before = _before(c)
    if before.empty:
        return after
    return pd.concat([before, after[after.columns]], ignore_index=True).reindex(
        columns=after.columns
    )


def _at_periods(c: Counterfactual) -> Array:
    """Errors of the treated units in the periods of ``averages.periods``, shape (K, T1)."""
    after = np.arange(c.panel.shape[1]) >= c.own.first[:, None]
    return np.where(after, c.own.gap, np.nan)[:, c.averages.periods]


def _before(c: Counterfactual) -> pd.DataFrame:
    """Rows of the periods before anyone is treated."""
    start = int(c.own.first.min())
    gap = np.where(c.own.before, c.own.gap, np.nan)[:, :start]
    known = np.isfinite(gap)
    mass = known * c.weight[:, None]
    total = mass.sum(axis=0)
    use = total > 0
    y = c.panel.y[c.own.unit, :start]
    mean_y, mean_gap = (
        np.where(known, values, 0.0)[:, use].T @ c.weight / total[use] for values in (y, gap)
    )
    return pd.DataFrame({
        "period": c.panel.periods[:start][use], "n_units": known.sum(axis=0)[use],
        "treated": False, "observed": mean_y, "counterfactual": mean_y - mean_gap,
        "effect": mean_gap,
    })  # fmt: skip


def fan_table(c: Counterfactual) -> pd.DataFrame:
    """Central bands of the untreated mean path, nested."""
    centre = c.observed - c.gap("period")
    parts, inner = [], (np.full(len(centre), np.inf), np.full(len(centre), -np.inf))
    for level in sorted({*LEVELS, c.level}):
        low, high = c.bands.interval("period", level)
        inner = np.minimum(inner[0], low), np.maximum(inner[1], high)
        parts.append(pd.DataFrame({
            "period": c.panel.periods[c.averages.periods], "level": level,
            "low": centre + inner[0], "high": centre + inner[1],
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def unit_path_table(c: Counterfactual) -> pd.DataFrame:
    """Every cell of the treated units, one row each, where it is observed or predicted."""
    own, y = c.own, c.panel.y[c.own.unit]
    shift, low, high = (np.zeros(own.predicted.shape) for _ in range(3))
    low[:], high[:] = np.nan, np.nan
    ends = [c.cell_stretch.band(draws) for draws in c.draws]
    for k, (first, (a, b)) in enumerate(zip(own.first, ends, strict=True)):
        n = own.predicted.shape[1] - first
        shift[k, first:] = c.draws[k].mean(axis=0)[:n]
        low[k, first:], high[k, first:] = a[:n], b[:n]
    row, t = np.nonzero(np.isfinite(own.predicted))
    path = own.predicted + shift
    return pd.DataFrame({
        "unit": c.panel.units[own.unit[row]], "period": c.panel.periods[t],
        "event_time": t - own.first[row], "observed": y[row, t],
        "counterfactual": path[row, t], "effect": (y - path)[row, t],
        "low": (own.predicted + low)[row, t], "high": (own.predicted + high)[row, t],
    })  # fmt: skip


def unit_effect_table(c: Counterfactual) -> pd.DataFrame:
    """The average effect on each treated unit, where one of its cells is known."""
    known = np.isfinite(c.own.error)
    n = known.sum(axis=1)
    share = known / np.maximum(n, 1)[:, None]
    gap = np.where(known, c.own.error * share, 0.0).sum(axis=1)
    draws = np.einsum("ksh,kh->sk", c.draws, share)
    alone = len(c.own) == 1 and c.bands.factor is None
    low, high = (c.bands.stretch("att", c.level) if alone else c.average_stretch).band(draws)
    others = ratios(c.placebos, c.law.smallest)
    table = pd.DataFrame({
        "unit": c.panel.units[c.own.unit], "cohort": c.panel.periods[c.own.first], "n_cells": n,
        "effect": gap - draws.mean(axis=0), "low": gap - high, "high": gap - low,
        "pre_fit_error": c.own.pre_rmse(),
        "p_value": [rank_p_value(value, others) for value in ratios(c.own, c.law.smallest)],
    })  # fmt: skip
    return table[n > 0].reset_index(drop=True)


def cumulative_table(c: Counterfactual) -> pd.DataFrame:
    """Effects of the mean path added up; the stretch goes from a period's to that of the ATT."""
    draws = np.cumsum(c.bands.draws["period"], axis=1)
    gap = np.cumsum(c.gap("period"))
    first, last = (c.bands.stretch(f, c.level).factor for f in ("period", "att"))
    share = np.linspace(0, 1, len(gap)) if len(gap) > 1 else np.ones(1)
    factor = np.maximum(first, 0.0) ** (1 - share) * np.maximum(last, 0.0) ** share
    low, high = Central.of(draws, c.level).stretched(factor)
    return pd.DataFrame({
        "period": c.panel.periods[c.averages.periods], "effect": gap - draws.mean(axis=0),
        "low": gap - high, "high": gap - low,
    })  # fmt: skip


def quantile_table(c: Counterfactual, quantiles: Sequence[float] = QUANTILES) -> pd.DataFrame:
    """Quantiles over treated cells, observed and drawn, each cell counted once."""
    known = np.isfinite(c.own.error)
    observed = _by_horizon(c.panel.y[c.own.unit], c.own)
    predicted = observed - c.own.error
    stretched = np.stack([c.cell_stretch.stretched_draws(draws) for draws in c.draws])
    drawn = np.quantile((predicted[:, None] + stretched).swapaxes(1, 2)[known], quantiles, axis=0)
    seen, mean = np.quantile(observed[known], quantiles), drawn.mean(axis=1)
    low, high = np.quantile(drawn, [(1 - c.level) / 2, (1 + c.level) / 2], axis=1)
    return pd.DataFrame({
        "quantile": quantiles, "observed": seen, "counterfactual": mean, "effect": seen - mean,
        "low": seen - high, "high": seen - low,
    })  # fmt: skip
