"""Constrained draws against closed forms: conditioned Gaussians, mixtures, truncated normals."""

import numpy as np
import pytest
from scipy.stats import norm, truncnorm

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.constrained import Coordinates, constrained_draws
from causal_ddpm.diffusion.constraints import (
    LinearEquality,
    LinearInequality,
    bounds,
    polyhedron,
    shares,
)
from causal_ddpm.diffusion.vector_oracle import MixtureLaw, gaussian_law

NAMES = ("a", "b", "c")
MEAN = np.array([0.4, -0.2, 0.1])
COV = np.array([[1.0, 0.5, -0.2], [0.5, 0.8, 0.1], [-0.2, 0.1, 0.6]])
A, B = np.array([[1.0, 1.0, 1.0]]), np.array([1.5])


def draw(law, constraints, n=64, n_samples=64, seed=0, coordinates=None):
    """Draws (n, S, k) in the law's own coordinates unless others are given."""
    k = law.size
    coordinates = coordinates or Coordinates(np.zeros((n, k)), np.tile(np.eye(k), (n, 1, 1)))
    region = polyhedron(constraints, NAMES[: coordinates.offset.shape[1]], n)
    return constrained_draws(law, np.empty((n, 0)), coordinates, region, n_samples, seed), region


def off(x, law):
    """Errors of the mean, in sd, and of the covariance, relative."""
    mean, cov = law.moments()
    x = x.reshape(-1, x.shape[-1])
    sd = np.sqrt(np.trace(cov) / len(cov))
    wrong = np.linalg.norm(np.cov(x.T) - cov) / np.linalg.norm(cov)
    return np.abs(x.mean(0) - mean).max() / sd, wrong


def test_a_gaussian_on_a_surface_has_the_conditional_moments():
    law = gaussian_law(MEAN, COV)
    draws, region = draw(law, [LinearEquality(A, B, NAMES)], n=128)
    mean, cov = off(draws.x, law.given(A, B))
    assert mean < 0.03
    assert cov < 0.05
    assert region.violation(draws.x) < 1e-12
    assert draws.effective_share.min() > 0.9  # proposals are all but exact


def test_a_mixture_on_a_surface_changes_its_weights():
    law = MixtureLaw(
        np.array([0.5, 0.5]),
        np.array([[1.0, 1.0, 0.0], [-1.0, -0.2, 0.0]]),
        np.stack([0.15 * np.eye(3)] * 2),
    )
    A, b = np.array([[1.0, 0.0, 0.0]]), np.array([0.15])
    truth = law.given(A, b)
    assert truth.weights[0] > 0.8  # while 0.5 before
    draws, _ = draw(law, [LinearEquality(A, b, NAMES)], n=64)
    mean, cov = off(draws.x, truth)
    assert mean < 0.15
    assert cov < 0.15


@pytest.mark.parametrize("threshold", [0.5, 3.5])
def test_a_half_space_truncates(threshold):
    law = gaussian_law(np.zeros(3), np.eye(3))
    draws, region = draw(law, [bounds("a", low=threshold)], n=64)
    a = draws.x[..., 0]
    oracle = truncnorm(threshold, np.inf)
    assert region.feasible_share(draws.x) == 1.0
    assert abs(a.mean() - oracle.mean()) < 0.1 * oracle.std()
    assert abs(a.std() / oracle.std() - 1) < 0.1
    assert abs(draws.x[..., 1].mean()) < 0.05
    plain = threshold < 1
    assert np.isfinite(draws.effective_share).any() != plain
    if plain:
        assert abs(draws.acceptance.mean() - norm.sf(threshold)) < 0.02


def test_an_equality_and_a_rare_half_space_together():
    law = gaussian_law(np.zeros(3), np.eye(3))
    limits = [LinearEquality([1, 1], 0, ["a", "b"]), bounds("a", low=2.0)]
    draws, region = draw(law, limits)
    assert region.feasible_share(draws.x) == 1.0
    assert region.violation(draws.x) < 1e-12
    oracle = truncnorm(2 * np.sqrt(2), np.inf, scale=np.sqrt(0.5))  # a | a = -b is N(0, 1/2)
    assert abs(draws.x[..., 0].mean() - oracle.mean()) < 0.1 * oracle.std()


def test_shares_in_other_units_and_coordinates():
    law = gaussian_law(np.zeros(3), 0.5 * np.eye(3) + 0.5)
    n = 20
    scale = np.linspace(0.05, 0.3, n)[:, None, None] * np.eye(3)
    coordinates = Coordinates(np.tile([0.2, 0.3, 0.4], (n, 1)), scale)
    draws, region = draw(law, [shares(NAMES)], n=n, n_samples=50, coordinates=coordinates)
    assert region.violation(draws.x) < 1e-12
    assert (draws.x >= 0).all()
    assert draws.x.std(axis=1).min() > 0


def test_units_do_not_matter():
    law = gaussian_law(MEAN, COV)
    found = []
    for unit in (1.0, 1e-6):
        coordinates = Coordinates(np.zeros((4, 3)), np.tile(unit * np.eye(3), (4, 1, 1)))
        limits = [LinearEquality([1, 1, 1], 1.5 * unit, NAMES), bounds("a", low=1.5 * unit)]
        draws, region = draw(law, limits, 4, 64, 0, coordinates)
        assert region.feasible_share(draws.x) == 1.0
        found.append(draws.x / unit)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-4)


def test_equalities_that_the_coordinates_obey_need_no_particles():
    law = gaussian_law(np.zeros(2), np.eye(2))
    basis = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    coordinates = Coordinates(np.tile([0.0, 0.0, 1.0], (5, 1)), np.tile(basis, (5, 1, 1)))
    draws, region = draw(law, [LinearEquality([1, 1, 1], 1, NAMES)], 5, 10, 0, coordinates)
    assert np.isnan(draws.effective_share).all()
    assert region.violation(draws.x) < 1e-12


def test_the_same_seed_gives_the_same_draws():
    law = gaussian_law(MEAN, COV)
    limits = [LinearEquality(A, B, NAMES), bounds("a", low=0.0)]
    first, second, third = (draw(law, limits, 8, 16, seed)[0].x for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ([bounds("a", low=1), LinearInequality([1], 0, ["a"])], "no draw obeys the constraints"),
        (
            [LinearEquality([1, 1, 1], 1, NAMES), LinearEquality([2, 2, 2], 1, NAMES)],
            "contradict each other",
        ),
    ],
)
def test_what_cannot_be_is_refused(limits, message):
    with pytest.raises(DataError, match=message):
        draw(gaussian_law(MEAN, COV), limits, n=2, n_samples=4)


def test_a_constraint_against_the_coordinates_is_refused():
    law = gaussian_law(np.zeros(2), np.eye(2))
    basis = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    coordinates = Coordinates(np.tile([0.0, 0.0, 1.0], (5, 1)), np.tile(basis, (5, 1, 1)))
    with pytest.raises(DataError, match="contradicts an equality that holds in the data"):
        draw(law, [LinearEquality([1, 1, 1], 2, NAMES)], 5, 10, 0, coordinates)
