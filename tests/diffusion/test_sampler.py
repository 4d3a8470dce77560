"""Samplers against denoisers in closed form: one matrix, sampler x schedule."""

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import norm

from causal_ddpm.diffusion.oracle import GaussianDenoiser, MixtureDenoiser
from causal_ddpm.diffusion.sampler import SAMPLERS, crossing_share, decode, encode
from causal_ddpm.diffusion.schedule import noise_levels, schedule_of
from causal_ddpm.diffusion.settings import DiffusionSettings

SCHEDULES = ("edm", "linear", "cosine", "flow")
FLOWS = ("adams", "ddim", "heun", "dpmpp")
W, M, S = (np.array(a) for a in ([0.3, 0.7], [-1.3, 0.557], [0.35, 0.5]))
MIXTURE = MixtureDenoiser(*(torch.from_numpy(a) for a in (W, M, S)))
MIX_MEAN = float(W @ M)
MIX_SD = float(np.sqrt(W @ (S**2 + M**2) - MIX_MEAN**2))
P = (np.arange(63) + 0.5) / 63


def mixture_quantiles(p):
    return np.array([brentq(lambda v, u=u: W @ norm.cdf((v - M) / S) - u, -9, 9) for u in p])


def latents(p):
    return torch.from_numpy(norm.ppf(p))


def normals(n, seed):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ancestral(schedule, denoiser, n, n_steps, seed=0):
    g = torch.Generator().manual_seed(seed)
    taus = schedule_of(DiffusionSettings(schedule=schedule)).clock_levels(n_steps)

    def noise(v):
        return torch.randn(v.shape, generator=g, dtype=v.dtype)

    return decode(SAMPLERS["ddpm"], denoiser, noise(torch.empty(n).double()), taus, noise)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", SAMPLERS)
def test_gaussian_is_recovered(name, schedule):
    """Mean and standard deviation of N(0.4, 0.8^2): within 0.02 for 200 levels."""
    oracle = GaussianDenoiser(0.4, 0.8)
    if SAMPLERS[name].deterministic:
        taus = schedule_of(DiffusionSettings(schedule=schedule)).clock_levels(200)
        v = decode(SAMPLERS[name], oracle, latents(P), taus)
        slope, mean = np.polyfit(norm.ppf(P), v.numpy(), 1)
        assert slope == pytest.approx(0.8, abs=0.02)
    else:
        v = ancestral(schedule, oracle, 40_000, 400)
        mean = float(v.mean())
        assert float(v.std()) == pytest.approx(0.8, abs=0.02)
    assert mean == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize(("name", "n"), [("adams", 20), ("heun", 25), ("dpmpp", 30), ("ddim", 250)])
def test_mixture_quantiles(name, n):
    """Every quantile within 0.02 sd: 20 levels by default, more for the classical steps."""
    v = decode(SAMPLERS[name], MIXTURE, latents(P), SAMPLERS[name].levels(n))
    assert np.abs(v.numpy() - mixture_quantiles(P)).max() < 0.02 * MIX_SD


@pytest.mark.parametrize("n", [12, 18, 20])
def test_default_sampler_is_exact_for_the_gaussian(n):
    oracle = GaussianDenoiser(0.0, 1.0)
    v = decode(SAMPLERS["adams"], oracle, latents(P), SAMPLERS["adams"].levels(n))
    np.testing.assert_allclose(v, norm.ppf(P), atol=2e-4)


def test_vectors_pass_through():
    """A sampler is blind to shape: two coordinates at once, each with its own law."""
    oracle = GaussianDenoiser(torch.tensor([0.0, 0.3]), torch.tensor([1.0, 0.5]))
    z = normals(4000, 0).view(-1, 2)
    v = decode(SAMPLERS["adams"], oracle, z, SAMPLERS["adams"].levels(40))
    exact = z * torch.tensor([1.0, 0.5]) + torch.tensor([0.0, 0.3])
    torch.testing.assert_close(v, exact, atol=0.01, rtol=0)


@pytest.mark.parametrize(
    ("name", "order"), [("ddim", 1.0), ("heun", 2.0), ("dpmpp", 2.0), ("adams", 2.0)]
)
def test_order_of_convergence(name, order):
    """Halving the step divides the error by 2^order."""
    step = SAMPLERS[name]
    exact = decode(SAMPLERS["heun"], MIXTURE, latents(P), noise_levels(1500))
    errors = [
        float((decode(step, MIXTURE, latents(P), step.levels(n)) - exact).abs().mean())
        for n in (60, 120, 240)
    ]
    slopes = -np.diff(np.log2(errors))
    assert slopes.mean() == pytest.approx(order, abs=0.35)


def test_ancestral_chain_and_deterministic_reading_agree():
    """The classical 1000-step discrete chain draws from the law that 20 flow steps read."""
    draws = np.sort(ancestral("linear", MIXTURE, 8_000, 1000).numpy())
    read = decode(SAMPLERS["adams"], MIXTURE, latents(P), SAMPLERS["adams"].levels(20)).numpy()
    sampled = np.quantile(draws, P)
    monte_carlo = np.sqrt(P * (1 - P) / len(draws)) / mixture_density(read)
    assert (np.abs(sampled - read) / (monte_carlo + 0.005)).max() < 4


def mixture_density(v):
    return (W * norm.pdf((v[:, None] - M) / S) / S).sum(1)


def test_ancestral_variance_is_the_posterior_one():
    """One step from a point mass at 0.3 keeps the exact bridge mean and variance."""
    oracle, t, s = GaussianDenoiser(0.3, 0.0), 2.0, 0.5
    v = torch.full((50_000,), 1.1, dtype=torch.float64)
    g = torch.Generator().manual_seed(0)

    def noise(x):
        return torch.randn(x.shape, generator=g, dtype=x.dtype)

    out = SAMPLERS["ddpm"].step(oracle, v, t, s, None, noise)
    assert float(out.mean()) == pytest.approx(0.3 + s**2 / t**2 * 0.8, abs=0.01)
    assert float(out.std()) == pytest.approx(s * np.sqrt(1 - s**2 / t**2), rel=0.02)


@pytest.mark.parametrize(("name", "n"), [("adams", 20), ("heun", 25), ("dpmpp", 40)])
def test_encode_inverts_decode(name, n):
    z, taus = latents(P), SAMPLERS[name].levels(n)
    v = decode(SAMPLERS[name], MIXTURE, z, taus)
    back = encode(SAMPLERS[name], MIXTURE, v, taus)
    assert float((back - z).abs().max()) < 0.01


@pytest.mark.parametrize("name", FLOWS)
def test_no_crossing(name):
    v = decode(SAMPLERS[name], MIXTURE, latents(P), SAMPLERS[name].levels(20))
    assert crossing_share(v) == 0.0


def test_crossing_is_counted():
    assert crossing_share(torch.tensor([[0.0, 1.0, 0.5], [0.0, 1.0, 2.0]])) == 0.25
