"""The interval of relative magnitudes against linear programmes and simulation; breakdowns."""

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import norm

from causal_ddpm.baselines.honest_did import honest_interval
from causal_ddpm.core.reported import Account, reported_estimate
from causal_ddpm.evaluation.panel.honest import honest_did
from causal_ddpm.evaluation.panel.relative_magnitudes import (
    breakdown_mbar,
    relative_interval,
    smallest_bound,
)
from causal_ddpm.evaluation.panel.smoothness import SmoothnessPath, folded_quantile


def study(values, cov, n_pre):
    times = [*range(-1 - n_pre, -1), *range(len(values) - n_pre)]
    account = Account("ATT by event time", "treated cells", "made up", 100)
    return reported_estimate(account, values, cov, [str(k) for k in times])


def largest_bias(weights, mbar, v):
    """max l' delta over steps of at most mbar v, by linear programming."""
    n = len(weights)
    difference = np.eye(n) - np.eye(n, k=-1)
    rows = np.vstack([difference, -difference])
    found = linprog(-weights, rows, np.full(2 * n, mbar * v), bounds=[(None, None)] * n)
    return -found.fun


@pytest.mark.parametrize("weights", [(0.25, 0.25, 0.25, 0.25), (1, 0, 0, 0), (0, -0.5, 0, 1.5)])
def test_without_noise_the_interval_is_the_identified_set(weights):
    weights = np.array(weights, dtype=float)
    values = np.array([0.3, 0.1, 0.25, 1.0, 2.0, 1.0, 3.0])
    low, high = relative_interval(values, 1e-12 * np.eye(7), 3, weights, 0.7)
    reach = largest_bias(weights, 0.7, 0.25)
    assert (low, high) == pytest.approx(
        (weights @ values[3:] - reach, weights @ values[3:] + reach), abs=1e-4
    )


def test_without_violations_the_interval_is_the_usual_one():
    values, cov = np.array([0.1, 0.2, 1.0]), np.diag([0.1, 0.1, 0.04])
    low, high = relative_interval(values, cov, 2, np.ones(1), 0.0, level=0.9)
    half = norm.ppf(0.95) * 0.2
    assert (low, high) == pytest.approx((1 - half, 1 + half))


@pytest.mark.parametrize(
    "delta_pre", [(0.0, 0.0, 0.0), (0.6, 0.6, 0.6), (0.0, 0.0, 0.3), (0.1, -0.1, 0.1)]
)
def test_coverage_where_the_violation_is_as_large_as_allowed(delta_pre):
    """True effects zero, trends that part by Mbar times the largest step before treatment."""
    delta_pre, mbar, rng = np.array(delta_pre), 1.0, np.random.default_rng(3)
    v = np.abs(np.diff(np.append(delta_pre, 0.0))).max()
    delta = np.concatenate([delta_pre, mbar * v * np.arange(1, 3)])
    a = rng.normal(size=(5, 5)) / 5
    cov = a @ a.T + 0.01 * np.eye(5)
    weights, hit = np.array([0.5, 0.5]), []
    for draw in rng.multivariate_normal(delta, cov, 600):
        low, high = relative_interval(draw, cov, 3, weights, mbar)
        hit.append(low <= 0 <= high)
    assert np.mean(hit) >= 0.95 - 2.6 * np.sqrt(0.95 * 0.05 / 600)


def test_the_interval_grows_with_the_bound_and_breakdown_is_where_it_meets_zero():
    values, cov = np.array([0.02, 0.01, 0.3, 0.5]), 0.002 * np.eye(4)
    weights = np.full(2, 0.5)
    ends = [relative_interval(values, cov, 2, weights, m) for m in (0.5, 1, 2, 4)]
    assert np.all(np.diff(ends, axis=0)[:, 0] < 0)
    assert np.all(np.diff(ends, axis=0)[:, 1] > 0)
    found = breakdown_mbar(values, cov, 2, weights)
    below, above = (relative_interval(values, cov, 2, weights, found + e)[0] for e in (-0.02, 0.01))
    assert above <= 0 < below


def test_the_bound_where_an_interval_begins_to_hold_zero():
    assert smallest_bound(lambda m: (0.3 - m, 1.0), 1.0) == pytest.approx(0.3, abs=1e-3)
    assert smallest_bound(lambda m: (-1.0, m - 0.4), 1.0) == pytest.approx(0.4, abs=1e-3)
    assert smallest_bound(lambda m: (-1.0, 1.0), 1.0) == 0.0
    assert smallest_bound(lambda m: (1.0, 2.0), 1.0) == np.inf


