"""Placebos in time: what the method finds in the treated units' own past.

Treatment is pretended to begin some periods before it did (Abadie, Diamond and Hainmueller 2015;
Heckman and Hotz 1989). Everything from the true start of treatment on is set aside, the
counterfactual of the periods between is made from what lies before the pretended start, and what is
found there is no effect. Controls that pretend in the same periods say how large such a finding
usually is: p is the rank of the treated units' average error in absolute value among theirs.

An effect that is there before treatment is a poor counterfactual, or anticipation; with one period
before treatment set aside the two cannot be told apart, with several a counterfactual that fails
only near the start speaks for anticipation.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from causal_ddpm.core.errors import NotIdentifiedError
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed
from causal_ddpm.estimators.panel.leads import moved_panel
from causal_ddpm.estimators.panel.placebo_coverage import rank_p_value
from causal_ddpm.estimators.panel.placebos import Paths, panel_paths
from causal_ddpm.evaluation.panel.placebo_space import mean_errors
from causal_ddpm.nuisance.panel.base import PanelBase

SHARES = (0.25, 0.5)
"""Pretended starts: after so much less of the shortest past."""

MIN_PAST = 3
"""Periods that must remain before the pretended start."""

LOUD = 0.1
"""p-values below this are a warning."""

SIZEABLE = 1 / 3
"""A finding of this share of the effect is said to be large, whatever its p-value."""


@dataclass(frozen=True)
class PretendedStart:
    """What was found after one pretended start.

    Parameters
    ----------
    steps : int
        Periods by which treatment was moved forward.
    start : str
        The pretended first treated period, where all treated units share it, otherwise "".
    effect : float
        Mean error of the treated units from there to their true start.
    p_value, floor : float
        Rank of its absolute value among controls, and the smallest possible.
    n_treated : int
        Treated units with enough of a past.
    """

    steps: int
    start: str
    effect: float
    p_value: float
    floor: float
    n_treated: int


@dataclass(frozen=True)
class TimePlacebo:
    """Placebos in time.

    Parameters
    ----------
    starts : tuple of PretendedStart
    att : float or None
        The average effect after the true start, for comparison.
    """

    starts: tuple[PretendedStart, ...]
    att: float | None

    @property
    def quiet(self) -> bool:
        """Whether nothing was found."""
        return all(s.p_value >= max(LOUD, s.floor) for s in self.starts)

    def frame(self) -> pd.DataFrame:
        """One row a pretended start: steps, start, effect, p_value, floor, n_treated."""
        return pd.DataFrame([asdict(s) for s in self.starts])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields, with the words."""
        return {**asdict(self), "quiet": self.quiet, "words": self.words}

    @property
    def words(self) -> str:
        """What was found, against the effect and against controls."""
        found = "; ".join(self._found(s) for s in self.starts)
        return f"Pretending that treatment began earlier gives {found}. {self._verdict()}"

    def _verdict(self) -> str:
        if not self.quiet:
            return (
                "Something IS found where nothing should have happened: the counterfactual fails "
                "before treatment, or units anticipated it."
            )
        largest = max(abs(s.effect) for s in self.starts)
        if self.att and largest >= SIZEABLE * abs(self.att):
            return (
                "Controls show as much by chance, but errors of this size are not small beside "
                "the effect: the counterfactual is that uncertain."
            )
        return "Nothing is found where nothing happened."

    def _found(self, s: PretendedStart) -> str:
        when = f"{s.steps} period{'s' if s.steps > 1 else ''} earlier"
        when += f" ({s.start})" if s.start else ""
        share = f", {abs(s.effect / self.att):.0%} of the effect in size" if self.att else ""
        return f"{s.effect:.3g} when {when} (p = {s.p_value:.2g} among controls{share})"


def placebo_in_time(
    panel: PanelData,
    base: PanelBase,
    steps: Sequence[int] | None = None,
    att: float | None = None,
    random_state: Seed = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> TimePlacebo:
    """Pretend that treatment began earlier.

    Parameters
    ----------
    panel : PanelData
    base : PanelBase
        Of the untreated outcome.
    steps : sequence of int, optional
        By how many periods; a quarter and half of the shortest past by default. At least three
        periods must remain before the pretended start.
    att : float, optional
        The average effect, for comparison in words.
    random_state : int, SeedSequence or None
        Deals controls into groups, where several units are treated.
    n_jobs : int
    progress : callable

    Raises
    ------
    NotIdentifiedError
        If the past is too short.
    DataError
        With fewer than three controls, or fewer than treated units.
    """
    past = panel.first[~panel.is_control]
    asked = _default_steps(int(past.max())) if steps is None else tuple(steps)
    asked = tuple(s for s in asked if past.max() - s >= MIN_PAST)
    if not asked:
        raise NotIdentifiedError(
            f"The longest past of a treated unit has {int(past.max())} periods; expected at least "
            f"{MIN_PAST + 1}, of which {MIN_PAST} remain before a pretended start. With fewer "
            "there is no placebo in time."
        )
    starts = tuple(_pretended(panel, base, s, random_state, n_jobs, progress) for s in asked)
    return TimePlacebo(starts, att)


def earlier_panel(panel: PanelData, step: int) -> PanelData:
    """The past of the treated units with treatment pretended ``step`` periods earlier.

    Treated units with fewer than three periods before that drop out; periods from the last true
    start on are cut off.

    Raises
    ------
    NotIdentifiedError
        If no treated unit is observed between the two starts.
    """
    enough = ~panel.is_control & (panel.first - step >= MIN_PAST)
    moved = moved_panel(panel, np.where(enough, step, 0))
    if moved is None:
        raise NotIdentifiedError(
            f"No treated unit is observed in the {step} periods before its treatment; expected "
            "observed outcomes there."
        )
    stop = int(panel.first[enough].max())
    part = copy.copy(moved[0])
    control = part.is_control
    part.first = np.where(control, stop, part.first).astype(np.int64)
    part.periods, part.y, part.x = part.periods[:stop], part.y[:, :stop], part.x[:, :stop]
    part.observed = part.observed[:, :stop]
    return part.rows(part.untreated.any(axis=1))


def _default_steps(past: int) -> tuple[int, ...]:
    return tuple(sorted({max(1, round(share * past)) for share in SHARES}))


def _pretended(
    panel: PanelData, base: PanelBase, step: int, seed: Seed, n_jobs: int, progress: Progress
) -> PretendedStart:
    part = earlier_panel(panel, step)
    own, placebos = (
        _first_horizons(paths, step)
        for paths in panel_paths(part, base, False, seed, n_jobs, progress)
    )
    groups = np.unique(placebos.group)
    effect = mean_errors(own).mean()
    others = np.array([mean_errors(placebos)[placebos.group == g].mean() for g in groups])
    starts = np.unique(own.first)
    return PretendedStart(
        step, str(part.periods[starts[0]]) if len(starts) == 1 else "", float(effect),
        rank_p_value(abs(effect), np.abs(others)), 1 / (1 + len(groups)), len(own),
    )  # fmt: skip


def _first_horizons(paths: Paths, step: int) -> Paths:
    """Errors between the pretended and the true start only."""
    late = np.arange(paths.error.shape[1]) >= step
    return Paths(
        paths.unit, paths.first, paths.group, paths.slot, paths.gap, paths.predicted,
        np.where(late, np.nan, paths.error), paths.history,
    )  # fmt: skip
