"""The three readings of the condition in the noise."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import norm

from causal_ddpm.diffusion.forward import ForwardProcess
from causal_ddpm.diffusion.oracle import GaussianDenoiser, MixtureDenoiser
from causal_ddpm.diffusion.sampler import SAMPLERS, decode, no_noise, run
from causal_ddpm.diffusion.schedule import noise_levels

W, M, S = (torch.tensor(a).double() for a in ([0.4, 0.6], [-1.2, 0.8], [0.3, 0.55]))
ORACLE = MixtureDenoiser(W, M, S)
Z = torch.from_numpy(norm.ppf((np.arange(31) + 0.5) / 31))
U = (np.arange(31) + 0.5) / 31
ARMS = torch.tensor([0, 1])


def draws(n, seed):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def noise_of(seed):
    g = torch.Generator().manual_seed(seed)
    return lambda v: torch.randn(v.shape, generator=g, dtype=v.dtype)


def quantiles(law):
    if law == "gaussian":
        return norm.ppf(U)
    grid = np.linspace(-4, 4, 20_001)
    cdf = (W.numpy() * norm.cdf((grid[:, None] - M.numpy()) / S.numpy())).sum(1)
    return np.interp(U, cdf, grid)


@pytest.mark.parametrize("strength", [0.5, 2.0])
@pytest.mark.parametrize("reading", ["direction", "independent"])
@pytest.mark.parametrize("arm", [0, 1])
def test_literal_reverse_flow_reproduces_the_law(reading, strength, arm):
    """The flow of the literal process, from its own start, ends where the plain flow ends."""
    forward, taus = ForwardProcess(strength, reading), noise_levels(200)
    literal = forward.literal(ORACLE, arm)
    start = forward.start(Z, taus[0], torch.tensor(arm))
    end = literal(run(SAMPLERS["heun"], literal, start, taus, no_noise), taus[-1])
    plain = decode(SAMPLERS["heun"], ORACLE, Z, taus)
    assert float((end - plain).abs().max()) < 0.02


@pytest.mark.parametrize("law", ["gaussian", "mixture"])
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("reading", ["direction", "independent"])
def test_every_step_of_the_literal_process_is_the_plain_step(reading, name, law):
    """Same levels of the plain clock, same noise: both runs end on the same values."""
    denoiser = {"gaussian": GaussianDenoiser(0.3, 0.8), "mixture": ORACLE}[law]
    forward, taus = ForwardProcess(1.5, reading), noise_levels(40)
    spread = float(forward.spread(torch.tensor(1)))
    step, literal = forward.reverse(SAMPLERS[name], 1), forward.literal(denoiser, 1)
    literal_taus = [tau / spread for tau in taus]
    start = forward.start(Z, literal_taus[0], torch.tensor(1))
    end = run(step, literal, start, literal_taus, noise_of(7))
    plain = run(SAMPLERS[name], denoiser, np.sqrt(1 + taus[0] ** 2) * Z, taus, noise_of(7))
    shift = literal_taus[-1] * float(forward.shift(torch.tensor(1)))
    torch.testing.assert_close(end - shift, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("law", ["gaussian", "mixture"])
@pytest.mark.parametrize("reading", ["direction", "independent"])
def test_literal_ancestral_draws_have_the_law(reading, law):
    """The chain of the literal process at its own levels, against quantiles of the law."""
    denoiser = {"gaussian": GaussianDenoiser(0.0, 1.0), "mixture": ORACLE}[law]
    forward, taus, arm = ForwardProcess(2.0, reading), noise_levels(200), torch.tensor(1)
    literal = forward.literal(denoiser, 1)
    start = forward.start(draws(8000, 1), taus[0], arm)
    v = run(forward.reverse(SAMPLERS["ddpm"], 1), literal, start, taus, noise_of(2))
    share = np.searchsorted(np.sort(literal(v, taus[-1]).numpy()), quantiles(law)) / len(v)
    assert np.abs(share - U).max() < 0.025


@pytest.mark.parametrize("reading", ["direction", "independent"])
def test_reverse_equation_of_the_literal_process(reading):
    """Euler steps of the reverse SDE, written down from its drift and nothing else."""
    forward, arm, noise = ForwardProcess(1.5, reading), torch.tensor(1), noise_of(3)
    m, r = float(forward.shift(arm)), float(forward.spread(arm))
    literal, taus = forward.literal(ORACLE, 1), noise_levels(400)
    v = forward.start(draws(5000, 4), taus[0], arm)
    for t, s in pairwise(taus):
        drift = m + 2 * (v - t * m - literal(v, t)) / t
        v = v + (s - t) * drift + r * np.sqrt(t**2 - s**2) * noise(v)
    share = np.searchsorted(np.sort(literal(v, taus[-1]).numpy()), quantiles("mixture")) / len(v)
    assert np.abs(share - U).max() < 0.025


def test_coupled_latents_decode_to_untouched_laws():
    """Each marginal of a coupled pair is the law itself; the pair is a Gaussian copula."""
    forward, taus = ForwardProcess(1.0), SAMPLERS["adams"].levels(20)
    eps, eta = draws(20_000, 0), draws(20_000, 1)
    z = [forward.couple(eps, eta, torch.tensor(a)) for a in (0, 1)]
    for latent in z:
        v = decode(SAMPLERS["adams"], ORACLE, latent, taus)
        share = np.searchsorted(np.sort(v.numpy()), quantiles("mixture")) / len(v)
        assert np.abs(share - U).max() < 0.015
    rank = [norm.ppf((latent.argsort().argsort().numpy() + 0.5) / len(eps)) for latent in z]
    assert np.corrcoef(rank)[0, 1] == pytest.approx(1 / np.sqrt(2), abs=0.015)


@pytest.mark.parametrize("reading", ["direction", "independent", "coupling"])
def test_literal_noise_has_the_stated_moments(reading):
    n, tau, lam = 400_000, 0.8, 1.5
    forward, eps, eta = ForwardProcess(lam, reading), draws(n, 0), draws(n, 1)
    for arm in ARMS:
        x = forward.perturb(torch.zeros(n), torch.tensor(tau), arm, eps, eta)
        expected = tau * float(forward.shift(arm)), tau * float(forward.spread(arm))
        assert float(x.mean()) == pytest.approx(expected[0], abs=0.01)
        assert float(x.std()) == pytest.approx(expected[1], rel=0.01)


@pytest.mark.parametrize("reading", ["direction", "independent"])
def test_literal_denoiser_is_the_posterior_mean(reading):
    """Against a regression of v on the literal v_tau, in bins of draws."""
    n, tau = 400_000, 0.7
    forward, arm = ForwardProcess(1.2, reading), torch.tensor(1)
    g = torch.Generator().manual_seed(3)
    which = torch.multinomial(W, n, replacement=True, generator=g)
    v = M[which] + S[which] * draws(n, 4)
    x = forward.perturb(v, torch.tensor(tau), arm, draws(n, 5), draws(n, 6))
    guess = forward.literal(ORACLE, 1)(x, tau)
    for low in (-2.0, -1.0, 0.0, 1.0):
        cell = (guess > low / 2) & (guess < low / 2 + 0.5)
        gap = float((v - guess)[cell].mean())
        assert abs(gap) < 4 * float((v - guess)[cell].std()) / np.sqrt(int(cell.sum()))


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 5.0])
def test_coupling_sets_the_correlation_only(strength):
    forward, eps, eta = ForwardProcess(strength), draws(200_000, 0), draws(200_000, 1)
    z0, z1 = (forward.couple(eps, eta, torch.tensor(a)) for a in (0, 1))
    assert torch.equal(z0, eps)
    assert float(z1.std()) == pytest.approx(1.0, abs=0.01)
    rho = float(torch.corrcoef(torch.stack([z0, z1]))[0, 1])
    assert rho == pytest.approx(1 / np.sqrt(1 + strength**2), abs=0.01)
    assert forward.correlation == pytest.approx(1 / np.sqrt(1 + strength**2))


@pytest.mark.parametrize("reading", ["direction", "independent", "coupling"])
def test_zero_strength_is_the_plain_process(reading):
    forward = ForwardProcess(0.0, reading)
    eps, eta = draws(50, 0), draws(50, 1)
    for arm in ARMS:
        torch.testing.assert_close(forward.perturb(eta, torch.tensor(0.5), arm, eps, eta),
                                   eta + 0.5 * eps)  # fmt: skip
