"""Tokens and masks: who is grouped with whom, and that no path leaves the graph."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.roles import (
    LIMIT,
    ColumnRoles,
    ConditionColumns,
    check_names,
    graph_of,
    roles_of,
)
from causal_ddpm.diffusion.settings import DiffusionSettings


def closure(pairs, n):
    """Reachability by repeated squaring, itself included."""
    reach = np.eye(n, dtype=bool)
    for a, b in pairs:
        reach[a, b] = True
    for _ in range(n.bit_length()):
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    return reach


@pytest.mark.parametrize("d", [1, 10, LIMIT])
def test_few_columns_are_tokens_of_their_own(d):
    assert roles_of(ConditionColumns.plain(d), None) == ColumnRoles.plain(d)


@pytest.mark.parametrize("d", [LIMIT + 1, 200, 500])
def test_many_columns_share_tokens_evenly(d):
    roles = roles_of(ConditionColumns.plain(d), None)
    sizes = np.bincount(roles.token_of)
    assert roles.n_tokens == LIMIT
    assert sizes.sum() == d
    assert sizes.max() - sizes.min() <= 1


def test_a_category_is_one_token():
    columns = ConditionColumns(("age", "region", "income"), (0, 1, 1, 1, 2))
    assert roles_of(columns, None).token_of == (0, 1, 1, 1, 2)


def test_a_source_without_columns_has_no_token():
    """A confounder may not vary over the training rows; the graph may still name it."""
    columns = ConditionColumns(("a", "b", "c"), (0, 2))
    roles = roles_of(columns, graph_of({"c": ["b", "a"]}))
    assert roles.token_of == (0, 1)
    assert roles.looks_at == ((0,), (0, 1))


def test_a_graph_is_the_mask():
    roles = roles_of(ConditionColumns.plain(4), graph_of({2: [0, 1], 3: (2,)}))
    assert roles.looks_at == ((0,), (1,), (0, 1, 2), (2, 3))


@pytest.mark.parametrize("graph", [None, {"b": ["a"]}])
def test_summaries_look_at_all_and_nobody_looks_at_them(graph):
    columns = ConditionColumns(("m", "a", "b"), (0, 1, 2), summaries=("m",))
    roles = roles_of(columns, None if graph is None else graph_of(graph))
    assert roles.token_of == (2, 0, 1)
    assert roles.n_summaries == 1
    assert roles.looks_at[2] == (0, 1, 2)
    assert all(2 not in seen for seen in roles.looks_at[:2])


def test_summaries_keep_tokens_of_their_own_among_many_columns():
    names = tuple(map(str, range(502)))
    roles = roles_of(ConditionColumns(names, tuple(range(502)), names[-2:]), None)
    assert roles.n_tokens == LIMIT
    assert roles.token_of[-2:] == (LIMIT - 2, LIMIT - 1)
    assert max(roles.token_of[:-2]) == LIMIT - 3


@given(st.integers(0, 10_000), st.integers(2, 300))
@settings(max_examples=25, deadline=None)
def test_every_path_through_the_mask_is_a_path_of_the_graph(seed, d):
    """However sources share tokens: what a token can be reached by are ancestors of all of it."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(d)
    pairs = [
        (order[i], order[j])
        for i in range(1, d)
        for j in rng.integers(0, i, rng.integers(0, 3))
    ]  # fmt: skip
    parents = {}
    for child, parent in pairs:
        parents.setdefault(int(child), []).append(int(parent))
    roles = roles_of(ConditionColumns.plain(d), graph_of(parents))
    token, ancestors = np.array(roles.token_of), closure(pairs, d)
    mask = [(k, seen) for k, row in enumerate(roles.looks_at) for seen in row]
    paths = closure(mask, roles.n_tokens)
    assert roles.n_tokens <= LIMIT
    for k, seen in zip(*np.nonzero(paths), strict=True):
        if k != seen:
            assert ancestors[np.ix_(token == k, token == seen)].all()


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, "cycle"),
        ({"a": ["a"]}, "cycle"),
        ({"a": "bc"}, "a mapping such as"),
        ({"a": [1.5]}, "a mapping such as"),
        ({"a": None}, "a mapping such as"),
        (7, "a mapping such as"),
        ([("a",)], "a mapping such as"),
    ],
    ids=str,
)
def test_a_graph_that_is_none_is_refused(graph, words):
    with pytest.raises(DataError, match=words):
        DiffusionSettings(backbone="attention", column_parents=graph)


def test_unknown_columns_are_refused():
    with pytest.raises(DataError, match=r"names 'agee'.*Did you mean 'age'"):
        check_names(graph_of({"income": ["agee"]}), ("age", "income"))
    columns = ConditionColumns(("a", "m"), (0, 1), summaries=("m",))
    with pytest.raises(DataError, match="names 'm'"):
        roles_of(columns, graph_of({"a": ["m"]}))


def test_settings_of_attention_are_refused_elsewhere():
    for fields in ({"column_parents": {1: [0]}}, {"arm_weight": 0.5}):
        with pytest.raises(DataError, match="backbone='attention'"):
            DiffusionSettings(**fields)


def test_a_graph_survives_being_written_as_lists():
    first = DiffusionSettings(backbone="attention", column_parents={"b": ["a"]})
    again = DiffusionSettings(backbone="attention", column_parents=[["b", ["a"]]])
    assert first == again
    assert hash(first) == hash(again)


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        {"token_of": [0, 2], "n_summaries": 0, "looks_at": None},
        {"token_of": [0], "n_summaries": 0, "looks_at": None},
        {"token_of": [], "n_summaries": 0, "looks_at": None},
        {"token_of": [0, 1], "n_summaries": 3, "looks_at": None},
        {"token_of": [0, 1], "n_summaries": 0, "looks_at": [[0], [5]]},
        {"token_of": [0, "x"], "n_summaries": 0, "looks_at": None},
    ],
    ids=str,
)
def test_damaged_roles_are_refused(state):
    with pytest.raises(DataError):
        ColumnRoles.from_state(2, state)
