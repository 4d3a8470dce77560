r"""Which condition columns form one token, and which tokens may look at which.

A *source* is what a user calls a column: a number, or a category whose indicators are several
columns of the condition. The sources s = 1..p and the graph pa(s), the sources that s may look at,
give the tokens of :mod:`causal_ddpm.diffusion.attention`:

    tokens    K_1 .. K_m, sets of sources: one source each, or up to LIMIT sets of sources with
              like parents, as equal in number as can be
    mask      K looks at K, and at L when every source in K may look at every source in L

A path through several layers is then a path of the graph: the encoding of a token depends on its
own sources and their ancestors, on nothing else. Without a graph every source may look at every
other. *Summaries* are sources that are functions of all others (a fitted mean, say): they look at
all, and no other source looks at them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError

LIMIT = 126
"""Tokens for the columns of a condition; with the arm and the noisy value 128 in all."""

Graph = tuple[tuple[str, tuple[str, ...]], ...]
"""(source, the sources that it may look at), for the sources that may look at any."""

Name = str | int


@dataclass(frozen=True)
class ConditionColumns:
    """What the columns of a condition are.

    Parameters
    ----------
    names : tuple of str
        Names of the sources.
    source : tuple of int, one a column
        Position of each column's source in ``names``; a source may have no column.
    summaries : tuple of str
        The sources that are functions of all others.
    """

    names: tuple[str, ...]
    source: tuple[int, ...]
    summaries: tuple[str, ...] = ()

    @classmethod
    def plain(cls, n_columns: int) -> ConditionColumns:
        """Every column a source of its own, named "0", "1", ..."""
        return cls(tuple(map(str, range(n_columns))), tuple(range(n_columns)))


@dataclass(frozen=True)
class ColumnRoles:
    """Tokens of a condition and their mask.

    Parameters
    ----------
    token_of : tuple of int, one a column
        Tokens are numbered from 0, those of summaries last.
    n_summaries : int
        Tokens of summaries.
    looks_at : tuple of tuple of int, one a token, optional
        The tokens that each may look at, itself among them; all of them by default.
    """

    token_of: tuple[int, ...]
    n_summaries: int = 0
    looks_at: tuple[tuple[int, ...], ...] | None = None

    def __post_init__(self) -> None:
        if sorted(set(self.token_of)) != list(range(self.n_tokens)):
            raise DataError("the tokens have gaps", "tokens 0, 1, ... with at least one column")
        if not 0 <= self.n_summaries <= self.n_tokens:
            raise DataError(f"n_summaries is {self.n_summaries}", f"0 to {self.n_tokens}")
        if self.looks_at is not None and (
            len(self.looks_at) != self.n_tokens
            or any(not 0 <= k < self.n_tokens for seen in self.looks_at for k in seen)
        ):
            raise DataError("the mask names unknown tokens", f"tokens 0 to {self.n_tokens - 1}")

    @classmethod
    def plain(cls, n_columns: int) -> ColumnRoles:
        """Every column a token that looks at all columns."""
        return cls(tuple(range(n_columns)))

    @classmethod
    def from_state(cls, n_columns: int, state: Any) -> ColumnRoles:
        """Roles of ``n_columns`` columns from the fields as JSON has them.

        Raises
        ------
        DataError
        """
        try:
            seen = state["looks_at"]
            mask = None if seen is None else tuple(tuple(map(int, row)) for row in seen)
            token_of, n_summaries = tuple(map(int, state["token_of"])), int(state["n_summaries"])
        except (TypeError, ValueError, KeyError):
            raise DataError(
                "the state has no readable roles of its columns", "what state_dict writes"
            ) from None
        if len(token_of) != n_columns or not token_of:
            raise DataError(f"roles of {len(token_of)} columns", f"roles of {n_columns}")
        return cls(token_of, n_summaries, mask)

    @property
    def n_tokens(self) -> int:
        """m."""
        return max(self.token_of) + 1

    @property
    def one_each(self) -> bool:
        """Whether column j is token j."""
        return self.token_of == tuple(range(len(self.token_of)))


def graph_of(
    parents: Mapping[Name, Iterable[Name]] | Iterable[tuple[Name, Iterable[Name]]],
) -> Graph:
    """A graph as a user gives it, {source: sources that it may look at}, checked.

    Parameters
    ----------
    parents : mapping or pairs
        Sources by name, or by position where columns have no names.

    Raises
    ------
    DataError
        If it is no such mapping, or has a cycle.
    """
    pairs = parents.items() if isinstance(parents, Mapping) else parents
    try:
        read = {_name(child): tuple(map(_name, _listed(seen))) for child, seen in pairs}
    except (TypeError, ValueError):
        raise DataError(
            f"column_parents is {parents!r}", "a mapping such as {'income': ['age', 'region']}"
        ) from None
    try:
        TopologicalSorter(read).prepare()
    except CycleError as error:
        way = " -> ".join(error.args[1])
        raise DataError(
            f"column_parents has a cycle, {way}", "a graph without cycles",
            "Leave out one of these arrows.",
        ) from None  # fmt: skip
    return tuple(read.items())


def check_names(graph: Graph, names: Sequence[str]) -> None:
    """Refuse a graph that names unknown sources.

    Raises
    ------
    DataError
    """
    for name in (n for child, seen in graph for n in (child, *seen)):
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            raise DataError(
                f"column_parents names '{name}', which is no column of the condition",
                ", ".join(names[:6]) + (", ..." if len(names) > 6 else ""),
                f"Did you mean '{close[0]}'?" if close else "",
            )


def roles_of(columns: ConditionColumns, graph: Graph | None) -> ColumnRoles:
    """Tokens and mask of a condition.

    Parameters
    ----------
    columns : ConditionColumns
    graph : Graph, optional
        Without it every source looks at all but the summaries.

    Raises
    ------
    DataError
        If the graph names unknown sources, or a summary.
    """
    ordinary = [name for name in columns.names if name not in columns.summaries]
    check_names(() if graph is None else graph, ordinary)
    may_look = _permissions(columns, graph)
    present = sorted(set(columns.source))
    last = [s for s in present if columns.names[s] in columns.summaries]
    first = [s for s in present if columns.names[s] not in columns.summaries]
    if graph is not None and len(present) > LIMIT:
        first.sort(key=lambda s: np.flatnonzero(may_look[s]).tolist())
    room = min(len(last), LIMIT // 2) if len(present) > LIMIT else len(last)
    tokens = _shared_out(first, LIMIT - room) + _shared_out(last, room)
    token = {s: k for k, sources in enumerate(tokens) for s in sources}
    looks_at = None
    if graph is not None or last:
        looks_at = tuple(
            tuple(k for k, seen in enumerate(tokens) if k == h or may_look[np.ix_(own, seen)].all())
            for h, own in enumerate(tokens)
        )
    return ColumnRoles(
        tuple(token[s] for s in columns.source), len(_shared_out(last, room)), looks_at
    )


def _permissions(columns: ConditionColumns, graph: Graph | None) -> NDArray[np.bool_]:
    """Whether source s may look at source r, shape (p, p)."""
    p, place = len(columns.names), {name: s for s, name in enumerate(columns.names)}
    may_look = np.full((p, p), graph is None)
    for child, seen in graph if graph is not None else ():
        may_look[place[child], [place[name] for name in seen]] = True
    summaries = [place[name] for name in columns.summaries]
    may_look[:, summaries] = False
    may_look[summaries] = True
    return may_look


def _shared_out(sources: list[int], n_tokens: int) -> list[list[int]]:
    """At most ``n_tokens`` sets of neighbours, as equal in number as can be."""
    if not sources:
        return []
    cuts = np.array_split(np.array(sources), min(n_tokens, len(sources)))
    return [cut.tolist() for cut in cuts]


def _name(name: object) -> str:
    if isinstance(name, str | int | np.integer) and not isinstance(name, bool):
        return str(name)
    raise TypeError(name)


def _listed(seen: Iterable[Name]) -> Iterable[Name]:
    if isinstance(seen, str):
        raise TypeError(seen)
    return seen
