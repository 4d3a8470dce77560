r"""Which base of untreated outcomes: by blocked cross-validation on controls.

Controls are treated as if they had been treated when the treated were: their cells from a first
treated period on are hidden, a dozen groups of controls in turn, and every candidate, refitted
without them, predicts them. The treated units' own past has no part in the choice, which would
reward fits that follow it too closely. Where one period starts all treatment and there is a long
past, the same is done at an earlier start, on the panel cut off as many periods later.

    mse_m   mean over hidden units of the mean squared error of candidate m
    w_m     (1 / mse_m)^3 / sum over families,    of the best member of each family

so weights lie between equal ones and the best alone; a family whose mean squared error is two
standard errors of the paired difference above the least has none, since the noise of cells, the
same for all, hides how much worse it is. Power and bound were fixed on simulated and real panels
other than those of the benchmarks. The average is taken unless it beats two-way effects by
less than one standard error of the paired difference; then two-way effects are kept, as they are
with few periods before treatment or few controls, and the record says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.nuisance.panel.average import MIN_SEEN, ConvexAverage
from causal_ddpm.nuisance.panel.base import PanelBase
from causal_ddpm.nuisance.panel.candidates import (
    AnyFamily,
    Family,
    TwoWayCompletion,
    families,
    squared_errors,
)
from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells
from causal_ddpm.nuisance.panel.completion import Completion, covariate_part, two_way_tables
from causal_ddpm.nuisance.panel.two_way import TwoWay

MIN_CONTROLS = 6
"""Controls below which nothing can be compared."""

MAX_CONTROLS = 300
"""Controls that a comparison looks at; more would cost time and change little."""

N_GROUPS = 12
N_PLACEBOS = 60
POWER = 3
CLEARLY = 2
"""Standard errors by which a family that has no weight is worse than the best."""
TWO_WAY = Family("two-way effects", (TwoWayCompletion(),))
LONG_PAST = 8
"""Periods before treatment from which on an earlier start is tried too."""

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Candidate:
    """A base and how it did.

    Parameters
    ----------
    name : str
    family : str
    rmse : float
        Root mean squared error of hidden paths of controls.
    std_error : float
        Of the RMSE, over units.
    against_two_way : float
        Its RMSE over that of two-way effects.
    weight : float
        In the base chosen; 0 for what is not used.
    """

    name: str
    family: str
    rmse: float
    std_error: float
    against_two_way: float
    weight: float


@dataclass(frozen=True)
class BaseChoice:
    """A base, and why it.

    Parameters
    ----------
    base : PanelBase
    candidates : tuple of Candidate
        All that were compared, the base chosen last ("average"); none after a fallback without
        comparison.
    reason : str
        In words.
    fallback : bool
        Whether two-way effects were kept.
    n_placebos : int
        Hidden paths behind the errors.
    starts : tuple of int
        First hidden periods tried, as positions.
    """

    base: PanelBase
    candidates: tuple[Candidate, ...]
    reason: str
    fallback: bool
    n_placebos: int = 0
    starts: tuple[int, ...] = ()

    @property
    def report(self) -> dict[str, Any]:
        """Everything but the base itself, JSON-ready."""
        return {
            "base": self.base.name, "reason": self.reason, "fallback": self.fallback,
            "n_placebos": self.n_placebos, "starts": list(self.starts),
            "candidates": [asdict(c) for c in self.candidates],
        }  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """One row a candidate."""
        return pd.DataFrame([asdict(c) for c in self.candidates])


@dataclass(frozen=True, eq=False)
class _Trial:
    """A panel of controls less their covariates' part, and K masks of cells hidden from it."""

    y: Array
    seen: Mask
    hidden: Mask
    scored: Mask

    @classmethod
    def of(cls, cells: PanelCells, hidden: Mask) -> _Trial:
        y, seen = cells.outcome - covariate_part(cells, hidden), cells.observed & ~hidden
        linked = np.isfinite(two_way_tables(y, seen))
        return cls(y, seen, hidden, cells.observed & hidden & linked)


