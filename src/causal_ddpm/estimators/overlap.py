"""Overlap: how well the rows of one arm can stand in for the other's.

An estimand asks for one or two *comparisons*: the ATT lets the untreated rows stand in for the
treated ones, the ATU the reverse, the ATE and the distributions both. For the arm a that stands
in, with its weights omega (:mod:`causal_ddpm.estimators.scores`) and row weights w:

- effective_n = (sum w omega)^2 / sum (w omega)^2 over rows of arm a;
- largest_share = the largest single w omega over their sum;
- mass = sum_{D=a} w (1 - e_a) / max(e_a, c) / sum_{D != a} w. With true propensities its mean is
  one; it falls towards zero when the other arm lives where no row of arm a is found;
- n_all, n_rows: rows of positive weight, in all and in arm a;
- n_clipped: rows of arm a whose own weight was bounded;
- n_outside: rows of any arm whose e_a is below the bound, comparable or not.

Refusal (:class:`~causal_ddpm.core.errors.OverlapError`): effective_n < 10, or mass < .1, or
out-of-fold propensities that separate the arms (area under the ROC curve at least .999).
Warning: effective_n below a tenth of the arm's rows, or below 50 and half of them; a single row
with more than 10 % of the weight; mass outside [.7, 1.4]; a bound that acted on at least 1 % of
the arm's rows; at least 5 % of all rows beyond the bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from causal_ddpm.core.errors import OverlapError, OverlapWarning
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.estimators.inference import ARM_WORDS, Note, Sampling
from causal_ddpm.estimators.scores import (
    TARGETS,
    Arms,
    Array,
    clip_bound,
    effective_sample_size,
)

MIN_EFFECTIVE_N = 10.0
MIN_MASS = 0.1
SEPARATING_AUC = 0.999
FEW_EFFECTIVE = 50.0
FEW_EFFECTIVE_SHARES = (0.5, 0.1)
LARGE_SHARE = 0.1
FAIR_MASS = (0.7, 1.4)
CLIPPED_SHARE = 0.01
OUTSIDE_SHARE = 0.05


@dataclass(frozen=True)
class Comparison:
    """How well the rows of one arm stand in for the other's; see the module page."""

    arm: int
    n_all: int
    n_rows: int
    effective_n: float
    largest_share: float
    mass: float
    n_clipped: int
    n_outside: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return asdict(self)


def compare(arm: int, d: Arms, e: Array, sampling: Sampling, omega: Array, c: float) -> Comparison:
    """Measure one comparison.

    Parameters
    ----------
    arm : int
        The arm that stands in.
    d : ndarray of int, shape (n,)
        Treatments.
    e : ndarray, shape (n, 2)
        Propensities.
    sampling : Sampling
        Row weights and what they mean.
    omega : ndarray, shape (n,)
        Weights of the estimand.
    c : float
        The bound on propensities.
    """
    w, counts = sampling.weights, sampling.counts
    own, e_a = d == arm, e[:, arm]
    weights = np.where(own, w * omega, 0.0)
    odds = (1 - e_a) / np.maximum(e_a, c)
    per_row = np.divide(weights, counts, out=np.zeros_like(weights), where=counts > 0)
    return Comparison(
        arm=arm,
        n_all=int(counts.sum()),
        n_rows=int(counts @ own),
        effective_n=effective_sample_size(weights, counts),
        largest_share=float(per_row.max() / weights.sum()),
        mass=float((w * odds)[own].sum() / w[~own].sum()),
        n_clipped=int(counts @ (own & (e_a < c))),
        n_outside=int(counts @ (e_a < c)),
    )


def separation(d: Arms, e: Array) -> float:
    """Area under the ROC curve of the propensity e (n, 2): the share of correctly ordered pairs."""
    ranks = rankdata(e[:, 1])
    n1 = int(d.sum())
    n0 = len(d) - n1
    return float((ranks[d == 1].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def refuse_no_overlap(
    estimand: str, auc: float, comparisons: Sequence[Comparison], words: Sequence[str] = ARM_WORDS
) -> None:
    """Refuse an estimand that no row can speak to; ``words`` are what rows of the arms are called.

    Raises
    ------
    OverlapError
        By the rules of the module page.
    """
    for k in comparisons:
        found = None
        if auc >= SEPARATING_AUC:
            found = "the confounders predict the treatment perfectly"
        elif k.effective_n < MIN_EFFECTIVE_N or k.mass < MIN_MASS:
            found = (
                f"the {k.n_rows:,} {words[k.arm]} rows count as {k.effective_n:.1f} comparable "
                f"ones and stand for {min(k.mass, 1):.0%} of the {words[1 - k.arm]} rows"
            )
        if found:
            raise OverlapError(
                f"No overlap for the {estimand}: {found}; expected {words[k.arm]} rows that "
                f"resemble the {words[1 - k.arm]} ones. Restrict the data to comparable rows, "
                "drop confounders that decide the treatment, or ask for another estimand "
                "(ATT or ATU needs overlap on one side only)."
            )


def check_overlap(
    estimand: Estimand,
    d: Arms,
    e: Array,
    sampling: Sampling,
    words: Sequence[str] = ARM_WORDS,
) -> tuple[list[Comparison], list[Note]]:
    """Compare the arms, refuse where there is no overlap, and say where it is weak.

    Parameters
    ----------
    estimand : Estimand
        Its group says which arms stand in for which.
    d, e, sampling
        As in :func:`compare`.
    words : sequence of two str
        What sentences call the rows of the arms.

    Raises
    ------
    OverlapError
        By the rules of the module page.
    """
    target, c = TARGETS[estimand.group], clip_bound(d, sampling.weights)
    omega = target.weights(d, e, c)
    comparisons = [compare(arm, d, e, sampling, omega, c) for arm in target.stand_ins]
    refuse_no_overlap(estimand.name, separation(d, e), comparisons, words)
    return comparisons, overlap_notes(estimand.name, comparisons, words)


def overlap_notes(
    estimand: str, comparisons: Sequence[Comparison], words: Sequence[str] = ARM_WORDS
) -> list[Note]:
    """Warnings about weak overlap, one a comparison at most."""
    notes = []
    for k in comparisons:
        reasons = _weaknesses(k, words)
        if reasons:
            text = f"Weak overlap for the {estimand}: {'; '.join(reasons)}."
            notes.append(Note(OverlapWarning, text))
    return notes


def _weaknesses(k: Comparison, words: Sequence[str]) -> list[str]:
    arm, other = words[k.arm], words[1 - k.arm]
    reasons = []
    half, tenth = (share * k.n_rows for share in FEW_EFFECTIVE_SHARES)
    if k.effective_n < max(tenth, min(FEW_EFFECTIVE, half)):
        reasons.append(
            f"the {k.n_rows:,} {arm} rows count as about {k.effective_n:.0f} equally weighted ones"
        )
    if k.largest_share > LARGE_SHARE:
        reasons.append(f"one {arm} row carries {k.largest_share:.0%} of the weight")
    if not FAIR_MASS[0] <= k.mass <= FAIR_MASS[1]:
        reasons.append(f"{arm} rows stand for {k.mass:.0%} of the {other} rows instead of 100 %")
    if k.n_clipped >= CLIPPED_SHARE * k.n_rows and k.n_clipped > 0:
        reasons.append(f"the weights of {k.n_clipped:,} {arm} rows were bounded")
    if k.n_outside >= OUTSIDE_SHARE * k.n_all and k.n_outside > 0:
        reasons.append(f"{k.n_outside:,} rows have hardly any {arm} row like them")
    return reasons
