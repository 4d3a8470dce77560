"""Ranks that are exact under exchangeability, placebos in time on paths with a known break."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

from causal_ddpm.core.errors import NotIdentifiedError
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.estimators.panel.placebos import panel_paths
from causal_ddpm.evaluation.panel.placebo_space import placebo_in_space, pooled_ratio
from causal_ddpm.evaluation.panel.placebo_time import earlier_panel, placebo_in_time
from causal_ddpm.evaluation.panel.pre_fit import pre_fit
from causal_ddpm.nuisance.panel.synthetic_control import SyntheticControl
from causal_ddpm.nuisance.panel.two_way import TwoWay


def panel_of(y, first):
    n, n_periods = y.shape
    frame = pd.DataFrame({
        "unit": np.repeat([f"u{i:02d}" for i in range(n)], n_periods),
        "year": np.tile(np.arange(2000, 2000 + n_periods), n), "y": y.ravel(),
        "d": (np.arange(n_periods) >= np.repeat(first, n_periods).reshape(n, -1)).ravel(),
    })  # fmt: skip
    return PanelData(frame.assign(d=frame["d"].astype(int)), "unit", "year", "y", treated="d")


def noise_panel(seed, n=10, n_periods=12, start=8, n_treated=1):
    rng = np.random.default_rng(seed)
    first = np.where(np.arange(n) < n_treated, start, n_periods)
    return panel_of(rng.normal(size=n)[:, None] + rng.normal(size=(n, n_periods)), first)


def test_two_way_ratio_by_hand():
    """With two-way effects, the gap of a unit is its distance from the mean of the others."""
    panel = noise_panel(3)
    found = placebo_in_space(panel, TwoWay())
    away = panel.y[0] - panel.y[1:].mean(axis=0)
    after = away[8:] - away[:8].mean()
    own = found.table[found.table["treated"]].iloc[0]
    assert own["effect"] == pytest.approx(after.mean())
    assert own["post_rmse"] == pytest.approx(np.sqrt(np.mean(after**2)))
    assert own["ratio"] == pytest.approx(own["post_rmse"] / own["pre_rmse"])
    larger = (found.table.loc[~found.table["treated"], "ratio"] >= own["ratio"]).sum()
    assert found.p_value == pytest.approx((1 + larger) / 10)
    assert found.floor == pytest.approx(0.1)


def test_rank_is_uniform_under_exchangeability():
    """P(p <= k / 6) = k / 6 for every k."""
    p = [placebo_in_space(noise_panel(s, n=6), TwoWay()).p_value for s in range(60)]
    counts = np.bincount(np.round(6 * np.array(p)).astype(int), minlength=7)[1:]
    assert counts.sum() == 60
    assert chisquare(counts).pvalue > 1e-3


def test_a_large_effect_has_the_smallest_p_value_and_says_so():
    panel = noise_panel(1, n=25)
    y = panel.y.copy()
    y[0, 8:] += 30.0
    found = placebo_in_space(panel_of(y, panel.first), TwoWay())
    assert found.p_value == found.floor == pytest.approx(1 / 25)
    assert "none have a ratio as large" in found.words
    assert "No smaller p-value than 0.04" in found.words
    assert found.frame()["unit"].iloc[0] == "u00"
    assert found.to_dict()["paths"][0]["treated"]


def test_few_controls_can_show_nothing_at_five_percent():
    found = placebo_in_space(noise_panel(2, n=8), TwoWay())
    assert "With so few controls no effect, however large" in found.words


def test_groups_stand_in_for_several_treated_units():
    panel = noise_panel(4, n=20, n_treated=2)
    found = placebo_in_space(panel, TwoWay())
    own, placebos = panel_paths(panel, TwoWay(), False, 0)
    ratios = [
        pooled_ratio(placebos.some(np.flatnonzero(placebos.group == g)))
        for g in np.unique(placebos.group)
    ]
    larger = np.sum(np.array(ratios) >= pooled_ratio(own))
    assert found.p_value == pytest.approx((1 + larger) / (1 + len(ratios)))
    assert found.p_good_fit is None
    assert "2 treated units" in found.words


def test_a_break_before_treatment_is_found_in_time():
    panel = noise_panel(5, n=25, n_periods=16, start=12)
    y = 0.1 * panel.y
    quiet = placebo_in_time(panel_of(y, panel.first), TwoWay(), steps=[3], att=1.0)
    assert quiet.quiet
    assert "Nothing is found" in quiet.words
    y = y.copy()
    y[0, 9:] += 1.0
    loud = placebo_in_time(panel_of(y, panel.first), TwoWay(), steps=[3], att=1.0)
    assert not loud.quiet
    assert loud.starts[0].effect == pytest.approx(1.0, abs=0.2)
    assert loud.starts[0].p_value == pytest.approx(1 / 25)
    assert loud.starts[0].start == "2009"
    assert "Something IS found" in loud.words


def test_nothing_after_treatment_reaches_the_placebo_in_time():
    panel = noise_panel(6, n=12, n_periods=16, start=12)
    y = panel.y.copy()
    y[:, 12:] = 1e3 * np.random.default_rng(0).normal(size=(12, 4))
    one, two = (
        placebo_in_time(panel_of(values, panel.first), SyntheticControl(), steps=[2, 4]).frame()
        for values in (panel.y, y)
    )
    pd.testing.assert_frame_equal(one, two)
    part = earlier_panel(panel, 4)
    assert part.shape == (12, 12)
    assert part.periods[part.first[0]] == 2008


def test_a_past_too_short_for_a_placebo_in_time_is_refused():
    with pytest.raises(NotIdentifiedError, match="expected at least 4"):
        placebo_in_time(noise_panel(0, start=3), TwoWay())


def test_fit_before_treatment_beside_controls():
    rng = np.random.default_rng(0)
    trend = np.linspace(0, 3, 12)
    y = trend + 0.1 * rng.normal(size=(12, 12))
    y[0] = 3 * trend
    panel = panel_of(y, np.where(np.arange(12) == 0, 8, 12))
    found = pre_fit(placebo_in_space(panel, TwoWay()), panel)
    assert found.excess
    assert found.worse_than == 1.0
    assert "EXCESS" in found.words
    gap = 11 / 12 * 2 * (trend[:8] - trend[:8].mean())  # its own past is one of twelve
    assert found.error == pytest.approx(np.sqrt(np.mean(gap**2)), abs=0.05)
    assert found.followed == pytest.approx(1 - (11 / 12 * 2 / 3) ** 2, abs=0.05)
    y[0] = trend + 0.1 * rng.normal(size=12)
    panel = panel_of(y, panel.first)
    assert not pre_fit(placebo_in_space(panel, TwoWay()), panel).excess
