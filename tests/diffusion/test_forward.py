"""The three readings of the condition in the noise."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from causal_ddpm.diffusion.forward import ForwardProcess
from causal_ddpm.diffusion.oracle import MixtureDenoiser
from causal_ddpm.diffusion.sampler import SAMPLERS, decode, no_noise, run
from causal_ddpm.diffusion.schedule import noise_levels

W, M, S = (torch.tensor(a).double() for a in ([0.4, 0.6], [-1.2, 0.8], [0.3, 0.55]))
ORACLE = MixtureDenoiser(W, M, S)
Z = torch.from_numpy(norm.ppf((np.arange(31) + 0.5) / 31))
ARMS = torch.tensor([0, 1])


def draws(n, seed):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


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
