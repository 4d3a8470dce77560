"""Known laws of cells: probabilities, Gram matrices by brute force, refusals."""

import numpy as np
import pytest

from causal_ddpm.core.assignment import Assignment, read_assignment
from causal_ddpm.core.coding import all_cells, columns, terms_to
from causal_ddpm.core.errors import DataError, NotIdentifiedError

AB = ("a", "b")
TERMS = terms_to(2, 2)


def as_table(assignment: Assignment) -> dict[tuple[int, ...], float]:
    cells = all_cells(len(assignment.factors))
    return dict(zip(map(tuple, cells.tolist()), assignment.probability(cells), strict=True))


def test_independent_factors_are_the_table_of_their_products():
    independent = Assignment.independent({"a": 0.3, "b": 0.6}, AB)
    table = Assignment.table(as_table(independent), AB)
    np.testing.assert_allclose(table.p, [0.3, 0.6])
    np.testing.assert_allclose(table.gram(TERMS), independent.gram(TERMS), atol=1e-15)
    np.testing.assert_allclose(
        np.diag(independent.gram(TERMS)), [1, 0.21, 0.24, 0.21 * 0.24], rtol=1e-14
    )


def test_gram_matrix_of_a_table_is_the_mean_over_its_cells():
    table = Assignment.table({(0, 0): 0.4, (0, 1): 0.3, (1, 0): 0.2, (1, 1): 0.1}, AB)
    assert table.p.tolist() == pytest.approx([0.3, 0.4])
    cells = np.repeat(all_cells(2), [4, 3, 2, 1], axis=0)
    f = columns(cells, TERMS, table.p)
    np.testing.assert_allclose(table.gram(TERMS), f.T @ f / 10, atol=1e-15)


def test_a_fraction_identifies_main_effects_but_not_their_aliases():
    half = Assignment.table({c: 0.25 for c in [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]}, "abc")
    assert np.linalg.cond(half.gram(terms_to(3, 1))) < 10
    with pytest.raises(NotIdentifiedError, match="4 cells that can occur cannot tell"):
        half.gram(terms_to(3, 2))


def test_observed_shares_count_weights():
    z = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [1, 1]])
    observed = read_assignment("observed", AB, z, np.array([1.0, 1, 1, 1, 4]))
    assert observed.probability(np.array([[1, 1], [0, 1]])).tolist() == [0.625, 0.125]
    assert "4 of 4 cells" in observed.name


def test_rows_that_could_not_occur_are_refused():
    table = Assignment.table({(0, 0): 0.5, (1, 1): 0.5}, AB)
    with pytest.raises(DataError, match=r"1 rows are in cells of probability zero, such as mean"):
        table.check_rows(np.array([[0, 0], [0, 1]]))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({(0, 0): 0.5, (1, 1): 0.4}, "add up to 0.9"),
        ({(0, 0): 1.2, (1, 1): -0.2}, "the smallest is -0.2"),
        ({(0, 0, 1): 1.0}, r"the cell is \(0, 0, 1\)"),
        ({(0, 0): 0.5, (0, 1): 0.5}, "strictly between 0 and 1"),
        ({"a": 0.5}, "disagree about 'b'"),
        ("uniform", "probabilities is 'uniform'"),
        (1.5, "an assignment probability is 1.5"),
    ],
)
def test_refusals(given, sentence):
    with pytest.raises(DataError, match=sentence):
        read_assignment(given, AB, np.array([[0, 1]]), np.ones(1))


def test_tables_of_many_factors_are_refused():
    names = [f"f{j}" for j in range(13)]
    with pytest.raises(DataError, match="13 factors"):
        Assignment.table({(0,) * 13: 1.0}, names)
