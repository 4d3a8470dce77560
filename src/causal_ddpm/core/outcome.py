"""What kind of variable the outcome is, and how a column of it becomes numbers.

    continuous     a number                         the number
    heavy_tailed   a number with long tails         the number
    binary         two values                       the values, or 0/1 for two texts
    count          whole numbers from 0 on          the number
    ordinal        up to 50 ordered levels          the numbers, or 0 .. K - 1 for ordered texts
    categorical    up to 50 levels without order    0 .. K - 1 in sorted order

``"auto"`` knows numbers only and asks in this order: two distinct values are binary; whole numbers
from 1 to at most 10, the 1 among them, are ordinal (a rating); at most 50 whole numbers from 0 on
are a count; tails (off an atom) at least twice as long as a normal law's are heavy; all else is
continuous. An **atom** is found beside this in continuous and heavy-tailed outcomes: zero, or else
the most frequent value, if over 5 % of the rows take it. Kind, levels and atom are read off all
rows: they are few choices that all folds share. What is *fitted*, such as the map to normal
scores, is fitted without the fold that is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core import checks
from causal_ddpm.core.errors import DataError

OutcomeKind = Literal[
    "continuous", "heavy_tailed", "binary", "count", "ordinal", "categorical"
]  # fmt: skip
AskedKind = OutcomeKind | Literal["auto"]
Array = NDArray[np.float64]

KINDS: tuple[OutcomeKind, ...] = (
    "continuous", "heavy_tailed", "binary", "count", "ordinal", "categorical",
)  # fmt: skip

MAX_LEVELS = 50
"""More levels than this are no table of probabilities."""

MAX_RATING = 10
"""Whole numbers from 1 to at most this are read as a rating."""

ATOM_SHARE = 0.05
"""A value that more than this share of the rows take is an atom."""

AS_ASKED = "as asked"
"""Why an outcome is of a kind that was named."""

HEAVY = 2.0
"""Tails at least this many times as long as a normal law's are heavy."""

_NORMAL_SPAN = 2 * 2.5758 / 1.34898
_TAILS = np.array([0.005, 0.25, 0.75, 0.995])


@dataclass(frozen=True)
class Outcome:
    """Kind and levels of an outcome.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`.
    why : str
        The reason in words: what was asked for, or what was seen.
    values : tuple of float
        Ascending values, or codes, of binary, ordinal and categorical outcomes; else empty.
    labels : tuple of str
        Their names, where these are texts; else empty.
    """

    kind: OutcomeKind = "continuous"
    why: str = "by default"
    values: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready account for a report."""
        out: dict[str, Any] = {"kind": self.kind, "why": self.why}
        if self.values:
            out["levels"] = list(self.labels or self.values)
        return out

    def check_order(self, name: str) -> None:
        """Refuse levels without an order where an effect on the outcome is asked for.

        Raises
        ------
        DataError
        """
        if self.kind == "categorical":
            raise DataError(
                "the levels of the outcome have no order",
                "numbers, or ordered levels, for an effect",
                "Take one level at a time: the outcome (df[column] == level).astype(int).",
                column=name,
            )

    def read(self, series: nw.Series[Any]) -> Array:
        """Values of an outcome column of new rows, codes where its levels are texts.

        Raises
        ------
        DataError
            If a level was not there in training.
        """
        if not self.labels:
            return np.array(series.to_numpy(), dtype=float)
        return np.asarray([self.code(_text(v)) for v in series.to_list()])

    def code(self, level: object) -> float:
        """Value of a level given by its name or number.

        Raises
        ------
        DataError
            If the outcome has no such level.
        """
        names = self.labels or self.values
        for name, value in zip(names, self.values, strict=True):
            if name == level:
                return value
        raise DataError(f"the outcome has no level {level!r}", checks.shown(names, 12))

    def named(self, values: Array) -> NDArray[Any]:
        """Values by their names where they have names, otherwise as they are."""
        if not self.labels:
            return values
        return np.asarray(self.labels, dtype=object)[values.astype(np.int64)]


def read_outcome(
    series: nw.Series[Any], asked: AskedKind = "auto", weights: Array | None = None
) -> tuple[Array, Outcome]:
    """Numbers and kind of an outcome column.

    Parameters
    ----------
    series : narwhals Series
    asked : str
        "auto" or one of :data:`KINDS`; texts are accepted for the kinds that have levels.
    weights : ndarray, shape (n,), optional
        Row weights, for shares and tails.

    Returns
    -------
    ndarray, shape (n,)
        Finite and not constant.
    Outcome

    Raises
    ------
    DataError
        If the kind is unknown or the column is not of that kind.
    """
    if asked not in ("auto", *KINDS):
        raise DataError(f"outcome_kind is {asked!r}", f"'auto' or one of {', '.join(KINDS)}")
    if asked in ("binary", "ordinal", "categorical") and not _is_number(series):
        return _named_levels(series, asked)
    y = checks.finite_outcome(series)
    if asked == "auto":
        return y, recognise(y, weights)
    _check_kind(series.name, y, asked)
    why = AS_ASKED
    if asked == "categorical":
        values, codes = np.unique(y, return_inverse=True)
        names = tuple(f"{v:g}" for v in values)
        return codes.astype(float), Outcome(asked, why, _codes(len(names)), names)
    values = np.unique(y) if asked in ("binary", "ordinal") else np.empty(0)
    return y, Outcome(asked, why, tuple(map(float, values)))


def recognise(y: Array, weights: Array | None = None) -> Outcome:
    """The kind of a numeric outcome by the rule of the module page."""
    values = np.unique(y)
    if len(values) == 2:
        return Outcome("binary", "it takes two values", tuple(map(float, values)))
    whole = bool(values[0] >= 0 and (values == np.round(values)).all())
    if whole and values[0] == 1 and values[-1] <= MAX_RATING:
        seen = f"it takes whole numbers from 1 to {values[-1]:g}"
        return Outcome("ordinal", seen, tuple(map(float, values)))
    if whole and len(values) <= MAX_LEVELS:
        return Outcome("count", f"it takes {len(values)} whole numbers up to {values[-1]:g}")
    tails = tail_weight(*_off_atom(y, weights))
    if tails >= HEAVY:
        return Outcome("heavy_tailed", f"its tails are {tails:.1f} times as long as normal ones")
    return Outcome("continuous", f"its tails are {tails:.1f} times as long as normal ones")


def find_atom(outcome: Array, weights: Array | None = None) -> float | None:
    """The value, zero before all others, whose (weighted) share exceeds 5 %; otherwise None.

    Zero is a state of its own (no earnings); another frequent value, such as the end at which
    earnings were cut off, is the atom only where zeros are rare.
    """
    values, position = np.unique(outcome, return_inverse=True)
    share = np.bincount(position, weights=weights) / (
        len(outcome) if weights is None else weights.sum()
    )
    zeros = (values == 0) & (share > ATOM_SHARE)
    top = int(np.argmax(zeros if zeros.any() else share))
    return float(values[top]) if share[top] > ATOM_SHARE else None


def zeros_apart(outcome: Array, weights: Array | None = None) -> bool:
    """Whether zeros of a count stand apart: over 5 % of the rows, and with a gap beside them.

    A gap is seen where ones are rarer than twos, or less than half as frequent as zeros.
    """
    zero, one, two = (
        float(np.average(outcome == value, weights=weights)) for value in (0.0, 1.0, 2.0)
    )
    return zero > ATOM_SHARE and one < max(min(zero, two), zero / 2)


def tail_weight(outcome: Array, weights: Array | None = None) -> float:
    """How long the tails are: (q.995 - q.005) / (q.75 - q.25), as a multiple of a normal law's."""
    q = weighted_quantiles(outcome, weights, _TAILS)
    middle = q[2] - q[1]
    return float((q[3] - q[0]) / middle / _NORMAL_SPAN) if middle > 0 else 1.0


