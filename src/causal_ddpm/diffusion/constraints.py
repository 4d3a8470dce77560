r"""Linear constraints on generated vectors, in the words of an economist.

A vector x with named components satisfies

    A x = b        :class:`LinearEquality`       shares, budgets, identities, clearing markets
    A x <= b       :class:`LinearInequality`     bounds, non-negativity

Names that are no component are *given* columns (income in a budget): their terms move to the right
hand side, so b differs from row to row. All constraints together are one :class:`Polyhedron`

    { x : A x = b_i,  C x <= d_i }        for each row i.

How draws are made to lie in it: ``diffusion.null_space`` (equalities that the data obey),
``diffusion.surface`` (equalities imposed), ``diffusion.feasible`` (inequalities).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.errors import DataError

Array = NDArray[np.float64]

HOLDS = 1e-6
"""An equality whose relative violation stays below this in every row holds in the data."""


@dataclass(frozen=True, eq=False)
class LinearConstraint:
    """Rows of coefficients on named columns, and their right-hand sides.

    Parameters
    ----------
    A : array_like, shape (m, k) or (k,)
        Coefficients, one column a name.
    b : array_like, shape (m,) or float
        Right-hand sides.
    names : sequence of str, length k
        Components of the vector, or given columns.

    Raises
    ------
    DataError
        If shapes disagree, a name comes twice, or a number is not finite.
    """

    A: Array
    b: Array
    names: tuple[str, ...]

    def __init__(self, A: ArrayLike, b: ArrayLike, names: Sequence[str]):
        matrix = np.atleast_2d(np.asarray(A, dtype=np.float64))
        side = np.atleast_1d(np.asarray(b, dtype=np.float64))
        labels = (names,) if isinstance(names, str) else tuple(names)
        if matrix.shape != (len(side), len(labels)):
            raise DataError(
                f"a constraint has A of shape {matrix.shape}, b of shape {side.shape} and "
                f"{len(labels)} names", f"A of shape ({len(side)}, {len(labels)})",
            )  # fmt: skip
        if not (np.isfinite(matrix).all() and np.isfinite(side).all()):
            raise DataError("a constraint has missing or infinite numbers", "finite numbers")
        if len(set(labels)) < len(labels):
            raise DataError(f"a constraint names a column twice: {', '.join(labels)}", "each once")
        object.__setattr__(self, "A", matrix)
        object.__setattr__(self, "b", side)
        object.__setattr__(self, "names", labels)

    def __repr__(self) -> str:
        sign = "=" if isinstance(self, LinearEquality) else "<="
        rows = (
            " + ".join(f"{a:g} {n}" for a, n in zip(row, self.names, strict=True) if a)
            for row in self.A
        )
        lines = (f"{row} {sign} {b:g}" for row, b in zip(rows, self.b, strict=True))
        return "; ".join(lines).replace("+ -", "- ")


class LinearEquality(LinearConstraint):
    """A x = b."""


class LinearInequality(LinearConstraint):
    """A x <= b."""


Constraints = Sequence["LinearConstraint | Sequence[LinearConstraint]"]
"""What ``constraints=`` accepts: constraints, and tuples of them as the helpers return."""


def shares(columns: Sequence[str]) -> tuple[LinearEquality, LinearInequality]:
    """Columns that sum to one and are not negative (so none exceeds one)."""
    return LinearEquality(np.ones(len(columns)), 1.0, columns), non_negative(columns)


def non_negative(columns: Sequence[str]) -> LinearInequality:
    """Columns of at least zero."""
    return LinearInequality(-np.eye(len(columns)), np.zeros(len(columns)), columns)


def bounds(column: str, low: float | None = None, high: float | None = None) -> LinearInequality:
    """low <= column <= high; one of them may be left open.

    Raises
    ------
    DataError
        If both are left open, or low exceeds high.
    """
    pairs = [(s, s * v) for s, v in ((-1.0, low), (1.0, high)) if v is not None]
    if not pairs or (low is not None and high is not None and low > high):
        raise DataError(f"bounds of '{column}' are {low} and {high}", "low <= high, at least one")
    return LinearInequality([[s] for s, _ in pairs], [v for _, v in pairs], (column,))


def budget(columns: Sequence[str], total: float | str) -> LinearEquality:
    """Columns that sum to ``total``: a number, or a column (of the vector or given)."""
    if isinstance(total, str):
        return accounting_identity(total, columns)
    return LinearEquality(np.ones(len(columns)), float(total), columns)


def accounting_identity(total: str, parts: Sequence[str]) -> LinearEquality:
    """total = sum of the parts."""
    return LinearEquality([*np.ones(len(parts)), -1.0], 0.0, (*parts, total))


def market_clearing(supply: str | Sequence[str], demand: str | Sequence[str]) -> LinearEquality:
    """What is supplied equals what is demanded; each side one column or several."""
    sold = (supply,) if isinstance(supply, str) else tuple(supply)
    bought = (demand,) if isinstance(demand, str) else tuple(demand)
    return LinearEquality([1.0] * len(sold) + [-1.0] * len(bought), 0.0, (*sold, *bought))


def flat(constraints: Any) -> tuple[LinearConstraint, ...]:
    """All constraints in one tuple.

    Raises
    ------
    DataError
        If something else is among them.
    """
    if constraints is None:
        return ()
    if isinstance(constraints, LinearConstraint):
        return (constraints,)
    if isinstance(constraints, list | tuple):
        return tuple(c for part in constraints for c in flat(part))
    raise DataError(
        f"constraints hold {constraints!r}",
        "LinearEquality, LinearInequality or what shares(), budget(), bounds(), ... return",
    )


@dataclass(frozen=True, eq=False)
class Polyhedron:
    """{x : A x = b_i, C x <= d_i} for n rows.

    Parameters
    ----------
    A : ndarray, shape (m, k)
    b : ndarray, shape (n, m)
    C : ndarray, shape (q, k)
    d : ndarray, shape (n, q)
    """

    A: Array
    b: Array
    C: Array
    d: Array

    def excess(self, rows: NDArray[np.int64], x: Array) -> Array:
        """max_j (C x - d_i)_j of points x (P, k) that belong to ``rows`` (P,); feasible: <= 0."""
        if not len(self.C):
            return np.full(len(x), -np.inf)
        return np.asarray((x @ self.C.T - self.d[rows]).max(axis=1))

    def violation(self, x: Array) -> float:
        """Largest |A x - b| / (|A| |x| + |b|) over draws x (n, S, k)."""
        if not len(self.A) or not x.size:
            return 0.0
        off = np.abs(x @ self.A.T - self.b[:, None])
        size = np.abs(x) @ np.abs(self.A).T + np.abs(self.b[:, None])
        return float((off / np.maximum(size, 1e-300)).max())

    def feasible_share(self, x: Array) -> float:
        """Share of draws x (n, S, k) with C x <= d."""
        if not len(self.C):
            return 1.0
        return float(((x @ self.C.T) <= self.d[:, None]).all(axis=2).mean())


def polyhedron(
    constraints: Any,
    names: Sequence[str],
    n: int,
    given: Mapping[str, Array] | None = None,
) -> Polyhedron:
    """All constraints as matrices over the components ``names``.

    Parameters
    ----------
    constraints : sequence of LinearConstraint
    names : sequence of str, length k
        Components of the vector.
    n : int
        Number of rows.
    given : mapping of str to ndarray, shape (n,), optional
        Columns with known values.

    Raises
    ------
    DataError
        If a name is unknown, a given value is missing, or a constraint touches no component.
    """
    known = dict(given or {})
    sides: dict[bool, tuple[list[Array], list[Array]]] = {True: ([], []), False: ([], [])}
    for constraint in flat(constraints):
        _check_names(constraint, names, known)
        matrix, side = _over(constraint, list(names), n, known)
        rows, rights = sides[isinstance(constraint, LinearEquality)]
        rows.append(matrix)
        rights.append(side)
    k = len(names)
    (A, b), (C, d) = (
        (np.vstack([np.empty((0, k)), *r]), np.hstack([np.empty((n, 0)), *s]))
        for r, s in (sides[True], sides[False])
    )
    return Polyhedron(A, b, C, d)


def _over(
    constraint: LinearConstraint, names: list[str], n: int, given: Mapping[str, Array]
) -> tuple[Array, Array]:
    """Coefficients over the components, (m, k), and right-hand sides, (n, m)."""
    matrix = np.zeros((len(constraint.b), len(names)))
    side = np.tile(constraint.b, (n, 1))
    for column, name in zip(constraint.A.T, constraint.names, strict=True):
        if name in names:
            matrix[:, names.index(name)] = column
        else:
            side = side - np.asarray(given[name], dtype=float)[:, None] * column
    if not np.isfinite(side).all():
        raise DataError(f"a column in the constraint '{constraint}' has missing values", "numbers")
    if not np.abs(matrix).sum(axis=1).all():
        raise DataError(f"the constraint '{constraint}' binds no outcome", ", ".join(names))
    return matrix, side


def _check_names(
    constraint: LinearConstraint, names: Sequence[str], given: Mapping[str, Array]
) -> None:
    known = [*names, *given]
    missing = [name for name in constraint.names if name not in known]
    if missing:
        close = difflib.get_close_matches(missing[0], known, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else ""
        raise DataError(
            f"the constraint '{constraint}' names '{missing[0]}'",
            f"one of {', '.join(known)}",
            hint,
        )


def holds(A: Array, b: Array, x: Array) -> NDArray[np.bool_]:
    """Which equalities A x = b_i hold in every row of x (n, k); b (n, m)."""
    off = np.abs(x @ A.T - b)
    size = np.abs(x) @ np.abs(A).T + np.abs(b)
    return np.asarray((off <= HOLDS * np.maximum(size, 1e-300)).all(axis=0))


def independent(A: Array, b: Array) -> tuple[Array, Array]:
    """An equivalent system with linearly independent rows: A (m', k), b (n, m').

    Raises
    ------
    DataError
        If the equalities contradict each other.
    """
    if not len(A):
        return A, b
    size = np.linalg.norm(A, axis=1)
    left, s, right = np.linalg.svd(A / size[:, None], full_matrices=False)
    rank = int(np.sum(s > 1e-10 * s[0]))
    turned = (b / size) @ left
    if np.abs(turned[:, rank:]).max(initial=0.0) > 1e-8 * (1 + np.abs(b / size).max()):
        raise DataError(
            "the equality constraints contradict each other",
            "equalities that can hold together",
            "Leave one of them out.",
        )
    return s[:rank, None] * right[:rank], turned[:, :rank]
