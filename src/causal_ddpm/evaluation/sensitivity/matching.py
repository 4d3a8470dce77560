"""Matched pairs: nearest neighbours on the propensity, without replacement.

Units of the smaller arm are taken in the order of falling propensity of their own arm (the hardest
first) and given the nearest free unit of the other arm on logit e, when it is within the caliper of
.2 standard deviations of logit e (Austin 2011).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, OverlapError

Array = NDArray[np.float64]
Pairs = NDArray[np.int64]

CALIPER = 0.2
"""Largest distance of a pair, in standard deviations of logit e."""

MIN_PAIRS = 10
"""Fewer pairs carry no signed rank test."""


def matched_pairs(d: NDArray[np.int64], e: Array, caliper: float = CALIPER) -> Pairs:
    """Pairs of rows (treated, untreated), shape (m, 2).

    Parameters
    ----------
    d : ndarray of 0/1, shape (n,)
    e : ndarray, shape (n,)
        P(D = 1 | x), strictly between 0 and 1.
    caliper : float

    Raises
    ------
    OverlapError
        If fewer than ten pairs lie within the caliper.
    """
    score = np.log(e) - np.log1p(-e)
    arm = int(2 * d.sum() <= len(d))
    own, other = np.flatnonzero(d == arm), np.flatnonzero(d != arm)
    own = own[np.argsort(-score[own] if arm == 1 else score[own], kind="stable")]
    other = other[np.argsort(score[other], kind="stable")]
    partner = _nearest_free(score[own], score[other], caliper * float(np.std(score)))
    found = partner >= 0
    pairs = np.column_stack([own[found], other[partner[found]]])
    if len(pairs) < MIN_PAIRS:
        raise OverlapError(
            f"Only {len(pairs)} matched pairs lie within the caliper of {caliper:g} standard "
            f"deviations; expected at least {MIN_PAIRS}. Restrict the data to comparable rows."
        )
    return pairs if arm == 1 else pairs[:, ::-1]


def checked_pairs(pairs: object, data: CausalData) -> Pairs:
    """Pairs that were given: row positions (treated, untreated), shape (m, 2).

    Raises
    ------
    DataError
        If they are no such pairs, or a row occurs twice.
    """
    found = np.asarray(pairs)
    expected = "row positions of one treated and one untreated row a pair, shape (m, 2)"
    if found.ndim != 2 or found.shape[1] != 2 or not np.issubdtype(found.dtype, np.integer):
        raise DataError(f"the pairs are {found.dtype} of shape {found.shape}", expected)
    if len(found) < MIN_PAIRS:
        raise DataError(f"there are {len(found)} pairs", f"at least {MIN_PAIRS}")
    if found.min() < 0 or found.max() >= data.n:
        raise DataError(f"the pairs name rows {found.min()} to {found.max()}", f"0 to {data.n - 1}")
    if len(np.unique(found)) < found.size:
        raise DataError("a row is in several pairs", "every row in one pair at most")
    arms = data.treatment[found]
    if not ((arms[:, 0] == 1) & (arms[:, 1] == 0)).all():
        raise DataError("a pair does not hold one treated and one untreated row", expected)
    return found.astype(np.int64)


def _nearest_free(own: Array, other: Array, reach: float) -> NDArray[np.int64]:
    """Greedy partners of ``own``, in order, among ascending ``other``; -1 where none is in reach.

    ``left[j]`` leads to the nearest free place at or below j - 1 (0: none), ``right[j]`` to that at
    or above j; chains are shortened as they are walked.
    """
    m = len(other)
    left, right = np.arange(m + 1), np.arange(m + 1)
    partner = np.full(len(own), -1, dtype=np.int64)
    for i, (value, place) in enumerate(zip(own, np.searchsorted(other, own), strict=True)):
        below, above = _root(left, int(place)) - 1, _root(right, int(place))
        down = value - other[below] if below >= 0 else np.inf
        up = other[above] - value if above < m else np.inf
        if min(down, up) <= reach:
            taken = below if down <= up else above
            partner[i] = taken
            left[taken + 1], right[taken] = taken, taken + 1
    return partner


def _root(parent: NDArray[np.int64], j: int) -> int:
    """End of the chain from j, with the chain halved on the way."""
    while parent[j] != j:
        parent[j] = parent[parent[j]]
        j = int(parent[j])
    return j
