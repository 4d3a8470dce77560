"""Small panels, and effects on them made up with numbers that tests can look for."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.estimators.panel.effect import BaseRecord, PanelEffect, PlaceboRecord
from causal_ddpm.evaluation.method_table import MethodRow
from causal_ddpm.evaluation.panel.analysis import PanelAnalysis
from causal_ddpm.evaluation.panel.cautions import cautions
from causal_ddpm.evaluation.panel.comparison import PanelComparison
from causal_ddpm.evaluation.panel.description import describe_panel
from causal_ddpm.evaluation.panel.diagnose import PanelDiagnostics
from causal_ddpm.evaluation.panel.donors import Donors
from causal_ddpm.evaluation.panel.honest import HonestDiD, RobustInterval
from causal_ddpm.evaluation.panel.placebo_space import SpacePlacebo
from causal_ddpm.evaluation.provenance import Provenance, Source


def one_treated(n=12, n_periods=16, first=11, seed=0):
    """A panel of states and years; the first state is treated from year 2000 + first on."""
    rng = np.random.default_rng(seed)
    years = 2000 + np.arange(n_periods)
    level = rng.normal(100, 12, n)[:, None] + np.cumsum(rng.normal(-1, 1, n_periods))
    y = level + np.cumsum(rng.normal(0, 1, (n, n_periods)), axis=1)
    y[0, first:] -= 4 + 1.2 * np.arange(n_periods - first)
    frame = pd.DataFrame({
        "state": np.repeat([f"state {k:02d}" for k in range(n)], n_periods),
        "year": np.tile(years, n), "packs": y.ravel(),
    })  # fmt: skip
    frame["taxed"] = ((frame["state"] == "state 00") & (frame["year"] >= 2000 + first)).astype(int)
    return PanelData(frame, "state", "year", "packs", treated="taxed")


def staggered(n=60, n_periods=8, seed=0, cohorts=(0, 2004, 2006, 2007)):
    """Counties that raise their wage in different years, with one missing cell."""
    rng = np.random.default_rng(seed)
    start = rng.choice(cohorts, n)
    years = 2001 + np.arange(n_periods)
    y = rng.normal(7, 1, n)[:, None] + 0.02 * np.arange(n_periods)
    y = y + rng.normal(0, 0.05, y.shape) - 0.05 * ((years >= start[:, None]) & (start > 0)[:, None])
    frame = pd.DataFrame({
        "county": np.repeat(np.arange(n), n_periods), "year": np.tile(years, n),
        "employment": y.ravel(), "raised": np.repeat(start, n_periods),
    })  # fmt: skip
    frame.loc[3, "employment"] = np.nan
    return PanelData(frame, "county", "year", "employment", cohort="raised")


def estimate(values, errors, labels, name="ATT", method="made up", n=12):
    """An estimate with independent entries."""
    values, errors = np.atleast_1d(values).astype(float), np.atleast_1d(errors).astype(float)
    return Estimate(
        values, np.diag(errors**2), tuple(labels), np.zeros((n, len(values))), np.arange(n),
        "made-up", name, "treated cells", method, n, level=0.9,
    )  # fmt: skip


def effect_of(panel, seed=0):
    """An effect record of a panel, whose counterfactual is observed less a made-up effect."""
    rng = np.random.default_rng(seed)
    treated_units = np.flatnonzero(~panel.is_control)
    path = _path(panel, treated_units)
    post = path["treated"].to_numpy()
    draws = path["counterfactual"].to_numpy()[post] + rng.normal(0, 2, (400, post.sum()))
    return PanelEffect(
        outcome=panel.outcome_name, unit=panel.unit_name, period=panel.period_name,
        fingerprint=panel.fingerprint, method="panel diffusion", inference="placebos", level=0.9,
        n_units=panel.shape[0], n_periods=panel.shape[1], n_treated=len(treated_units),
        n_controls=int(panel.is_control.sum()), att=estimate(-7.125, 1.5, ["ATT"]),
        by_cohort=estimate(
            np.full(len(panel.cohorts), -7.125), np.full(len(panel.cohorts), 1.5),
            [str(panel.periods[g]) for g in panel.cohorts], "ATT by cohort",
        ),
        event_study=_event_study(), path=path, fan=_fan(path, draws),
        unit_paths=_unit_paths(panel, treated_units),
        unit_effects=_unit_effects(panel, treated_units),
        cumulative=pd.DataFrame({
            "period": path["period"][post], "effect": path["effect"][post].cumsum(),
            "low": path["effect_low"][post].cumsum(), "high": path["effect_high"][post].cumsum(),
        }),
        quantiles=pd.DataFrame({
            "quantile": [0.25, 0.5, 0.75], "observed": [80.0, 85.0, 90.0],
            "counterfactual": [86.0, 92.0, 98.0], "effect": [-6.0, -7.0, -8.0],
            "low": [-9.0, -10.0, -12.0], "high": [-3.0, -4.0, -4.0],
        }),
        draws=draws, draw_periods=tuple(path["period"][post]),
        placebo=placebo_record(panel, rng),
        base=BaseRecord(
            "average of sdid and ridge",
            pd.DataFrame({
                "candidate": ["sdid", "ridge"], "error": [1.25, 1.5], "std_error": [0.2, 0.2],
                "weight": [0.75, 0.25],
            }),
            "Lowest error on held-out blocks of control units.",
        ),
        law="diffusion of residual paths", pre_fit_error=1.375,
        notes=("Few donors: the scale was pooled.",),
        assumptions=("Without treatment, the treated would have moved with their controls.",),
    )  # fmt: skip


def placebo_record(panel, rng):
    """Placebos of every control, treated when the first cohort is."""
    first = int(panel.cohorts[0])
    controls = np.flatnonzero(panel.is_control)
    names = [*panel.units[controls], panel.units[np.flatnonzero(~panel.is_control)[0]]]
    treated = np.arange(len(names)) == len(controls)
    ratio = np.append(rng.uniform(0.5, 2.5, len(controls)), 5.75)
    event = np.arange(panel.shape[1]) - first
    gaps = rng.normal(0, 2, (len(names), panel.shape[1]))
    flat = {
        "unit": np.repeat(np.asarray(names, dtype=object), len(event)),
        "treated": np.repeat(treated, len(event)), "period": np.tile(panel.periods, len(names)),
        "event_time": np.tile(event, len(names)), "gap": gaps.ravel(),
    }  # fmt: skip
    post = np.tile(event >= 0, len(names))
    horizons = event[event >= 0]
    floor = 1 / (1 + len(controls))
    return PlaceboRecord(
        level=0.9, n_placebos=len(controls), n_cells=len(controls) * len(horizons),
        coverage=0.893, coverage_error=0.031, uniform_coverage=0.875, uniform_coverage_error=0.04,
        interval_score=11.5, width=8.25, p_value=floor, p_value_effect=2 * floor,
        p_value_floor=floor,
        by_horizon=pd.DataFrame({
            "event_time": horizons, "coverage": np.linspace(1, 0.8, len(horizons)),
            "n": len(controls),
        }),
        by_level=pd.DataFrame({
            "level": [0.5, 0.8, 0.9], "coverage": [0.52, 0.79, 0.893],
            "std_error": [0.04, 0.04, 0.031],
        }),
        units=pd.DataFrame({
            "unit": names, "treated": treated, "first": panel.periods[first],
            "effect": rng.normal(0, 2, len(names)), "scale": 1.0, "pre_rmse": 1.0,
            "post_rmse": ratio, "ratio": ratio, "coverage": 0.9, "uniform": True,
        }),
        gaps=pd.DataFrame(flat).assign(
            low=np.where(post, -4.0, np.nan), high=np.where(post, 4.0, np.nan)
        ),
    )  # fmt: skip


def _path(panel, units):
    start = int(panel.cohorts[0])
    t = np.arange(panel.shape[1])
    post = t >= start
    observed = np.nanmean(panel.y[units], axis=0)
    effect = np.where(post, -4 - 1.0 * (t - start), 0.3 * (-1.0) ** t)
    scale = 1.0 if panel.outcome_name == "packs" else 0.01
    effect = effect * scale
    wide, wider = (np.where(post, r * scale, np.nan) for r in (3.0, 4.5))
    hidden = observed - effect
    return pd.DataFrame({
        "period": panel.periods, "n_units": len(units), "treated": post, "observed": observed,
        "counterfactual": hidden, "low": hidden - wide, "high": hidden + wide,
        "low_uniform": hidden - wider, "high_uniform": hidden + wider, "effect": effect,
        "effect_low": effect - wide, "effect_high": effect + wide,
        "effect_low_uniform": effect - wider, "effect_high_uniform": effect + wider,
    })  # fmt: skip


def _fan(path, draws):
    post = path[path["treated"]]
    parts = []
    for level in (0.5, 0.8, 0.9):
        reach = (post["high"] - post["low"]) / 2 * {0.5: 0.41, 0.8: 0.78, 0.9: 1.0}[level]
        parts.append(pd.DataFrame({
            "period": post["period"], "level": level, "low": post["counterfactual"] - reach,
            "high": post["counterfactual"] + reach,
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _event_study():
    times = np.arange(-4, 4)
    return estimate(
        np.where(times < 0, 0.4 * (-1.0) ** times, -4 - 1.0 * times), np.full(8, 1.1),
        [str(t) for t in times], "event study",
    )  # fmt: skip


def _unit_paths(panel, units):
    i, t = np.nonzero(panel.observed[units])
    y = panel.y[units][i, t]
    event = panel.event_time[units][i, t]
    return pd.DataFrame({
        "unit": panel.units[units][i], "period": panel.periods[t], "event_time": event,
        "observed": y, "counterfactual": y + 1, "effect": -1.0,
        "low": np.where(event >= 0, y - 2, np.nan), "high": np.where(event >= 0, y + 4, np.nan),
    })  # fmt: skip


def _unit_effects(panel, units):
    k = np.arange(len(units), dtype=float)
    return pd.DataFrame({
        "unit": panel.units[units], "cohort": panel.periods[panel.first[units]], "n_cells": 5,
        "effect": -7 + 0.1 * k, "low": -10 + 0.1 * k, "high": -4 + 0.1 * k, "pre_fit_error": 1.2,
        "p_value": 0.08,
    })  # fmt: skip


@pytest.fixture(scope="session")
def make():
    """Makers of panels, estimates and effects, for tests that need more than one."""
    return SimpleNamespace(
        one_treated=one_treated,
        staggered=staggered,
        estimate=estimate,
        effect_of=effect_of,
        analysis_of=analysis_of,
    )


@pytest.fixture(scope="session")
def state():
    return one_treated()


@pytest.fixture(scope="session")
def counties():
    return staggered()


@pytest.fixture(scope="session")
def effect(state):
    return effect_of(state)


@pytest.fixture(scope="session")
def staggered_effect(counties):
    return effect_of(counties)


def methods_of(effect):
    """Our effect beside two methods, one of them far off, and one that has no answer."""
    rows = [
        MethodRow("diffusion", "Panel diffusion", "causal_ddpm", "", effect.att, own=True),
        MethodRow("cs", "Callaway-Sant'Anna", "diff_diff", "", estimate([-6.5], [1.0], ["ATT"])),
        MethodRow("sc", "Synthetic control", "synthdid", "", replace(
            estimate([-15.25], [1.25], ["ATT"]), details={"pre_fit": 0.625}
        )),
        MethodRow("x", "Augmented <control>", "augsynth_py", "", reason="it has no covariates"),
    ]  # fmt: skip
    return PanelComparison(tuple(rows), "ATT", effect.fingerprint, 0.9)


def diagnostics_of(panel, effect):
    """Diagnostics, some from the records and some made up."""
    table = pd.DataFrame({
        "unit": ["state 03", "state 07"], "weight": [0.75, 0.25], "distance": [1.0, 2.0],
        "att_without": [-5.125, -9.25], "change": [2.0, -2.125],
    })  # fmt: skip
    relative = tuple(
        RobustInterval("relative magnitudes", bound, -9.0 - bound, -4.0 + 5 * bound)
        for bound in (0.0, 1.0, 2.0)
    )
    honest = HonestDiD(
        -6.5, 2, 3, 0.5, None, 0.875, 0.0, 10.0, 0.0, relative[1], relative, 0.95
    )  # fmt: skip
    parts = {
        "description": describe_panel(panel), "cautions": cautions(panel, effect),
        "placebo_in_space": SpacePlacebo.of(effect.placebo),
        "donors": Donors(table, -7.125, 11, 1.6), "honest_did": honest,
    }  # fmt: skip
    return PanelDiagnostics(parts, {"bacon": "The panel has gaps."})


def analysis_of(panel, **source):
    """The analysis of a panel around :func:`effect_of`."""
    made = Provenance.now("<b>states</b>.csv", panel.fingerprint, 0, {"draws": 400}, (3.0, 2.5))
    found = Source("<b>states</b>.csv", **source)
    effect = effect_of(panel)
    return PanelAnalysis(
        panel, found, effect, diagnostics_of(panel, effect), methods_of(effect), made
    )


@pytest.fixture(scope="session")
def analysis(state):
    return analysis_of(state, unit="packs a head")