def test_smoothness_is_the_interval_of_the_library():
    pytest.importorskip("diff_diff")
    rng = np.random.default_rng(0)
    a = rng.normal(size=(5, 5))
    values, cov = 0.3 * rng.normal(size=5), a @ a.T / 50 + 0.01 * np.eye(5)
    weights = rng.dirichlet(np.ones(2))
    path = SmoothnessPath.of(values, cov, 3, weights)
    for m in (0.0, 0.05):
        theirs = honest_interval(values, cov, 3, weights, m)
        assert path.interval(m) == pytest.approx(theirs, abs=1e-3)
        assert np.diff(path.interval(m)) <= np.diff(theirs) + 1e-4


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.0, 1.0), (1.0, -1.0)])
def test_bias_of_every_estimator_on_the_path_is_that_of_a_linear_programme(weights):
    """max v' delta over paths whose bends are at most 1, by their bends and a line."""
    weights, n_pre = np.array(weights), 4
    rng = np.random.default_rng(5)
    a = rng.normal(size=(6, 6))
    path = SmoothnessPath.of(rng.normal(size=6), a @ a.T, n_pre, weights)
    # delta at -5..-2, 0, 1 from the bends at -4..0 and a line through the reference.
    times = np.array([-5, -4, -3, -2, 0, 1])
    knots = np.arange(-4, 1)
    grown = np.where(
        knots >= -1,
        np.maximum(times[:, None] - knots, 0.0),
        np.maximum(knots - times[:, None], 0.0),
    )
    for u in (np.zeros(3), np.array([0.3, -0.2, 0.5])):
        v = _direction(u, n_pre, weights)
        assert v @ (times + 1) == pytest.approx(0.0, abs=1e-12)
        least = np.abs(v @ grown).sum()
        expected = np.abs(u).sum() + path.bias.min()
        assert least == pytest.approx(expected)


def _direction(u, n_pre, weights):
    """Weights of beta in theta(u)."""
    steps = np.diff(np.eye(n_pre + 1), axis=0)[:, :n_pre]
    lam = np.arange(1, len(weights) + 1) @ weights
    return np.concatenate([-lam * steps[-1] + u @ np.diff(steps, axis=0), weights])


def test_quantile_of_the_folded_normal():
    t = np.array([0.0, 0.5, 3.0])
    c = folded_quantile(t, 0.95)
    assert norm.cdf(c - t) - norm.cdf(-c - t) == pytest.approx(0.95, abs=1e-9)


def test_smoothness_covers_where_trends_bend_as_much_as_allowed():
    rng, m = np.random.default_rng(4), 0.2
    times = np.array([-5, -4, -3, -2, 0, 1])
    delta = 0.3 * (times + 1) + m * np.where(times >= 0, (times + 1) * (times + 2) / 2, 0.0)
    a = rng.normal(size=(6, 6)) / 5
    cov, hit = a @ a.T + 0.01 * np.eye(6), []
    for draw in rng.multivariate_normal(delta, cov, 250):
        low, high = SmoothnessPath.of(draw, cov, 4, np.full(2, 0.5)).interval(m)
        hit.append(low <= 0 <= high)
    assert np.mean(hit) >= 0.95 - 2.6 * np.sqrt(0.95 * 0.05 / 250)


def test_record_and_words_of_a_robust_effect():
    values = np.array([0.01, -0.01, 1.0, 1.2])
    found = honest_did(study(values, 1e-5 * np.eye(4), 2))
    assert found.average == pytest.approx(1.1)
    assert found.largest_step == pytest.approx(0.02)
    assert found.largest_bend == pytest.approx(0.03)
    assert np.isinf(found.breakdown_mbar)
    assert "10 times the largest step" in found.words
    assert found.to_dict()["breakdown_mbar"] is None
    assert set(found.frame()["restriction"]) == {"relative magnitudes", "smoothness"}


def test_words_where_there_is_no_conclusion_and_where_a_line_is_enough():
    nothing = honest_did(study(np.array([0.0, 0.1, 0.1]), np.eye(3), 2))
    assert "no conclusion" in nothing.words
    line = honest_did(study(0.1 * np.array([-2.0, -1.0, 1.0, 2.0]), 1e-3 * np.eye(4), 2))
    assert line.breakdown_m == 0
    assert "A linear difference in trends, extrapolated, is enough" in line.words
