"""Difference-in-differences for staggered treatment (diff-diff).

With cohort g, period t and controls that are never treated (not yet treated where there are none),

    CS    ATT(g, t): doubly robust comparison of the change from g - 1 to t, of cohort g and of
          controls, given covariates in g - 1 (Callaway and Sant'Anna 2021)
    SA    regression with an effect of each cohort and event time (Sun and Abraham 2021)
    BJS   untreated outcomes a_i + d_t + c'x_it learnt from untreated cells, imputed in treated ones
          (Borusyak, Jaravel and Spiess 2024)

averaged over treated units or cells. Labels below "0" are placebos: CS compares neighbouring
periods, SA and BJS all periods with the last before treatment, which is left out.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from causal_ddpm.baselines.base import listening, load
from causal_ddpm.baselines.panel.method import (
    PanelBaseline,
    PanelScope,
    account,
    cohort_label,
    model_frame,
)
from causal_ddpm.core.errors import ConvergenceError
from causal_ddpm.core.estimand import ATT, ATTByCohort, ATTByEventTime, Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.random import Seed
from causal_ddpm.core.reported import reported_estimate

_ENDS = ["conf_int_lower", "conf_int_upper"]
_COLUMNS = ["label", "att", "se", *_ENDS]


class StaggeredBaseline(PanelBaseline):
    """A method of diff-diff: fitted once, then averaged as the estimand asks."""

    library: ClassVar[str] = "diff_diff"

    def _answer(
        self, panel: PanelData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        """The library's average with its standard errors and intervals."""
        library = load(self.library, self.extra)
        frame, covariates = model_frame(panel)
        survey = None
        with listening(self.library) as heard:
            if panel.weights is not None:
                survey = library.SurveyDesign(weights="weight")
            settings = self._settings(panel) | {"alpha": 1 - level}
            if panel.clusters is not None:
                settings["cluster"] = "cluster"
            fit = self._method(library)(**settings).fit(
                data=frame, outcome="y", unit="unit", time="period", first_treat="first",
                covariates=covariates or None, survey_design=survey,
            )  # fmt: skip
            table = self._average(fit, estimand, panel)
        table, lost = _with_numbers(table, self.title)
        details = {"standard_error": "analytic"} | ({"without_number": lost} if lost else {})
        ends = table[_ENDS].to_numpy(dtype=float).T
        return reported_estimate(
            account(self, panel, estimand, library, details, heard),
            table["att"],
            table["se"],
            list(table["label"]),
            interval=(ends[0], ends[1]),
            level=level,
        )

    @abstractmethod
    def _method(self, library: ModuleType) -> Any:
        """The library's class."""

    def _settings(self, panel: PanelData) -> dict[str, Any]:
        """Arguments of the library's class."""
        return {}

    def _average(self, fit: Any, estimand: Estimand, panel: PanelData) -> pd.DataFrame:
        """Label, value, standard error and interval of each entry."""
        if isinstance(estimand, ATTByEventTime):
            found = fit.aggregate(type="event_study").to_dataframe()
            found["label"] = found["event_time"].astype(int).astype(str)
            return found.loc[~found["is_reference"], _COLUMNS]
        if isinstance(estimand, ATTByCohort):
            found = fit.aggregate(type="group").to_dataframe()
            found["label"] = [cohort_label(panel, int(first) - 1) for first in found["label"]]
            return found[_COLUMNS]
        return _one_row("ATT", fit.overall_att, fit.overall_se, fit.overall_conf_int)


@dataclass(frozen=True)
class CallawaySantAnna(StaggeredBaseline):
    """Doubly robust comparisons of cohorts with controls."""

    name: ClassVar[str] = "cs"
    title: ClassVar[str] = "Callaway-Sant'Anna"
    assumes: ClassVar[str] = "parallel trends given covariates before treatment; no anticipation"
    scope: ClassVar[PanelScope] = PanelScope(covariates=True, weights=True, clusters=True)

    def _method(self, library: ModuleType) -> Any:
        return library.CallawaySantAnna

    def _settings(self, panel: PanelData) -> dict[str, Any]:
        settings: dict[str, Any] = {"estimation_method": "dr", "control_group": "never_treated"}
        if not panel.is_control.any():
            settings["control_group"] = "not_yet_treated"
        if not panel.balanced:
            settings["allow_unbalanced_panel"] = True
        return settings


@dataclass(frozen=True)
class SunAbraham(StaggeredBaseline):
    """Regression with effects by cohort and event time."""

    name: ClassVar[str] = "sun-abraham"
    title: ClassVar[str] = "Sun-Abraham"
    assumes: ClassVar[str] = "parallel trends; no anticipation; linear, constant covariate effects"
    scope: ClassVar[PanelScope] = PanelScope(
        (ATT, ATTByEventTime), never_treated=1, covariates=True, weights=True, clusters=True
    )

    def _method(self, library: ModuleType) -> Any:
        return library.SunAbraham

    def _average(self, fit: Any, estimand: Estimand, panel: PanelData) -> pd.DataFrame:
        if not isinstance(estimand, ATTByEventTime):
            return super()._average(fit, estimand, panel)
        rows = [
            _one_row(str(int(k)), found["effect"], found["se"], found["conf_int"])
            for k, found in sorted(fit.event_study_effects.items())
        ]
        return pd.concat(rows, ignore_index=True)


@dataclass(frozen=True)
class Imputation(StaggeredBaseline):
    """Untreated outcomes imputed by two-way effects."""

    name: ClassVar[str] = "bjs"
    title: ClassVar[str] = "Imputation (BJS)"
    assumes: ClassVar[str] = (
        "parallel trends in every period; no anticipation; linear, constant covariate effects"
    )
    scope: ClassVar[PanelScope] = PanelScope(covariates=True, weights=True, clusters=True)

    def _method(self, library: ModuleType) -> Any:
        return library.ImputationDiD

    def _settings(self, panel: PanelData) -> dict[str, Any]:
        return {"pretrends": True}


def _one_row(label: str, value: float, se: float, interval: Any) -> pd.DataFrame:
    row = [label, float(value), float(se), float(interval[0]), float(interval[1])]
    return pd.DataFrame([row], columns=_COLUMNS)


def _with_numbers(table: pd.DataFrame, title: str) -> tuple[pd.DataFrame, list[str]]:
    """Rows whose numbers are all there, and the labels of the others.

    Raises
    ------
    ConvergenceError
        If no row is left.
    """
    whole = np.isfinite(table[_COLUMNS[1:]].to_numpy(dtype=float)).all(axis=1)
    if not whole.any():
        raise ConvergenceError(f"{title} returned no estimate with a standard error.")
    return table[whole], [str(label) for label in table.loc[~whole, "label"]]
