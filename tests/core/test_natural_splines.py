"""Natural cubic splines: lines outside, smooth inside, and their derivative."""

import numpy as np
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.natural_splines import NaturalSplines

DOSE = np.random.default_rng(0).normal(size=400)


def test_one_term_is_the_dose():
    basis = NaturalSplines.of(DOSE, 1)
    np.testing.assert_array_equal(basis(DOSE)[:, 0], DOSE)
    np.testing.assert_array_equal(basis.slope(DOSE), np.ones((400, 1)))


@pytest.mark.parametrize("n_terms", [2, 3, 5])
def test_slopes_are_derivatives_and_ends_are_lines(n_terms):
    basis, h = NaturalSplines.of(DOSE, n_terms), 1e-6
    d = np.linspace(-3, 3, 61)
    numeric = (basis(d + h) - basis(d - h)) / (2 * h)
    np.testing.assert_allclose(basis.slope(d), numeric, atol=1e-7)
    for ends in ([5.0, 6.0, 9.0], [-5.0, -6.0, -9.0]):
        slopes = basis.slope(np.array(ends))
        np.testing.assert_allclose(slopes, slopes[[0, 0, 0]], atol=1e-10)
    assert np.linalg.matrix_rank(basis(DOSE) - basis(DOSE).mean(axis=0)) == n_terms


def test_weights_move_the_knots():
    weights = (DOSE > 0).astype(float)
    assert NaturalSplines.of(DOSE, 3, weights).knots[0] >= 0


def test_refusals():
    with pytest.raises(DataError, match="n_terms is 0"):
        NaturalSplines.of(DOSE, 0)
    with pytest.raises(DataError, match="2 distinct values"):
        NaturalSplines.of(np.repeat([0.0, 1.0], 50), 3)


def test_curvatures_are_derivatives_of_slopes():
    basis, h, d = NaturalSplines.of(DOSE, 4), 1e-6, np.linspace(-3, 3, 60)
    numeric = (basis.slope(d + h) - basis.slope(d - h)) / (2 * h)
    np.testing.assert_allclose(basis.curvature(d), numeric, atol=1e-6)
