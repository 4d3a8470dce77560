"""Monte Carlo summaries against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.evaluation.monte_carlo import (
    paired_ratio,
    summarize_intervals,
    summarize_study,
)

VALUE = [1.0, 2.0, 3.0, 6.0]
SE = [1.0, 1.0, 2.0, 2.0]
LOW = [0.0, 1.0, -1.0, 4.0]
HIGH = [2.0, 3.0, 7.0, 8.0]


def test_by_hand():
    s = summarize_intervals(VALUE, SE, LOW, HIGH, truth=2.0, bound=1.0, level=0.95)
    sd = np.sqrt(14 / 3)  # deviations from the mean 3: -2, -1, 0, 3
    assert s.n_draws == 4
    assert s.bias == 1.0
    assert s.bias_error == pytest.approx(sd / 2)
    assert s.rmse == pytest.approx(np.sqrt((1 + 0 + 1 + 16) / 4))
    assert s.sd == pytest.approx(sd)
    assert s.sd_error == pytest.approx(sd / np.sqrt(6))
    assert s.mean_std_error == 1.5
    assert s.se_ratio == pytest.approx(1.5 / sd)
    assert s.se_ratio_error == pytest.approx(1.5 / sd / np.sqrt(6))
    assert s.coverage == 0.75  # the last interval starts above 2; an end at 2 counts
    assert s.coverage_error == pytest.approx(np.sqrt(0.95 * 0.05 / 4))
    assert s.width == 4.0
    assert s.width_ratio == pytest.approx(4.0 / (2 * 1.959963984540054))


def test_truth_may_differ_by_draw_and_bound_may_be_absent():
    s = summarize_intervals(VALUE, SE, LOW, HIGH, truth=[1.0, 2.0, 3.0, 6.5])
    assert s.bias == -0.125
    assert s.coverage == 1.0
    assert np.isnan(s.width_ratio)


def test_calibrated_normal_draws_are_found_calibrated():
    rng = np.random.default_rng(0)
    value = 5 + 0.3 * rng.standard_normal(4000)
    half = 1.959964 * 0.3
    s = summarize_intervals(value, np.full(4000, 0.3), value - half, value + half, 5.0, bound=0.3)
    assert abs(s.coverage - 0.95) < 3 * s.coverage_error
    assert abs(s.se_ratio - 1) < 3 * s.se_ratio_error
    assert abs(s.bias) < 3 * s.bias_error
    assert s.width_ratio == pytest.approx(1, abs=1e-6)


def test_study_is_summarised_by_group():
    frame = pd.DataFrame(
        {"method": list("aabb"), "value": VALUE, "std_error": SE, "ci_low": LOW, "ci_high": HIGH}
    ).assign(truth=2.0, design="d", bound=[1.0, 1.0, 2.0, 2.0])
    table = summarize_study(frame, by=["design", "method"])
    assert table["method"].tolist() == ["a", "b"]
    assert table["coverage"].tolist() == [1.0, 0.5]
    assert table["width_ratio"].tolist() == pytest.approx([2 / 3.919928, 6 / (2 * 3.919928)])


@pytest.mark.parametrize(
    ("value", "message"),
    [([1.0, 2.0, np.nan, 6.0], "1 numbers are missing"), ([1.0], "equal lengths")],
)
def test_missing_or_ragged_draws_are_refused(value, message):
    with pytest.raises(DataError, match=message):
        summarize_intervals(value, SE, LOW, HIGH, 2.0)


def test_paired_ratio_by_hand():
    ratio, error = paired_ratio([1.0, 4.0], [2.0, 2.0])
    assert ratio == pytest.approx(1.0)  # geometric mean of 1/2 and 2
    assert error == pytest.approx(np.log(2))  # sd of (-log 2, log 2) is sqrt(2) log 2, over sqrt(2)


@pytest.mark.parametrize("bad", [[1.0, 0.0], [1.0, np.nan], [1.0]])
def test_paired_ratio_refuses_missing_losses(bad):
    with pytest.raises(DataError):
        paired_ratio(bad, [1.0, 1.0])
