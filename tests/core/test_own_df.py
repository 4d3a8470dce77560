"""Estimates whose entries have degrees of freedom of their own."""

import numpy as np
import pytest
from scipy import stats

from causal_ddpm.core.combine import combine_estimates
from causal_ddpm.core.estimate import Estimate, influence_covariance


def estimate(df, p=3, n=400):
    influence = np.random.default_rng(0).normal(size=(n, p)) * np.arange(1, p + 1)
    return Estimate(
        values=np.arange(p, dtype=float), cov=influence_covariance(influence),
        labels=tuple("abc"[:p]), influence=influence, row_ids=np.arange(n), fingerprint="f",
        estimand="e", population="p", method="m", n=n, df=df,
    )  # fmt: skip


OWN = np.array([3.0, 10.0, 50.0])


def test_each_interval_has_its_own_quantile():
    e = estimate(OWN)
    low, high = e.interval(0.9)
    np.testing.assert_allclose((high - low) / 2, stats.t.ppf(0.95, OWN) * e.std_error)
    p = e.test()["p_value"]
    np.testing.assert_allclose(p, 2 * stats.t.sf(np.abs(e.values / e.std_error), OWN))


def test_equal_entries_are_as_good_as_one_number():
    one, many = estimate(10.0), estimate(np.full(3, 10.0))
    for simultaneous in (False, True):
        a, b = one.interval(simultaneous=simultaneous), many.interval(simultaneous=simultaneous)
        np.testing.assert_allclose(a, b, rtol=0.02)  # simulated, other draws
    close = one.test(adjust="max-t")["p_adjusted"] - many.test(adjust="max-t")["p_adjusted"]
    assert np.abs(close).max() < 0.02


def test_simultaneous_intervals_hold_the_single_ones_at_one_p_value():
    e = estimate(OWN)
    single, joint = e.interval(), e.interval(simultaneous=True)
    assert (joint[0] < single[0]).all()
    assert (joint[1] > single[1]).all()
    reach = (joint[1] - e.values) / e.std_error
    p = 2 * stats.t.sf(reach, OWN)
    np.testing.assert_allclose(p, p[0])
    assert 0.05 / 3 < p[0] < 0.05


def test_combinations_take_the_least_and_the_record_comes_back():
    e = estimate(OWN)
    np.testing.assert_array_equal(e.contrast([[0, 1, -1], [1, 0, 0]]).df, [10, 3])
    assert combine_estimates([e, estimate(5.0)], labels=list("uvwxyz")).df == 3
    np.testing.assert_array_equal(Estimate.from_dict(e.to_dict()).df, OWN)


@pytest.mark.parametrize("adjust", ["holm", "benjamini-hochberg", "max-t", "romano-wolf"])
def test_adjusted_p_values_are_no_smaller(adjust):
    table = estimate(OWN).test(adjust=adjust)
    assert (table["p_adjusted"] >= table["p_value"] - 1e-12).all()
