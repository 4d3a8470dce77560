"""Smooth curves: the prior's roughness, its limits, and the posterior mean by brute force."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal

from causal_ddpm.core.natural_splines import NaturalSplines
from causal_ddpm.estimators.curve_smoothing import roughness, smoothed

RNG = np.random.default_rng(0)
DOSE = RNG.normal(size=500)
OUTCOME = np.sin(DOSE) + RNG.normal(size=500)
ONE = np.ones(500)
BASIS = NaturalSplines.of(DOSE, 4)
BETA = np.array([0.5, 1.0, -2.0, 1.5])
ROOT = RNG.normal(size=(4, 4))
COV = ROOT @ ROOT.T / 10


def drawn(cov, beta=BETA, outcome=OUTCOME, weights=ONE):
    return smoothed(beta, cov, BASIS, DOSE, outcome, weights)


def test_roughness_is_the_integral_of_squared_curvature():
    low, high = BASIS.knots[0], BASIS.knots[-1]

    def squared(d):
        return (BASIS.curvature(np.array([d])) @ BETA).item() ** 2

    integral = quad(squared, low, high, points=BASIS.knots, limit=200)[0] / (high - low)
    assert BETA @ roughness(BASIS) @ BETA == pytest.approx(integral, rel=1e-8)
    assert not roughness(BASIS)[0].any()


def test_a_line_stays_and_exact_estimates_stay():
    line = NaturalSplines.of(DOSE, 1)
    alone = smoothed(np.array([2.0]), np.eye(1), line, DOSE, OUTCOME, ONE)
    assert alone.tolist() == [2.0]
    np.testing.assert_allclose(drawn(COV * 1e-12), BETA, rtol=1e-6)


def test_estimates_without_information_give_the_best_line():
    found = drawn(COV * 1e10)
    best = BETA[0] - COV[0, 1:] @ np.linalg.solve(COV[1:, 1:], BETA[1:])
    np.testing.assert_allclose(found, [best, 0, 0, 0], atol=0.02)


def test_units_of_outcome_and_scale_of_weights_do_not_matter():
    np.testing.assert_allclose(
        drawn(COV * 1e4, BETA * 100, OUTCOME * 100), 100 * drawn(COV), rtol=1e-10
    )
    np.testing.assert_allclose(drawn(COV, weights=ONE * 7), drawn(COV), rtol=1e-10)


def test_the_posterior_mean_by_brute_force():
    """Bayes' rule on a wide flat prior of the line, the half-Cauchy on a fine grid of its own."""
    terms = BASIS(DOSE) - BASIS(DOSE).mean(axis=0)
    curved = terms[:, 1:] - np.outer(
        terms[:, 0], np.linalg.lstsq(terms[:, :1], terms[:, 1:], rcond=None)[0]
    )
    prior = np.linalg.inv(roughness(BASIS)[1:, 1:])
    s = np.sqrt(OUTCOME.var() / np.einsum("nk,kl,nl->n", curved, prior, curved).mean())
    log_tau = np.linspace(-9, 9, 4001)
    total, mass = 0.0, 0.0
    for tau in s * np.exp(log_tau):
        full = np.zeros((4, 4))
        full[0, 0], full[1:, 1:] = 1e6, tau**2 * prior
        weight = multivariate_normal(np.zeros(4), COV + full).pdf(BETA) * tau / (1 + (tau / s) ** 2)
        total, mass = total + weight * full @ np.linalg.solve(COV + full, BETA), mass + weight
    np.testing.assert_allclose(drawn(COV), total / mass, rtol=2e-3)
