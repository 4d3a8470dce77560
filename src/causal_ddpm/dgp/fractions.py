"""Which cells to run when all 2^k are too many.

A regular fraction runs 2^(k-p) of the 2^k cells: k - p factors are crossed in full and each of the
other p is set to a product of some of them (its generator). Generators come from ``pydoe``; what
the fraction then confounds is worked out from its runs, see :mod:`causal_ddpm.core.aliases`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.aliases import AliasStructure, alias_structure
from causal_ddpm.core.coding import MAX_FACTORS, all_cells
from causal_ddpm.core.errors import DataError

_ATTEMPTS = 500
"""Sets of generators that are compared for a fraction of given size."""


@dataclass(frozen=True, eq=False)
class Fraction:
    """Runs of a two-level experiment.

    Parameters
    ----------
    runs : DataFrame of 0/1, shape (n_runs, k)
        One row a run, one column a factor; randomise their order.
    aliases : AliasStructure
        What they confound, up to order 2 (order 1 for a single factor).
    """

    runs: pd.DataFrame
    aliases: AliasStructure

    def __len__(self) -> int:
        return len(self.runs)

    def __repr__(self) -> str:
        return "\n".join([f"Fraction: {len(self)} runs", *self.aliases.in_words()])


def fractional_factorial(
    factors: int | Sequence[str], resolution: int | None = None, n_runs: int | None = None
) -> Fraction:
    """A regular two-level fraction of chosen resolution or size.

    Parameters
    ----------
    factors : int or sequence of str
        The factors, or how many: then they are called a, b, c, ...
    resolution : int, optional
        The smallest fraction of at least this resolution: 3 keeps main effects apart from each
        other, 4 (the default) also from two-factor interactions, 5 also these from each other. The
        full factorial where no fraction reaches it.
    n_runs : int, optional
        Instead: a power of two, the fraction of that size that confounds low orders least.

    Raises
    ------
    DataError
        If both a resolution and a size are given, or either cannot be had.

    Examples
    --------
    >>> fractional_factorial(4)
    Fraction: 8 runs
    8 of 16 cells were run: a regular 2^(4-1) fraction of resolution IV.
    ...
    """
    names = _names(factors)
    if resolution is not None and n_runs is not None:
        raise DataError("a resolution and a number of runs were given", "one of them")
    if n_runs is not None:
        z = _of_size(len(names), n_runs)
    else:
        z = _of_resolution(len(names), 4 if resolution is None else resolution)
    order = min(2, len(names))
    return Fraction(pd.DataFrame(z, columns=list(names)), alias_structure(z, names, order))


def _names(factors: int | Sequence[str]) -> tuple[str, ...]:
    k = factors if isinstance(factors, int) else len(factors)
    if not 2 <= k <= MAX_FACTORS:
        raise DataError(f"{k} factors were asked for", f"2 to {MAX_FACTORS}")
    return (
        tuple(chr(ord("a") + j) for j in range(k)) if isinstance(factors, int) else tuple(factors)
    )


def _of_resolution(k: int, resolution: int) -> NDArray[np.int64]:
    if resolution < 3:
        raise DataError(
            f"the resolution is {resolution}",
            "3 (main effects clear of each other), 4, 5 or more",
        )
    if resolution > k:
        return all_cells(k)
    from pydoe import fracfact_by_res

    return _zero_one(fracfact_by_res(k, resolution))


def _of_size(k: int, n_runs: int) -> NDArray[np.int64]:
    base = max(n_runs, 1).bit_length() - 1
    if n_runs != 1 << base or not k < n_runs <= 1 << k:
        smallest = 1 << k.bit_length()
        raise DataError(
            f"{n_runs} runs of {k} factors were asked for",
            f"a power of two from {smallest} to {1 << k}",
            "Main effects and the mean need more runs than there are factors.",
        )
    if base == k:
        return all_cells(k)
    from pydoe import fracfact, fracfact_opt

    generators, _, _ = fracfact_opt(k, k - base, _ATTEMPTS)
    return _zero_one(fracfact(generators))


def _zero_one(x: NDArray[np.float64]) -> NDArray[np.int64]:
    """Runs coded -1/+1 as 0/1, in the order of their cells."""
    return np.unique((x > 0).astype(np.int64), axis=0)
