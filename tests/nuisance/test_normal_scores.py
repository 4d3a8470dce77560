"""The map of a heavy-tailed outcome to normal scores, against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats
from scipy.special import ndtri

from causal_ddpm.core.distribution import mid_levels
from causal_ddpm.nuisance.normal_scores import fit_normal_scores

SEEDS = st.integers(0, 5000)


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.sampled_from([stats.lognorm(1.5), stats.t(2.5), stats.pareto(2), stats.norm()]))
def test_the_map_increases_and_its_inverse_undoes_it(seed, law):
    rng = np.random.default_rng(seed)
    y = law.rvs(300, random_state=rng)
    scores = fit_normal_scores(y)
    lowest = 0.9 * y.min() if y.min() >= 0 else y.min() - np.ptp(y) * 0.01
    grid = np.sort(np.concatenate([y, [lowest, y.max() + np.ptp(y) * 0.01]]))
    z = scores(grid)
    assert (np.diff(z) >= 0).all()
    np.testing.assert_allclose(scores.inverse(z), grid, rtol=1e-6, atol=1e-9 * np.ptp(y))
    ends = scores.inverse(np.array([-50.0, 50.0]))
    assert np.isfinite(ends).all()
    assert (ends[0] >= -1e-9 * np.ptp(y)) == (y.min() >= 0)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.floats(0.01, 1000), st.floats(-1000, 1000))
def test_scores_do_not_depend_on_the_unit(seed, scale, shift):
    y = np.random.default_rng(seed).standard_t(3, size=200)
    np.testing.assert_allclose(
        fit_normal_scores(shift + scale * y)(shift + scale * y), fit_normal_scores(y)(y), atol=1e-5
    )


def test_scores_of_a_large_sample_are_normal():
    y = np.random.default_rng(0).lognormal(0, 1.5, 20_000)
    assert stats.kstest(fit_normal_scores(y)(y), "norm").statistic < 0.012


def test_nodes_carry_the_mean_of_a_log_normal_law_back():
    """Mid-quantiles lose 11 % of it; the mean of each slice does not."""
    exact = np.exp(1.5 * ndtri(mid_levels(100_000)))
    scores = fit_normal_scores(exact)
    z = ndtri(mid_levels(32))[None, :]
    assert scores.outcome_nodes(z).mean() == pytest.approx(np.exp(1.125), rel=0.04)
    assert scores.inverse(z).mean() < 0.92 * np.exp(1.125)
    nodes = scores.outcome_nodes(z)[0]
    np.testing.assert_allclose(nodes[8:24], scores.inverse(z)[0, 8:24], rtol=0.02)
    assert (np.diff(nodes) > 0).all()


def test_ties_and_tiny_samples_give_a_finite_map():
    for y in (np.r_[np.zeros(30), 1.0, 5.0], np.array([1.0, 2.0]), np.r_[np.ones(99), 3.0]):
        scores = fit_normal_scores(y)
        assert np.isfinite(scores(y)).all()
        assert np.isfinite(scores.inverse(np.linspace(-8, 8, 9))).all()


def test_weights_count_rows():
    rng = np.random.default_rng(3)
    y, w = rng.lognormal(size=2000), rng.integers(1, 4, 2000).astype(float)
    weighted, repeated = fit_normal_scores(y, w), fit_normal_scores(np.repeat(y, w.astype(int)))
    z = np.linspace(-2, 2, 21)
    np.testing.assert_allclose(weighted(repeated.inverse(z)), z, atol=0.06)
