"""ConditionalLaw against closed forms."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from causal_ddpm.core.distribution import ConditionalLaw, mid_levels

RNG = np.random.default_rng(0)


def normal_law(means: np.ndarray, n_nodes: int = 256) -> ConditionalLaw:
    return ConditionalLaw(means[:, None] + stats.norm.ppf(mid_levels(n_nodes))[None, :])


@pytest.fixture
def earnings() -> ConditionalLaw:
    """An atom at zero and a uniform law on [1, 2]."""
    nodes = np.tile(1 + mid_levels(64), (3, 1))
    return ConditionalLaw(nodes, 0.0, np.array([0.2, 0.5, 0.9]), (1.0, 2.0))


def test_cdf_and_quantile_match_the_normal_law():
    law = normal_law(np.array([-1.0, 0.0, 2.0]))
    grid = np.linspace(-2, 3, 11)
    expected = stats.norm.cdf(grid[None, :] - np.array([[-1.0], [0.0], [2.0]]))
    np.testing.assert_allclose(law.cdf(grid), expected, atol=2e-3)
    np.testing.assert_allclose(law.quantile([0.5])[:, 0], [-1.0, 0.0, 2.0], atol=1e-9)
    np.testing.assert_allclose(law.quantile([0.1, 0.9])[1], stats.norm.ppf([0.1, 0.9]), atol=2e-3)


def test_mean_is_the_mixture_of_atom_and_continuous_part(earnings):
    np.testing.assert_allclose(earnings.mean(), (1 - earnings.atom_probability) * 1.5)


def test_atom_makes_a_jump_of_its_probability(earnings):
    below, at = earnings.cdf([-1e-9, 0.0]).T
    np.testing.assert_allclose(below, 0.0)
    np.testing.assert_allclose(at, earnings.atom_probability)


def test_samples_stay_in_the_support_and_hit_the_atom_at_its_rate(earnings):
    draws = earnings.sample(20_000, np.random.default_rng(1))
    on = draws == 0.0
    assert ((draws[~on] >= 1.0) & (draws[~on] <= 2.0)).all()
    np.testing.assert_allclose(on.mean(axis=1), earnings.atom_probability, atol=0.015)


def test_interior_atom_keeps_the_order_of_levels():
    nodes = np.tile(stats.norm.ppf(mid_levels(256)), (1, 1))
    law = ConditionalLaw(nodes, 0.0, np.array([0.4]))
    u = np.linspace(0.01, 0.99, 99)
    q = law.quantile(u)[0]
    assert (np.diff(q) >= 0).all()
    assert (q[(u > 0.31) & (u < 0.69)] == 0.0).all()
    np.testing.assert_allclose(law.cdf(q[:25])[0], u[:25], atol=5e-3)


@given(st.floats(-3, 3), st.floats(0.05, 0.95))
def test_rank_and_inverse_are_inverse(y, p):
    nodes = 2.0 * stats.norm.ppf(mid_levels(128))[None, :]
    law = ConditionalLaw(nodes, 0.5, np.array([p]))
    for outcome in (y, 0.5):
        rank = law.rank(np.array([outcome]), np.random.default_rng(0))
        np.testing.assert_allclose(law.inverse(rank[:, None])[0, 0], outcome, atol=1e-6)


def test_point_mass_is_a_step():
    law = ConditionalLaw(np.full((2, 8), 1.0), 0.0, np.array([0.25, 0.5]), (1.0, 1.0))
    np.testing.assert_allclose(
        law.cdf([-1.0, 0.0, 0.99, 1.0]), [[0, 0.25, 0.25, 1], [0, 0.5, 0.5, 1]]
    )
    assert set(np.unique(law.sample(500, RNG))) == {0.0, 1.0}


def test_a_grid_of_each_row_reads_the_same_distribution_function(earnings):
    grid = np.array([-1.0, 0.0, 1.3, 1.8, 2.5])
    own = grid + np.array([[0.0], [0.1], [0.2]])
    expected = [earnings.rows([i]).cdf(own[i])[0] for i in range(3)]
    np.testing.assert_array_equal(earnings.cdf(own), expected)
