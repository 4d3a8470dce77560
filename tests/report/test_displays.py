"""Every picture keeps its numbers, and draws them."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from causal_ddpm.report import style
from causal_ddpm.report.displays import (
    BalanceDisplay,
    DistributionsDisplay,
    EffectDisplay,
    OverlapDisplay,
    QuantileDisplay,
    UnitEffectsDisplay,
)
from causal_ddpm.report.displays.laws import stepped

DISPLAYS = [
    BalanceDisplay, DistributionsDisplay, EffectDisplay, OverlapDisplay, QuantileDisplay,
    UnitEffectsDisplay,
]  # fmt: skip


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.mark.parametrize("kind", DISPLAYS)
def test_every_display_has_its_numbers_and_labelled_axes(kind, simulated, ax):
    display = kind.of(simulated)
    frame = display.frame()
    assert len(frame) > 0
    frame.iloc[:, 0] = frame.iloc[::-1, 0].to_numpy()  # a copy: the display is untouched
    pd.testing.assert_frame_equal(display.frame(), kind.of(simulated).frame())
    with style.look():
        display.plot(ax)
    assert ax.get_xlabel()
    assert ax.has_data()


@pytest.mark.parametrize("kind", [EffectDisplay, UnitEffectsDisplay, DistributionsDisplay])
def test_axes_of_the_outcome_carry_its_unit(kind, simulated, ax):
    kind.of(simulated).plot(ax)
    assert "thousand dollars per worker" in ax.get_xlabel()


def test_effects_show_estimate_interval_truth_reference_and_naive(simulated, observed):
    frame = EffectDisplay.of(simulated).frame().set_index("label")
    ate = simulated.headline
    assert frame.loc["ATE", "value"] == ate.value
    assert (frame.loc["ATE", "ci_low"], frame.loc["ATE", "ci_high"]) == ate.interval()
    assert frame.loc["ATE", "truth"] == simulated.truth.population["ATE"]
    assert frame.loc["Naive difference", "value"] == simulated.naive.value
    other = EffectDisplay.of(observed).frame().set_index("label")
    assert other.loc["A trial", "kind"] == "reference"
    assert other["truth"].isna().all()
    low, high = observed.headline.interval(0.9)
    assert (other.loc["ATT", "ci_low"], other.loc["ATT", "ci_high"]) == (low, high)


def test_overlap_shares_add_up_to_one_in_each_arm(simulated):
    frame = OverlapDisplay.of(simulated).frame()
    np.testing.assert_allclose(frame[["untreated", "treated"]].sum(), 1.0)


def test_distributions_stay_inside_the_band_and_rise(simulated):
    frame = DistributionsDisplay.of(simulated).frame()
    for _, arm in frame.groupby("arm"):
        assert (arm["lower"] <= arm["cdf"] + 1e-12).all()
        assert (arm["cdf"] <= arm["upper"] + 1e-12).all()
        assert (np.diff(arm["cdf"]) >= 0).all()


def test_a_jump_is_drawn_upright():
    rows = pd.DataFrame(
        {"y": [0.0, 1.0, 3.0], "cdf": [0.2, 0.5, 1.0], "lower": [0.1, 0.4, 0.9],
         "upper": [0.3, 0.6, 1.0], "jump": [False, True, False]}
    )  # fmt: skip
    y, cdf, *_ = stepped(rows)
    np.testing.assert_array_equal(y, [0.0, 1.0, 3.0, 3.0])
    np.testing.assert_array_equal(cdf, [0.2, 0.5, 0.5, 1.0])


def test_unit_effects_are_those_of_the_headline_population(observed):
    frame = UnitEffectsDisplay.of(observed).frame()
    treated = observed.data.treatment == 1
    np.testing.assert_array_equal(frame["effect"], observed.unit_effects[treated])
    np.testing.assert_array_equal(frame["row_id"], observed.data.row_ids[treated])


def test_an_infinite_difference_is_drawn_at_the_edge_and_named(ax):
    rows = pd.DataFrame({"confounder": ["a", "b"], "before": [np.inf, 0.4], "after": [0.0, 0.1]})
    BalanceDisplay(rows).plot(ax)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a (∞)", "b"]
    assert np.isfinite(ax.get_xlim()).all()


def test_the_look_is_undone_afterwards():
    import matplotlib as mpl

    before = mpl.rcParams["svg.fonttype"]
    with style.look():
        assert mpl.rcParams["svg.fonttype"] == "none"
    assert mpl.rcParams["svg.fonttype"] == before
