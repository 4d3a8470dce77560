"""A frame whose treatments are two-level factors, checked once.

Row i received the cell z_i in {0, 1}^k. 0 is the baseline of a factor; which of its two values
that is is stated (``levels``) and can be chosen. ``p`` holds the assignment probabilities
P(z_j = 1) under which effects are averaged: independent factors, known by design.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core import checks
from causal_ddpm.core.assignment import KnownProbability, read_assignment
from causal_ddpm.core.coding import MAX_FACTORS
from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.data import frame_with, read_covariates
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.synthetic import SYNTHETIC_MARKER

Array = NDArray[np.float64]

_SURPRISE = 5.0
"""Standard errors between a factor's share and its stated probability that call for a word."""


class FactorialData:
    """A frame plus its factors.

    Parameters
    ----------
    df : pandas, polars or pyarrow frame
        One row a unit (or a run).
    factors : sequence of str
        Columns with two values each: numbers, true/false or texts. Their order is kept.
    outcome : str
        Numeric column.
    probability : float, sequence of k floats, mapping, "observed" or Assignment
        P(z_j = 1) of the experiment, 1/2 by default; or how its cells were assigned
        (:func:`causal_ddpm.core.assignment.read_assignment`).
    clusters : str, optional
        Column whose equal values mark dependent rows.
    baseline : mapping, optional
        From factor names to the value that is 0; by default the first in sorted order (0, False,
        "no" before "yes").
    covariates : sequence of str
        Columns measured before the assignment. They explain outcomes; no effect is adjusted by
        need, since the factors were assigned at random.
    weights : str, optional
        Column of non-negative sampling weights.

    Attributes
    ----------
    n, k : int
        Rows, factors.
    factors : tuple of str
    levels : tuple of (baseline, other)
        The values coded 0 and 1 of each factor.
    z : ndarray of int, shape (n, k)
        Codes 0/1.
    outcome : ndarray, shape (n,)
    covariates : Covariates
        Shape (n, 0) when none were named.
    weights : ndarray, shape (n,)
        Ones when no column was given.
    assignment : Assignment
        The law of cells that was stated.
    p : ndarray, shape (k,)
        Its probabilities P(z_j = 1).
    clusters : ndarray of int, shape (n,), or None
        Cluster codes.
    row_ids : ndarray, shape (n,)
    n_synthetic : int
        Rows marked as synthetic.
    fingerprint : str
        SHA-256 of all of the above but the probabilities, which are no data.

    Raises
    ------
    DataError
        With one sentence, for anything that cannot be used.
    """

    def __init__(
        self,
        df: Any,
        factors: Sequence[str],
        outcome: str,
        probability: KnownProbability = 0.5,
        clusters: str | None = None,
        baseline: Mapping[str, Any] | None = None,
        covariates: Sequence[str] = (),
        weights: str | None = None,
    ):
        self.factors = _checked_names(factors)
        others = (covariates,) if isinstance(covariates, str) else tuple(covariates)
        extra = [name for name in (clusters, weights) if name is not None]
        frame = frame_with(df, [*self.factors, outcome, *others, *extra])
        if not len(frame):
            raise DataError("the data have no rows", "at least one row a cell")
        chosen = _checked_baseline(baseline or {}, self.factors)
        read = [_read_factor(frame[name], chosen.get(name)) for name in self.factors]
        self.z: NDArray[np.int64] = np.column_stack([codes for codes, _ in read])
        self.levels: tuple[tuple[Any, Any], ...] = tuple(levels for _, levels in read)
        self.outcome_name, self.clusters_name = outcome, clusters
        self.outcome: Array = _read_outcome(frame[outcome])
        schema = tuple(checks.confounder_column(frame[name]) for name in others)
        self.covariates: Covariates = read_covariates(frame, schema)
        self.weights_name = weights
        self.weights: Array = (
            np.ones(len(frame))
            if weights is None
            else checks.positive_weights(frame[weights], False)
        )
        self.clusters = None if clusters is None else checks.group_codes(frame[clusters])
        self.assignment = read_assignment(probability, self.factors, self.z, self.weights)
        self.p: Array = self.assignment.p
        self.n, self.k = len(self.z), len(self.factors)
        self.row_ids: NDArray[Any] = np.arange(self.n)
        self.n_synthetic = _n_marked(frame)
        self.fingerprint = self._hash()
        for array in (self.z, self.outcome, self.p):
            array.setflags(write=False)

    @property
    def cell_of_row(self) -> NDArray[np.int64]:
        """Place of each row's cell in ``coding.all_cells(k)``, shape (n,)."""
        return np.asarray(self.z @ (1 << np.arange(self.k - 1, -1, -1)), dtype=np.int64)

    def in_words(self) -> tuple[str, ...]:
        """One sentence a factor: its levels, its share of ones, and a share that surprises."""
        return tuple(
            f"{name}: 1 = {one}, 0 = {zero}; {share:.1%} of {self.n:,} rows are 1"
            + (f", where {p:.1%} was stated" if self._surprises(share, p) else "")
            for name, (zero, one), share, p in zip(
                self.factors, self.levels, self.z.mean(axis=0), self.p, strict=True
            )
        )

    def warnings(self) -> tuple[str, ...]:
        """A sentence for each factor whose share of ones belies its stated probability."""
        shares = zip(self.factors, self.z.mean(axis=0), self.p, strict=True)
        return tuple(
            f"{share:.1%} of the rows have {name} = 1, but its stated assignment probability is "
            f"{p:.1%}; effects are averaged over the stated one"
            for name, share, p in shares
            if self._surprises(share, p)
        )

    def _surprises(self, share: float, p: float) -> bool:
        return bool(abs(share - p) > _SURPRISE * np.sqrt(p * (1 - p) / self.n))

    def _hash(self) -> str:
        digest = hashlib.sha256()
        names = (*self.factors, self.outcome_name, repr(self.levels))
        digest.update("\x1f".join(names).encode())
        clusters = np.empty(0, dtype=np.int64) if self.clusters is None else self.clusters
        digest.update(repr(self.covariates.columns).encode())
        for array in (self.z, self.outcome, self.covariates.values, self.weights, clusters):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return self.n

    def __repr__(self) -> str:
        run = len(np.unique(self.z, axis=0))
        lines = [
            f"FactorialData: {self.n:,} rows, {run:,} of {2**self.k:,} cells run",
            *(f"  {words}" for words in self.in_words()),
            f"  outcome {self.outcome_name}: mean {self.outcome.mean():.4g}, "
            f"sd {self.outcome.std():.4g}",
        ]
        if self.clusters is not None:
            lines.append(f"  clusters {self.clusters_name}: {len(np.unique(self.clusters)):,}")
        return "\n".join(lines)


