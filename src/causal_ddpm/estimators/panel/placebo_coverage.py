"""What bands did on the panel's own placebos, and where the treated units stand among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.random import seed_sequence, stream
from causal_ddpm.estimators.panel.averages import group_cells
from causal_ddpm.estimators.panel.conformal import (
    Central,
    Stretch,
    calibrate,
    calibrate_uniform,
    largest,
    uniform_quantile,
)
from causal_ddpm.estimators.panel.effect import PlaceboRecord
from causal_ddpm.estimators.panel.error_law import ErrorLaw, own_folds
from causal_ddpm.estimators.panel.placebos import Paths, root_mean_square

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

LEVELS = (0.5, 0.8, 0.9, 0.95)
MAX_MEASURED = 300
_DRAWS = 400
_RANDOM_GROUPS = 999
_TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True, eq=False)
class Measured:
    """Placebo paths under bands that their own scores did not help to make.

    Parameters
    ----------
    which : ndarray of int, shape (m,)
        Positions among the placebos.
    low, high : ndarray, shape (m, H)
        Pointwise band of the error.
    inside : ndarray of bool, shape (m, H)
    known : ndarray of bool, shape (m, H)
    uniform : ndarray of bool, shape (m,)
        Whether the whole path lies within the uniform band.
    by_level : DataFrame
        level, coverage, std_error.
    cell, average : Stretch
        What stretches the bands of a unit outside the placebos: of its cells, and of its average.
    """

    which: Codes
    low: Array
    high: Array
    inside: Mask
    known: Mask
    uniform: Mask
    by_level: pd.DataFrame
    cell: Stretch
    average: Stretch


def measure(law: ErrorLaw, level: float) -> Measured:
    """Bands of placebos from the other placebos, and whether they hold."""
    paths = law.placebos
    which = np.arange(len(paths))
    if len(which) > MAX_MEASURED:
        rng = stream(law.seed, "measured")
        which = np.sort(rng.choice(which, MAX_MEASURED, replace=False))
    error, owner = paths.error[which], paths.unit[which]
    known, levels = np.isfinite(error), sorted({*LEVELS, level})
    low, high = (np.empty((len(levels), *error.shape)) for _ in range(2))
    uniform = np.empty(len(which), dtype=bool)
    v = law.network_draws(which, _DRAWS)
    for own in own_folds(paths.unit, law.seed):
        mine = own[which]
        if not mine.any():
            continue
        draws = law.without(own, which, _DRAWS, v)
        for k, each in enumerate(levels):
            stretch = calibrate(error[~mine], draws[~mine], each)
            central = Central.of(draws[mine], each)
            low[k, mine], high[k, mine] = central.stretched(stretch.factor)
        uniform[mine] = _uniform(draws, error, mine, level)
    inside = known & (low <= error) & (error <= high)
    rows = [(each, *share(inside[k], known, owner)) for k, each in enumerate(levels)]
    at, draws = levels.index(level), law.placebo_draws(which, _DRAWS)
    share_known = known / known.sum(axis=1, keepdims=True)
    means = np.einsum("msh,mh->ms", draws, share_known)[..., None]
    return Measured(
        which, low[at], high[at], inside[at], known, uniform,
        pd.DataFrame(rows, columns=["level", "coverage", "std_error"]),
        calibrate(error, draws, level), calibrate(_row_means(error)[:, None], means, level),
    )  # fmt: skip


def _uniform(draws: Array, error: Array, mine: Mask, level: float) -> Mask:
    """Whether the paths of a fold lie within uniform bands that the others tell."""
    factor, _ = calibrate_uniform(error[~mine], draws[~mine], level)
    central = Central.of(draws[mine], level)
    size = uniform_quantile(draws[mine], central, level)
    return np.asarray(largest(error[mine], central)[:, 0] <= factor * size)


def share(inside: Mask, known: Mask, owner: Codes) -> tuple[float, float]:
    """Share of known cells inside, and its standard error clustered by owner."""
    rate = float(inside.sum() / known.sum())
    codes = np.unique(owner, return_inverse=True)[1]
    total = np.bincount(codes, np.where(known, inside - rate, 0.0).sum(axis=1))
    n = len(total)
    return rate, float(np.sqrt(n / max(n - 1, 1) * np.sum(total**2)) / known.sum())


def placebo_record(
    panel: PanelData, own: Paths, law: ErrorLaw, measured: Measured, level: float, many: bool
) -> PlaceboRecord:
    """The record.

    Parameters
    ----------
    panel : PanelData
    own : Paths
        Of the treated units.
    law : ErrorLaw
    measured : Measured
    level : float
    many : bool
        Whether p-values compare with random groups of placebos.
    """
    paths, m = law.placebos, measured
    owner = paths.unit[m.which]
    coverage, error = share(m.inside, m.known, owner)
    uniform, uniform_error = share(m.uniform[:, None], np.ones((len(owner), 1), bool), owner)
    e, width = paths.error[m.which], m.high - m.low
    outside = np.maximum(m.low - e, 0.0) + np.maximum(e - m.high, 0.0)
    p_ratio, p_effect, n_groups = _p_values(own, law, many)
    horizon = pd.DataFrame({
        "event_time": np.arange(e.shape[1]),
        "coverage": m.inside.sum(axis=0) / np.maximum(m.known.sum(axis=0), 1),
        "n": m.known.sum(axis=0),
    })  # fmt: skip
    return PlaceboRecord(
        level=level,
        n_placebos=len(paths),
        n_cells=int(m.known.sum()),
        coverage=coverage,
        coverage_error=error,
        uniform_coverage=uniform,
        uniform_coverage_error=uniform_error,
        interval_score=float((width + 2 / (1 - level) * outside)[m.known].mean()),
        width=float(width[m.known].mean()),
        p_value=p_ratio,
        p_value_effect=p_effect,
        p_value_floor=1 / (1 + n_groups),
        by_horizon=horizon[horizon["n"] > 0].reset_index(drop=True),
        by_level=m.by_level,
        units=pd.concat([
            _unit_table(panel, own, law, True),
            _unit_table(panel, paths, law, False, m),
        ], ignore_index=True),
        gaps=pd.concat([_gap_table(panel, own, True), _gap_table(panel, paths, False, m)],
                       ignore_index=True),
    )  # fmt: skip


def ratios(paths: Paths, smallest: float = _TINY) -> Array:
    """Root mean squared error after treatment over that before, (P,).

    Errors before treatment below ``smallest`` count as that: a base may fit a short past exactly.
    """
    return np.asarray(paths.post_rmse() / np.maximum(paths.pre_rmse(), smallest))


def rank_p_value(value: float, others: Array) -> float:
    """(1 + others at least as large) / (1 + others)."""
    return float((1 + np.count_nonzero(others >= value)) / (1 + len(others)))


def _p_values(own: Paths, law: ErrorLaw, many: bool) -> tuple[float, float, int]:
    """p-values of the ratio and of the average effect, and the number of groups behind them."""
    paths = law.placebos
    sizes = [_sizes(own, law.scale_of(own)), _sizes(paths, law.scale)]
    if many:
        rng = stream(seed_sequence(law.seed), "random groups")
        m = max(1, min(len(own), len(paths) // 2))
        rows = np.stack([rng.permutation(len(paths))[:m] for _ in range(_RANDOM_GROUPS)])
        groups, grow = sizes[1][rows], np.sqrt(m / len(own))
    else:
        cells = group_cells(sizes[1], paths.group, paths.slot, len(own))
        groups, grow = cells[np.isfinite(cells).all(axis=(1, 2))], 1.0
    values = [_statistics(block, law.smallest) for block in (sizes[0][None], groups)]
    ratio = rank_p_value(values[0][0][0], values[1][0])
    effect = rank_p_value(values[0][1][0], grow * values[1][1])
    return ratio, effect, len(groups)


def _sizes(paths: Paths, scale: Array) -> Array:
    """Squared errors after and before, and the mean error in units of its scale, (P, 3)."""
    mean = np.nan_to_num(_row_means(paths.error))
    size = np.where(scale > 0, scale, 1.0)
    return np.column_stack([paths.post_rmse() ** 2, paths.pre_rmse() ** 2, mean / size])


def _statistics(sizes: Array, smallest: float) -> tuple[Array, Array]:
    """Ratios and absolute mean effects of groups (G, K, 3)."""
    after, before, mean = np.moveaxis(sizes.mean(axis=1), 1, 0)
    return np.sqrt(after) / np.maximum(np.sqrt(before), smallest), np.abs(mean)


def _row_means(values: Array) -> Array:
    n = np.isfinite(values).sum(axis=1)
    return np.divide(np.nansum(values, axis=1), n, out=np.full(len(n), np.nan), where=n > 0)


def _unit_table(
    panel: PanelData, paths: Paths, law: ErrorLaw, treated: bool, m: Measured | None = None
) -> pd.DataFrame:
    coverage, uniform = np.full(len(paths), np.nan), np.full(len(paths), None, dtype=object)
    if m is not None:
        coverage[m.which] = m.inside.sum(axis=1) / m.known.sum(axis=1)
        uniform[m.which] = m.uniform.astype(object)
    return pd.DataFrame({
        "unit": panel.units[paths.unit],
        "treated": treated,
        "first": panel.periods[paths.first],
        "effect": _row_means(paths.error),
        "scale": law.scale_of(paths) if treated else law.scale,
        "pre_rmse": paths.pre_rmse(),
        "post_rmse": root_mean_square(paths.error),
        "ratio": ratios(paths, law.smallest),
        "coverage": coverage,
        "uniform": uniform,
    })  # fmt: skip


def _gap_table(
    panel: PanelData, paths: Paths, treated: bool, m: Measured | None = None
) -> pd.DataFrame:
    """Long table of the gaps that are known."""
    if m is not None:
        paths = paths.some(m.which)
    row, t = np.nonzero(np.isfinite(paths.gap))
    event = t - paths.first[row]
    table = pd.DataFrame({
        "unit": panel.units[paths.unit[row]],
        "treated": treated,
        "period": panel.periods[t],
        "event_time": event,
        "gap": paths.gap[row, t],
        "low": np.nan,
        "high": np.nan,
    })  # fmt: skip
    if m is not None:
        after = event >= 0
        table.loc[after, "low"] = m.low[row[after], event[after]]
        table.loc[after, "high"] = m.high[row[after], event[after]]
    return table
