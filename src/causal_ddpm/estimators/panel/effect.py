"""What a panel estimator returns: effects, untreated paths with their bands, and how far to trust.

Unit i is treated from period g_i on; y_it is observed, y_it(0) its untreated outcome. All effects
are means of y_it - y_it(0) over treated cells whose outcome is observed: all of them (ATT), those
of one cohort, those of one event time t - g_i. In a period, `path` is the mean over the units
treated in it, and before the first treated period the mean over all units that are treated later;
so observed - counterfactual = effect in every row.

Tables hold missing values only where a number has no meaning: a band before treatment, the
outcome of a cell that was not observed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.estimate import SCHEMA_VERSION, Estimate
from causal_ddpm.nuisance.panel.base import PanelBase

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PlaceboRecord:
    """What the method did where there is nothing to find: on the panel's own controls.

    Every control is treated in turn as if it had been treated like a treated unit; its own score
    never helps to make its own band.

    Parameters
    ----------
    level : float
        Level of the bands that were tried.
    n_placebos, n_cells : int
        Pseudo-treated paths, and their cells.
    coverage, coverage_error : float
        Share of placebo cells within the pointwise band, and its Monte Carlo standard error,
        clustered by unit.
    uniform_coverage, uniform_coverage_error : float
        Share of placebo paths that lie within the uniform band in all periods.
    interval_score, width : float
        Mean over cells of width + 2 / (1 - level) times what lies outside, and mean width.
    p_value : float
        Rank of the treated units' ratio of post- to pre-treatment error among the placebos,
        (1 + placebos at least as large) / (1 + n_placebos).
    p_value_effect : float
        The same for the average effect in absolute value, each divided by its unit's scale.
    p_value_floor : float
        1 / (1 + n_placebos): no p-value can be smaller.
    by_horizon : DataFrame
        event_time, coverage, n.
    by_level : DataFrame
        level, coverage, std_error.
    units : DataFrame
        One row a treated or pseudo-treated path: unit, treated (bool), first, effect (mean gap),
        scale, pre_rmse, post_rmse, ratio, coverage, uniform (bool; missing for treated units).
    gaps : DataFrame
        unit, treated (bool), period, event_time, gap (observed - predicted), low, high (the band
        of the gap under no effect, missing before treatment).
    """

    level: float
    n_placebos: int
    n_cells: int
    coverage: float
    coverage_error: float
    uniform_coverage: float
    uniform_coverage_error: float
    interval_score: float
    width: float
    p_value: float
    p_value_effect: float
    p_value_floor: float
    by_horizon: pd.DataFrame
    by_level: pd.DataFrame
    units: pd.DataFrame
    gaps: pd.DataFrame

    def sentence(self) -> str:
        """The measured coverage and the p-value, in words."""
        return (
            f"On {self.n_placebos} placebo paths ({self.n_cells:,} cells) the {self.level:.0%} "
            f"band covered {self.coverage:.1%} of cells (standard error "
            f"{self.coverage_error:.1%}) and the uniform band {self.uniform_coverage:.1%} of "
            f"paths; placebo p-value {self.p_value:.3g}, and none below "
            f"{self.p_value_floor:.3g} is possible."
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return {name: _plain(value) for name, value in self.__dict__.items()}


@dataclass(frozen=True, eq=False)
class BaseRecord:
    """The regression of untreated outcomes that carries the counterfactual, and why it was chosen.

    Parameters
    ----------
    name : str
    candidates : DataFrame
        candidate, error (root mean squared error over held-out cells of controls), std_error,
        weight (in the base used; they add to 1), with one row of weight 1 for a base that was
        given.
    why : str
        One sentence.
    learner : PanelBase, optional
        The base itself, to be fitted again where diagnostics hide other cells.
    """

    name: str
    candidates: pd.DataFrame
    why: str
    learner: PanelBase | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything but the learner, JSON-ready."""
        return {n: _plain(v) for n, v in self.__dict__.items() if n != "learner"}


