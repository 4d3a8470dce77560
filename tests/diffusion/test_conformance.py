"""One matrix: every sampler x every schedule x laws whose denoiser is known in closed form.

The law is known as a network of the schedule (its own target, its own clock), and read by the
sampler on the sampler's own levels. What each sampler must reach with 20 levels is its row of
:data:`AT_20`; ``ENOUGH`` is the number of levels at which it is within 0.02 sd of every quantile.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings as run_with, strategies as st
from scipy.stats import norm

from causal_ddpm.diffusion.oracle import MixtureDenoiser, VectorMixtureDenoiser
from causal_ddpm.diffusion.parametrisation import ForeignDenoiser, predictor_of
from causal_ddpm.diffusion.reading import Reader
from causal_ddpm.diffusion.sampler import SAMPLERS, crossing_share, decode, run
from causal_ddpm.diffusion.schedule import schedule_of
from causal_ddpm.diffusion.settings import DiffusionSettings

TARGET_OF = {"edm": "v", "linear": "noise", "cosine": "data", "flow": "velocity"}
LAWS = {
    "gaussian": ([1.0], [0.0], [1.0]),
    "bimodal": ([0.3, 0.7], [-1.3, 0.557], [0.35, 0.5]),
    "narrow": ([0.5, 0.5], [-0.98, 0.98], [0.2, 0.2]),
    "skewed": ([0.6, 0.3, 0.1], [-0.6, 0.4, 2.4], [0.3, 0.5, 0.8]),
}
AT_20 = {"adams": 0.02, "heun": 0.05, "dpmpp": 0.075, "ddim": 0.36}
ENOUGH = {"adams": 20, "heun": 40, "dpmpp": 45, "ddim": 400}
FLOWS = tuple(AT_20)
P = (np.arange(64) + 0.5) / 64
Z = torch.from_numpy(norm.ppf(P))


def oracle(law):
    return MixtureDenoiser(*(torch.tensor(a, dtype=torch.float64) for a in law))


def spread(law):
    w, m, s = map(np.array, law)
    return float(np.sqrt(w @ (s**2 + m**2) - (w @ m) ** 2))


def quantiles(law, p):
    w, m, s = map(np.array, law)
    low, high = np.full(len(p), -15.0), np.full(len(p), 15.0)
    for _ in range(60):
        middle = (low + high) / 2
        below = (w * norm.cdf((middle[:, None] - m) / s)).sum(1) < p
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


TRUTH = {name: quantiles(law, P) for name, law in LAWS.items()}


def known_under(schedule, law):
    """The law as a network of the schedule, read back as a denoiser."""
    clock = schedule_of(DiffusionSettings(schedule=schedule))
    target = TARGET_OF[schedule]
    return ForeignDenoiser(predictor_of(oracle(law), clock, target), clock, target)


def worst(name, denoiser, law, n):
    v = decode(SAMPLERS[name], denoiser, Z, SAMPLERS[name].levels(n))
    assert crossing_share(v) == 0.0
    return np.abs(v.numpy() - TRUTH[law]).max() / spread(LAWS[law])


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("schedule", TARGET_OF)
@pytest.mark.parametrize("name", FLOWS)
def test_quantiles_at_twenty_levels(name, schedule, law):
    assert worst(name, known_under(schedule, LAWS[law]), law, 20) < AT_20[name]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", FLOWS)
def test_quantiles_within_two_hundredths(name, law):
    assert worst(name, oracle(LAWS[law]), law, ENOUGH[name]) < 0.02


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("schedule", TARGET_OF)
def test_ancestral_draws_follow_the_law(schedule, law):
    """200 steps on the schedule's own clock: the distribution function within 0.025."""
    g = torch.Generator().manual_seed(0)

    def noise(v):
        return torch.randn(v.shape, generator=g, dtype=v.dtype)

    taus = schedule_of(DiffusionSettings(schedule=schedule)).clock_levels(200)
    start = noise(torch.empty(6000, dtype=torch.float64))
    v = np.sort(decode(SAMPLERS["ddpm"], oracle(LAWS[law]), start, taus, noise).numpy())
    share_below = np.searchsorted(v, TRUTH[law]) / len(v)
    assert np.abs(share_below - P).max() < 0.025


@pytest.mark.parametrize("schedule", TARGET_OF)
@pytest.mark.parametrize("name", FLOWS)
def test_flows_follow_any_clock(name, schedule):
    """On the levels of a schedule's clock instead of the sampler's own, 200 of them."""
    taus = schedule_of(DiffusionSettings(schedule=schedule)).clock_levels(200)
    v = decode(SAMPLERS[name], oracle(LAWS["bimodal"]), Z, taus)
    assert np.abs(v.numpy() - TRUTH["bimodal"]).max() < 0.04


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", FLOWS)
def test_encode_inverts_decode(name, law):
    reader = Reader(oracle(LAWS[law]), SAMPLERS[name], SAMPLERS[name].levels(18), 1)
    z = Z[None]
    back = reader.invert(reader.decode(z).mean(0))
    assert float((back - z).abs().max()) < 0.01


