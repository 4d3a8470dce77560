"""Breakdown values of few treated units against the algebra behind them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.evaluation.panel.breakdown import Breakdown, breakdown
from causal_ddpm.evaluation.panel.donors import Donors


def effect_of(value, low, high):
    units = pd.DataFrame({"treated": [True, False, False], "effect": [value, 3.0, -4.0]})
    return SimpleNamespace(
        att=SimpleNamespace(value=value, interval=lambda level: (low, high)),
        level=0.9, placebo=SimpleNamespace(units=units),
    )  # fmt: skip


def donors_of(*weights):
    return Donors(pd.DataFrame({"weight": weights}), -10.0, len(weights), 2.0)


def test_the_scale_stretches_the_side_of_the_interval_that_faces_zero():
    assert breakdown(effect_of(-10.0, -30.0, -5.0), donors_of(1.0)).scale == pytest.approx(2.0)
    assert breakdown(effect_of(10.0, 6.0, 30.0), donors_of(1.0)).scale == pytest.approx(2.5)
    inside = breakdown(effect_of(-10.0, -30.0, 5.0), donors_of(1.0))
    assert inside.scale < 1
    assert inside.words.startswith("The interval holds zero as it is")


def test_spillovers_are_undone_exactly():
    donors, own, weights = np.array([100.0, 80.0]), 90.0, np.array([0.5, 0.3])
    true = -8.0
    for share in (-0.5, 0.25, 0.5):
        y = own + true
        estimated = y - (own + weights @ (donors + share * true) - weights @ donors)
        found = Breakdown(estimated, 0.9, 1.0, float(weights.sum()), 1.0).frame()
        row = found.set_index("share")["effect"]
        assert row[share] == pytest.approx(true)


def test_words_hold_the_numbers():
    found = breakdown(effect_of(-10.0, -18.0, -5.0), donors_of(0.6, 0.4))
    assert found.typical == pytest.approx(np.sqrt(12.5))
    for text in ("2 times as large", "by -10 on average", "2.8 times", "-13.3", "other way, -8"):
        assert text in found.words
    assert found.to_dict()["scale"] == found.scale
