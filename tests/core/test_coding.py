"""Codings of factorial effects against brute force over all cells."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from causal_ddpm.core import coding
from causal_ddpm.core.errors import DataError


@st.composite
def mean_functions(draw):
    """Cell means of up to four factors and their assignment probabilities."""
    k = draw(st.integers(1, 4))
    means = draw(st.lists(st.floats(-5, 5), min_size=2**k, max_size=2**k))
    p = draw(st.lists(st.floats(0.05, 0.95), min_size=k, max_size=k))
    return k, np.array(means), np.array(p)


def difference(means, k, term, others):
    """The |S|-fold difference of cell means over S at given levels of the other factors."""
    table = means.reshape((2,) * k)
    total = 0.0
    for levels in product((0, 1), repeat=len(term)):
        cell = list(others)
        for j, level in zip(term, levels, strict=True):
            cell[j] = level
        total += (-1) ** (len(term) - sum(levels)) * table[tuple(cell)]
    return total


@settings(max_examples=40, deadline=None)
@given(mean_functions())
def test_saturated_coefficients_are_simple_effects_at_the_baseline(example):
    k, means, p = example
    terms = coding.terms_to(k, k)
    beta = np.linalg.solve(coding.cell_weights(coding.all_cells(k), terms, p, "01"), means)
    expected = [difference(means, k, term, [0] * k) for term in terms]
    np.testing.assert_allclose(beta, expected, atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(mean_functions())
def test_average_effects_are_averages_of_differences_over_all_cells(example):
    k, means, p = example
    terms = coding.terms_to(k, k)
    cells = coding.all_cells(k)
    weights = coding.cell_probabilities(cells, p)
    assert weights.sum() == pytest.approx(1)
    beta = np.linalg.solve(coding.cell_weights(cells, terms, p, "01"), means)
    delta = coding.conversion(terms, p, "01", "ame") @ beta
    expected = [
        sum(w * difference(means, k, term, cell) for w, cell in zip(weights, cells, strict=True))
        for term in terms
    ]
    np.testing.assert_allclose(delta, expected, atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(mean_functions(), st.sampled_from(["01", "ame", "effects"]), st.data())
def test_conversions_keep_every_cell_mean_and_invert(example, source, data):
    k, means, p = example
    order = data.draw(st.integers(1, k))
    target = data.draw(st.sampled_from(["01", "ame", "effects"]))
    terms, cells = coding.terms_to(k, order), coding.all_cells(k)
    theta = means[: len(terms)]
    there = coding.conversion(terms, p, source, target)
    back = coding.conversion(terms, p, target, source)
    np.testing.assert_allclose(back @ there, np.eye(len(terms)), atol=1e-8)
    np.testing.assert_allclose(
        coding.cell_weights(cells, terms, p, target) @ there @ theta,
        coding.cell_weights(cells, terms, p, source) @ theta,
        atol=1e-8,
    )
    without = coding.conversion(terms[1:], p, source, target)
    np.testing.assert_array_equal(without, there[1:, 1:])


def test_effects_coding_is_the_average_coding_at_one_half_up_to_powers_of_two():
    terms = coding.terms_to(3, 3)
    scale = coding.conversion(terms, [0.5] * 3, "ame", "effects")
    np.testing.assert_allclose(scale, np.diag([0.5 ** len(term) for term in terms]))


def test_the_covariance_follows_linearly():
    """Least squares under either coding: the same fit, so the same converted covariance."""
    rng = np.random.default_rng(0)
    z, p = rng.integers(0, 2, (200, 3)), np.array([0.3, 0.5, 0.8])
    terms = coding.terms_to(3, 2)
    x, w = coding.columns(z, terms), coding.columns(z, terms, p)
    convert = coding.conversion(terms, p, "01", "ame")
    np.testing.assert_allclose(
        convert @ np.linalg.inv(x.T @ x) @ convert.T, np.linalg.inv(w.T @ w), atol=1e-12
    )


def test_terms_and_labels_are_in_the_order_of_degree():
    terms = coding.terms_to(3, 2)
    labels = [coding.term_label(term, ["a", "b", "c"]) for term in terms]
    assert labels == ["1", "a", "b", "c", "a:b", "a:c", "b:c"]
    assert coding.n_terms(8, 2) == len(coding.terms_to(8, 2)) == 37
    assert coding.cell_label((1, 0), ["a", "b"]) == "mean(a=1,b=0)"
    np.testing.assert_array_equal(coding.all_cells(2), [[0, 0], [0, 1], [1, 0], [1, 1]])


def test_probabilities_by_name_or_place():
    np.testing.assert_array_equal(coding.probabilities(0.5, ["a", "b"]), [0.5, 0.5])
    np.testing.assert_array_equal(coding.probabilities([0.2, 0.3], ["a", "b"]), [0.2, 0.3])
    np.testing.assert_array_equal(
        coding.probabilities({"b": 0.3, "a": 0.2}, ["a", "b"]), [0.2, 0.3]
    )


@pytest.mark.parametrize(
    ("p", "sentence"),
    [
        ({"a": 0.5}, "the assignment probabilities and the factors disagree about 'b'"),
        ({"a": 0.5, "b": 0.5, "d": 0.5}, "disagree about 'd'; expected one probability for each"),
        ([0.5] * 3, "3 assignment probabilities were given; expected one, or 2"),
        ([0.0, 0.5], "an assignment probability is 0; expected numbers strictly between 0 and 1"),
        (float("nan"), "an assignment probability is nan"),
    ],
)
def test_unusable_probabilities_are_refused(p, sentence):
    with pytest.raises(DataError, match=sentence):
        coding.probabilities(p, ["a", "b"])


def test_unusable_terms_are_refused():
    with pytest.raises(DataError, match="order of interactions is 4; expected a whole number"):
        coding.terms_to(3, 4)
    with pytest.raises(DataError, match="interaction of factors 1 and 2 but not the term of 2"):
        coding.conversion([(), (0,), (0, 1)], [0.5, 0.5], "01", "ame")
    with pytest.raises(DataError, match="the coding is 'dummy'; expected '01' or 'ame'"):
        coding.conversion([(0,)], [0.5], "01", "dummy")
    with pytest.raises(DataError, match="the cells of 40 factors were asked for"):
        coding.all_cells(40)
