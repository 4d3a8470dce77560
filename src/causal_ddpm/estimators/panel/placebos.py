r"""Controls that are hidden as the treated units are, and what the base says of them.

Slot k = 1..K stands for a treated unit with first treated period g_k. A placebo group puts K
controls d_1..d_K into the slots: the cells of d_k from g_k on are hidden, the base is fitted again,
and its errors there are what the treated units' errors would be if controls are like them,

    e_kh = y_{d_k, g_k + h} - prediction,      h = 0, 1, ...

With one treated unit every control is used once (leave one donor out). With more controls than 50
a fit, several groups share a fit; each control hides in one group of a fit only. Where many units
are treated, a tenth of the controls hides at a time, with first periods drawn from theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.nuisance.panel.base import PanelBase
from causal_ddpm.nuisance.panel.cells import PanelCells
from causal_ddpm.nuisance.panel.completion import held_out
from causal_ddpm.nuisance.panel.history import histories

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

MIN_DONORS = 3
"""Controls without which no placebo has other placebos to be compared with."""

MAX_GROUPS = 200
MIN_GROUPS = 40
MAX_HIDDEN = 2_000
_SHARE = 50
_MANY_FITS = 10
_CELLS_A_JOB = 1_000_000


@dataclass(frozen=True, eq=False)
class Paths:
    """Paths of units that are treated, or hidden as though they were.

    Parameters
    ----------
    unit, first : ndarray of int, shape (P,)
        Row of the panel, and first hidden period.
    group, slot : ndarray of int, shape (P,)
        Placebo group, and whose place in it (the row among the treated).
    gap : ndarray, shape (P, T)
        Observed outcome less prediction, NaN where either is not known.
    predicted : ndarray, shape (P, T)
    error : ndarray, shape (P, H)
        ``gap`` by horizon, from the first hidden period on.
    history : ndarray, shape (P, q)
        See :mod:`causal_ddpm.nuisance.panel.history`.
    """

    unit: Codes
    first: Codes
    group: Codes
    slot: Codes
    gap: Array
    predicted: Array
    error: Array
    history: Array

    def __len__(self) -> int:
        return len(self.unit)

    def some(self, rows: Codes) -> Paths:
        """Some of the paths."""
        return Paths(
            self.unit[rows], self.first[rows], self.group[rows], self.slot[rows],
            self.gap[rows], self.predicted[rows], self.error[rows], self.history[rows],
        )  # fmt: skip

    @property
    def before(self) -> Mask:
        """Cells before the path begins whose gap is known, shape (P, T)."""
        t = np.arange(self.gap.shape[1])
        return np.asarray(np.isfinite(self.gap) & (t < self.first[:, None]))

    def pre_rmse(self) -> Array:
        """Root mean squared gap before the path begins, shape (P,)."""
        return root_mean_square(np.where(self.before, self.gap, np.nan))

    def post_rmse(self) -> Array:
        """Root mean squared error, shape (P,)."""
        return root_mean_square(self.error)


def root_mean_square(values: Array) -> Array:
    """Of the known values of each row; 0 where there is none."""
    n = np.maximum(np.isfinite(values).sum(axis=1), 1)
    return np.asarray(np.sqrt(np.nansum(values**2, axis=1) / n))


def untreated_cells(panel: PanelData) -> PanelCells:
    """The cells that untreated outcomes may be learnt from."""
    return PanelCells(
        np.where(panel.untreated, panel.y, np.nan), panel.x, panel.untreated, panel.time
    )


def panel_paths(
    panel: PanelData,
    base: PanelBase,
    many: bool,
    random_state: Seed = None,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> tuple[Paths, Paths]:
    """Paths of the treated units, and of placebos.

    Raises
    ------
    DataError
        With fewer than three controls to hide.
    NotIdentifiedError
        If the base cannot tell an untreated outcome of any treated cell.
    """
    cells = untreated_cells(panel)
    treated = np.flatnonzero(~panel.is_control)
    fitted = base.fit(cells).predict(cells)[treated]
    if not np.isfinite(fitted[(panel.observed & panel.treated)[treated]]).any():
        raise NotIdentifiedError(
            "No treated cell has an untreated outcome that the base can tell; expected units that "
            "are not treated yet in the same periods, and periods before treatment."
        )
    slots = np.arange(len(treated))
    own = _paths(panel, treated, panel.first[treated], slots * 0, slots, fitted)
    plan = _many_plan(panel, random_state) if many else _group_plan(panel, random_state)
    hidden = _predictions(base, cells, plan, n_jobs, progress)
    placebos = _paths(panel, plan.unit, plan.first, plan.group, plan.slot, hidden)
    placebos = placebos.some(np.flatnonzero(np.isfinite(placebos.error).any(axis=1)))
    if len(np.unique(placebos.unit)) < MIN_DONORS:
        raise _too_few(len(np.unique(placebos.unit)))
    return _with_histories(panel, own, placebos)


@dataclass(frozen=True, eq=False)
class _Plan:
    """Who hides, from when on, in which group, slot and fit; shape (P,) each."""

    unit: Codes
    first: Codes
    group: Codes
    slot: Codes
    fit: Codes


def _group_plan(panel: PanelData, random_state: Seed) -> _Plan:
    """Groups of controls in the slots of few treated units."""
    donors, starts = np.flatnonzero(panel.is_control), panel.first[~panel.is_control]
    size, n = len(starts), len(donors)
    if n < max(MIN_DONORS, size):
        raise _too_few(n, size)
    rng = stream(random_state, "placebo groups")
    once = n // size
    n_groups = min(MAX_GROUPS, once if size == 1 else max(once, MIN_GROUPS))
    together = max(1, min(once, n // (_SHARE * size)))
    rows: list[Codes] = []
    while len(rows) < n_groups:
        order = donors if size == 1 and n <= MAX_GROUPS else rng.permutation(donors)
        rows += list(order[: once * size].reshape(once, size))[: n_groups - len(rows)]
    group = np.repeat(np.arange(n_groups), size)
    shuffle, fit = group // once, (group % once) // together
    fit = np.unique(shuffle * n + fit, return_inverse=True)[1]
    slot = np.tile(np.arange(size), n_groups)
    return _Plan(np.concatenate(rows), starts[slot], group, slot, fit)


def _many_plan(panel: PanelData, random_state: Seed) -> _Plan:
    """A tenth of the controls at a time; with few controls, units not treated yet as well."""
    rng = stream(random_state, "placebo groups")
    starts, pool = np.sort(panel.first[~panel.is_control]), np.flatnonzero(panel.is_control)
    if len(pool) < _MANY_FITS:
        pool = np.flatnonzero(panel.untreated.any(axis=1) & (panel.first > starts[0]))
    if len(pool) < MIN_DONORS:
        raise _too_few(len(pool))
    unit = rng.permutation(pool)[:MAX_HIDDEN]
    slot = rng.permutation(np.linspace(0, len(starts) - 1, len(unit)).round().astype(np.int64))
    first = starts[slot]
    late = panel.first[unit] <= first
    first = np.where(late, starts[0], first)
    fit = np.arange(len(unit)) % min(_MANY_FITS, len(unit))
    return _Plan(unit, first, fit, slot, fit)


def _predictions(
    base: PanelBase, cells: PanelCells, plan: _Plan, n_jobs: int, progress: Progress
) -> Array:
    """Predictions of all cells of each path by the fit that did not see it, shape (P, T)."""
    n_fits, (n_units, n_periods) = int(plan.fit.max()) + 1, cells.shape
    size = max(1, min(8, _CELLS_A_JOB // (n_units * n_periods)))
    parts = [np.arange(k, min(k + size, n_fits)) for k in range(0, n_fits, size)]
    jobs = [(base, cells, *_of_fits(plan, part)) for part in parts]
    out = np.empty((len(plan.unit), n_periods))
    for done, (part, found) in enumerate(zip(parts, run_jobs(_refit, jobs, n_jobs), strict=True)):
        out[np.isin(plan.fit, part)] = found
        progress("placebos", (done + 1) / len(parts))
    return out


def _of_fits(plan: _Plan, part: Codes) -> tuple[Codes, Codes, Codes]:
    """Units, first periods and fits (from 0) of the paths in some fits."""
    rows = np.isin(plan.fit, part)
    return plan.unit[rows], plan.first[rows], plan.fit[rows] - part[0]


def _refit(base: PanelBase, cells: PanelCells, unit: Codes, first: Codes, fit: Codes) -> Array:
    """Predictions of paths, shape (paths, T)."""
    hidden = np.zeros((int(fit.max()) + 1, *cells.shape), dtype=bool)
    hidden[fit, unit] = np.arange(cells.shape[1]) >= first[:, None]
    return held_out(base, cells, hidden)[fit, unit]


def _paths(
    panel: PanelData, unit: Codes, first: Codes, group: Codes, slot: Codes, predicted: Array
) -> Paths:
    """Paths without their histories; placebos end where the unit itself is treated."""
    own = panel.first[unit] == first
    seen = panel.observed[unit] & (panel.untreated[unit] | own[:, None])
    gap = np.where(seen, panel.y[unit] - predicted, np.nan)
    n_horizons = panel.shape[1] - int(panel.first.min())
    t = first[:, None] + np.arange(n_horizons)
    inside = t < panel.shape[1]
    error = np.take_along_axis(gap, np.minimum(t, panel.shape[1] - 1), axis=1)
    error = np.where(inside, error, np.nan)
    return Paths(unit, first, group, slot, gap, predicted, error, np.zeros((len(unit), 0)))


def _with_histories(panel: PanelData, own: Paths, placebos: Paths) -> tuple[Paths, Paths]:
    """Both with histories, whose scales are moderated over all paths together.

    Raises
    ------
    NotIdentifiedError
        If no outcome before treatment of a unit can be told by the base.
    """
    before = np.concatenate([own.before, placebos.before])
    unit = np.concatenate([own.unit, placebos.unit])
    if not before.any(axis=1).all():
        lost = panel.units[unit[before.any(axis=1).argmin()]]
        raise NotIdentifiedError(
            f"The base can tell no outcome before treatment of unit '{lost}'. Leave it out."
        )
    level = panel.y[unit] - np.nanmean(np.where(panel.untreated, panel.y, np.nan), axis=0)
    history = histories(level, np.concatenate([own.gap, placebos.gap]), before)
    k = len(own)
    return replace(own, history=history[:k]), replace(placebos, history=history[k:])


def _too_few(n_donors: int, size: int = 1) -> DataError:
    """The refusal of a panel without enough controls."""
    need = max(MIN_DONORS, size)
    return DataError(
        f"{n_donors} {'unit is' if n_donors == 1 else 'units are'} never treated",
        f"at least {need}, so that each can be a placebo for the others",
        "Add controls; with one or two no uncertainty can be told from the panel.",
    )
