"""Schedules: laws of the clock, conversions, training laws."""

import numpy as np
import pytest
import torch

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.schedule import (
    TAU_MAX,
    TAU_MIN,
    LinearSchedule,
    angle_levels,
    noise_levels,
    schedule_of,
)
from causal_ddpm.diffusion.settings import DiffusionSettings

NAMES = ("edm", "linear", "cosine", "flow")
ENDS = {"edm": (0.01, 20), "cosine": (0.01, 100), "flow": (0.01, 100), "linear": (0.01, 157.4)}
T = torch.linspace(0, 1, 1001, dtype=torch.float64)


def schedule(name):
    return schedule_of(DiffusionSettings(schedule=name))


@pytest.mark.parametrize("name", NAMES)
def test_signal_to_noise_falls_and_ends_are_pinned(name):
    tau = schedule(name).tau(T)
    steps = tau.diff()
    assert bool((steps >= 0).all())
    assert bool((steps[1:] > 0).all())
    assert tau[0].item() == pytest.approx(ENDS[name][0], rel=1e-3)
    assert tau[-1].item() == pytest.approx(ENDS[name][1], rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_scales_obey_their_conservation_law(name):
    s = schedule(name)
    alpha, sigma = s.alpha(T), s.sigma(T)
    power = 1 if name == "flow" else 2
    torch.testing.assert_close(alpha**power + sigma**power, torch.ones_like(T))
    torch.testing.assert_close(sigma / alpha, s.tau(T))


@pytest.mark.parametrize("name", NAMES)
def test_time_inverts_tau(name):
    s, t = schedule(name), T[1:]
    torch.testing.assert_close(s.time(s.tau(t)), t, atol=1e-9, rtol=0)


@pytest.mark.parametrize("source", NAMES)
@pytest.mark.parametrize("target", NAMES)
def test_one_process_on_two_clocks(source, target):
    """x_t of one schedule, rescaled, is x_t' of another at the time of equal noise level."""
    a, b = schedule(source), schedule(target)
    x0, eps, t = torch.tensor(0.7).double(), torch.tensor(-1.3).double(), T[50:900:50]
    t = t[a.tau(t) < 19]
    x = a.alpha(t) * x0 + a.sigma(t) * eps
    t2 = b.time(a.tau(t))
    y = b.alpha(t2) * x0 + b.sigma(t2) * eps
    torch.testing.assert_close(x * b.alpha(t2) / a.alpha(t), y, atol=1e-8, rtol=1e-8)


def test_linear_matches_the_discrete_product():
    beta = np.linspace(1e-4, 0.02, 1000)
    alpha2 = np.cumprod(1 - beta)
    k = np.array([1, 10, 500, 1000])
    s = LinearSchedule(1e-4, 0.02, 1000)
    np.testing.assert_allclose(s.alpha(torch.tensor(k / 1000)) ** 2, alpha2[k - 1], rtol=1e-9)
    levels = s.clock_levels(1000)
    np.testing.assert_allclose(levels, np.sqrt(1 / alpha2 - 1)[::-1], rtol=1e-6)


def test_a_thousand_betas_come_back_digit_by_digit():
    """From noise levels to the betas of the discrete chain, at every one of its steps."""
    s = LinearSchedule(1e-4, 0.02, 1000)
    tau = torch.tensor(s.clock_levels(1000)[::-1], dtype=torch.float64)
    bar = torch.cat([torch.ones(1).double(), 1 / (1 + tau**2)])
    beta = 1 - bar[1:] / bar[:-1]
    np.testing.assert_allclose(beta, np.linspace(1e-4, 0.02, 1000), rtol=1e-9)
    k = torch.arange(1, 1001, dtype=torch.float64) / 1000
    torch.testing.assert_close(s.time(s.tau(k)), k, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_tau_inverts_time(name):
    """The other way round, at noise levels between the schedule's ends."""
    s, tau = schedule(name), torch.logspace(-1.9, 1.2, 40, dtype=torch.float64)
    torch.testing.assert_close(s.tau(s.time(tau)), tau, rtol=1e-9, atol=0)


def test_linear_betas_stretch_with_the_number_of_steps():
    short = schedule_of(DiffusionSettings(schedule="linear", diffusion_steps=100))
    full = schedule("linear")
    t = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    torch.testing.assert_close(short.tau(t), full.tau(t), rtol=0.16, atol=0)


def test_betas_that_keep_the_signal_are_refused():
    with pytest.raises(DataError, match=r"noise ends at .* times the signal"):
        schedule_of(DiffusionSettings(schedule="linear", beta_end=0.001))


@pytest.mark.parametrize("name", NAMES)
def test_training_law(name):
    """Quantiles of log tau rise; edm is log-normal, the others follow their clock."""
    p = torch.tensor([0.025, 0.5, 0.975], dtype=torch.float64)
    q = schedule(name).log_tau_quantile(p)
    assert bool((q.diff() > 0).all())
    if name == "edm":
        np.testing.assert_allclose(q, -0.6 + 1.4 * np.array([-1.959964, 0, 1.959964]), atol=1e-5)
    else:
        torch.testing.assert_close(schedule(name).time(q.exp()), p)


@pytest.mark.parametrize(
    ("make", "even"),
    [(noise_levels, lambda t: t**0.2), (angle_levels, lambda t: np.arctan(t) ** 0.7)],
)
def test_reading_levels_fall_between_the_ends(make, even):
    levels = np.array(make(18))
    assert len(levels) == 18
    assert levels[0] == pytest.approx(TAU_MAX)
    assert levels[-1] == pytest.approx(TAU_MIN)
    np.testing.assert_allclose(np.diff(even(levels), 2), 0, atol=1e-12)
