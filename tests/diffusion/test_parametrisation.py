"""Targets of a network and their conversions, against closed forms."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.batches import Draws, Rows
from causal_ddpm.diffusion.denoiser import network_target
from causal_ddpm.diffusion.forward import ForwardProcess
from causal_ddpm.diffusion.network import MLP
from causal_ddpm.diffusion.oracle import GaussianDenoiser, MixtureDenoiser
from causal_ddpm.diffusion.parametrisation import (
    ForeignDenoiser,
    coefficients,
    convert,
    predictor_of,
    weight,
)
from causal_ddpm.diffusion.schedule import schedule_of
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.diffusion.train import Task

TARGETS = ("data", "noise", "v", "velocity", "score")
SCHEDULES = ("edm", "linear", "cosine", "flow")
MIXTURE = MixtureDenoiser(*(torch.tensor(a).double()
                            for a in ([0.3, 0.7], [-1.3, 0.557], [0.35, 0.5])))  # fmt: skip
X0, EPS = (torch.tensor([0.7, -1.1, 2.0]).double(), torch.tensor([-1.3, 0.2, 0.6]).double())


def schedule(name):
    return schedule_of(DiffusionSettings(schedule=name))


def scales(name, t):
    s = schedule(name)
    t = torch.tensor(t, dtype=torch.float64)
    return s.alpha(t), s.sigma(t)


@pytest.mark.parametrize(("source", "to"), list(itertools.product(TARGETS, TARGETS)))
@pytest.mark.parametrize("name", SCHEDULES)
def test_targets_are_turned_into_each_other(name, source, to):
    for t in (0.05, 0.4, 0.9):
        alpha, sigma = scales(name, t)
        x_t = alpha * X0 + sigma * EPS
        given_, wanted = (a * X0 + b * EPS for a, b in
                          (coefficients(k, alpha, sigma) for k in (source, to)))  # fmt: skip
        got = convert(given_, x_t, (alpha, sigma), source, to)
        torch.testing.assert_close(got, wanted, rtol=1e-8, atol=1e-8)


def test_v_is_minus_the_target_of_our_network():
    tau = torch.tensor([0.05, 0.8, 9.0]).double()
    alpha = (1 + tau**2).rsqrt()
    a, b = coefficients("v", alpha, tau * alpha)
    torch.testing.assert_close(a * X0 + b * EPS, -network_target(X0, EPS, tau))


@pytest.mark.parametrize("name", ["flow"])
def test_velocity_is_the_speed_of_the_straight_line(name):
    """dx_t / ds = eps - x_0 for x_t = (1 - s) x_0 + s eps."""
    (a0, s0), (a1, s1) = scales(name, 0.50), scales(name, 0.51)
    speed = ((a1 - a0) * X0 + (s1 - s0) * EPS) / (s1 - s0)
    a, b = coefficients("velocity", a0, s0)
    torch.testing.assert_close(speed, a * X0 + b * EPS)


def test_score_is_the_gradient_of_the_log_density():
    """N(0.4, 0.8^2) blurred: score of x_t in closed form."""
    alpha, sigma = scales("linear", 0.3)
    score = predictor_of(GaussianDenoiser(0.4, 0.8), schedule("linear"), "score")
    x = torch.linspace(-2, 2, 9).double()
    exact = -(x - 0.4 * alpha) / (0.64 * alpha**2 + sigma**2)
    torch.testing.assert_close(score(x, torch.tensor(0.3).double()), exact)


@pytest.mark.parametrize(("name", "target"), list(itertools.product(SCHEDULES, TARGETS)))
def test_a_network_of_any_schedule_is_read_at_any_noise_level(name, target):
    foreign = ForeignDenoiser(predictor_of(MIXTURE, schedule(name), target), schedule(name), target)
    v = torch.linspace(-3, 3, 13).double()
    for tau in (0.02, 0.3, 1.0, 7.0, 19.0):
        torch.testing.assert_close(foreign(v, tau), MIXTURE(v, tau), rtol=1e-5, atol=1e-6)


@given(st.floats(0.02, 50), st.floats(-5, 5), st.floats(-5, 5))
def test_noise_and_score_know_the_same(tau, x0, eps):
    alpha = torch.tensor(1 / np.sqrt(1 + tau**2), dtype=torch.float64)
    pair = alpha, tau * alpha
    x_t = pair[0] * x0 + pair[1] * eps
    score = convert(torch.tensor(eps, dtype=torch.float64), x_t, pair, "noise", "score")
    assert float(score) == pytest.approx(-eps / float(pair[1]), rel=1e-9, abs=1e-9)


TAU = torch.logspace(-2, 2, 9, dtype=torch.float64)


@pytest.mark.parametrize(
    ("target", "power", "w"),
    [
        ("noise", 2, 1 / (1 + TAU**2)),
        ("data", 2, TAU**2 / (1 + TAU**2)),
        ("v", 2, torch.ones_like(TAU)),
        ("velocity", 1, (1 + TAU) ** 2 / (1 + TAU**2)),
    ],
)
def test_weights_in_closed_form(target, power, w):
    alpha = (1 + TAU**power) ** (-1 / power)
    torch.testing.assert_close(weight(target, alpha, TAU * alpha), w)


@pytest.mark.parametrize("target", TARGETS)
def test_weights_are_ratios_of_squared_errors(target):
    """Move x_0 at a fixed x_t: how far do the target and F move?"""
    alpha = (1 + TAU**2).rsqrt()
    sigma = TAU * alpha
    step = 1e-3
    eps_step = -alpha / sigma * step
    a, b = coefficients(target, alpha, sigma)
    ratio = (a * step + b * eps_step) ** 2 / network_target(step, eps_step, TAU) ** 2
    torch.testing.assert_close(weight(target, alpha, sigma), ratio)


def test_training_counts_errors_in_the_target_asked_for():
    """A zero network under the linear schedule: mean over t of (alpha (tau v - eps))^2 alpha^2."""
    rows, arm = torch.zeros(1, 400, 1), torch.zeros(1, 400)
    table = torch.cat([rows, torch.ones(1, 400, 2), arm[..., None]], 2)
    backbone = MLP(1, 2, 4)
    weights = {k: w[None] for k, w in backbone.initial(torch.Generator().manual_seed(0)).items()}
    p = (torch.arange(400) + 0.5).view(1, 1, 400) / 400
    draws = Draws(torch.zeros(1), p, torch.full((1, 1, 400), -0.5), None)
    for target, w in (("v", lambda a, s: 1.0), ("noise", lambda a, s: a**2)):
        task = Task(backbone, schedule("linear"), ForwardProcess(), target=target)
        alpha, sigma = scales("linear", p[0, 0].tolist())
        expected = (w(alpha, sigma) * (sigma + 0.5 * alpha) ** 2).mean()
        assert float(task.loss(weights, Rows(table), draws)) == pytest.approx(
            float(expected), rel=1e-4
        )


def test_unknown_target():
    with pytest.raises(DataError, match="target is 'x0'"):
        coefficients("x0", torch.ones(1), torch.ones(1))
