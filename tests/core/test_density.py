"""Densities by change of variables against the densities of mixtures."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.special import ndtri
from scipy.stats import norm

from causal_ddpm.core.density import map_density
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.core.errors import DataError

LAWS = {
    "bimodal": ([0.3, 0.7], [-1.3, 0.557], [0.35, 0.5]),
    "shallow": ([0.5, 0.5], [-0.9, 0.9], [0.44, 0.44]),
    "skewed": ([0.2, 0.5, 0.3], [-0.5, 0.0, 2.0], [0.3, 0.5, 1.0]),
    "gaussian": ([1.0], [0.4], [0.8]),
}
GRID = np.linspace(-7, 9, 4001)
Z = 1.6 * ndtri(mid_levels(128))


def density(law, v):
    w, m, s = map(np.array, law)
    return (w * norm.pdf((v[:, None] - m) / s) / s).sum(1)


def quantiles(law, u):
    w, m, s = map(np.array, law)
    low, high = np.full(len(u), -15.0), np.full(len(u), 15.0)
    for _ in range(80):
        middle = (low + high) / 2
        below = (w * norm.cdf((middle[:, None] - m) / s)).sum(1) < u
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def n_modes(p):
    return int((np.diff(np.sign(np.diff(p))) < 0).sum())


@pytest.mark.parametrize("name", LAWS)
def test_mixture_density_is_recovered(name):
    truth = density(LAWS[name], GRID)
    p = map_density(Z, quantiles(LAWS[name], norm.cdf(Z))[None], GRID)[0]
    assert np.abs(p - truth).max() < 0.005 * truth.max()
    assert np.trapezoid(p, GRID) == pytest.approx(1.0, abs=1e-4)
    assert n_modes(p) == n_modes(truth)


def test_modes_twenty_deviations_apart_stay_apart():
    law = ([0.5, 0.5], [-1.0, 1.0], [0.1, 0.1])
    truth = density(law, GRID)
    p = map_density(Z, quantiles(law, norm.cdf(Z))[None], GRID)[0]
    assert np.trapezoid(np.abs(p - truth), GRID) < 0.03
    assert p[np.abs(GRID) < 0.5].max() < 0.02
    assert np.trapezoid(p, GRID) == pytest.approx(1.0, abs=2e-3)


@given(st.floats(-50, 50), st.floats(0.01, 100))
def test_shift_and_scale(shift, scale):
    """The density of a + b v is that of v, moved and divided by b."""
    q = quantiles(LAWS["bimodal"], norm.cdf(Z))
    v = np.linspace(-2, 2, 17)
    moved = map_density(Z, (shift + scale * q)[None], shift + scale * v)
    np.testing.assert_allclose(moved * scale, map_density(Z, q[None], v), rtol=1e-4, atol=1e-6)


@given(st.lists(st.floats(0, 3), min_size=2, max_size=24), st.integers(0, 9))
def test_any_rising_nodes_give_a_density(steps, seed):
    """Finite, not negative, and integrating to one minus the mass of equal nodes."""
    q = np.cumsum(np.where(np.array(steps) < 0.01, 0.0, steps))[None]
    z = np.sort(np.random.default_rng(seed).standard_normal(q.shape[1]) * 1.5)
    z += 0.05 * np.arange(len(z))
    grid = np.linspace(q.min() - 40, q.max() + 40, 40_001)
    p = map_density(z, q, grid)
    assert np.isfinite(p).all()
    assert (p >= 0).all()
    assert np.trapezoid(p[0], grid) < 1.1


def test_rows_have_their_own_maps_and_points():
    q = np.stack([Z, 2 * Z + 1])
    v = np.array([[0.0, 0.3], [1.0, -1.0]])
    expected = np.stack([norm.pdf(v[0]), norm.pdf(v[1], 1, 2)])
    np.testing.assert_allclose(map_density(Z, q, v), expected, rtol=1e-9)


def test_equal_nodes_have_no_density():
    q = np.stack([np.maximum(Z, 0.0), np.zeros(128)])
    grid = np.linspace(-3, 6, 9001)
    p = map_density(Z, q, grid)
    assert np.trapezoid(p[0], grid) == pytest.approx(0.5, abs=0.02)
    assert not p[1].any()


def test_law_with_an_atom():
    u = mid_levels(128)
    law = ConditionalLaw(
        np.stack([ndtri(u), 3 + ndtri(u)]), 0.0, np.array([0.25, 0.5]), (-1.0, 9.0)
    )
    grid = np.array([-2.0, 0.5, 3.0])
    expected = np.array([[0, 0.75 * norm.pdf(0.5), 0.75 * norm.pdf(3)],
                         [0, 0.5 * norm.pdf(2.5), 0.5 * norm.pdf(0)]])  # fmt: skip
    np.testing.assert_allclose(law.density(grid), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ConditionalLaw(np.zeros((2, 1))).density([0.0]), "nodes of shape"),
        (lambda: map_density(Z, Z[None], [np.nan]), "missing or infinite"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(DataError, match=words):
        call()
