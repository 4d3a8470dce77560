"""What is particular to each sampler; what all must do is in ``test_conformance.py``."""

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


@pytest.mark.parametrize("n", [12, 18, 20])
def test_default_sampler_is_exact_for_the_gaussian(n):
    oracle = GaussianDenoiser(0.0, 1.0)
    v = decode(SAMPLERS["adams"], oracle, latents(P), SAMPLERS["adams"].levels(n))
    np.testing.assert_allclose(v, norm.ppf(P), atol=2e-4)


@pytest.mark.parametrize("name", FLOWS)
def test_the_mean_of_a_law_off_centre_is_kept(name):
    """Given x the law is not standardised: a start that ignores its mean pulls it to zero."""
    oracle, z = GaussianDenoiser(1.5, 0.6), latents(P)
    v = decode(SAMPLERS[name], oracle, z, SAMPLERS[name].levels(60))
    assert float(v.mean()) == pytest.approx(1.5, abs=3e-3)


@pytest.mark.parametrize(("name", "n"), [("adams", 40), ("heun", 40), ("dpmpp", 60)])
def test_the_flow_upwards_returns_the_latents(name, n):
    z, taus = latents(P), SAMPLERS[name].levels(n)
    back = encode(SAMPLERS[name], MIXTURE, decode(SAMPLERS[name], MIXTURE, z, taus), taus)
    assert float((back - z).abs().max()) < 0.01


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


def test_the_ancestral_step_is_the_classical_one():
    """In x_t: the posterior mean and variance of Ho, Jain, Abbeel (2020), eq. 7, digit by digit."""
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    bar = torch.cumprod(1 - beta, 0)
    schedule, x_t, x_0 = schedule_of(DiffusionSettings(schedule="linear")), 0.83, 0.3
    levels = schedule.clock_levels(1000)
    for k in (999, 500, 1):  # step from t = k + 1 to t = k
        t, s = levels[999 - k], levels[1000 - k]
        v = torch.tensor([x_t / torch.sqrt(bar[k])] * 2)
        xi = torch.tensor([0.0, 1.0], dtype=torch.float64)
        out = SAMPLERS["ddpm"].step(
            GaussianDenoiser(x_0, 0.0), v, t, s, None, lambda _, xi=xi: xi
        ) * torch.sqrt(bar[k - 1])
        mean = (torch.sqrt(bar[k - 1]) * beta[k] * x_0
                + torch.sqrt(1 - beta[k]) * (1 - bar[k - 1]) * x_t) / (1 - bar[k])  # fmt: skip
        sd = torch.sqrt((1 - bar[k - 1]) / (1 - bar[k]) * beta[k])
        torch.testing.assert_close(out, torch.stack([mean, mean + sd]), rtol=1e-9, atol=1e-12)


def test_crossing_is_counted():
    assert crossing_share(torch.tensor([[0.0, 1.0, 0.5], [0.0, 1.0, 2.0]])) == 0.25
