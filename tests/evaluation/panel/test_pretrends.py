"""Closed-form power and bias against simulation, sizes with few units, responses to a trend."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.reported import Account, reported_estimate
from causal_ddpm.estimators.panel.clustered import clustered_effects
from causal_ddpm.evaluation.panel.event_times import consecutive, event_times
from causal_ddpm.evaluation.panel.pretrends import power_of_slope, pretrend_test
from causal_ddpm.evaluation.panel.trend_response import trend_response
from causal_ddpm.nuisance.panel.two_way import TwoWay

TIMES = (-5, -4, -3, -2, 0, 1, 2)


def covariance(p=7, seed=1):
    a = np.random.default_rng(seed).normal(size=(p, p))
    return 0.01 * (a @ a.T + np.eye(p))


def study(values, cov, times=TIMES, df=None):
    account = Account("ATT by event time", "treated cells", "made up", 100)
    return reported_estimate(account, values, cov, [str(k) for k in times], df=df)


def panel_of(n_treated=12, n=40, n_periods=10, start=6, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    first = np.where(np.arange(n) < n_treated, start, 0)
    y = rng.normal(size=n)[:, None] + noise * rng.normal(size=(n, n_periods))
    frame = pd.DataFrame({
        "unit": np.repeat(np.arange(n), n_periods), "time": np.tile(np.arange(1, n_periods + 1), n),
        "y": y.ravel(), "first": np.repeat(first, n_periods),
    })  # fmt: skip
    return PanelData(frame, "unit", "time", "y", cohort="first")


def test_slope_found_half_of_the_time_is_found_half_of_the_time():
    cov, rng = covariance(), np.random.default_rng(0)
    for trend in pretrend_test(study(np.ones(7), cov)).trends:
        mean = trend.slope * (np.array(TIMES[:4]) + 1)
        b = rng.multivariate_normal(mean, cov[:4, :4], 40_000)
        wald = np.einsum("ri,ij,rj->r", b, np.linalg.inv(cov[:4, :4]), b)
        assert np.mean(wald > chi2.ppf(0.95, 4)) == pytest.approx(trend.power, abs=0.01)
        assert power_of_slope(trend.slope, np.array(TIMES[:4]) + 1.0, cov[:4, :4]) == pytest.approx(
            trend.power, abs=1e-6
        )


def test_bias_among_panels_that_pass_is_that_of_simulation():
    cov, rng = covariance(), np.random.default_rng(1)
    trend = pretrend_test(study(np.ones(7), cov)).trends[0]
    b = rng.multivariate_normal(trend.slope * (np.array(TIMES) + 1), cov, 200_000)
    wald = np.einsum("ri,ij,rj->r", b[:, :4], np.linalg.inv(cov[:4, :4]), b[:, :4])
    passed = wald <= chi2.ppf(0.95, 4)
    error = b[:, 4:].mean(axis=1)
    assert error.mean() == pytest.approx(trend.bias, abs=4e-3)
    assert error[passed].mean() == pytest.approx(trend.bias_if_passed, abs=4e-3)
    assert abs(trend.bias_if_passed - trend.bias) > 0.01


def test_power_is_the_level_without_a_trend_and_grows():
    cov, v = covariance()[:4, :4], np.array(TIMES[:4]) + 1.0
    powers = [power_of_slope(s, v, cov, nu=nu) for nu in (20.0, np.inf) for s in (0.0, 0.02, 0.05)]
    assert powers[0] == pytest.approx(0.05, abs=1e-6)
    assert powers[3] == pytest.approx(0.05, abs=1e-6)
    assert powers[0] < powers[1] < powers[2] < powers[5]


def test_estimated_covariance_keeps_size_and_power():
    """Hotelling's law; a chi-squared one would reject far too often."""
    cov, nu, rng = covariance(), 10, np.random.default_rng(2)
    trend = pretrend_test(study(np.ones(7), cov, df=nu)).trends[0]
    found = np.zeros(3)
    for _ in range(500):
        noise = rng.multivariate_normal(np.zeros(7), cov, nu + 1)
        estimated = noise[1:].T @ noise[1:] / nu
        quiet = pretrend_test(study(noise[0], estimated, df=nu), powers=())
        tilted = noise[0] + trend.slope * (np.array(TIMES) + 1)
        loud = pretrend_test(study(tilted, estimated, df=nu), powers=())
        found += [not quiet.passed, quiet.wald > chi2.ppf(0.95, 4), not loud.passed]
    share = found / 500
    assert share[0] == pytest.approx(0.05, abs=0.03)
    assert share[1] > 0.15
    assert share[2] == pytest.approx(0.5, abs=0.07)


