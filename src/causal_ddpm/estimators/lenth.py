"""Which effects stand out when there is no replication to measure the noise by (Lenth 1989).

Of m effects c_1 .. c_m with equal standard errors, most of them zero,

    s_0 = 1.5 median |c_j|,   PSE = 1.5 median {|c_j| : |c_j| < 2.5 s_0}
    ME  = t(.975; m/3) PSE,   SME = t((1 + .95^(1/m)) / 2; m/3) PSE

PSE is the pseudo standard error, ME the margin of error of one effect, SME the margin that all m
noise effects stay within together with probability .95. In a half-normal plot (Daniel 1959) the
ordered sizes of the effects lie along a line through zero over Phi^-1(.5 + .5 (i - .5) / m) unless
active.

Effects here are those of textbooks, the mean of y where the product of the -1/+1 columns is +1 less
that where it is -1: the average effect (p = 1/2) of the 0/1 factors for one factor, the same over
2^(k - 1) for an interaction of k factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from causal_ddpm.core.coding import Term, columns, term_label, terms_to
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.factorial_data import FactorialData

Array = NDArray[np.float64]

MIN_EFFECTS = 3
MAX_CELLS = 1024
"""More distinct cells than this are beyond a half-normal plot."""


@dataclass(frozen=True, eq=False)
class LenthTest:
    """Effects beside Lenth's margins.

    Parameters
    ----------
    labels : tuple of str
    effects : ndarray, shape (m,)
    pse : float
        Pseudo standard error.
    df : float
        m / 3.
    me, sme : float
        Margins of error, one by one and simultaneous.
    level : float
    """

    labels: tuple[str, ...]
    effects: Array
    pse: float
    df: float
    me: float
    sme: float
    level: float

    def active(self, simultaneous: bool = False) -> tuple[str, ...]:
        """Labels of effects beyond ME, or beyond SME."""
        margin = self.sme if simultaneous else self.me
        return tuple(
            label for label, c in zip(self.labels, self.effects, strict=True) if abs(c) > margin
        )

    def frame(self) -> pd.DataFrame:
        """One row an effect, the smallest first.

        Columns: term, effect, size (its absolute value), quantile (half-normal), statistic (effect
        over PSE) and beyond ("SME", "ME" or "").
        """
        size = np.abs(self.effects)
        m = len(size)
        table = pd.DataFrame(
            {
                "term": self.labels,
                "effect": self.effects,
                "size": size,
                "statistic": self.effects / self.pse,
                "beyond": np.where(size > self.sme, "SME", np.where(size > self.me, "ME", "")),
            }
        ).sort_values("size", kind="stable", ignore_index=True)
        quantile = stats.norm.ppf(0.5 + 0.5 * (np.arange(1, m + 1) - 0.5) / m)
        table.insert(3, "quantile", quantile)
        return table

    def in_words(self) -> tuple[str, ...]:
        """What stands out, by which margin."""
        one, all_ = self.active(), self.active(simultaneous=True)
        return (
            f"Lenth's pseudo standard error of {len(self.effects)} effects is {self.pse:.4g} on "
            f"{self.df:.3g} degrees of freedom; margins at {self.level:.0%}: ME {self.me:.4g}, "
            f"SME {self.sme:.4g}.",
            f"Beyond SME: {', '.join(all_) or 'none'}.",
            f"Beyond ME: {', '.join(one) or 'none'}.",
            "The margins suppose that most effects are zero.",
        )


def lenth(effects: ArrayLike, labels: Sequence[str], level: float = 0.95) -> LenthTest:
    """Lenth's margins for effects with equal standard errors.

    Parameters
    ----------
    effects : array_like, shape (m,)
    labels : sequence of str
    level : float

    Raises
    ------
    DataError
        For fewer than three effects, a level outside (0, 1), or effects most of which are zero.
    """
    c = np.asarray(effects, dtype=float)
    m = len(c)
    if m < MIN_EFFECTS or m != len(labels):
        raise DataError(
            f"{m} effects with {len(labels)} labels were given",
            f"at least {MIN_EFFECTS} effects, one label each",
        )
    if not 0 < level < 1:
        raise DataError(f"the level is {level}", "a number between 0 and 1, such as 0.95")
    size = np.abs(c)
    s0 = 1.5 * np.median(size)
    if s0 == 0:
        raise DataError(
            "at least half of the effects are exactly zero",
            "effects with noise",
            "Without noise every non-zero effect is real.",
        )
    pse = float(1.5 * np.median(size[size < 2.5 * s0]))
    df = m / 3
    one, together = stats.t.ppf([(1 + level) / 2, (1 + level ** (1 / m)) / 2], df)
    return LenthTest(tuple(labels), c, pse, df, float(one * pse), float(together * pse), level)


def lenth_test(data: FactorialData, level: float = 0.95) -> LenthTest:
    """Lenth's margins for all effects that the runs keep apart.

    Effects are taken in the order of degree; an effect that is aliased with an earlier one is
    represented by it, and one that is neither aliased nor orthogonal is left out.

    Parameters
    ----------
    data : FactorialData
        As many rows in each cell that was run; usually one.
    level : float

    Raises
    ------
    DataError
        If cells differ in their numbers of rows, or main effects are neither orthogonal nor equal.
    """
    cells, of_row, counts = np.unique(data.z, axis=0, return_inverse=True, return_counts=True)
    if np.ptp(counts) > 0 or np.ptp(data.weights) > 0:
        raise DataError(
            f"the cells have {counts.min()} to {counts.max()} rows, or rows differ in weight",
            "as many rows in each cell, since the method supposes equally precise effects",
            "With replication use factorial_ols, which needs no such thing.",
        )
    if len(cells) > MAX_CELLS:
        raise DataError(f"{len(cells):,} cells were run", f"at most {MAX_CELLS:,}")
    means = np.bincount(of_row.ravel(), data.outcome) / counts
    terms, x = orthogonal_terms(cells, data.factors)
    return lenth(
        2 * x.T @ means / len(cells), [term_label(term, data.factors) for term in terms], level
    )


def orthogonal_terms(
    cells: NDArray[np.int64], factors: Sequence[str]
) -> tuple[tuple[Term, ...], Array]:
    """Terms whose -1/+1 columns are orthogonal over the cells, and these columns (n_cells, m).

    Raises
    ------
    DataError
        If two main effects are neither orthogonal nor equal up to sign.
    """
    n, k = cells.shape
    kept: list[Term] = []
    x = np.ones((n, 1))
    for term in terms_to(k, k)[1:]:
        if x.shape[1] == n:
            break
        column = columns(2 * cells - 1, [term])[:, 0]
        shared = np.abs(x.T @ column)
        if not shared.any():
            kept.append(term)
            x = np.column_stack([x, column])
        elif len(term) == 1 and shared.max() < n:
            raise DataError(
                f"the main effect of {factors[term[0]]} is neither orthogonal to the others nor "
                "equal to one of them",
                "a full factorial, a regular fraction or another orthogonal array",
                "Use factorial_ols.",
            )
    return tuple(kept), x[:, 1:]
