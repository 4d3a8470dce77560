"""Adjusted p-values: against their definitions, each other, and the share of false alarms."""

import numpy as np
import pytest
from scipy import stats

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import Estimate, influence_covariance
from causal_ddpm.core.multiplicity import adjusted_p_values, null_draws

METHODS = ("holm", "benjamini-hochberg", "max-t", "romano-wolf")
JOINT = ("max-t", "romano-wolf")


def _estimate(t, correlation=0.0, n=400, **fields):
    """An estimate whose t statistics are ``t``."""
    rng = np.random.default_rng(0)
    p = len(t)
    psi = np.sqrt(correlation) * rng.normal(size=(n, 1))
    psi = psi + np.sqrt(1 - correlation) * rng.normal(size=(n, p))
    psi -= psi.mean(axis=0)
    cov = influence_covariance(psi)
    defaults = {
        "values": np.asarray(t) * np.sqrt(np.diag(cov)), "cov": cov,
        "labels": tuple(f"theta{j}" for j in range(p)), "influence": psi,
        "row_ids": np.arange(n), "fingerprint": "abc", "estimand": "GATE",
        "population": "all units", "method": "AIPW", "n": n,
    }  # fmt: skip
    return Estimate(**(defaults | fields))


def _adjusted(estimate, method):
    return estimate.test(adjust=method)["p_adjusted"].to_numpy()


def test_holm_and_benjamini_hochberg_are_the_textbook_ones():
    estimate = _estimate([3.0, 2.2, 2.0, 0.3])
    p = estimate.test()["p_value"].to_numpy()
    np.testing.assert_allclose(
        _adjusted(estimate, "holm"), np.minimum(np.maximum.accumulate(p * [4, 3, 2, 1]), 1)
    )
    expected = np.minimum.accumulate((p * 4 / [1, 2, 3, 4])[::-1])[::-1]
    np.testing.assert_allclose(_adjusted(estimate, "benjamini-hochberg"), expected)


@pytest.mark.parametrize("df", [None, 12.0])
def test_max_t_agrees_with_the_simultaneous_intervals(df):
    estimate = _estimate([3.4, 2.45, 2.3, 0.3], correlation=0.6, df=df)
    p = _adjusted(estimate, "max-t")
    for level in (0.5, 0.8, 0.9, 0.95, 0.99):
        low, high = estimate.interval(level, simultaneous=True)
        outside = (low > 0) | (high < 0)
        np.testing.assert_array_equal(outside, p < 1 - level)


def test_independent_entries_have_the_product_law():
    t = np.array([2.6, 2.0, 1.0])
    estimate = _estimate(t, n=200_000)
    single = 2 * stats.norm.sf(t)
    np.testing.assert_allclose(_adjusted(estimate, "max-t"), 1 - (1 - single) ** 3, atol=0.01)
    stepped = 1 - (1 - single) ** np.array([3, 2, 1])
    np.testing.assert_allclose(_adjusted(estimate, "romano-wolf"), stepped, atol=0.01)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_adjusted_values_are_in_their_order(correlation):
    t = np.array([0.1, -2.9, 2.4, 1.9, -0.7])
    estimate = _estimate(t, correlation)
    single = estimate.test()["p_value"].to_numpy()
    holm, bh, max_t, stepped = (_adjusted(estimate, method) for method in METHODS)
    assert (single <= bh).all()
    assert (bh <= holm + 1e-12).all()
    assert (single <= stepped).all()
    assert (stepped <= max_t).all()
    assert (max_t <= np.minimum(1, 5 * single) + 0.01).all()
    order = np.argsort(-np.abs(t))
    for p in (holm, bh, max_t, stepped):
        assert (np.diff(p[order]) >= 0).all()
        assert (p <= 1).all()
    if correlation == 0.9:  # who knows the joint law need not pay five times
        assert max_t[1] < 0.7 * holm[1]


def test_one_question_needs_no_adjustment():
    estimate = _estimate([2.1])
    single = estimate.test()["p_value"].iloc[0]
    for method in METHODS:
        assert _adjusted(estimate, method)[0] == pytest.approx(single, abs=0.004)


def test_bootstrap_draws_are_the_null_law_where_there_are_some():
    draws = np.random.default_rng(1).normal(size=(999, 3)) * [1, 2, 3]
    cov = np.cov(draws, rowvar=False)
    estimate = _estimate([2.5, 1.0, 0.0], cov=cov, bootstrap=draws)
    t = null_draws(estimate.values, cov, None, draws)
    expected = np.abs(draws - estimate.values) / np.sqrt(np.diag(cov))
    np.testing.assert_allclose(t, expected)
    p = _adjusted(estimate, "max-t")
    size = np.abs(estimate.test()["statistic"].to_numpy())
    counted = [(1 + (expected.max(axis=1) >= s).sum()) / 1_000 for s in size]
    np.testing.assert_allclose(p, np.maximum(counted, estimate.test()["p_value"]))


def test_false_alarms_are_as_rare_as_promised():
    rng = np.random.default_rng(2)
    corr = 0.5 * np.eye(6) + 0.5
    draws = null_draws(np.zeros(6), corr, None, None)[:4_000]
    alarms, missed = dict.fromkeys(JOINT, 0), dict.fromkeys(JOINT, 0)
    n = 400
    for z in rng.multivariate_normal(np.zeros(6), corr, size=n):
        for method in JOINT:
            p = adjusted_p_values(z, 2 * stats.norm.sf(np.abs(z)), draws, method)
            alarms[method] += p.min() < 0.05
        t = z + np.array([4, 4, 4, 0, 0, 2.5])  # four effects: only the other two can be false
        for method in JOINT:
            p = adjusted_p_values(t, 2 * stats.norm.sf(np.abs(t)), draws, method)
            missed[method] += p[5] >= 0.05
    for method in JOINT:
        assert stats.binom.cdf(alarms[method], n, 0.05) < 0.999
        assert stats.binom.sf(alarms[method], n, 0.05) < 0.999
    assert alarms["max-t"] == alarms["romano-wolf"]  # the first step is the same
    assert missed["romano-wolf"] < missed["max-t"]


def test_entries_that_are_known_exactly_need_no_luck():
    estimate = _estimate(
        [0.0, 2.0, 0.0], cov=np.diag([0.0, 1.0, 0.0]), values=np.array([1, 2, 0.0])
    )
    table = estimate.test(adjust="romano-wolf")
    np.testing.assert_array_equal(table["statistic"], [np.inf, 2.0, 0.0])
    np.testing.assert_allclose(table["p_value"], [0, 2 * stats.norm.sf(2), 1])
    assert np.isfinite(table["p_adjusted"]).all()
    assert table["p_adjusted"].iloc[0] < 1e-4
    assert table["p_adjusted"].iloc[2] == 1.0


def test_each_entry_may_have_a_null_of_its_own():
    estimate = _estimate([3.0, 3.0])
    table = estimate.test([0.0, estimate.values[1]], adjust="holm")
    assert table["p_adjusted"].iloc[0] < 0.01
    assert table["p_adjusted"].iloc[1] == 1.0


def test_unknown_adjustments_are_refused():
    with pytest.raises(DataError, match=r"adjust is 'tukey'; expected 'holm' or 'benjamini-hoch"):
        _estimate([1.0]).test(adjust="tukey")
