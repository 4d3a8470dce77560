"""The boosted, shrunk scale."""

import numpy as np
import pytest

from causal_ddpm.nuisance.scale import choose_shrinkage, fit_log_variance


@pytest.fixture
def heteroskedastic():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3000, 3))
    sd = np.exp(0.6 * x[:, 0])
    return x, sd, (sd * rng.standard_normal(3000)) ** 2


def test_the_scale_follows_the_true_one(heteroskedastic):
    x, sd, square = heteroskedastic
    train = np.arange(3000) < 1500
    log_variance = fit_log_variance(x[train], square[train], None, 0).predict(x[~train])
    shrinkage = choose_shrinkage(log_variance, square[~train])
    scale = shrinkage.scale(log_variance)
    assert np.corrcoef(np.log(scale), np.log(sd[~train]))[0, 1] > 0.9
    assert np.mean(square[~train] / scale**2) == pytest.approx(1, abs=0.02)
    assert shrinkage.power > 0.8


def test_without_signal_the_scale_is_nearly_constant():
    rng = np.random.default_rng(1)
    x, square = rng.standard_normal((800, 4)), rng.standard_normal(800) ** 2
    train = np.arange(800) < 400
    log_variance = fit_log_variance(x[train], square[train], None, 0).predict(x[~train])
    shrinkage = choose_shrinkage(log_variance, square[~train])
    assert shrinkage.power < 0.7
    assert np.std(np.log(shrinkage.scale(log_variance))) < 0.1


def test_the_scale_has_a_floor(heteroskedastic):
    _, _, square = heteroskedastic
    shrinkage = choose_shrinkage(np.log(square + 1e-3), square)
    lowest = shrinkage.scale(np.full(3, -80.0))
    assert lowest == pytest.approx(np.full(3, 0.05 * np.sqrt(square.mean())))


def test_the_scale_carries_the_units_of_the_outcome(heteroskedastic):
    x, _, square = heteroskedastic
    log_variance = fit_log_variance(x, square, None, 0).predict(x)
    small = choose_shrinkage(log_variance, square).scale(log_variance)
    shifted = log_variance + np.log(100.0)
    large = choose_shrinkage(shifted, 100 * square).scale(shifted)
    assert large == pytest.approx(10 * small)


def test_weights_decide_whose_spread_counts():
    square = np.repeat([1.0, 9.0], 200)
    flat = np.zeros(400)
    heavy = choose_shrinkage(flat, square, np.repeat([1.0, 3.0], 200))
    assert heavy.scale(flat[:1]) == pytest.approx([np.sqrt(7.0)])


def test_exact_zeros_among_the_residuals_are_harmless():
    square = np.r_[np.zeros(50), np.ones(50)]
    x = np.arange(100.0)[:, None]
    log_variance = fit_log_variance(x, square, None, 0).predict(x)
    assert np.isfinite(choose_shrinkage(log_variance, square).scale(log_variance)).all()
