"""Laws of levels and of whole numbers against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from causal_ddpm.core.discrete import DiscreteLaw, LatticeLaw, RowLaw
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.core.errors import DataError

RNG = np.random.default_rng(0)
SEEDS = st.integers(0, 10_000)


def dequantised(probabilities: np.ndarray, n_nodes: int = 4000, high: float = np.inf) -> LatticeLaw:
    """The law of Y + U for Y on 0, 1, .. with the given table, by its exact quantile function."""
    steps = np.hstack([np.zeros((len(probabilities), 1)), np.cumsum(probabilities, axis=1)])
    edges = np.arange(steps.shape[1]) - 0.5
    u = mid_levels(n_nodes)
    nodes = np.stack([np.interp(u, row, edges) for row in steps])
    return LatticeLaw(ConditionalLaw(nodes, support=(-0.5, high + 0.5)), 0.0, high)


def random_law(seed: int, kind: str) -> RowLaw:
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.ones(5), size=3)
    if kind == "table":
        return DiscreteLaw(np.sort(rng.choice(50, 5, replace=False)) - 20.0, table)
    if kind == "bounded lattice":
        return dequantised(table, 64, high=4.0)
    if kind == "raw lattice":
        nodes = np.sort(rng.normal(2, 4, size=(3, 32)), axis=1)
        return LatticeLaw(ConditionalLaw(nodes, support=(-0.5, np.inf)), 0.0, np.inf)
    if kind == "zeros apart":
        nodes = np.sort(0.5 + rng.exponential(4, size=(3, 32)), axis=1)
        smooth = ConditionalLaw(nodes, 0.0, rng.random(3), (0.5, np.inf))
        return LatticeLaw(smooth, 0.0, np.inf)
    nodes = np.sort(rng.normal(0, 3, size=(3, 32)), axis=1)
    if kind == "atom":
        return ConditionalLaw(nodes, 0.5, rng.random(3))
    return ConditionalLaw(nodes)


SEPARATE = ("table", "bounded lattice", "raw lattice", "zeros apart")
KINDS = (*SEPARATE, "atom", "continuous")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_every_law_is_a_law(kind, seed):
    """Draws give ranks that give the draws back; F rises from 0 to 1; quantiles invert it."""
    law, rng = random_law(seed, kind), np.random.default_rng(seed + 1)
    assert isinstance(law, RowLaw)
    for y in law.sample(8, rng).T:
        rank = law.rank(y, rng)
        assert ((rank >= 0) & (rank <= 1)).all()
        np.testing.assert_allclose(law.inverse(rank[:, None])[:, 0], y, atol=1e-6)
    grid = np.linspace(-60, 60, 121)
    steps = law.cdf(grid)
    assert (np.diff(steps, axis=1) >= -1e-12).all()
    np.testing.assert_allclose(steps[:, [0, -1]], [[0, 1]] * 3, atol=1e-12)
    u = np.array([0.05, 0.3, 0.9])
    at = law.cdf(law.quantile(u))
    assert (at >= u - 1e-9).all()
    np.testing.assert_array_equal(law.rows(np.array([2, 0])).quantile(u), law.quantile(u)[[2, 0]])


@pytest.mark.parametrize("kind", SEPARATE)
@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_mean_is_the_sum_of_values_and_probabilities(kind, seed):
    law = random_law(seed, kind)
    values = np.arange(-60.0, 60.0)
    p = law.probability(values)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(law.mean(), p @ values, atol=1e-8)
    assert (law.probability([0.5]) == 0).all()


def test_the_lattice_recovers_poisson_laws():
    rates = np.array([0.2, 1.0, 4.5])
    k = np.arange(40)
    law = dequantised(stats.poisson.pmf(k, rates[:, None]))
    np.testing.assert_allclose(law.cdf(k), stats.poisson.cdf(k, rates[:, None]), atol=5e-4)
    np.testing.assert_allclose(law.mean(), rates, atol=2e-3)
    draws = law.sample(4000, RNG)
    assert draws.min() == 0
    assert (draws == np.round(draws)).all()
    np.testing.assert_allclose(draws.var(axis=1), rates, rtol=0.12)
    np.testing.assert_allclose(law.cdf([2.7]), law.cdf([2.0]))
    assert (law.cdf([-0.2]) == 0).all()


def test_nodes_on_one_value_are_a_point_mass():
    law = LatticeLaw(ConditionalLaw(np.full((2, 8), -0.5), support=(-0.5, 9.5)), 0.0, 9.0)
    np.testing.assert_array_equal(law.mean(), 0.0)
    np.testing.assert_array_equal(law.cdf([-1.0, 0.0]), [[0, 1]] * 2)
    assert (law.sample(50, RNG) == 0).all()


def test_a_bounded_lattice_gives_a_table():
    table = RNG.dirichlet(np.ones(4), size=6)
    law = dequantised(table, high=3.0)
    np.testing.assert_allclose(law.table(4), table, atol=5e-4)
    np.testing.assert_allclose(law.table(4).sum(axis=1), 1.0)


def test_samples_of_a_table_come_at_their_rates():
    law = DiscreteLaw(np.array([1.0, 2.0, 5.0]), np.array([[0.2, 0.5, 0.3], [0.0, 0.0, 1.0]]))
    draws = law.sample(20_000, RNG)
    shares = np.stack([(draws == v).mean(axis=1) for v in law.values], axis=1)
    np.testing.assert_allclose(shares, law.probabilities, atol=0.015)
    np.testing.assert_allclose(law.mean(), [2.7, 5.0])


@pytest.mark.parametrize("ask", ["mean", "cdf", "quantile", "rank"])
def test_levels_without_an_order_have_probabilities_only(ask):
    law = DiscreteLaw(np.arange(3.0), np.full((2, 3), 1 / 3), ordered=False)
    arguments = {"mean": (), "cdf": ([1.0],), "quantile": ([0.5],), "rank": (np.zeros(2), RNG)}
    with pytest.raises(DataError, match="no order"):
        getattr(law, ask)(*arguments[ask])
    assert set(np.unique(law.sample(100, RNG))) == {0.0, 1.0, 2.0}


def test_separate_values_have_no_density():
    for law in (DiscreteLaw(np.arange(2.0), np.full((1, 2), 0.5)), dequantised(np.ones((1, 1)))):
        with pytest.raises(DataError, match="density"):
            law.density([0.0])


def test_zero_has_no_sign():
    law = LatticeLaw(ConditionalLaw(np.full((1, 4), -0.2), support=(-0.5, 9.5)), 0.0, 9.0)
    drawn = law.sample(3, np.random.default_rng(0))
    assert not np.signbit(drawn).any()
