"""The diffusion of vectors: Gaussian truths, a law with two modes, equalities, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.gaussian import Moments
from causal_ddpm.diffusion.schedule import angle_levels
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.diffusion.vector import VectorDiffusion, train_vector

QUICK = DiffusionSettings(n_steps=30, hidden_dim=16, batch_size=64)
COV = np.array([[1.0, 0.8, 0.3], [0.8, 1.0, 0.0], [0.3, 0.0, 1.0]])
SLOPE = np.array([[0.5, -0.5, 0.0], [0.0, 0.3, 0.6]])


def gaussian_rows(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    v = x @ SLOPE + rng.standard_normal((n, 3)) @ np.linalg.cholesky(0.5 * COV).T
    return x, v


@pytest.fixture(scope="module")
def model():
    x, v = gaussian_rows(1500, 0)
    return train_vector(v, x, QUICK, 0)


@pytest.fixture(scope="module")
def zeroed(model):
    weights = {k: w * (not k.startswith("out")) for k, w in model.engine.weights.items()}
    return replace(model, engine=replace(model.engine, weights=weights))


# -- the Gaussian inside --------------------------------------------------------------------
def test_moments_give_the_closed_form_conditional():
    rng = np.random.default_rng(1)
    full = np.cov(rng.standard_normal((4, 30)))
    moments = Moments(torch.ones(4), torch.tensor(full).float(), torch.zeros(4))
    observed = torch.tensor([True, False, True, False])
    law = moments.given(observed)
    z = torch.tensor(rng.standard_normal((5, 4))).float()
    o, h = [0, 2], [1, 3]
    slope = np.linalg.solve(full[np.ix_(o, o)], full[np.ix_(o, h)])
    mean = 1 + (z[:, o].numpy() - 1) @ slope
    cov = full[np.ix_(h, h)] - full[np.ix_(h, o)] @ slope
    np.testing.assert_allclose(law.centre(z)[:, h], mean, atol=1e-5)
    np.testing.assert_allclose(law.centre(z)[:, o], z[:, o])
    inside = (law.vectors * law.lengths) @ law.vectors.T
    np.testing.assert_allclose(inside[h][:, h], cov, atol=1e-5)


def test_guess_is_the_posterior_mean_and_sd_of_a_gaussian():
    cov = torch.tensor(COV).float()
    law = Moments(torch.zeros(3), cov, torch.zeros(3)).given(torch.zeros(3, dtype=torch.bool))
    x, tau = torch.tensor([[1.0, -2.0, 0.5]]), 0.7
    gain = cov @ torch.linalg.inv(cov + tau**2 * torch.eye(3))
    D, d = law.guess(x, torch.zeros(1, 3), torch.tensor([[tau]]))
    np.testing.assert_allclose(D, x @ gain.T, atol=1e-5)
    np.testing.assert_allclose(d[0] ** 2, (cov - gain @ cov).diagonal(), atol=1e-5)


@pytest.mark.parametrize("n_levels", [3, 12])
def test_flow_is_exact_for_a_gaussian_whatever_the_number_of_steps(n_levels):
    law = Moments(torch.zeros(3), torch.tensor(COV).float(), torch.zeros(3)).given(
        torch.zeros(3, dtype=torch.bool)
    )
    w = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    m = torch.zeros(50, 3)
    got = law.flow(lambda x, t: law.guess(x, m, torch.tensor(t))[0], m, w, angle_levels(n_levels))
    np.testing.assert_allclose(got, law.sample(m, 0.0, w), atol=2e-4)


def test_shrinkage_vanishes_with_rows_and_is_total_for_noise():
    rng = np.random.default_rng(2)
    noise = torch.tensor(rng.standard_normal((40, 12)))
    raw = torch.corrcoef(noise.T).abs().sum()
    assert Moments.of(noise).seen.abs().sum() < 0.7 * raw
    _, v = gaussian_rows(20_000, 3)
    cov = Moments.of(torch.tensor(v)).seen
    np.testing.assert_allclose(cov, np.cov(v.T), atol=5e-3)


@pytest.mark.parametrize("tau", [0.3, 3.0, 20.0])
@pytest.mark.parametrize("seen", [(), (3,), (3, 4)])
def test_lean_is_the_linear_discriminant(tau, seen):
    """Levels that move a normal vector: log-likelihood ratios, given noisy or clean values."""
    torch.manual_seed(0)
    means = torch.tensor([[0.0, 1.0], [0.5, -1.0], [1.0, 1.0]])
    within, a = torch.tensor([[1.0, 0.4], [0.4, 0.7]]), 1.3
    level = torch.multinomial(torch.tensor([0.3, 0.5, 0.2]), 100_000, replacement=True)
    rest = means[level] + torch.randn(100_000, 2) @ torch.linalg.cholesky(within).T
    z = torch.cat([torch.eye(3)[level] * a, rest], 1)
    law = Moments.of(z).given(torch.isin(torch.arange(5), torch.tensor(seen)))
    x = torch.where(law.observed, z[:6], z[:6] + tau * torch.randn(6, 5))
    level_tau = torch.full((6, 1), tau)
    linear, _ = law.guess(x, law.centre(z[:6]), level_tau)
    lean = law.lean(x, linear, level_tau, 0, torch.eye(3) * a)
    blurred = torch.linalg.inv(within + torch.diag(~law.observed[3:] * tau**2))
    away = x[:, None, 3:] - means
    truth = -((away @ blurred) * away).sum(-1) / 2
    np.testing.assert_allclose(lean - lean[:, :1], truth - truth[:, :1], atol=0.15, rtol=0.02)


def test_zero_network_samples_the_normal_regression(zeroed):
    x = np.array([[1.0, -1.0], [0.0, 2.0]])
    draws = zeroed.sample(x, 4000, 0)
    mean, cov = zeroed.gaussian(x)
    np.testing.assert_allclose(draws.mean(1), mean, atol=0.05)
    np.testing.assert_allclose(mean, x @ SLOPE, atol=0.1)
    for rows in draws:
        np.testing.assert_allclose(np.cov(rows.T), cov, atol=0.05)


@pytest.mark.parametrize("sampler", ["adams", "dpmpp", "heun", "ddim", "ddpm"])
def test_every_sampler_finds_the_gaussian(zeroed, sampler):
    settings = replace(QUICK, sampler=sampler, n_sampling_steps=150)
    other = replace(zeroed, engine=replace(zeroed.engine, settings=settings))
    draws = other.sample(np.zeros((1, 2)), 3000, 0)[0]
    np.testing.assert_allclose(np.cov(draws.T), zeroed.gaussian(np.zeros((1, 2)))[1], atol=0.06)


# -- what it learns -------------------------------------------------------------------------
def test_learns_two_modes_that_follow_the_condition():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((1500, 1))
    side = np.where(rng.random(1500) < 1 / (1 + np.exp(-2 * x[:, 0])), 1.0, -1.0)
    v = side[:, None] * np.array([0.9, -0.9]) + 0.3 * rng.standard_normal((1500, 2))
    model = train_vector(v, x, DiffusionSettings(n_steps=500, hidden_dim=64), 0)
    draws = model.sample(np.array([[-1.0], [1.0]]), 1500, 0)
    upper = (draws[..., 0] > 0).mean(1)
    np.testing.assert_allclose(upper, [1 / (1 + np.e**2), 1 / (1 + np.e**-2)], atol=0.07)
    assert (np.abs(draws[..., 0]) < 0.3).mean() < 0.1
    assert ((draws[..., 0] > 0) == (draws[..., 1] < 0)).mean() > 0.95


# -- equalities -----------------------------------------------------------------------------
def test_same_seed_same_bits_and_other_seed_other_draws(model):
    x, v = gaussian_rows(1500, 0)
    again = train_vector(v, x, QUICK, 0)
    first = model.sample(x[:70], 3, 5)
    np.testing.assert_array_equal(first, again.sample(x[:70], 3, 5))
    assert not np.array_equal(first, model.sample(x[:70], 3, 6))


def test_denoiser_is_differentiable_and_keeps_shapes(model):
    x, v = gaussian_rows(6, 9)
    D = model.denoiser(x)
    v_tau = torch.tensor(v).float().requires_grad_()
    out = D(v_tau, 0.5)
    (gradient,) = torch.autograd.grad(out.sum(), v_tau)
    assert out.shape == gradient.shape == (6, 3)
    assert bool((gradient != 0).all())


def test_decode_takes_single_and_stacked_latents(model):
    x, z = np.zeros((4, 2)), np.random.default_rng(0).standard_normal((4, 5, 3))
    stacked = model.decode(x, z)
    np.testing.assert_allclose(stacked[:, 2], model.decode(x, z[:, 2]), atol=1e-5)


def test_without_a_condition_it_is_the_joint_law(model):
    _, v = gaussian_rows(400, 1)
    joint = train_vector(v, np.empty((400, 0)), QUICK, 0)
    assert joint.sample(np.empty((2, 0)), 3, 0).shape == (2, 3, 3)


def test_state_round_trip(model):
    x = np.zeros((3, 2))
    again = VectorDiffusion.from_state(*model.state_dict())
    np.testing.assert_array_equal(again.sample(x, 4, 0), model.sample(x, 4, 0))
    assert again.report == model.report


# -- refusals -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("target", "condition", "words"),
    [
        (np.zeros(20), np.zeros((20, 1)), "target has shape"),
        (np.zeros((20, 2)), np.zeros((19, 1)), "condition"),
        (np.zeros((4, 2)), np.zeros((4, 1)), "4 training rows"),
        (np.full((20, 2), np.nan), np.zeros((20, 1)), "missing or infinite"),
        (np.full((20, 2), 1e3), np.zeros((20, 1)), "standardised"),
    ],
)
def test_refuses_bad_rows(target, condition, words):
    with pytest.raises(DataError, match=words):
        train_vector(target, condition, QUICK, 0)


def test_refuses_bad_readings(model):
    with pytest.raises(DataError, match="condition has shape"):
        model.sample(np.zeros((2, 5)), 3)
    with pytest.raises(DataError, match="n_samples"):
        model.sample(np.zeros((2, 2)), 0)
    with pytest.raises(DataError, match="z has shape"):
        model.decode(np.zeros((2, 2)), np.zeros((2, 4)))
    with pytest.raises(DataError, match="missing or infinite"):
        model.denoiser(np.full((2, 2), np.nan))
    tensors, meta = model.state_dict()
    with pytest.raises(DataError, match="format_version"):
        VectorDiffusion.from_state(tensors, meta | {"format_version": 99})