def weighted_quantiles(x: Array, weights: Array | None, levels: Array) -> Array:
    """Quantiles of x; rows with weights count by them, at the middle of their own mass."""
    if weights is None:
        return np.quantile(x, levels)
    order = np.argsort(x, kind="stable")
    mass = weights[order]
    position = (np.cumsum(mass) - mass / 2) / mass.sum()
    return np.interp(levels, position, x[order])


def _off_atom(y: Array, weights: Array | None) -> tuple[Array, Array | None]:
    atom = find_atom(y, weights)
    rows = np.ones(len(y), dtype=bool) if atom is None else y != atom
    return y[rows], None if weights is None else weights[rows]


def _check_kind(name: str, y: Array, asked: OutcomeKind) -> None:
    values = np.unique(y)
    if asked == "binary" and len(values) != 2:
        raise DataError(
            f"the outcome takes {len(values):,} values", "two values for a binary outcome",
            column=name,
        )  # fmt: skip
    if asked == "count" and not (values[0] >= 0 and (values == np.round(values)).all()):
        odd = next(v for v in values if v < 0 or v != np.round(v))
        raise DataError(
            f"the outcome takes the value {odd:g}", "whole numbers from 0 on for a count",
            column=name,
        )  # fmt: skip
    if asked in ("ordinal", "categorical"):
        _check_levels(name, len(values), asked)


def _check_levels(name: str, n_levels: int, asked: str) -> None:
    if n_levels > MAX_LEVELS:
        raise DataError(
            f"the outcome takes {n_levels:,} values",
            f"at most {MAX_LEVELS} levels for an outcome of kind '{asked}'",
            "Merge rare levels, or leave out outcome_kind if it is a number.",
            column=name,
        )


def _named_levels(series: nw.Series[Any], asked: AskedKind) -> tuple[Array, Outcome]:
    """Codes of an outcome of texts or categories."""
    raw = series.to_list()
    missing = sum(checks.is_missing(v) for v in raw)
    if missing:
        raise DataError(
            f"{missing:,} of {len(raw):,} outcome values are missing",
            "an outcome in every row",
            "Drop those rows or find out why they are missing.",
            column=series.name,
        )
    seen = {str(v) for v in raw}
    dtype = series.dtype
    if isinstance(dtype, nw.Enum):
        labels = [c for c in dtype.categories if c in seen]
    elif asked == "ordinal":
        raise DataError(
            f"the levels have no order (e.g. {checks.shown(sorted(seen), 3)})",
            "numbers or an ordered category for an ordinal outcome",
            "Use pandas.Categorical(values, categories=[...], ordered=True) or polars.Enum.",
            column=series.name,
        )
    else:
        labels = sorted(seen)
    if len(labels) < 2 or (asked == "binary" and len(labels) > 2):
        expected = "two values for a binary outcome" if asked == "binary" else "at least two levels"
        raise DataError(f"the outcome takes {len(labels):,} values", expected, column=series.name)
    _check_levels(series.name, len(labels), str(asked))
    code = {label: float(k) for k, label in enumerate(labels)}
    y = np.asarray([code[str(v)] for v in raw])
    kind: Mapping[str, OutcomeKind] = {k: k for k in KINDS}
    return y, Outcome(kind[asked], AS_ASKED, _codes(len(labels)), tuple(labels))


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)


def _codes(n_levels: int) -> tuple[float, ...]:
    return tuple(map(float, range(n_levels)))


def _is_number(series: nw.Series[Any]) -> bool:
    return bool(series.dtype.is_numeric() or series.dtype == nw.Boolean)
