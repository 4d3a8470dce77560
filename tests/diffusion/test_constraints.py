"""The vocabulary of constraints, and coordinates in which equalities hold by construction."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.constraints import (
    LinearEquality,
    LinearInequality,
    accounting_identity,
    bounds,
    budget,
    holds,
    independent,
    market_clearing,
    polyhedron,
    shares,
)
from causal_ddpm.diffusion.null_space import find_equalities, null_space

NAMES = ("food", "rent", "rest")


def test_shares_sum_to_one_and_are_not_negative():
    region = polyhedron(shares(NAMES), NAMES, 1)
    inside = np.array([[[0.2, 0.3, 0.5]], [[1.2, -0.2, 0.0]]])
    assert region.violation(inside[:1]) < 1e-12
    rows = np.zeros(1, dtype=int)
    assert region.excess(rows, inside[0]) <= 0 < region.excess(rows, inside[1])
    assert region.feasible_share(inside[:1]) == 1.0


def test_a_budget_may_be_a_number_a_component_or_a_given_column():
    income = np.array([10.0, 20.0])
    by_row = polyhedron([budget(NAMES, "income")], NAMES, 2, {"income": income})
    np.testing.assert_allclose(by_row.A, np.ones((1, 3)))
    np.testing.assert_allclose(by_row.b[:, 0], income)
    fixed = polyhedron([budget(NAMES, 7)], NAMES, 2)
    np.testing.assert_allclose(fixed.b[:, 0], 7)
    inner = polyhedron([budget(NAMES[:2], "rest")], NAMES, 1)
    np.testing.assert_allclose(inner.A, [[1, 1, -1]])


def test_identities_and_clearing_markets_are_equalities():
    identity = polyhedron([accounting_identity("rest", ["food", "rent"])], NAMES, 1)
    np.testing.assert_allclose(identity.A, [[1, 1, -1]])
    market = polyhedron([market_clearing("food", ["rent", "rest"])], NAMES, 1)
    np.testing.assert_allclose(market.A, [[1, -1, -1]])
    assert str(market_clearing("sold", "bought")) == "1 sold - 1 bought = 0"


def test_bounds_of_one_side_or_both():
    region = polyhedron([bounds("food", 1, 2), bounds("rent", high=3)], NAMES, 1)
    np.testing.assert_allclose(region.C, [[-1, 0, 0], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(region.d, [[-1, 2, 3]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearEquality([[1, 1]], [1, 2], ["a", "b"]), r"A of shape \(2, 2\)"),
        (lambda: LinearEquality([1, np.nan], 0, ["a", "b"]), "missing or infinite"),
        (lambda: LinearInequality([1, 1], 0, ["a", "a"]), "names a column twice"),
        (lambda: bounds("a"), "at least one"),
        (lambda: bounds("a", 2, 1), "low <= high"),
        (lambda: polyhedron([budget(["food", "rnt"], 1)], NAMES, 1), "Did you mean 'rent'"),
        (lambda: polyhedron(["x = 1"], NAMES, 1), "constraints hold"),
        (lambda: polyhedron([bounds("w", 0)], NAMES, 1, {"w": np.ones(1)}), "binds no outcome"),
        (
            lambda: polyhedron([budget(NAMES, "w")], NAMES, 1, {"w": np.array([np.nan])}),
            "missing values",
        ),
        (
            lambda: independent(np.array([[1.0, 1], [2, 2]]), np.array([[1.0, 3]])),
            "contradict each other",
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises(DataError, match=message):
        make()


def test_redundant_equalities_are_kept_once():
    A, b = independent(np.array([[1.0, 1], [2, 2], [1, -1]]), np.array([[1.0, 2, 0]]))
    assert A.shape == (2, 2)
    np.testing.assert_allclose(np.linalg.solve(A, b[0]), [0.5, 0.5])


def test_an_equality_holds_up_to_rounding_only():
    x = np.random.default_rng(0).dirichlet([1, 2, 3], 50)
    A, b = np.ones((1, 3)), np.ones((50, 1))
    assert holds(A, b, x).all()
    x[7, 0] += 1e-4
    assert not holds(A, b, x).any()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.floats(-3, 3))
def test_null_space_coordinates_obey_whatever_they_are(seed, k, log_scale):
    rng = np.random.default_rng(seed)
    m = rng.integers(1, k)
    A, b = rng.standard_normal((m, k)), rng.standard_normal((5, m))
    scale = 10**log_scale * np.exp(rng.standard_normal(k))
    space = null_space(A, scale)
    w = rng.standard_normal((5, space.dim))
    x = space.offset(b) + w @ space.matrix.T
    size = np.abs(x) @ np.abs(A).T + np.abs(b)
    assert (np.abs(x @ A.T - b) <= 1e-11 * size).all()
    np.testing.assert_allclose(space.encode(x - space.offset(b)), w, atol=1e-9)


def test_equalities_are_found_in_the_data():
    rng = np.random.default_rng(1)
    parts = np.exp(rng.standard_normal((200, 3))) * [1, 100, 1e4]
    x = np.column_stack([parts, parts.sum(axis=1), rng.standard_normal(200)])
    A, b = find_equalities(x)
    assert A.shape == (1, 5)
    assert holds(A, np.tile(b, (200, 1)), x).all()
    assert not len(find_equalities(rng.standard_normal((200, 4)))[0])