def test_response_of_two_way_imputation_is_the_distance_from_the_mean_before():
    panel = panel_of(noise=0.3)
    event = clustered_effects(panel).event_study
    response = trend_response(event, panel, TwoWay())
    times = np.array([int(k) for k in event.labels])
    leads = times[times < 0]
    seen_by_leads = np.arange(-5, leads.min())
    expected = np.where(times < 0, times - seen_by_leads.mean(), times + 3.0)
    assert response == pytest.approx(expected, abs=1e-8)


def test_response_says_how_much_of_a_trend_becomes_bias():
    panel, slope = panel_of(noise=1e-3), 0.5
    frame = panel.frame()
    later = frame["first"].notna() if frame["first"].isna().any() else frame["first"] > 0
    frame["y"] = frame["y"] + np.where(later, slope * frame["time"], 0.0)
    tilted = PanelData(frame, "unit", "time", "y", cohort="first")
    before, after = clustered_effects(panel), clustered_effects(tilted)
    test = pretrend_test(
        before.event_study, panel, trend_response(before.event_study, panel, TwoWay())
    )
    half = test.trends[0]
    assert after.att.value - before.att.value == pytest.approx(
        half.bias * slope / half.slope, rel=1e-6
    )


def test_words_say_what_was_found_and_what_was_missed():
    quiet = pretrend_test(study(np.r_[np.zeros(4), 1, 1, 1], covariance()))
    assert quiet.passed
    assert "finds no difference" in quiet.words
    assert "50% of the time" in quiet.words
    loud = pretrend_test(study(np.r_[np.full(4, 9.0), 1, 1, 1], covariance()))
    assert "FINDS a difference" in loud.words
    assert "in doubt" in loud.words
    assert loud.to_dict()["df"] is None
    assert list(loud.frame()["power"]) == [0.5, 0.8]


def test_a_reference_without_error_is_left_out_and_weights_follow_the_cells():
    cov = covariance(8)
    cov[4], cov[:, 4] = 0.0, 0.0
    values = np.array([1.0, 1, 1, 1, 0, 2, 3, 4])
    panel = panel_of(n_treated=12)
    read = event_times(study(values, cov, (-5, -4, -3, -2, -1, 0, 1, 2)), panel)
    assert read.times.tolist() == list(TIMES)
    assert read.weights == pytest.approx(np.full(3, 1 / 3))
    assert read.average == pytest.approx(3.0)


def test_only_the_run_around_the_reference_is_consecutive():
    read = consecutive(event_times(study(np.ones(6), covariance(6), (-5, -3, -2, 0, 1, 4))))
    assert read.times.tolist() == [-3, -2, 0, 1]


def test_coefficients_of_too_few_units_are_left_out_with_a_sentence():
    panel = panel_of(n_treated=3)
    with pytest.raises(NotIdentifiedError, match="at least five treated units"):
        pretrend_test(clustered_effects(panel).event_study, panel)


def test_refusals():
    with pytest.raises(DataError, match="event times such as"):
        pretrend_test(study([1.0, 2.0], np.eye(2), ("a", "b")))
    with pytest.raises(NotIdentifiedError, match="0 coefficients before"):
        pretrend_test(study([1.0, 2.0], np.eye(2), (0, 1)))
    with pytest.raises(DataError, match="response has shape"):
        pretrend_test(study(np.ones(7), covariance()), response=[1.0])
