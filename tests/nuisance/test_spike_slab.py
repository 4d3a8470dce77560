"""Spike-and-slab regression, and the learner of interactions that rests on it."""

import numpy as np
import pytest

from causal_ddpm.core.coding import all_cells
from causal_ddpm.core.errors import DataError
from causal_ddpm.dgp.factorial import FactorialModel
from causal_ddpm.nuisance.learners import SparseInteractions
from causal_ddpm.nuisance.spike_slab import fit_spike_slab


def orthogonal(n: int = 64, p: int = 10, seed: int = 0):
    """Centred orthogonal columns of length sqrt(n), with three coefficients."""
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(np.column_stack([np.ones(n), rng.normal(size=(n, p))]))
    f, theta = q[:, 1:] * np.sqrt(n), np.zeros(p)
    theta[:3] = [3.0, -2.0, 1.5]
    return f, theta, f @ theta + 5 + 0.5 * rng.normal(size=n)


def test_fixed_point_is_the_posterior_of_orthogonal_columns():
    f, _, y = orthogonal()
    n, groups = len(y), np.zeros(10, dtype=np.int64)
    fit = fit_spike_slab(f, y, groups)
    pi = (fit.inclusion.sum() + 1) / 12
    v = 1 / (n / fit.noise_variance + 1 / fit.slab_variance)
    mu = v / fit.noise_variance * (f.T @ y)
    log_odds = np.log(pi / (1 - pi)) + np.log(v / fit.slab_variance) / 2 + mu**2 / (2 * v)
    alpha = 1 / (1 + np.exp(-log_odds))
    np.testing.assert_allclose(fit.inclusion, alpha, atol=1e-3)
    np.testing.assert_allclose(fit.coef, alpha * mu, atol=1e-3)
    assert fit.intercept == pytest.approx(y.mean(), abs=1e-12)


def test_zeros_are_shrunk_and_large_coefficients_are_not():
    f, theta, y = orthogonal()
    fit = fit_spike_slab(f, y, np.zeros(10, dtype=np.int64))
    np.testing.assert_allclose(fit.coef[:3], theta[:3], atol=0.25)
    assert fit.inclusion[:3].min() > 0.99
    least_squares = f.T @ y / len(y)
    assert np.linalg.norm(fit.coef[3:]) < 0.6 * np.linalg.norm(least_squares[3:])


def test_whole_weights_count_rows():
    f, _, y = orthogonal()
    w = np.random.default_rng(1).integers(1, 4, len(y))
    groups = np.zeros(10, dtype=np.int64)
    weighted = fit_spike_slab(f, y, groups, w.astype(float))
    doubled = fit_spike_slab(f, y, groups, 2.0 * w)
    np.testing.assert_allclose(weighted.coef, doubled.coef, rtol=1e-10)
    assert not np.allclose(weighted.coef, fit_spike_slab(f, y, groups).coef)


def test_constant_columns_and_exact_fits_are_no_trouble():
    f, theta, _ = orthogonal()
    f[:, 9] = 0.0
    fit = fit_spike_slab(f, f @ theta, np.zeros(10, dtype=np.int64))
    np.testing.assert_allclose(fit.coef, theta, atol=1e-3)
    assert fit.coef[9] == 0


def learn(order: int = 2, centred: bool = False, draw: int = 5000):
    model = FactorialModel(1000, k=6, degree=2, sigma=1, sparsity=0.8, beta_seed=draw)
    t, y = model.sample(draw)
    x = np.where(t == 1, 2.5, -0.4)  # as an encoder leaves them: two values, no zeros and ones
    learner = SparseInteractions("sparse", order, centred)
    return model, t, y, learner.fit(x, np.zeros(1000, dtype=np.int64), y, None, 0)


@pytest.mark.parametrize("centred", [False, True])
def test_learner_finds_interactions_better_than_least_squares(centred):
    losses = []
    for draw in range(5000, 5006):
        model, t, y, fitted = learn(centred=centred, draw=draw)
        cells = all_cells(6)
        truth = model.xfm.transform(cells) @ model.beta
        x = model.xfm.transform(t)
        ols = model.xfm.transform(cells) @ np.linalg.lstsq(x, y, rcond=None)[0]
        mean = fitted.predict(np.where(cells == 1, 2.5, -0.4))[:, 0]
        losses.append([np.mean((mean - truth) ** 2), np.mean((ols - truth) ** 2)])
    sparse, ols = np.mean(losses, axis=0)
    assert sparse < 0.85 * ols


def test_other_columns_enter_without_products():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, 2, (400, 3)), rng.normal(size=400)]).astype(float)
    y = x[:, 0] * x[:, 1] + 2 * x[:, 3] + 0.1 * rng.normal(size=400)
    fitted = SparseInteractions("s").fit(x, np.zeros(400, dtype=np.int64), y, None, 0)
    assert fitted.factors.tolist() == [0, 1, 2]
    assert len(fitted.terms) == 3
    np.testing.assert_allclose(fitted.model.coef[[3, 4]], [2, 1], atol=0.05)


def test_many_columns_leave_the_weak_ones_without_products():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (300, 60)).astype(float)
    y = 5 * x[:, 7] * x[:, 41] + rng.normal(size=300)
    fitted = SparseInteractions("s").fit(x, np.zeros(300, dtype=np.int64), y, None, 0)
    assert len(fitted.terms) <= 400
    assert {7, 41} <= set(fitted.factors.tolist())
    assert fitted.predict(x).shape == (300, 2)


def test_order_below_one_is_refused():
    with pytest.raises(DataError, match="order is 0"):
        SparseInteractions("s", 0)
