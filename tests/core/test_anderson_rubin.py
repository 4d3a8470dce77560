"""Anderson-Rubin sets: the published one, and projections against brute force."""

import numpy as np
import pytest
from scipy import stats

from causal_ddpm.baselines import anderson_rubin as public
from causal_ddpm.core.anderson_rubin import anderson_rubin_set, projected_anderson_rubin_set


@pytest.fixture
def numbers():
    rng = np.random.default_rng(3)
    z = rng.normal(size=(300, 3))
    v = rng.normal(size=(300, 2))
    d = z[:, :2] + 0.3 * z[:, [2]] + v
    y = d @ [1.0, -0.5] + 0.6 * v[:, 0] + rng.normal(size=300)
    return y, d, z, np.ones((300, 1))


def test_the_old_name_is_the_same_function():
    assert public.anderson_rubin_set is anderson_rubin_set


def test_a_projection_of_one_coefficient_is_the_set_itself(numbers):
    y, d, z, one = numbers
    plain = anderson_rubin_set(y, d[:, 0], z, one)
    projected = projected_anderson_rubin_set(y, d[:, :1], z, one, np.ones(1))
    np.testing.assert_allclose(projected.intervals, plain.intervals)


@pytest.mark.parametrize("subset", [False, True])
def test_a_projection_is_what_some_value_of_the_rest_is_not_rejected_at(numbers, subset):
    y, d, z, one = numbers
    combination = np.array([1.0, 2.0])
    ((low, high),) = projected_anderson_rubin_set(
        y, d, z, one, combination, subset=subset
    ).intervals

    def least(theta):
        b2 = np.linspace(-3, 3, 4001)
        b1 = theta - 2 * b2
        e = (y - y.mean())[:, None] - (d - d.mean(axis=0)) @ np.stack([b1, b2])
        q, _ = np.linalg.qr(z - z.mean(axis=0))
        explained = ((q.T @ e) ** 2).sum(axis=0)
        df = 2 if subset else 3
        return (explained / ((e**2).sum(axis=0) - explained) * 296 / df).min()

    df = 2 if subset else 3
    bound = stats.f.ppf(0.95, df, 296)
    for end in (low, high):
        assert least(end) == pytest.approx(bound, rel=1e-3)
    assert least((low + high) / 2) < bound
    assert low < 0.0 < high


def test_instruments_that_say_nothing_bound_nothing(numbers):
    y, d, _, one = numbers
    noise = np.random.default_rng(9).normal(size=(300, 3))
    found = projected_anderson_rubin_set(y, d, noise, one, np.array([1.0, 0.0]))
    assert str(found) == "the whole line"
