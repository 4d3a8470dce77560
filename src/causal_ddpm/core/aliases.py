"""Which effects a set of runs cannot tell apart.

With x_j = 2 z_j - 1 in {-1, +1}, a *word* is a set of factors W whose product is constant over all
runs, prod_{j in W} x_j = sign. Words form a group: the products of p independent ones (the
*defining relation*), found as the null space over GF(2) of the differences between runs. Then

- S and T are *aliased* (confounded) when their symmetric difference is a word: their columns are
  equal up to sign in every run, and only the sum (or difference) of their effects can be estimated;
- the *resolution* is the length of the shortest word (Box and Hunter 1961);
- 2^(k-p) distinct runs make a *regular* fraction, where two effects are either aliased or
  orthogonal. Other sets of runs confound in part: fitting the terms X_1 while the terms X_2 are
  there too shifts the coefficients by A theta_2, A = (X_1'X_1)^-1 X_1'X_2 (Box and Wilson 1951).

Effects are those of the -1/+1 coding (average effects at p = 1/2): simple effects of the 0/1
coding mix more of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.coding import MAX_FACTORS, Term, columns, term_label, terms_to
from causal_ddpm.core.errors import DataError

Array = NDArray[np.float64]
Signed = tuple[int, Term]
"""A sign and the factors of a term."""

MAX_WORDS = 255
"""Words that are listed; the shortest ones where there are more."""

_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")

_MEANING = {
    1: "A factor never varies: its effect cannot be estimated.",
    2: "Main effects are confounded with each other.",
    3: "Main effects are clear of each other, but confounded with two-factor interactions.",
    4: "Main effects are clear of two-factor interactions; two-factor interactions are confounded "
    "with each other.",
    5: "Main effects and two-factor interactions are clear of each other; two-factor interactions "
    "are confounded with three-factor interactions.",
}


@dataclass(frozen=True)
class AliasStructure:
    """What a set of runs confounds.

    Parameters
    ----------
    factors : tuple of str
    n_cells : int
        Distinct cells run.
    n_generators : int
        p, the number of independent words.
    words : tuple of (sign, term)
        The defining relation, shortest words first, :data:`MAX_WORDS` at most.
    chains : tuple of tuple of (sign, term)
        Terms up to the order asked for that are aliased, one chain a class; signs are relative to
        the first. A chain that begins with the intercept ``()`` holds constant columns.
    order : int
        The order asked for.
    estimable_order : int
        Largest order whose terms can all be estimated, of irregular runs up to the order asked
        for; 0 when not even all main effects can.
    """

    factors: tuple[str, ...]
    n_cells: int
    n_generators: int
    words: tuple[Signed, ...]
    chains: tuple[tuple[Signed, ...], ...]
    order: int
    estimable_order: int

    @property
    def resolution(self) -> int | None:
        """Length of the shortest word; None without one."""
        return len(self.words[0][1]) if self.words else None

    @property
    def regular(self) -> bool:
        """True for a full factorial and for regular fractions."""
        return self.n_cells == 1 << (len(self.factors) - self.n_generators)

    def defining_relation(self) -> str:
        """``I = a:b:c = -c:d:e = ...``; empty without a word."""
        left_out = 2**self.n_generators - 1 - len(self.words)
        texts = [signed_label(word, self.factors) for word in self.words]
        tail = [f"... ({left_out:,} longer words)"] if left_out else []
        return " = ".join(["I", *texts, *tail]) if texts else ""

    def chain_labels(self) -> tuple[str, ...]:
        """``a:b = c:d``, one text a chain of aliased terms."""
        return tuple(
            " = ".join(signed_label(term, self.factors) for term in chain) for chain in self.chains
        )

    def frame(self) -> pd.DataFrame:
        """One row an aliased term, with its chain, its factors' count and its sign."""
        rows = [
            {"chain": number, "term": term_label(term, self.factors),
             "order": len(term), "sign": sign}
            for number, chain in enumerate(self.chains, 1)
            for sign, term in chain
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["chain", "term", "order", "sign"])

    def in_words(self) -> tuple[str, ...]:
        """What was run, what is confounded with what, and what can be estimated."""
        k, p = len(self.factors), self.n_generators
        said = [self._runs_in_words(k, p)]
        if self.words:
            said.append(f"Defining relation: {self.defining_relation()}.")
        if self.words and self.regular:
            said.append(_meaning(len(self.words[0][1])))
        if self.chains:
            said.append(f"Confounded up to order {self.order}: {'; '.join(self.chain_labels())}.")
        if not self.regular or self.words:
            said.append(_estimable_in_words(self.estimable_order, k))
        return tuple(said)

    def _runs_in_words(self, k: int, p: int) -> str:
        if not self.regular:
            return (
                f"{self.n_cells:,} of {2**k:,} cells were run, not a regular fraction: some "
                "effects are confounded in part."
            )
        if not p:
            return f"All {2**k:,} cells were run: no effect is confounded with another."
        shortest = len(self.words[0][1])
        roman = _ROMAN[shortest - 1] if shortest <= len(_ROMAN) else str(shortest)
        return (
            f"{self.n_cells:,} of {2**k:,} cells were run: a regular 2^({k}-{p}) fraction of "
            f"resolution {roman}."
        )