def _checked_names(factors: Sequence[str]) -> tuple[str, ...]:
    names = (factors,) if isinstance(factors, str) else tuple(factors)
    if not 1 <= len(names) <= MAX_FACTORS:
        raise DataError(f"{len(names)} factors were given", f"1 to {MAX_FACTORS} columns")
    for name in names:
        if any(mark in str(name) for mark in ":,="):
            raise DataError(
                f"the factor is called '{name}'",
                "names without ':', ',' and '='",
                "Rename the column: interactions are written a:b, cells mean(a=1,b=0).",
            )
    return names


def _checked_baseline(baseline: Mapping[str, Any], factors: tuple[str, ...]) -> Mapping[str, Any]:
    strangers = [name for name in baseline if name not in factors]
    if strangers:
        raise DataError(
            f"a baseline is given for '{strangers[0]}'", f"one of {checks.shown(factors, 8)}"
        )
    return baseline


def _read_factor(
    series: nw.Series[Any], baseline: Any
) -> tuple[NDArray[np.int64], tuple[Any, Any]]:
    """Codes 0/1 and the values that they stand for."""
    values = [v.item() if isinstance(v, np.generic) else v for v in series.to_list()]
    missing = sum(checks.is_missing(v) for v in values)
    if missing:
        raise checks.missing_treatment(missing, len(values), series.name, "factor")
    found = sorted(set(values), key=lambda v: (isinstance(v, str), v))
    if len(found) != 2:
        raise DataError(
            f"the factor takes {len(found):,} distinct value{'s' * (len(found) != 1)} "
            f"({checks.shown(found)})",
            "two values",
            "A constant has no effect to estimate; more levels are arms, or columns of 0/1 each.",
            column=series.name,
        )
    if baseline is not None and baseline not in found:
        raise DataError(
            f"the baseline is {baseline!r}", f"{found[0]!r} or {found[1]!r}", column=series.name
        )
    zero = found[0] if baseline is None else baseline
    one = next(v for v in found if v != zero)
    return np.asarray([int(v == one) for v in values], dtype=np.int64), (zero, one)


def _read_outcome(series: nw.Series[Any]) -> Array:
    if not (series.dtype.is_numeric() or series.dtype == nw.Boolean):
        example = next((v for v in series.to_list() if not checks.is_missing(v)), None)
        raise DataError(
            f"the outcome is of type {series.dtype} (e.g. '{example}')",
            "numbers",
            f"Say which value counts as 1: (df['{series.name}'] == '{example}').astype(int), or "
            f"--outcome {series.name}={example} on the command line.",
            column=series.name,
        )
    return checks.finite_outcome(series)


def _n_marked(frame: nw.DataFrame[Any]) -> int:
    if SYNTHETIC_MARKER not in frame.columns:
        return 0
    return sum(bool(v) for v in frame[SYNTHETIC_MARKER].to_list())
