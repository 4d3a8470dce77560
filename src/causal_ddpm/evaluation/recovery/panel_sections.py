"""What a reading of a panel amounts to: sections of findings, with least squares as the yardstick.

The allowance of a number is what correctly specified least squares with the same information stays
within, read in the same way on fresh noise (:func:`signed_allowance`, :func:`allowance`), and never
below 1e-8 of the spread of the outcome, so that nothing is judged by rounding. The error in percent
says what the ATT says and is not judged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from causal_ddpm.evaluation.recovery.panel_reading import TERMS, PanelReading
from causal_ddpm.evaluation.recovery.reading import allowance, signed_allowance
from causal_ddpm.evaluation.recovery.report import Finding, Section

_Z95, _FLOOR = 1.959964, 1e-8
_DISTANCES = (
    "event_time_rmse", "unit_decorrelation", "unit_rmse", "period_rmse", "cell_rmse", "ks",
)  # fmt: skip
_NOT_JUDGED = ("att_percent",)

_WORDS = {
    **{name: f"the coefficient of {name}" for name in TERMS},
    "const": "the constant",
    "att": "the ATT",
    "att_percent": "the error of the ATT in percent of the effect",
    "event_time_rmse": "the root mean square error of the effect by event time",
    "unit_decorrelation": "one less the correlation of unit effects with the true ones",
    "unit_rmse": "the root mean square error of unit effects",
    "slope_before": "the slope of the trend before treatment",
    "slope_after": "the slope of the trend after treatment",
    "period_rmse": "the root mean square error of period effects",
    "slope_x": "the slope of x within units and periods",
    "cell_rmse": "the root mean square error of untreated means of treated cells",
    "cell_bias": "the mean error of untreated means of treated cells",
    "noise_sd": "the standard deviation of the noise",
    "ks": "the Kolmogorov-Smirnov distance of untreated outcomes from their laws",
    "outside_98": "the share of untreated outcomes outside their central 98 % band",
}

_SECTIONS = {
    "coefficients": (
        "Historic regression on generated rows",
        "Least squares of generated outcomes (untreated ones, plus the model's own effect in "
        "treated cells) on const, x, flag, post and cross term; the truth is the same regression "
        "without noise.",
        TERMS,
    ),
    "units": (
        "Unit effects",
        "Unit effects read off the means of all cells by two-way least squares.",
        ("unit_decorrelation", "unit_rmse"),
    ),
    "time": (
        "Time",
        "Period effects read off the means of all cells by two-way least squares.",
        ("slope_before", "slope_after", "period_rmse"),
    ),
    "covariate": (
        "Covariate", "The slope of the means of all cells in x, within units and periods.",
        ("slope_x",),
    ),
    "noise": (
        "Noise", "Where the true untreated outcomes of treated cells lie in the laws of these.",
        ("noise_sd", "ks", "outside_98"),
    ),
    "counterfactual": (
        "Counterfactual outcomes", "Means of untreated outcomes of treated cells.",
        ("cell_rmse", "cell_bias"),
    ),
    "effects": (
        "Effects", "Observed outcomes of treated cells less the means of their untreated ones.",
        ("att", "att_percent", "event_time_rmse"),
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Yardstick:
    """Readings of correctly specified least squares with the same information.

    Parameters
    ----------
    truth : PanelReading
        Of the process that they were drawn from.
    replicates : sequence of PanelReading
        One for each panel with fresh noise.
    spread : float
        Standard deviation of the outcome.
    """

    truth: PanelReading
    replicates: Sequence[PanelReading]
    spread: float

    def allowance(self, name: str) -> float:
        """What a number's error stays within."""
        values = [r.values[name] for r in self.replicates]
        if name in _DISTANCES:
            allowed = allowance(values)
        else:
            allowed = signed_allowance([v - _true(self.truth, name) for v in values])
        return max(allowed, _FLOOR * self.spread)

    @property
    def att_percent(self) -> float:
        """Mean size of the error of the ATT, in percent of it."""
        return float(np.mean([abs(r.values["att_percent"]) for r in self.replicates]))


def panel_sections(
    reading: PanelReading, truth: PanelReading, real: PanelReading, yardstick: Yardstick
) -> tuple[Section, ...]:
    """Sections of a reading.

    Parameters
    ----------
    reading : PanelReading
        Of the model.
    truth : PanelReading
        Of the process at hand.
    real : PanelReading
        With the observed outcomes in place of generated ones: only its regression is read.
    yardstick : Yardstick
    """
    sections = []
    for key, (title, measure, names) in _SECTIONS.items():
        known = [n for n in names if np.isfinite(reading.values.get(n, np.nan))]
        if key == "noise" and "ks" not in known:
            sections.append(Section(key, title, measure, not_assessed="the process has no noise"))
            continue
        findings = tuple(_finding(n, reading, truth, real, yardstick) for n in known)
        sections.append(Section(key, title, measure, findings, curves=_curves(key, reading, truth)))
    return tuple(sections)


def _finding(
    name: str, reading: PanelReading, truth: PanelReading, real: PanelReading, yardstick: Yardstick
) -> Finding:
    value = reading.values[name]
    allowed = None if name in _NOT_JUDGED else yardstick.allowance(name)
    if name in _DISTANCES:
        return Finding(_WORDS[name], value, value, allowance=allowed)
    known, error = _true(truth, name), reading.coef_error.get(name)
    return Finding(
        _WORDS[name], value, abs(value - known), known, allowed,
        real=real.values[name] if error is not None else None,
        low=None if error is None else value - _Z95 * error,
        high=None if error is None else value + _Z95 * error,
    )  # fmt: skip


def _true(truth: PanelReading, name: str) -> float:
    return 0.02 if name == "outside_98" else truth.values[name]


def _curves(key: str, reading: PanelReading, truth: PanelReading) -> dict[str, pd.DataFrame]:
    """Numbers behind pictures: effects by event time, and period effects."""
    pairs = {
        "effects": ("event_time", truth.event_time, reading.event_time),
        "time": ("period", truth.period, reading.period),
    }
    if key not in pairs:
        return {}
    name, true, found = pairs[key]
    table = {name: np.arange(len(true)), "truth": true, "recovered": found}
    return {name: pd.DataFrame(table)}
