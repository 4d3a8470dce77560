"""Weights of donors against the fits themselves, and effects without a donor by refitting."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.evaluation.panel.donors import donors
from causal_ddpm.nuisance.panel.ridge_donors import RidgeDonors
from causal_ddpm.nuisance.panel.synthetic_control import SyntheticControl
from causal_ddpm.nuisance.panel.two_way import TwoWay

W = np.array([0.5, 0.3, 0.2, 0.0, 0.0])


def panel_of(y, start=14):
    n, n_periods = y.shape
    frame = pd.DataFrame({
        "unit": np.repeat([f"u{i}" for i in range(n)], n_periods),
        "t": np.tile(np.arange(n_periods), n), "y": y.ravel(),
        "first": np.repeat(np.where(np.arange(n) == 0, start, np.inf), n_periods),
    })  # fmt: skip
    return PanelData(frame, "unit", "t", "y", cohort="first")


@pytest.fixture
def mixed():
    """Unit 0 is a known mixture of the others, plus 2 from period 14 on."""
    others = np.cumsum(np.random.default_rng(0).normal(size=(5, 20)), axis=1)
    own = W @ others + 2.0 * (np.arange(20) >= 14)
    return panel_of(np.vstack([own, others]))


def test_weights_of_a_synthetic_control_are_found(mixed):
    found = donors(mixed, SyntheticControl())
    weight = found.table.set_index("unit")["weight"]
    assert weight[[f"u{j}" for j in range(1, 6)]].to_numpy() == pytest.approx(W, abs=1e-3)
    assert found.att == pytest.approx(2.0, abs=1e-3)
    assert found.effective == pytest.approx(1 / np.sum(W**2), rel=1e-2)
    assert found.words.startswith("The counterfactual rests on u1 0.50, u2 0.30, u3 0.20")


def test_two_way_effects_weigh_all_donors_alike(mixed):
    found = donors(mixed, TwoWay())
    assert found.table["weight"].to_numpy() == pytest.approx(np.full(5, 0.2))
    assert found.words.startswith("All 5 donors weigh the same.")


def test_weights_of_a_linear_base_add_up_to_its_counterfactual(mixed):
    """Ridge moves one for one with all donors."""
    weight = donors(mixed, RidgeDonors(0.3)).table["weight"]
    assert weight.sum() == pytest.approx(1.0, abs=1e-6)


def test_effect_without_a_donor_is_that_of_the_panel_without_it(mixed):
    found = donors(mixed, TwoWay()).table.set_index("unit")
    rest = [0, 1, 2, 4, 5]
    away = mixed.y[0] - mixed.y[rest[1:]].mean(axis=0)
    assert found.at["u3", "att_without"] == pytest.approx(away[14:].mean() - away[:14].mean())
    low, high = donors(mixed, TwoWay()).range
    assert low <= found.at["u3", "att_without"] <= high


def test_the_nearest_path_and_a_single_donor_that_decides():
    rng = np.random.default_rng(1)
    others = np.cumsum(rng.normal(size=(5, 20)), axis=1)
    own = others[2] + 7.0 + 0.05 * (np.arange(20) >= 14)
    found = donors(panel_of(np.vstack([own, others])), SyntheticControl(intercept=True))
    assert found.nearest["unit"].iloc[0] == "u3"
    assert found.nearest["distance"].iloc[0] == pytest.approx(0.0, abs=1e-9)
    assert "u3 alone carries 100%" in found.words
    assert ("HANGS on a single donor (u3)" in found.words) == (found.range[0] <= 0)


def test_only_so_many_donors_are_looked_at_nearest_first(mixed):
    few = donors(mixed, TwoWay(), max_donors=2)
    every = donors(mixed, TwoWay())
    assert set(few.table["unit"]) == set(every.nearest["unit"].head(2))
    assert few.n_donors == 5
    assert len(few.to_dict()["donors"]) == 2


def test_one_control_is_refused():
    y = np.random.default_rng(0).normal(size=(2, 20))
    with pytest.raises(DataError, match="1 unit is never treated"):
        donors(panel_of(y), TwoWay())
