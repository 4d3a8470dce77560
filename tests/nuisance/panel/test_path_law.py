"""The law of error paths: scales, dependence over horizons, and the choice between laws."""

import numpy as np
import pytest

from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.nuisance.panel.gaussian_paths import SeenPaths, gaussian_paths
from causal_ddpm.nuisance.panel.history import histories
from causal_ddpm.nuisance.panel.path_law import fit_path_law, unit_folds
from causal_ddpm.nuisance.panel.path_scale import fit_path_scale, horizon_profile


def series(rng, n, h, rho=0.8):
    v = rng.standard_normal((n, h))
    for k in range(1, h):
        v[:, k] = rho * v[:, k - 1] + np.sqrt(1 - rho**2) * v[:, k]
    return v


def test_history_holds_what_is_known_before_and_nothing_else():
    rng = np.random.default_rng(0)
    y, gap = rng.standard_normal((9, 8)), rng.standard_normal((9, 8))
    before = np.broadcast_to(np.arange(8) < 5, (9, 8))
    a = histories(y, gap, before)
    b = histories(np.where(before, y, 99.0), np.where(before, gap, np.nan), before)
    np.testing.assert_array_equal(a, b)
    assert np.exp(a[:, 5]) == pytest.approx(5.0)
    last = gap[:, 3:5].mean(axis=1) / np.exp(a[:, 0])
    np.testing.assert_allclose(a[:, 2], last)
    turned = histories(-y, -gap, before)
    np.testing.assert_allclose(turned[:, 2:5], -a[:, 2:5], atol=1e-12)
    np.testing.assert_allclose(turned[:, [0, 1, 5]], a[:, [0, 1, 5]])


def test_a_history_that_the_base_fits_exactly_is_finite():
    before = np.broadcast_to(np.arange(6) < 3, (5, 6))
    found = histories(np.ones((5, 6)), np.zeros((5, 6)), before)
    assert np.isfinite(found).all()


def test_scales_follow_histories_where_many_paths_tell_them():
    rng = np.random.default_rng(1)
    z = rng.standard_normal((800, 2))
    size = np.exp(0.7 * z[:, 0])
    profile = np.sqrt(1 + np.arange(6))
    error = size[:, None] * profile * rng.standard_normal((800, 6))
    found = fit_path_scale(error, z)
    assert found.slope[0] == pytest.approx(0.7, abs=0.05)
    assert found.slope[1] == pytest.approx(0.0, abs=0.05)
    ratio = np.log(found.of(z) / size)
    assert ratio.std() < 0.1
    np.testing.assert_allclose(found.profile[-1] / found.profile[0], np.sqrt(6), rtol=0.1)
    far = np.array([[50.0, 0.0]])
    assert found.of(far)[0] <= found.of(z).max() * 1.5


def test_few_paths_share_one_scale():
    rng = np.random.default_rng(2)
    z = rng.standard_normal((12, 2))
    many = fit_path_scale(rng.standard_normal((12, 4)), z, ridge=1e9)
    np.testing.assert_allclose(many.of(z), many.of(z)[0], rtol=1e-6)


def test_profile_where_a_horizon_is_never_seen():
    v = np.random.default_rng(3).standard_normal((30, 5))
    v[:, 4] = np.nan
    assert np.isfinite(horizon_profile(v)).all()


def test_normal_law_keeps_dependence_over_horizons():
    paths = series(np.random.default_rng(4), 30, 10)
    law = gaussian_paths(paths)
    draws = law.sample(np.zeros((1, 0)), 4000, 0)[0]
    assert np.corrcoef(draws[:, 3], draws[:, 4])[0, 1] == pytest.approx(0.8, abs=0.12)
    np.testing.assert_allclose(draws.mean(axis=0), 0.0, atol=1e-12)
    truth = series(np.random.default_rng(5), 4000, 10).mean(axis=1).std()
    assert draws.mean(axis=1).std() == pytest.approx(truth, rel=0.25)


def test_gaps_are_filled_given_what_is_known():
    rng = np.random.default_rng(6)
    paths = series(rng, 2000, 4, rho=0.95)
    gappy = paths.copy()
    gappy[::2, 3] = np.nan
    full = gaussian_paths(gappy).filled(gappy, 0)
    assert np.isfinite(full).all()
    np.testing.assert_array_equal(full[1::2], paths[1::2])
    assert np.corrcoef(full[::2, 2], full[::2, 3])[0, 1] == pytest.approx(0.95, abs=0.03)


def test_seen_paths_come_with_either_sign():
    draws = SeenPaths(np.array([[1.0, 2.0]])).sample(np.zeros((2, 1)), 10, 0)
    assert draws.shape == (2, 10, 2)
    assert {tuple(row) for row in draws.reshape(-1, 2)} == {(1.0, 2.0), (-1.0, -2.0)}


def test_folds_keep_units_together():
    unit = np.repeat(np.arange(7), 3)
    fold = unit_folds(unit, 0)
    assert all(len(set(fold[unit == k])) == 1 for k in range(7))
    assert set(fold) == set(range(5))


def test_few_units_have_a_plain_law():
    paths = series(np.random.default_rng(7), 12, 5)
    law = fit_path_law(paths, np.zeros((12, 1)), np.arange(12), DiffusionSettings(), 0)
    assert set(law.scores) == {"normal law", "placebo paths drawn again"}
    assert "no network" in law.why
    assert law.sample(np.zeros((2, 1)), 50, 1).shape == (2, 50, 5)


def test_the_diffusion_is_taken_where_the_history_tells_the_path():
    rng = np.random.default_rng(8)
    history = rng.standard_normal((240, 3))
    sign = np.where(rng.random(240) < 0.5, 1.0, -1.0)[:, None]
    paths = 0.8 * history[:, [2]] + 0.55 * sign * np.ones(2) + 0.1 * rng.standard_normal((240, 2))
    settings = DiffusionSettings(n_steps=100, hidden_dim=32, n_sampling_steps=10)
    law = fit_path_law(paths, history, np.arange(240), settings, 0)
    assert law.law.name == "diffusion of the path"
    assert law.report["kappa"] > 0.8
    draws = law.sample(np.array([[0.0, 0.0, 1.0]]), 500, 0)[0]
    assert draws.mean() == pytest.approx(0.8, abs=0.2)
    held = law.held_out(history[:4], np.arange(4), 30, 0)
    assert held.shape == (4, 30, 2)