def alias_structure(z: ArrayLike, factors: Sequence[str], order: int = 2) -> AliasStructure:
    """Alias structure of any two-level runs.

    Parameters
    ----------
    z : array_like of 0/1, shape (n, k)
        Runs; repeated ones count once.
    factors : sequence of str
        Names of the k columns.
    order : int
        Order up to which terms are compared, at most k.

    Raises
    ------
    DataError
        If ``z`` holds anything but 0 and 1, or the order is not between 1 and k.
    """
    runs = _distinct(z, len(factors))
    k = runs.shape[1]
    terms = terms_to(k, order)
    masks = runs @ (1 << np.arange(k))
    basis = _null_space(masks ^ masks[0], k)
    first = int(masks[0])
    words = _words(basis, first)
    regular = len(runs) == 1 << (k - len(basis))
    by_words = (len(words[0][1]) - 1) // 2 if words else k
    return AliasStructure(
        factors=tuple(factors),
        n_cells=len(runs),
        n_generators=len(basis),
        words=words,
        chains=_chains(terms, basis, first),
        order=order,
        estimable_order=by_words if regular else _estimable_order(runs, min(order, by_words)),
    )


def inseparable(z: ArrayLike, terms: Sequence[Term]) -> tuple[Term, ...]:
    """Terms whose coefficients are not determined by runs z when all terms are in the model."""
    x = _signed_columns(np.unique(np.asarray(z), axis=0), terms)
    sizes, directions = np.linalg.eigh(x.T @ x)
    unknown_directions = directions[:, sizes < 1e-8 * sizes[-1]]
    free = np.abs(unknown_directions).max(axis=1, initial=0.0) > 1e-6
    return tuple(term for term, unknown in zip(terms, free, strict=True) if unknown)


def partial_aliases(
    z: ArrayLike, factors: Sequence[str], order: int = 1, omitted: int = 2
) -> pd.DataFrame:
    """How omitted interactions shift the coefficients of a model in the -1/+1 coding.

    Parameters
    ----------
    z : array_like of 0/1, shape (n, k)
        Runs; repeated ones count as often as they occur.
    factors : sequence of str
    order : int
        Order of the model that is fitted.
    omitted : int
        Order up to which terms are left out of it.

    Returns
    -------
    DataFrame
        A of the module page: one row a term of the model, one column an omitted term.

    Raises
    ------
    DataError
        If the model itself cannot be estimated, or an order is out of range.
    """
    k = len(factors)
    kept = terms_to(k, order)
    if omitted <= order:
        raise DataError(f"omitted is {omitted} with order {order}", f"{order + 1} to {k}")
    left_out = terms_to(k, omitted)[len(kept) :]
    runs = np.asarray(z)
    x1, x2 = (_signed_columns(runs, terms) for terms in (kept, left_out))
    if np.linalg.matrix_rank(x1) < len(kept):
        names = ", ".join(term_label(t, factors) for t in inseparable(runs, kept))
        raise DataError(f"the runs cannot tell {names} apart", "a lower order or more runs")
    shift = np.linalg.lstsq(x1, x2, rcond=None)[0]
    return pd.DataFrame(
        np.where(np.abs(shift) < 1e-12, 0.0, shift),
        index=[term_label(t, factors) for t in kept],
        columns=[term_label(t, factors) for t in left_out],
    )


