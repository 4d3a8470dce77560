"""Effects of two-level factors: three codings of one mean function, converted exactly.

Factors z in {0, 1}^k are assigned independently, P(z_j = 1) = p_j. A term S is a set of factors;
the mean of the outcome given z is, over any hierarchical set of terms,

    0/1      E[y | z] = sum_S beta_S  prod_{j in S} z_j
    average  E[y | z] = sum_S delta_S prod_{j in S} (z_j - p_j)
    effects  E[y | z] = sum_S gamma_S prod_{j in S} (2 z_j - 1)

beta_S is a simple effect (or interaction) with every other factor at its baseline 0. delta_S is
the average marginal effect or interaction: the |S|-fold difference of E[y | z] over the factors of
S, averaged over the assignment of all others (the factorial effects of Dasgupta, Pillai and Rubin
2015 for p = 1/2, up to scale; the average marginal component effect of Hainmueller, Hopkins and
Yamamoto 2014 for one factor). gamma_S is the coefficient of the -1/+1 columns of textbooks, which
is delta_S at p = 1/2 over 2^|S|; "effects" printed there are 2 gamma_S. Equating coefficients,

    delta_S = sum_{T contains S} beta_T prod_{j in T - S} p_j
    beta_S  = sum_{T contains S} delta_T prod_{j in T - S} (-p_j)

and in general, from columns s_j (z_j - c_j) to columns s'_j (z_j - c'_j), with r_j = s_j / s'_j,

    theta'_S = sum_{T contains S} theta_T prod_{j in S} r_j prod_{j in T - S} s_j (c'_j - c_j).

The intercept S = {} is E[y | z = 0] in the first, the mean over the assignment in the second.
Terms are in the order of degree, then of factors: 1, a, b, c, a:b, a:c, b:c, a:b:c.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, combinations
from math import comb
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.errors import DataError

Array = NDArray[np.float64]
Term = tuple[int, ...]
"""Positions of the factors of a term, in order; ``()`` is the intercept."""

Coding = Literal["01", "ame", "effects"]
Probability = float | Sequence[float] | Mapping[str, float] | Array

MAX_FACTORS = 20
"""Beyond this many, the 2^k cells no longer fit in memory."""

MEANING: Mapping[Coding, str] = {
    "01": "simple effects and interactions, every other factor at its baseline",
    "ame": "average marginal effects and interactions over the assignment distribution",
    "effects": "coefficients of factors coded -1 and +1 (half, quarter, ... of average effects)",
}


def terms_to(k: int, order: int) -> tuple[Term, ...]:
    """All terms of k factors up to an order, the intercept first.

    Raises
    ------
    DataError
        If the order is not between 1 and k.
    """
    if not 1 <= order <= k:
        raise DataError(
            f"the order of interactions is {order}",
            f"a whole number from 1 (main effects) to {k} (the number of factors)",
        )
    return tuple(chain.from_iterable(combinations(range(k), d) for d in range(order + 1)))


def n_terms(k: int, order: int) -> int:
    """How many terms :func:`terms_to` lists."""
    return sum(comb(k, d) for d in range(order + 1))


def term_label(term: Term, names: Sequence[str]) -> str:
    """``a`` or ``a:b``; the intercept is ``1``."""
    return ":".join(names[j] for j in term) if term else "1"


def cell_label(cell: Iterable[int], names: Sequence[str]) -> str:
    """``mean(a=1,b=0)``."""
    return f"mean({','.join(f'{a}={int(v)}' for a, v in zip(names, cell, strict=True))})"


def all_cells(k: int) -> NDArray[np.int64]:
    """All 2^k cells, shape (2^k, k), the last factor changing fastest.

    Raises
    ------
    DataError
        For more than :data:`MAX_FACTORS` factors.
    """
    if not 1 <= k <= MAX_FACTORS:
        raise DataError(f"the cells of {k} factors were asked for", f"1 to {MAX_FACTORS} factors")
    return (np.arange(2**k)[:, None] >> np.arange(k - 1, -1, -1)) & 1


def probabilities(p: Probability, names: Sequence[str]) -> Array:
    """P(z_j = 1) of each factor, shape (k,).

    Parameters
    ----------
    p : float, sequence of k floats, or mapping from factor names
    names : sequence of str

    Raises
    ------
    DataError
        For a missing or unknown factor, another number of values, or one outside (0, 1).
    """
    if isinstance(p, Mapping):
        wrong = sorted(set(names) ^ set(p))
        if wrong:
            raise DataError(
                f"the assignment probabilities and the factors disagree about '{wrong[0]}'",
                f"one probability for each of {', '.join(names)}",
            )
        p = [p[name] for name in names]
    values = np.asarray(p, dtype=float)
    if values.ndim > 1 or values.size not in (1, len(names)):
        raise DataError(
            f"{values.size} assignment probabilities were given", f"one, or {len(names)}"
        )
    outside = values[~((values > 0) & (values < 1))]
    if outside.size:
        raise DataError(
            f"an assignment probability is {outside.flat[0]:g}",
            "numbers strictly between 0 and 1",
            "A factor that never varies has no effect to estimate.",
        )
    return np.full(len(names), values.ravel())


def columns(z: ArrayLike, terms: Sequence[Term], centre: ArrayLike = 0.0) -> Array:
    """Products of (z_j - centre_j) over each term.

    Parameters
    ----------
    z : array_like, shape (n, k)
    terms : sequence of Term
    centre : array_like, scalar or shape (k,)
        0 for the 0/1 coding, p for the average one.

    Returns
    -------
    ndarray, shape (n, len(terms))
    """
    shifted = np.asarray(z, dtype=float) - np.asarray(centre, dtype=float)
    out = np.ones((len(shifted), len(terms)))
    for s, term in enumerate(terms):
        for j in term:
            out[:, s] *= shifted[:, j]
    return out


def conversion(terms: Sequence[Term], p: ArrayLike, source: Coding, target: Coding) -> Array:
    """The matrix C with theta_target = C theta_source; covariances go to C cov C'.

    Parameters
    ----------
    terms : sequence of Term
        Hierarchical: with a term, every non-empty part of it. The intercept may be left out.
    p : array_like, shape (k,)
        P(z_j = 1).
    source, target : {"01", "ame", "effects"}

    Returns
    -------
    ndarray, shape (len(terms), len(terms))

    Raises
    ------
    DataError
        For an unknown coding or terms that are not hierarchical.
    """
    check_hierarchical(terms)
    prob = np.atleast_1d(np.asarray(p, dtype=float))
    s, c = _scale_and_centre(source, prob)
    s_new, c_new = _scale_and_centre(target, prob)
    matrix = np.zeros((len(terms), len(terms)))
    sets = [frozenset(term) for term in terms]
    for row, small in enumerate(sets):
        kept = np.prod([s[j] / s_new[j] for j in small])
        for col, large in enumerate(sets):
            if small <= large:
                rest = [s[j] * (c_new[j] - c[j]) for j in large - small]
                matrix[row, col] = kept * np.prod(rest)
    return matrix


def cell_weights(cells: ArrayLike, terms: Sequence[Term], p: ArrayLike, coding: Coding) -> Array:
    """The matrix of cell means: E[y | z] = W theta, shape (n_cells, len(terms))."""
    scale, centre = _scale_and_centre(coding, np.atleast_1d(np.asarray(p, dtype=float)))
    stretch = np.array([np.prod([scale[j] for j in term]) for term in terms])
    return np.asarray(columns(cells, terms, centre) * stretch)


def cell_probabilities(cells: ArrayLike, p: ArrayLike) -> Array:
    """P(z) of each cell under independent assignment, shape (n_cells,)."""
    z, prob = np.asarray(cells, dtype=float), np.asarray(p, dtype=float)
    return np.asarray(np.prod(np.where(z == 1, prob, 1 - prob), axis=1))


def check_hierarchical(terms: Sequence[Term]) -> None:
    """Refuse a term whose parts are missing: its codings would not convert into each other."""
    known = set(terms)
    for term in terms:
        for part in combinations(term, max(len(term) - 1, 0)):
            if part and part not in known:
                raise DataError(
                    f"there is the interaction of factors {_places(term)} but not the term of "
                    f"{_places(part)}",
                    "with an interaction, all its main effects and lower interactions",
                    "Without them the effects depend on which level is called 0.",
                )


def check_coding(coding: str) -> None:
    """Refuse the name of a coding that there is not."""
    if coding not in get_args(Coding):
        raise DataError(f"the coding is {coding!r}", " or ".join(map(repr, get_args(Coding))))


def _places(term: Term) -> str:
    return " and ".join(str(j + 1) for j in term)


def _scale_and_centre(coding: Coding, p: Array) -> tuple[Array, Array]:
    """s_j and c_j of the columns s_j (z_j - c_j)."""
    check_coding(coding)
    one, half = np.ones_like(p), np.full_like(p, 0.5)
    return {"01": (one, 0 * p), "ame": (one, p), "effects": (2 * one, half)}[coding]
