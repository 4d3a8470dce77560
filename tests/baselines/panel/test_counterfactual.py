"""Methods that give a path without treatment: synthetic controls, factor models, time series."""

import json
import re
import sys

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.baselines.base import Baseline
from causal_ddpm.baselines.panel import counterfactual
from causal_ddpm.baselines.panel.counterfactual import Cells, averages, drawn_again
from causal_ddpm.baselines.panel.low_rank import InteractiveFixedEffects, MatrixCompletion
from causal_ddpm.baselines.panel.predictors import (
    AugmentedSyntheticControl,
    PredictorSyntheticControl,
)
from causal_ddpm.baselines.panel.synthetic import (
    DifferenceInDifferences,
    SyntheticControl,
    SyntheticDiD,
)
from causal_ddpm.baselines.panel.time_series import StructuralTimeSeries
from causal_ddpm.core.errors import MissingDependencyError, NotIdentifiedError
from causal_ddpm.core.estimand import ATE, ATT, ATTByCohort, ATTByEventTime
from causal_ddpm.core.panel_data import PanelData

from .conftest import small_panel

FEW = 4
METHODS = [
    DifferenceInDifferences(FEW),
    SyntheticControl(2),
    SyntheticDiD(FEW),
    PredictorSyntheticControl(FEW, n_starts=1),
    AugmentedSyntheticControl(FEW),
    MatrixCompletion(FEW),
    InteractiveFixedEffects(2, FEW),
    StructuralTimeSeries(200),
]


def _panel(frame, **roles):
    return PanelData(frame, "u", "t", "y", treated="d", **roles)


# -- every method ----------------------------------------------------------------------------
@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_each_recovers_a_large_effect_and_its_path(method):
    frame = small_panel(starts=(9, 9), n_periods=13, n_units=11)
    frame["y"] -= frame["x"]
    frame["x"] = frame.groupby("u")["y"].transform("first")
    panel = _panel(frame, covariates=["x"])
    estimate = method.estimate(panel, ATT(), level=0.9)
    assert estimate.value == pytest.approx(3.0, abs=0.35)
    assert 0 < estimate.std_error < 0.6
    assert isinstance(method, Baseline)
    json.dumps(estimate.to_dict()["details"], allow_nan=False)


@pytest.mark.parametrize(
    "method", [DifferenceInDifferences(FEW), StructuralTimeSeries(200)], ids=lambda m: m.name
)
def test_event_times_average_to_the_whole(method):
    frame = small_panel(starts=(9, 9), n_periods=13, n_units=11)
    panel = _panel(frame)
    estimate, times = method.estimate(panel, ATT()), method.estimate(panel, ATTByEventTime())
    assert times.labels == ("0", "1", "2", "3")
    assert times.values.mean() == pytest.approx(estimate.value, abs=1e-8)
    silent = "no_vote" in estimate.details
    assert silent == isinstance(method, StructuralTimeSeries)
    assert any("takes its coefficients" in text for text in estimate.warnings) == silent


@pytest.mark.parametrize(
    "method", [SyntheticDiD(2), DifferenceInDifferences(2)], ids=lambda m: m.name
)
def test_cohorts_are_averaged_by_their_treated_cells(method):
    frame = small_panel(starts=(5, 5, 6), n_periods=9, n_units=14)
    frame["y"] -= frame["x"]
    panel = _panel(frame)
    cohorts = method.estimate(panel, ATTByCohort())
    assert cohorts.labels == ("5", "6")
    total = method.estimate(panel, ATT()).value
    assert cohorts.values @ np.array([8.0, 3.0]) / 11 == pytest.approx(total)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_each_refuses_what_it_cannot_answer(small, method):
    refusal = re.escape(f"{method.title} does not apply: it answers")
    with pytest.raises(NotIdentifiedError, match=refusal):
        method.estimate(_panel(small), ATE())
    early = small_panel(starts=(1,), n_units=6)
    if method.scope.before > 1:
        reason = method.applies(_panel(early, covariates=["x"]), ATT())
        assert reason is not None
        assert f"it needs {method.scope.before} or more periods before treatment" in reason
        assert "units first treated in 1 have 1" in reason
    nobody_left = small_panel(starts=(4, 4, 5, 5), n_units=5)
    assert "never treated" in method.applies(_panel(nobody_left), ATT())


@pytest.mark.parametrize("method", METHODS[:-1], ids=lambda m: m.name)
def test_each_names_the_extra_of_a_missing_library(method, monkeypatch):
    monkeypatch.setitem(sys.modules, method.library, None)
    panel = _panel(small_panel(), covariates=["x"])
    with pytest.raises(MissingDependencyError, match=r"causal-ddpm\[classics\]"):
        method.estimate(panel, ATT())


