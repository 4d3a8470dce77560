"""Alias structures against textbook fractions and against the columns themselves."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from causal_ddpm.core.aliases import alias_structure, inseparable, partial_aliases
from causal_ddpm.core.coding import all_cells, columns, terms_to
from causal_ddpm.core.errors import DataError

ABCD = ("a", "b", "c", "d")


def fraction(base, *generators):
    """Runs of base factors plus products of them (as positions), coded 0/1."""
    x = 2 * all_cells(base) - 1
    extra = [np.prod(x[:, list(generator)], axis=1) for generator in generators]
    return (np.column_stack([x, *extra]) + 1) // 2


# 2^(12-1) Plackett-Burman design: cyclic shifts of its first row, and a row of zeros.
_PB_ROW = [1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0]
PLACKETT_BURMAN = np.array([np.roll(_PB_ROW, j) for j in range(11)] + [[0] * 11])


def test_the_half_fraction_of_four_factors():
    structure = alias_structure(fraction(3, (0, 1, 2)), ABCD)
    assert structure.regular
    assert structure.resolution == 4
    assert structure.defining_relation() == "I = a:b:c:d"
    assert structure.chain_labels() == ("a:b = c:d", "a:c = b:d", "a:d = b:c")
    assert structure.estimable_order == 1
    assert structure.in_words() == (
        "8 of 16 cells were run: a regular 2^(4-1) fraction of resolution IV.",
        "Defining relation: I = a:b:c:d.",
        "Main effects are clear of two-factor interactions; two-factor interactions are "
        "confounded with each other.",
        "Confounded up to order 2: a:b = c:d; a:c = b:d; a:d = b:c.",
        "All main effects can be estimated together if those of order 2 and above are negligible.",
    )


def test_the_quarter_fraction_of_five_factors():
    """2^(5-2) with D = AB and E = AC (Box, Hunter and Hunter 2005): I = ABD = ACE = BCDE."""
    structure = alias_structure(fraction(3, (0, 1), (0, 2)), (*ABCD, "e"))
    assert structure.defining_relation() == "I = a:b:d = a:c:e = b:c:d:e"
    assert structure.resolution == 3
    assert structure.chain_labels() == (
        "a = b:d = c:e", "b = a:d", "c = a:e", "d = a:b", "e = a:c", "b:c = d:e", "b:e = c:d",
    )  # fmt: skip
    frame = structure.frame()
    assert list(frame.columns) == ["chain", "term", "order", "sign"]
    assert frame.query("chain == 1")["term"].tolist() == ["a", "b:d", "c:e"]


def test_the_other_half_has_the_other_sign():
    runs = fraction(2, (0, 1))
    runs[:, 2] = 1 - runs[:, 2]
    structure = alias_structure(runs, ABCD[:3])
    assert structure.defining_relation() == "I = -a:b:c"
    assert structure.chain_labels()[0] == "a = -b:c"


def test_a_full_factorial_confounds_nothing_however_often_cells_are_repeated():
    runs = np.vstack([all_cells(3), all_cells(3)[:5]])
    structure = alias_structure(runs, ABCD[:3], order=3)
    assert (structure.resolution, structure.chains, structure.estimable_order) == (None, (), 3)
    assert structure.in_words() == ("All 8 cells were run: no effect is confounded with another.",)


def test_equal_and_constant_columns_are_words_of_length_two_and_one():
    same = alias_structure([[0, 0], [1, 1]], ("a", "b"))
    assert same.resolution == 2
    assert same.defining_relation() == "I = a:b"
    constant = alias_structure([[0, 1], [1, 1]], ("a", "b"))
    assert constant.resolution == 1
    assert constant.chain_labels() == ("I = b", "a = a:b")
    assert "A factor never varies" in constant.in_words()[2]


def test_a_missing_cell_is_no_regular_fraction():
    structure = alias_structure(all_cells(3)[:7], ABCD[:3], order=3)
    assert not structure.regular
    assert structure.words == ()
    assert structure.estimable_order == 2
    assert structure.in_words()[0].startswith("7 of 8 cells were run, not a regular fraction")
    assert structure.in_words()[1].startswith("All effects up to order 2 can be estimated")


def test_the_plackett_burman_design_carries_a_third_of_every_interaction():
    names = [f"f{j}" for j in range(11)]
    structure = alias_structure(PLACKETT_BURMAN, names)
    assert not structure.regular
    assert structure.chains == ()
    assert structure.estimable_order == 1
    shift = partial_aliases(PLACKETT_BURMAN, names).to_numpy()[1:]
    assert np.unique(np.abs(shift).round(12)).tolist() == [0.0, round(1 / 3, 12)]
    # a main effect is clear of its own ten interactions and shares the other 45
    np.testing.assert_array_equal((shift == 0).sum(axis=1), 10)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 5), st.data())
def test_aliases_are_the_columns_that_are_equal_in_every_run(k, data):
    cells = all_cells(k)
    chosen = data.draw(st.lists(st.integers(0, 2**k - 1), min_size=1, max_size=12, unique=True))
    runs = cells[chosen]
    structure = alias_structure(runs, [f"f{j}" for j in range(k)], order=k)
    terms = terms_to(k, k)
    x = columns(2 * runs - 1, terms)
    class_of = {t: (i, s) for i, chain in enumerate(structure.chains) for s, t in chain}
    for (s, one), (t, other) in combinations(enumerate(terms), 2):
        same = np.array_equal(x[:, s], x[:, t])
        opposite = np.array_equal(x[:, s], -x[:, t])
        a, b = class_of.get(one), class_of.get(other)
        aliased = a is not None and b is not None and a[0] == b[0]
        assert aliased == (same or opposite)
        if aliased:
            assert a[1] * b[1] == (1 if same else -1)
    constant = [t for s, t in enumerate(terms) if t and np.ptp(x[:, s]) == 0]
    assert {term for _, term in structure.words} == set(constant)
    for order in range(1, k + 1):
        model = terms_to(k, order)
        full_rank = np.linalg.matrix_rank(columns(2 * runs - 1, model)) == len(model)
        assert full_rank == (structure.estimable_order >= order)
        assert full_rank == (inseparable(runs, model) == ())


def test_terms_that_cannot_be_separated_are_named():
    half = fraction(3, (0, 1, 2))
    assert inseparable(half, terms_to(4, 1)) == ()
    assert inseparable(half, terms_to(4, 2)) == tuple(combinations(range(4), 2))


def test_many_words_are_cut_at_the_longest():
    runs = np.array([[0] * 12, [1] * 12])
    structure = alias_structure(runs, [f"f{j}" for j in range(12)])
    assert len(structure.words) == 255
    assert structure.defining_relation().endswith("... (1,792 longer words)")


@pytest.mark.parametrize(
    ("runs", "sentence"),
    [
        (np.ones((3, 2)), r"the runs have the shape \(3, 2\); expected \(n, 3\)"),
        ([[0, 1, 2]], "a run holds other values than 0 and 1"),
    ],
)
def test_unusable_runs_are_refused(runs, sentence):
    with pytest.raises(DataError, match=sentence):
        alias_structure(runs, ("a", "b", "c"))


def test_partial_aliases_need_a_model_that_can_be_estimated():
    with pytest.raises(DataError, match="the runs cannot tell a:b, a:c, a:d, b:c, b:d, c:d apart"):
        partial_aliases(fraction(3, (0, 1, 2)), ABCD, order=2, omitted=3)
    with pytest.raises(DataError, match="omitted is 1 with order 1; expected 2 to 4"):
        partial_aliases(fraction(3, (0, 1, 2)), ABCD, order=1, omitted=1)