def choose_base(panel: PanelCells | PanelData, random_state: Seed = None) -> BaseChoice:
    """Choose and tune the base of untreated outcomes.

    Parameters
    ----------
    panel : PanelCells or PanelData
        Of cells, those with a hidden end are the treated ones.
    random_state : int, SeedSequence or None
        Which controls form a group, and which are looked at where there are many.

    Returns
    -------
    BaseChoice
        ``.base`` to be fitted on the untreated cells of the whole panel, and ``.report``.

    Raises
    ------
    NotIdentifiedError
        If a covariate does not vary within units and periods.
    """
    cells = untreated_cells(panel) if isinstance(panel, PanelData) else panel
    first = last_seen(cells.observed) + 1
    n_periods = cells.shape[1]
    controls = np.flatnonzero(first == n_periods)
    starts = np.sort(first[first < n_periods])
    refusal = _too_little(len(controls), starts)
    if refusal:
        return BaseChoice(TwoWay(), (), refusal, True)
    starts = starts[starts >= MIN_SEEN]
    trials = _trials(_some(cells, controls, random_state), starts, random_state)
    return _compare(trials, families(int(starts.min()), len(controls)), starts)


def untreated_cells(panel: PanelData) -> PanelCells:
    """What a base may see of a panel: its untreated cells."""
    return PanelCells.of(panel.y, panel.x, panel.untreated, panel.time)


def last_seen(observed: Mask) -> Codes:
    """Position of the last observed period of each unit, shape (N,)."""
    n_periods = observed.shape[1]
    return np.asarray(n_periods - 1 - observed[:, ::-1].argmax(axis=1), dtype=np.int64)


def _too_little(n_controls: int, starts: Codes) -> str:
    """Why nothing can be compared, or an empty text."""
    kept = "Unit and period effects are kept"
    if not len(starts):
        return f"{kept}: no unit has hidden cells at its end, so there is nothing to predict."
    if n_controls < MIN_CONTROLS:
        return (f"{kept}: {n_controls} controls are too few to compare bases on; "
                f"{MIN_CONTROLS} are needed.")  # fmt: skip
    if starts.max() < MIN_SEEN:
        return (f"{kept}: {int(starts.max())} periods before treatment are too few to tell donor "
                f"weights or factors; {MIN_SEEN} are needed.")  # fmt: skip
    return ""


def _some(cells: PanelCells, controls: Codes, random_state: Seed) -> PanelCells:
    """Controls, at most MAX_CONTROLS of them."""
    if len(controls) > MAX_CONTROLS:
        rng = stream(random_state, "base", "controls")
        controls = np.sort(rng.choice(controls, MAX_CONTROLS, replace=False))
    return _part(cells, controls, cells.shape[1])


def _part(cells: PanelCells, rows: Codes, end: int) -> PanelCells:
    return PanelCells(
        cells.outcome[rows, :end], cells.covariates[rows, :end],
        cells.observed[rows, :end], cells.period[:end],
    )  # fmt: skip