def test_predictors_are_asked_for(small):
    reason = PredictorSyntheticControl().applies(_panel(small), ATT())
    assert reason == "the panel has no covariates to use as predictors"


def test_gaps_of_controls_are_left_out_and_those_of_treated_units_refused():
    frame = small_panel(n_units=12)
    part = frame.drop(frame.index[(frame["u"] == 11) & (frame["t"] == 2)])
    estimate = DifferenceInDifferences(FEW).estimate(_panel(part), ATT())
    assert "leaves out 1 never treated units with gaps" in estimate.warnings[-1]
    whole = DifferenceInDifferences(FEW).estimate(_panel(frame[frame["u"] != 11]), ATT())
    assert estimate.value == pytest.approx(whole.value)
    holed = frame.drop(frame.index[(frame["u"] == 0) & (frame["t"] == 2)])
    assert DifferenceInDifferences().applies(_panel(holed), ATT()) == (
        "outcomes of treated units are missing"
    )
    assert MatrixCompletion().applies(_panel(holed), ATT()) is None


def test_the_penalty_is_chosen_on_all_untreated_cells(monkeypatch):
    """Never on the treated units' own few cells before treatment."""
    pyfector = pytest.importorskip("pyfector")
    asked, fect = [], pyfector.fect
    monkeypatch.setattr(pyfector, "fect", lambda *a, **k: asked.append(k) or fect(*a, **k))
    InteractiveFixedEffects(1, 3).estimate(_panel(small_panel()), ATT())
    assert all(call["cv_treat"] is False for call in asked)
    assert [call["CV"] for call in asked] == [True, False, False, False]


def test_the_same_seed_gives_the_same_bits(small):
    one, two, other = (SyntheticDiD(4).estimate(_panel(small), ATT(), seed) for seed in (1, 1, 2))
    assert one.std_error == two.std_error != other.std_error
    assert one.value == other.value


# -- drawing again ---------------------------------------------------------------------------
def test_placebos_keep_the_pattern_of_starting_dates_among_controls():
    rng = np.random.default_rng(0)
    first = np.array([3, 4, 4, *[6] * 9])
    cells = Cells(rng.normal(size=(12, 6)), np.zeros((12, 6, 0)), first)
    for again in drawn_again(cells, 5, 0):
        assert sorted(again.first) == [3, 4, 4, *[6] * 6]
        assert {tuple(row) for row in again.y} <= {tuple(row) for row in cells.y[3:]}


def test_units_are_drawn_within_cohorts_where_controls_are_few():
    cells = Cells(np.arange(24.0).reshape(6, 4), np.zeros((6, 4, 0)), np.array([2, 2, 2, 4, 4, 4]))
    assert not counterfactual.by_placebos(cells)
    draws = list(drawn_again(cells, 20, 0))
    assert all(sorted(d.first) == [2, 2, 2, 4, 4, 4] for d in draws)
    assert len({tuple(d.y[:, 0]) for d in draws}) > 10


def test_averages_count_treated_cells_that_were_observed():
    y = np.array([[0.0, 1.0, 3.0], [0.0, 0.0, np.nan], [0.0, 0.0, 5.0]])
    cells = Cells(y, np.zeros((3, 3, 0)), np.array([1, 1, 2]))
    keys = [("all", 0), ("cohort", 1), ("event time", 0), ("event time", 7)]
    found = averages(cells, np.zeros((3, 3)), keys)
    assert found[:3] == pytest.approx([9 / 4, 4 / 3, 2.0])
    assert np.isnan(found[3])


def test_a_frame_of_texts_does_not_upset_a_library(small):
    names = small.assign(u="unit " + small["u"].astype(str), t=pd.to_numeric(small["t"]) + 1990)
    texts = SyntheticDiD(3).estimate(_panel(names), ATT()).value
    assert texts == pytest.approx(SyntheticDiD(3).estimate(_panel(small), ATT()).value)


def test_one_period_before_treatment_is_enough_for_differences():
    """With two periods the effect is the difference of mean changes."""
    frame = small_panel(starts=(1, 1), n_periods=2, n_units=10)
    change = frame.pivot(index="u", columns="t", values="y").diff(axis=1)[1]
    estimate = DifferenceInDifferences(30).estimate(_panel(frame), ATT())
    assert estimate.value == pytest.approx(change[:2].mean() - change[2:].mean())
    assert estimate.warnings == ()
