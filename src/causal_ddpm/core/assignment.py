"""How the cells of a factorial experiment were assigned: independent factors, or a table of cells.

Rows receive cell z with known probability q(z). Independent factors have
q(z) = prod_j p_j^z_j (1 - p_j)^(1 - z_j); any other law of cells is a table, in which restrictions
between factors, fractions and unequal arms are zeros and numbers. With p_j = P(z_j = 1) and
f_S(z) = prod_{j in S} (z_j - p_j) over terms S, the Gram matrix of the average coding is

    G = sum_z q(z) f(z) f(z)',     for independent factors  G = diag prod_{j in S} p_j (1 - p_j).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.aliases import inseparable
from causal_ddpm.core.checks import shown
from causal_ddpm.core.coding import (
    Probability,
    Term,
    all_cells,
    cell_label,
    cell_probabilities,
    columns,
    probabilities,
    term_label,
)
from causal_ddpm.core.errors import DataError, NotIdentifiedError

Array = NDArray[np.float64]


KnownProbability = Any
"""What :func:`read_assignment` reads."""

MAX_TABLE = 12
"""With more factors a table of cells is too long."""

_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Assignment:
    """The known law of cells.

    Parameters
    ----------
    factors : tuple of str
    p : ndarray, shape (k,)
        P(z_j = 1).
    joint : ndarray, shape (2^k,), or None
        q(z) in the order of ``coding.all_cells``; None for independent factors.
    """

    factors: tuple[str, ...]
    p: Array
    joint: Array | None = None

    @classmethod
    def independent(cls, probability: Probability, factors: Sequence[str]) -> Assignment:
        """Factors assigned one by one.

        Raises
        ------
        DataError
            For probabilities outside (0, 1), or of other factors.
        """
        return cls(tuple(factors), probabilities(probability, factors))

    @classmethod
    def table(cls, cells: Mapping[tuple[int, ...], float], factors: Sequence[str]) -> Assignment:
        """Cells with their probabilities; cells that are not named have none.

        Raises
        ------
        DataError
            For more than 12 factors, cells that there are not, probabilities that do not add up
            to one, or a factor that never varies.
        """
        names = tuple(factors)
        k = len(names)
        if k > MAX_TABLE:
            raise DataError(f"a table of the cells of {k} factors", f"at most {MAX_TABLE} factors")
        joint = np.zeros(2**k)
        for cell, q in cells.items():
            joint[_place(cell, names)] = q
        if not (joint >= 0).all() or abs(joint.sum() - 1) > _ROUNDING:
            raise DataError(
                f"the cell probabilities add up to {joint.sum():g}, the smallest is "
                f"{joint.min():g}",
                "numbers of at least 0 that add up to 1",
            )
        p = probabilities(list(joint @ all_cells(k)), names)
        return cls(names, p, joint)

    @classmethod
    def observed(cls, z: NDArray[np.int64], factors: Sequence[str], weights: Array) -> Assignment:
        """The shares of the cells among the rows, taken for their probabilities."""
        cells, of_row = np.unique(z, axis=0, return_inverse=True)
        shares = np.bincount(of_row.ravel(), weights=weights) / weights.sum()
        named = {tuple(map(int, c)): float(q) for c, q in zip(cells, shares, strict=True)}
        return cls.table(named, factors)

    @property
    def name(self) -> str:
        """In words."""
        if self.joint is not None:
            return f"{int((self.joint > 0).sum())} of {len(self.joint)} cells, each as tabled"
        shares = (f"P({a}=1) = {q:g}" for a, q in zip(self.factors, self.p, strict=True))
        return f"independent, {shown(shares, 6)}"

    def probability(self, z: NDArray[np.int64]) -> Array:
        """q(z) of cells z (n, k), shape (n,)."""
        if self.joint is None:
            return cell_probabilities(z, self.p)
        return self.joint[z @ (1 << np.arange(len(self.factors) - 1, -1, -1))]

    def check_rows(self, z: NDArray[np.int64]) -> None:
        """Refuse rows in a cell that could not occur.

        Raises
        ------
        DataError
        """
        impossible = np.flatnonzero(self.probability(z) <= 0)
        if len(impossible):
            cell = cell_label(z[impossible[0]], self.factors)
            raise DataError(
                f"{len(impossible):,} rows are in cells of probability zero, such as {cell}",
                "cells that the assignment could give",
                "Correct the table of cells, or drop rows that were assigned otherwise.",
            )

    def gram(self, terms: Sequence[Term]) -> Array:
        """G, shape (n_terms, n_terms).

        Raises
        ------
        NotIdentifiedError
            If the cells that can occur confound some of the terms.
        """
        if self.joint is None:
            variance = self.p * (1 - self.p)
            return np.diag([float(np.prod([variance[j] for j in term])) for term in terms])
        cells = all_cells(len(self.factors))
        possible = self.joint > 0
        if confounded := inseparable(cells[possible], terms):
            labels = [term_label(term, self.factors) for term in confounded]
            raise NotIdentifiedError(
                f"the {int(possible.sum())} cells that can occur cannot tell {shown(labels, 6)} "
                "apart from other terms. Lower the order of interactions, or leave out a factor "
                "that another one restricts."
            )
        f = columns(cells, terms, self.p)
        return np.asarray((f * self.joint[:, None]).T @ f)


def read_assignment(
    probabilities: Any, factors: Sequence[str], z: NDArray[np.int64], weights: Array
) -> Assignment:
    """The assignment from what a user knows of it.

    Parameters
    ----------
    probabilities : float, sequence of k floats, mapping, or "observed"
        P(z_j = 1) of independent factors, in one number or by name; or a mapping from cells
        (tuples of 0/1) to their probabilities. "observed" takes the shares of the cells among the
        rows z for their probabilities; an Assignment stays as it is.
    factors : sequence of str
    z : ndarray of 0/1, shape (n, k)
    weights : ndarray, shape (n,)

    Raises
    ------
    DataError
    """
    if isinstance(probabilities, Assignment):
        return _of_these(probabilities, tuple(factors))
    if isinstance(probabilities, str):
        if probabilities != "observed":
            raise DataError(f"probabilities is {probabilities!r}", "numbers, or 'observed'")
        return Assignment.observed(z, factors, weights)
    if isinstance(probabilities, Mapping) and any(isinstance(c, tuple) for c in probabilities):
        return Assignment.table(probabilities, factors)
    return Assignment.independent(probabilities, factors)


def _of_these(assignment: Assignment, factors: tuple[str, ...]) -> Assignment:
    if assignment.factors != factors:
        raise DataError(
            f"the assignment is one of {shown(assignment.factors, 8)}", shown(factors, 8)
        )
    return assignment


def _place(cell: Any, factors: tuple[str, ...]) -> int:
    if np.shape(cell) != (len(factors),) or not set(cell) <= {0, 1}:
        raise DataError(
            f"the cell is {cell!r}", f"a tuple of 0 or 1 for each of {shown(factors, 8)}"
        )
    return int("".join(str(int(v)) for v in cell), 2)