def test_the_mean_of_different_members_is_inverted():
    """Two members that disagree: one law has two modes, the other one."""
    law = [torch.tensor(a, dtype=torch.float64) for a in LAWS["narrow"]]
    w = torch.stack([law[0], torch.tensor([1.0, 0.0]).double()])[:, None, None]
    m = torch.stack([law[1], torch.zeros(2).double()])[:, None, None]
    s = torch.stack([law[2], torch.ones(2).double()])[:, None, None]
    reader = Reader(MixtureDenoiser(w, m, s), SAMPLERS["adams"], SAMPLERS["adams"].levels(18), 2)
    z = Z[None]
    assert float((reader.invert(reader.decode(z).mean(0)) - z).abs().max()) < 0.01


def random_law(draw_from):
    rng = np.random.default_rng(draw_from)
    w = rng.dirichlet(np.ones(3))
    m, s = rng.uniform(-1.5, 1.5, 3), rng.uniform(0.2, 1.0, 3)
    m -= w @ m
    size = np.sqrt(w @ (s**2 + m**2))
    return w, m / size, s / size


@run_with(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.floats(-20, 20), st.floats(0.01, 100), st.sampled_from(FLOWS[1:]))
def test_shift_and_scale_of_the_law(seed, shift, scale, name):
    """For a + b v from a + b start over levels b tau, the flow ends at a + b times its end."""
    w, m, s = (torch.from_numpy(a) for a in random_law(seed))
    moved = MixtureDenoiser(w, shift + scale * m, scale * s)
    taus = SAMPLERS[name].levels(12)
    wide = [scale * tau for tau in taus]
    start = taus[0] * Z
    plain = run(SAMPLERS[name], MixtureDenoiser(w, m, s), start, taus, torch.zeros_like)
    far = run(SAMPLERS[name], moved, shift + scale * start, wide, torch.zeros_like)
    torch.testing.assert_close((far - shift) / scale, plain, rtol=1e-6, atol=1e-6)


@run_with(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.floats(-0.05, 0.05), st.floats(0.95, 1.05), st.sampled_from(FLOWS))
def test_decoding_feels_small_shifts_and_scales_rightly(seed, shift, scale, name):
    """Where v is only nearly standardised, the whole reading moves as the law does."""
    w, m, s = (torch.from_numpy(a) for a in random_law(seed))
    taus = SAMPLERS[name].levels(120)
    plain, moved = (
        decode(SAMPLERS[name], MixtureDenoiser(w, a + b * m, b * s), Z, taus)
        for a, b in ((0.0, 1.0), (shift, scale))
    )
    assert float((moved - shift - scale * plain).abs().max()) < 0.01


@run_with(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from(FLOWS))
def test_reflection_and_order_for_any_mixture(seed, name):
    """-v is decoded from -z, and values rise with latents."""
    w, m, s = (torch.from_numpy(a) for a in random_law(seed))
    taus = SAMPLERS[name].levels(20)
    v = decode(SAMPLERS[name], MixtureDenoiser(w, m, s), Z, taus)
    mirrored = decode(SAMPLERS[name], MixtureDenoiser(w, -m, s), -Z, taus)
    torch.testing.assert_close(mirrored, -v, rtol=0, atol=1e-9)
    assert crossing_share(v) == 0.0


# -- vectors --------------------------------------------------------------------------------
WEIGHTS = torch.tensor([0.4, 0.6]).double()
MEANS = torch.tensor([[-0.9, 0.6], [0.6, -0.4]]).double()
COVARIANCES = torch.tensor([[[0.3, 0.15], [0.15, 0.4]], [[0.4, -0.2], [-0.2, 0.5]]]).double()


def direct_draws(n, g):
    which = (torch.rand(n, generator=g) > 0.4).long()
    noise = torch.randn(n, 2, 1, generator=g, dtype=torch.float64)
    return MEANS[which] + (torch.linalg.cholesky(COVARIANCES)[which] @ noise)[..., 0]


@pytest.mark.parametrize("name", SAMPLERS)
def test_vectors_run_through_the_same_loop(name):
    """Mean, covariance and marginals of a mixture in the plane, against direct draws."""
    n, g = 8000, torch.Generator().manual_seed(0)
    law = VectorMixtureDenoiser(WEIGHTS, MEANS, COVARIANCES)

    def noise(v):
        return torch.randn(v.shape, generator=g, dtype=v.dtype)

    levels = {"ddpm": 150, "ddim": 150}.get(name, 30)
    v = decode(SAMPLERS[name], law, noise(torch.empty(n, 2).double()),
               SAMPLERS[name].levels(levels), noise)  # fmt: skip
    mean = WEIGHTS @ MEANS
    away = MEANS - mean
    cov = torch.einsum("j,jkl->kl", WEIGHTS, COVARIANCES + away[:, :, None] * away[:, None])
    torch.testing.assert_close(v.mean(0), mean, atol=0.04, rtol=0)
    torch.testing.assert_close(torch.cov(v.T), cov, atol=0.05, rtol=0)
    truth = direct_draws(n, g)
    distance = (v.sort(0).values - truth.sort(0).values).abs().mean(0)
    assert float(distance.max()) < 0.05
