"""Factorial designs: their truth is the mean of their potential outcomes."""

import numpy as np
import pytest

from causal_ddpm.core.coding import all_cells, cell_probabilities
from causal_ddpm.core.errors import DataError
from causal_ddpm.dgp.factorial_designs import FACTORIAL, FRACTIONAL_FACTORIAL
from causal_ddpm.estimators.factorial_ols import factorial_ols

DESIGNS = (FACTORIAL, FRACTIONAL_FACTORIAL)
every = pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
N = 100_000


@every
def test_truth_is_the_mean_of_potential_outcomes(design):
    """Cell means, a simple effect and an average effect, from 10^5 units."""
    cells = all_cells(len(design.factors))
    outcomes = design.draw(N, 0).potential_outcomes(cells)
    means, errors = outcomes.mean(axis=0), outcomes.std(axis=0) / np.sqrt(N)
    truth = design.truth().population
    known = np.array([v for name, v in truth.items() if name.startswith("mean(")])
    assert len(known) == len(cells)
    assert np.abs((means - known) / errors).max() < 4
    k = len(design.factors)
    assert means[2 ** (k - 1)] - means[0] == pytest.approx(truth["a [0/1]"], abs=0.01)
    weight = cell_probabilities(cells[:, 1:], design.p[1:])
    sign = 2 * cells[:, 0] - 1
    assert (weight * sign) @ means == pytest.approx(truth["a"], abs=0.01)


@every
def test_sample_values_are_those_of_the_units_drawn(design):
    draw = design.draw(300, 1)
    cells = all_cells(len(design.factors))
    outcomes = draw.potential_outcomes(cells)
    own = [v for name, v in draw.truth.sample.items() if name.startswith("mean(")]
    np.testing.assert_allclose(outcomes.mean(axis=0), own)
    k = len(design.factors)
    simple = outcomes[:, 2 ** (k - 1)].mean() - outcomes[:, 0].mean()
    assert draw.truth.sample["a [0/1]"] == pytest.approx(simple)
    cell_of_row = draw.data.cell_of_row
    np.testing.assert_allclose(outcomes[np.arange(300), cell_of_row], draw.data.outcome)


def test_assignment_follows_the_stated_probabilities_and_nothing_else():
    draw = FACTORIAL.draw(N, 0)
    np.testing.assert_allclose(draw.data.z.mean(axis=0), FACTORIAL.p, atol=0.006)
    correlations = np.corrcoef(np.column_stack([draw.data.z, draw.frame["x"], draw.noise]).T)
    assert np.abs(correlations - np.eye(5)).max() < 0.014
    np.testing.assert_array_equal(draw.data.p, FACTORIAL.p)


def test_the_fraction_runs_its_cells_equally_often():
    draw = FRACTIONAL_FACTORIAL.draw(800, 0)
    cells, counts = np.unique(draw.data.z, axis=0, return_counts=True)
    np.testing.assert_array_equal(cells, FRACTIONAL_FACTORIAL.runs())
    np.testing.assert_array_equal(counts, 100)
    assert "I = a:b:c:d" in FRACTIONAL_FACTORIAL.truth().equations[2]


def test_least_squares_recovers_the_full_factorial():
    draw = FACTORIAL.draw(40_000, 2)
    fit = factorial_ols(draw.data, order=3)
    for coding, suffix in (("ame", ""), ("01", " [0/1]")):
        estimate = fit.effects(coding)
        truth = [draw.truth.value(f"{label}{suffix}") for label in estimate.labels]
        assert np.abs((estimate.values - truth) / estimate.std_error).max() < 4


def test_least_squares_on_the_fraction_gives_the_sum_of_aliases():
    draw = FRACTIONAL_FACTORIAL.draw(40_000, 2)
    effects = factorial_ols(draw.data, order=1).effects()
    truth = [draw.truth.value(label) for label in effects.labels]
    assert np.abs((effects.values - truth) / effects.std_error).max() < 4
    product = draw.data.z[:, 2] == draw.data.z[:, 3]
    y = draw.data.outcome
    # the mean difference by agreement of c and d shows the interaction of a and b instead
    assert y[product].mean() - y[~product].mean() == pytest.approx(0.5 * 0.8, abs=0.06)


def test_a_draw_without_rows_is_refused():
    with pytest.raises(DataError, match="a draw of 0 rows was asked for"):
        FACTORIAL.draw(0)