@dataclass(frozen=True, eq=False)
class PanelEffect:
    """Effects on the treated units of a panel; made by ``PanelDiffusion.estimate``.

    Parameters
    ----------
    outcome, unit, period : str
        Names of the columns.
    fingerprint : str
        Hash of the panel.
    method : str
    inference : {"placebos", "clusters"}
        Where the intervals of att, by_cohort and event_study come from: few treated units, whose
        intervals are calibrated on placebos; or many, whose intervals are clustered.
    level : float
        Of every interval and band.
    n_units, n_periods, n_treated, n_controls : int
    att : Estimate
        One entry, labelled "ATT".
    by_cohort : Estimate
        Labels are the cohorts: labels of the first treated period, as text.
    event_study : Estimate
        Labels are event times as text, "-3" ... "0" ...; negative ones are placebos before
        treatment. ``event_study.interval(simultaneous=True)`` is the uniform band.
    path : DataFrame
        period, n_units, treated (bool), observed, counterfactual, low, high, low_uniform,
        high_uniform (bands of the untreated mean), effect, effect_low, effect_high,
        effect_low_uniform, effect_high_uniform.
    fan : DataFrame
        period, level, low, high: central bands of the untreated mean path.
    unit_paths : DataFrame
        unit, period, event_time, observed, counterfactual, effect, low, high (band of the
        counterfactual, missing before treatment).
    unit_effects : DataFrame
        unit, cohort, n_cells, effect, low, high, pre_fit_error, p_value.
    cumulative : DataFrame
        period, effect, low, high: the effects of `path` added up since the first treated period.
    quantiles : DataFrame
        quantile, observed, counterfactual, effect, low, high: quantiles over treated cells of what
        was observed, less those of what would have been.
    draws : ndarray, shape (S, T1)
        Calibrated draws of the untreated mean path in the treated periods.
    draw_periods : tuple
        Labels of those T1 periods.
    placebo : PlaceboRecord
    base : BaseRecord
    law : str
        Which law of the error path is behind the draws, and why.
    pre_fit_error : float
        Root mean squared gap of the treated units before treatment.
    notes, assumptions : tuple of str
        What was done instead of the default and why; what carries the result.
    details : mapping
        Further numbers, JSON-ready.
    """

    outcome: str
    unit: str
    period: str
    fingerprint: str
    method: str
    inference: str
    level: float
    n_units: int
    n_periods: int
    n_treated: int
    n_controls: int
    att: Estimate
    by_cohort: Estimate
    event_study: Estimate
    path: pd.DataFrame
    fan: pd.DataFrame
    unit_paths: pd.DataFrame
    unit_effects: pd.DataFrame
    cumulative: pd.DataFrame
    quantiles: pd.DataFrame
    draws: Array
    draw_periods: tuple[Any, ...]
    placebo: PlaceboRecord
    base: BaseRecord
    law: str
    pre_fit_error: float
    notes: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """ATT, cohorts and event times, one row each, as in :meth:`Estimate.to_frame`."""
        parts = (self.att, self.by_cohort, self.event_study)
        return pd.concat([e.to_frame() for e in parts], ignore_index=True)

    def to_dict(self, draws: bool = False) -> dict[str, Any]:
        """Everything, JSON-ready; the draws only where they are asked for."""
        out: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
        for name, value in self.__dict__.items():
            out[name] = _plain(value)
        if not draws:
            del out["draws"]
        return out

    def summary(self) -> str:
        """The result in words."""
        low, high = self.att.interval(self.level)
        last = self.cumulative.to_dict("records")[-1]
        lines = [
            f"Effect on '{self.outcome}' of {self.n_treated} treated of {self.n_units} units, "
            f"{self.n_periods} periods ({self.method}).",
            f"ATT {self.att.value:.5g}, {self.level:.0%} interval {low:.5g} to {high:.5g}; "
            f"cumulative effect up to {last['period']} {last['effect']:.5g} "
            f"({last['low']:.5g} to {last['high']:.5g}).",
            f"Base: {self.base.name}. {self.base.why}",
            f"Law of the error path: {self.law}",
            f"Root mean squared gap before treatment {self.pre_fit_error:.4g}.",
            self.placebo.sentence(),
        ]
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.summary()


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: tables as lists of records, missing numbers as None."""
    if isinstance(value, pd.DataFrame):
        return [{k: _plain(v) for k, v in row.items()} for row in value.to_dict("records")]
    if isinstance(value, PlaceboRecord | BaseRecord):
        return value.to_dict()
    if isinstance(value, Estimate):
        return value.records()
    if isinstance(value, np.ndarray):
        return [_plain(v) for v in value.tolist()]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return None if value is pd.NaT else str(value)
