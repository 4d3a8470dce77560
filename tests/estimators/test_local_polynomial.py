"""Local polynomial regression against least squares by statsmodels, and its bandwidth."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.integrate import quad

from causal_ddpm.estimators.local_polynomial import (
    CONSTANTS,
    central_quantiles,
    local_fit,
    reaching,
    rule_of_thumb,
)

AT = np.array([-0.8, 0.1, 0.9])


def _points(n=300, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.uniform(-1, 1, n)
    return a, np.sin(3 * a) + 0.3 * rng.normal(size=n), rng.integers(0, 4, n).astype(float)


@pytest.mark.parametrize(("order", "derivative"), [(1, 0), (2, 0), (2, 1), (3, 1)])
def test_fit_is_weighted_least_squares(order, derivative):
    a, z, w = _points()
    h = np.array([0.4, 0.5, 0.6])
    fit = local_fit(a, z, w, AT, h, order, derivative)
    for g, at in enumerate(AT):
        kernel = 0.75 * np.maximum(1 - ((a - at) / h[g]) ** 2, 0)
        powers = (a - at)[:, None] ** np.arange(order + 1)
        reference = sm.WLS(z, powers, weights=w * kernel).fit()
        assert fit.weights[g] @ (w * z) == pytest.approx(reference.params[derivative], abs=1e-10)
        near = kernel > 0
        np.testing.assert_allclose(fit.fitted[g, near], reference.fittedvalues[near], atol=1e-10)
        hat = (reference.model.wexog * reference.model.pinv_wexog.T).sum(axis=1)
        np.testing.assert_allclose((w * fit.leverage[g])[near], hat[near], atol=1e-10)


def test_polynomials_of_the_order_are_reproduced():
    a, _, w = _points()
    cubic = 1 + a - 2 * a**2 + 3 * a**3
    bandwidths = np.full(3, 0.5)
    level = local_fit(a, cubic, w, AT, bandwidths, 3, 0).weights @ (w * cubic)
    slope = local_fit(a, cubic, w, AT, bandwidths, 3, 1).weights @ (w * cubic)
    np.testing.assert_allclose(level, 1 + AT - 2 * AT**2 + 3 * AT**3, atol=1e-10)
    np.testing.assert_allclose(slope, 1 - 4 * AT + 9 * AT**2, atol=1e-9)


@pytest.mark.parametrize(("derivative", "order"), list(CONSTANTS))
def test_constants_are_those_of_the_epanechnikov_kernel(derivative, order):
    moments = np.array([quad(lambda u, j=j: 0.75 * (1 - u**2) * u**j, -1, 1)[0] for j in range(9)])
    s = moments[np.add.outer(np.arange(order + 1), np.arange(order + 1))]
    row = np.linalg.inv(s)[derivative]

    def kernel(u):
        return 0.75 * (1 - u**2) * np.polyval(row[::-1], u)

    roughness = quad(lambda u: kernel(u) ** 2, -1, 1)[0]
    bias = quad(lambda u: kernel(u) * u ** (order + 1), -1, 1)[0]
    factorial = np.prod(np.arange(1, order + 2)) ** 2
    c = factorial * (2 * derivative + 1) * roughness / (2 * (order + 1 - derivative) * bias**2)
    assert CONSTANTS[derivative, order] == pytest.approx(c ** (1 / (2 * order + 3)), abs=1e-3)


def test_bandwidth_follows_the_units_and_shrinks_with_the_rows():
    a, z, _ = _points(4000)
    one = np.ones(len(a))
    h = rule_of_thumb(a, z, one, 1, 0)
    assert rule_of_thumb(7 * a + 2, 100 * z, one, 1, 0) == pytest.approx(7 * h)
    few = rule_of_thumb(a[:250], z[:250], one[:250], 1, 0)
    assert few / h == pytest.approx(16**0.2, rel=0.15)
    # doubling the noise sd multiplies h by 4^(1/5)
    noisy = np.sin(3 * a) + 2 * (z - np.sin(3 * a))
    assert rule_of_thumb(a, noisy, one, 1, 0) / h == pytest.approx(4**0.2, rel=0.05)


def test_bandwidth_counts_weighted_rows():
    a, z, w = _points()
    index = np.repeat(np.arange(len(a)), w.astype(int))
    copies = rule_of_thumb(a[index], z[index], np.ones(len(index)), 2, 1)
    assert rule_of_thumb(a, z, w, 2, 1) == pytest.approx(copies, rel=1e-10)


def test_a_straight_line_takes_half_the_range():
    a, _, w = _points()
    assert rule_of_thumb(a, 2 * a, w, 1, 0) <= np.ptp(a) / 2


def test_distance_that_reaches_enough_rows():
    a, counts = np.array([0.0, 1.0, 2.0, 5.0]), np.array([1.0, 3.0, 1.0, 1.0])
    np.testing.assert_allclose(reaching(a, counts, np.array([0.0, 5.0]), 4), [1.0, 4.0])
    np.testing.assert_allclose(reaching(a, counts, np.array([0.0]), 100), [5.0])


def test_central_quantiles_count_weights():
    a, _, w = _points()
    copies = np.repeat(a, w.astype(int))
    assert central_quantiles(a, w) == central_quantiles(copies, np.ones(len(copies)))