def _trials(cells: PanelCells, starts: Codes, random_state: Seed) -> list[_Trial]:
    """The pattern of the treated, and an earlier start where all start together."""
    n_units, n_periods = cells.shape
    rng = stream(random_state, "base", "groups")
    order = rng.permutation(n_units)[:N_PLACEBOS]
    spread = starts[np.linspace(0, len(starts) - 1, len(order)).round().astype(int)]
    found = [_Trial.of(cells, _hidden(cells.shape, order, rng.permutation(spread)))]
    early = int(starts[0]) - -(-int(starts[0]) // 4)
    if starts[0] == starts[-1] and starts[0] >= LONG_PAST:
        end = min(n_periods, early + n_periods - int(starts[0]))
        cut = _part(cells, np.arange(n_units), end)
        found.append(_Trial.of(cut, _hidden(cut.shape, order, np.full(len(order), early))))
    return found


def _hidden(shape: tuple[int, int], units: Codes, starts: Codes) -> Mask:
    """Cells from each unit's start on, its group's mask alone, shape (K, N, T)."""
    n_groups = min(N_GROUPS, len(units))
    hidden = np.zeros((n_groups, *shape), dtype=bool)
    late = np.arange(shape[1]) >= starts[:, None]
    hidden[np.arange(len(units)) % n_groups, units] = late
    return hidden


def _tables(trials: Sequence[_Trial], family: AnyFamily) -> list[Array]:
    """Predictions of every base, of each trial an array of shape (bases, K, N, T)."""
    return [
        np.stack(family.tables(trial.y, trial.seen, np.asarray(trial.hidden.any(axis=2))))
        for trial in trials
    ]


def _errors(trials: Sequence[_Trial], tables: Sequence[Array]) -> Array:
    """Mean squared errors of tables on every hidden path, shape (bases, paths)."""
    pairs = zip(trials, tables, strict=True)
    return np.concatenate([squared_errors(t.y, t.scored, table) for t, table in pairs], axis=1)


@dataclass(frozen=True, eq=False)
class _Scored:
    """A family, the errors of its members, and predictions of the best one."""

    family: AnyFamily
    errors: Array
    best: int
    tables: list[Array]

    @classmethod
    def of(cls, trials: Sequence[_Trial], family: AnyFamily) -> _Scored:
        tables = _tables(trials, family)
        errors = _errors(trials, tables)
        best = int(errors.mean(axis=1).argmin())
        return cls(family, errors, best, [table[best] for table in tables])


def _compare(trials: Sequence[_Trial], found: Sequence[AnyFamily], starts: Codes) -> BaseChoice:
    """Score all families; average their best members, or keep two-way effects."""
    reference = _Scored.of(trials, TWO_WAY).errors[0]
    scored = [_Scored.of(trials, family) for family in found]
    weights = _weights(np.stack([s.errors[s.best] for s in scored]))
    means = [
        np.tensordot(weights, np.stack(parts), 1)[None]
        for parts in zip(*(s.tables for s in scored), strict=True)
    ]
    joint = _errors(trials, means)[0]
    gain = reference - joint
    fallback = bool(gain.mean() <= gain.std(ddof=1) / np.sqrt(len(gain)))
    average = ConvexAverage(tuple(s.family.bases[s.best] for s in scored), tuple(weights.tolist()))
    rows = [_candidate(TWO_WAY.bases[0], "two-way effects", reference, reference, float(fallback))]
    for s, w in zip(scored, weights, strict=True):
        used = np.where(fallback, 0.0, float(w)) * (np.arange(len(s.errors)) == s.best)
        rows += [
            _candidate(base, s.family.name, errors, reference, float(weight))
            for base, errors, weight in zip(s.family.bases, s.errors, used, strict=True)
        ]
    rows.append(_candidate(average, "average", joint, reference, 0.0))
    base = TwoWay() if fallback else average
    reason = _reason(rows, fallback, len(joint))
    return BaseChoice(base, tuple(rows), reason, fallback, len(joint), _distinct(starts))


def _weights(errors: Array) -> Array:
    """Weights of families from the errors of their best members on all paths, (families, paths)."""
    mse = errors.mean(axis=1)
    worse = errors - errors[mse.argmin()]
    kept = worse.mean(axis=1) <= CLEARLY * worse.std(axis=1, ddof=1) / np.sqrt(errors.shape[1])
    w = np.divide(mse.min(), mse, out=np.ones(len(mse)), where=mse > 0) ** POWER * kept
    return np.asarray(w / w.sum())


def _candidate(
    base: Completion, family: str, errors: Array, reference: Array, weight: float
) -> Candidate:
    """A row of the record; the error of the RMSE by the delta method."""
    rmse = float(np.sqrt(errors.mean()))
    spread = float(errors.std(ddof=1) / np.sqrt(len(errors)))
    std_error = spread / (2 * rmse) if rmse > 0 else 0.0
    relative = rmse / float(np.sqrt(reference.mean())) if reference.any() else 1.0
    return Candidate(base.name, family, rmse, std_error, relative, weight)


def _reason(rows: Sequence[Candidate], fallback: bool, n_paths: int) -> str:
    """The choice in words."""
    joint, n_families = rows[-1], len({row.family for row in rows}) - 2
    told = (f"on {n_paths} hidden paths of controls its error is {joint.against_two_way:.2f} times "
            "that of unit and period effects")  # fmt: skip
    if fallback:
        return (f"Unit and period effects are kept: an average of {n_families} families of bases "
                f"gains less than one standard error on them ({told}).")  # fmt: skip
    best = max(rows, key=lambda row: row.weight)
    return (f"An average of the best of {n_families} families of bases, weighted by their errors: "
            f"{told}. Most weight ({best.weight:.2f}) has {best.name}.")  # fmt: skip


def _distinct(starts: Codes) -> tuple[int, ...]:
    return tuple(int(start) for start in np.unique(starts))
