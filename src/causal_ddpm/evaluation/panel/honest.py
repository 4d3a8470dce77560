r"""How far from parallel trends could be before the conclusion goes.

Two ways to bound a difference in trends delta (Rambachan and Roth 2023): by relative magnitudes,
steps after treatment at most Mbar times the largest step before it, and by smoothness, a slope that
changes by at most M from period to period. The *breakdown* is the smallest bound whose interval
holds zero. M = 0 allows any linear difference in trends; Mbar = 0 none at all.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.baselines.honest_did import honest_interval
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.evaluation.panel.event_times import EventTimes, consecutive, event_times
from causal_ddpm.evaluation.panel.relative_magnitudes import (
    breakdown_mbar,
    relative_interval,
    smallest_bound,
)
from causal_ddpm.evaluation.panel.smoothness import SmoothnessPath

Array = NDArray[np.float64]

MBARS = (0.0, 0.5, 1.0, 1.5, 2.0)
BENDS = (0.0, 0.25, 0.5, 1.0)
"""M shown, in multiples of the largest bend before treatment."""
MEASURED = "the average effect measured from the period just before treatment"
"""It differs from an ATT that compares with all periods before, where that one was unusual."""
MOST_MBAR, MOST_BENDS = 10.0, 10.0
"""Where the search for a breakdown ends."""


@dataclass(frozen=True)
class RobustInterval:
    """An interval for the average effect under one restriction.

    Parameters
    ----------
    restriction : {"relative magnitudes", "smoothness"}
    bound : float
        Mbar, or M in units of the outcome per period squared.
    low, high : float
    """

    restriction: str
    bound: float
    low: float
    high: float


@dataclass(frozen=True)
class HonestDiD:
    """Robust intervals and breakdown values.

    Parameters
    ----------
    average : float
        The average effect, measured from the period before treatment.
    n_pre, n_post : int
        Coefficients used.
    largest_step : float
        Largest step between neighbouring coefficients before treatment.
    largest_bend : float or None
        Largest change of slope before treatment; None with fewer than two coefficients.
    breakdown_mbar, breakdown_m : float
        Smallest bounds whose intervals hold zero; infinite beyond the search.
    searched_mbar, searched_m : float
        Where the search ended.
    plug_in : RobustInterval
        Mbar = 1 with the largest step taken as known, as some programs report it.
    intervals : tuple of RobustInterval
    level : float
    left_out : str
        Event times that were left out, in words.
    """

    average: float
    n_pre: int
    n_post: int
    largest_step: float
    largest_bend: float | None
    breakdown_mbar: float
    breakdown_m: float
    searched_mbar: float
    searched_m: float
    plug_in: RobustInterval
    intervals: tuple[RobustInterval, ...]
    level: float
    left_out: str = ""

    def frame(self) -> pd.DataFrame:
        """One row a restriction and bound: restriction, bound, low, high."""
        return pd.DataFrame([asdict(interval) for interval in self.intervals])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields, with the words; infinite breakdowns are None."""
        out = {**asdict(self), "words": self.words}
        for name in ("breakdown_mbar", "breakdown_m"):
            out[name] = out[name] if np.isfinite(out[name]) else None
        return out

    @property
    def words(self) -> str:
        """Both breakdown values, against what was seen before treatment."""
        plain = self.intervals[0]
        if plain.low <= 0 <= plain.high:
            return (
                f"With parallel trends taken as exact, {MEASURED} is {self.average:.3g} with the "
                f"{self.level:.0%} interval {plain.low:.3g} to {plain.high:.3g}, which holds "
                "zero already: there is no conclusion that a difference in trends could overturn."
                + self.left_out
            )
        return f"{self._relative_words()} {self._smooth_words()}{self.left_out}"

    def _relative_words(self) -> str:
        head = f"The sign of {MEASURED} ({self.average:.3g})"
        seen = (
            f"the largest step seen between neighbouring periods before ({self.largest_step:.3g})"
        )
        if np.isinf(self.breakdown_mbar):
            return (
                f"{head} is certain even if trends drift apart after treatment, each period, by "
                f"{self.searched_mbar:g} times {seen}."
            )
        judged = "" if self.breakdown_mbar >= 1 else "; below 1 is fragile"
        return (
            f"{head} is certain as long as trends drift apart after treatment, each period, by "
            f"less than {self.breakdown_mbar:.2g} times {seen}{judged}."
        )

    def _smooth_words(self) -> str:
        if self.breakdown_m == 0:
            return "A linear difference in trends, extrapolated, is enough to lose it."
        held = "It stands with any linear difference in trends taken out, "
        seen = (
            "" if self.largest_bend is None
            else f"; the largest bend seen before is {self.largest_bend:.2g}"
        )  # fmt: skip
        if np.isinf(self.breakdown_m):
            return f"{held}and up to bends of {self.searched_m:.2g} per period{seen}."
        return f"{held}up to bends of {self.breakdown_m:.2g} per period{seen}."


def honest_did(study: Estimate, panel: PanelData | None = None, level: float = 0.95) -> HonestDiD:
    """Robust intervals of the average effect, and the bounds at which they reach zero.

    Parameters
    ----------
    study : Estimate
        An event study measured from event time -1, such as
        :func:`~causal_ddpm.baselines.honest_did.universal_event_study`; only the run of
        consecutive event times around it is used.
    panel : PanelData, optional
        For the weights of event times in the average effect; equal without it.
    level : float

    Raises
    ------
    NotIdentifiedError
        If there is no coefficient before treatment.
    MissingDependencyError, ConvergenceError
    """
    times = consecutive(event_times(study, panel).trusted())
    parts = times.values, times.cov, times.n_pre, times.weights
    steps, bends = _steps_and_bends(times)
    scale = float(bends.max()) if len(bends) else float(steps.max())
    path = SmoothnessPath.of(*parts)
    relative = [
        RobustInterval("relative magnitudes", m, *relative_interval(*parts, m, level))
        for m in MBARS
    ]
    smooth = [
        RobustInterval("smoothness", m * scale, *path.interval(m * scale, level)) for m in BENDS
    ]
    plug_in = honest_interval(*parts, 1.0, "plug-in", level)
    return HonestDiD(
        times.average, times.n_pre, len(times.times) - times.n_pre, float(steps.max()),
        float(bends.max()) if len(bends) else None,
        breakdown_mbar(*parts, level, MOST_MBAR),
        smallest_bound(lambda m: path.interval(m, level), MOST_BENDS * scale),
        MOST_MBAR, MOST_BENDS * scale,
        RobustInterval("plug-in", 1.0, *plug_in), (*relative, *smooth), level,
        times.left_out_words(),
    )  # fmt: skip


def _steps_and_bends(times: EventTimes) -> tuple[Array, Array]:
    """First and second differences of the coefficients before treatment, reference included."""
    path = np.append(times.values[: times.n_pre], 0.0)
    return np.abs(np.diff(path)), np.abs(np.diff(path, 2))