def signed_label(signed: Signed, factors: Sequence[str]) -> str:
    """``a:b``, ``-a:b`` or ``I``."""
    sign, term = signed
    return ("-" if sign < 0 else "") + (term_label(term, factors) if term else "I")


# ------------------------------------------------------------------------------------- inside


def _distinct(z: ArrayLike, k: int) -> NDArray[np.int64]:
    values = np.asarray(z)
    if values.ndim != 2 or values.shape[1] != k or not len(values):
        raise DataError(f"the runs have the shape {values.shape}", f"(n, {k}), one column a factor")
    if k > MAX_FACTORS:
        raise DataError(f"there are {k} factors", f"at most {MAX_FACTORS}")
    if not np.isin(values, (0, 1)).all():
        raise DataError("a run holds other values than 0 and 1", "factors coded 0/1")
    return np.unique(values.astype(np.int64), axis=0)


def _signed_columns(z: NDArray[np.int64], terms: Sequence[Term]) -> Array:
    return columns(2 * z - 1, terms)


def _estimable_order(runs: NDArray[np.int64], up_to: int) -> int:
    for order in range(1, up_to + 1):
        terms = terms_to(runs.shape[1], order)
        if len(terms) > len(runs) or inseparable(runs, terms):
            return order - 1
    return up_to


def _null_space(rows: NDArray[np.int64], k: int) -> dict[int, int]:
    """Basis of {w : |w & row| even for all rows}, by a bit that no other word of it holds.

    Words and rows are bit masks. Row reduction leaves one row a pivot bit with no other pivot bit
    in it; each bit that is no pivot gives the word of itself and the pivots of the rows that hold
    it.
    """
    reduced: dict[int, int] = {}
    for row in map(int, np.unique(rows)):
        for pivot, kept in reduced.items():
            if row >> pivot & 1:
                row ^= kept
        if row:
            new = row.bit_length() - 1
            reduced = {p: r ^ row if r >> new & 1 else r for p, r in reduced.items()}
            reduced[new] = row
        if len(reduced) == k:
            break
    return {
        j: (1 << j) | sum(1 << pivot for pivot, row in reduced.items() if row >> j & 1)
        for j in range(k)
        if j not in reduced
    }


def _words(basis: Mapping[int, int], first: int) -> tuple[Signed, ...]:
    group = np.zeros(1, dtype=np.int64)
    for word in basis.values():
        group = np.concatenate([group, group ^ word])
    words = sorted((_bits(int(w)) for w in _shortest(group[1:])), key=lambda t: (len(t), t))
    return tuple((_sign(term, first), term) for term in words)


def _shortest(words: NDArray[np.int64]) -> NDArray[np.int64]:
    lengths = np.bitwise_count(words)
    return words[np.argsort(lengths, kind="stable")[:MAX_WORDS]]


def _chains(
    terms: Sequence[Term], basis: Mapping[int, int], first: int
) -> tuple[tuple[Signed, ...], ...]:
    """Classes of more than one aliased term."""
    classes: dict[int, list[Term]] = {}
    for term in terms:
        mask = sum(1 << j for j in term)
        for bit, word in basis.items():
            if mask >> bit & 1:
                mask ^= word
        classes.setdefault(mask, []).append(term)
    return tuple(
        tuple((_sign(term, first) * _sign(members[0], first), term) for term in members)
        for members in classes.values()
        if len(members) > 1
    )


def _sign(term: Term, first: int) -> int:
    """The product of x_j over a term in the first run."""
    return int(np.prod([1 if first >> j & 1 else -1 for j in term]))


def _bits(mask: int) -> Term:
    return tuple(j for j in range(mask.bit_length()) if mask >> j & 1)


def _meaning(resolution: int) -> str:
    return _MEANING.get(
        resolution,
        f"Effects of up to {(resolution - 1) // 2} factors are clear of each other.",
    )


def _estimable_in_words(order: int, k: int) -> str:
    if order == 0:
        return "Not all main effects can be estimated."
    what = "main effects" if order == 1 else f"effects up to order {order}"
    return f"All {what} can be estimated together" + (
        "." if order == k else f" if those of order {order + 1} and above are negligible."
    )
