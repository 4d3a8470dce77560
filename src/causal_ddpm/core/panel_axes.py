"""The two axes of a panel: names of units, and periods in their order.

Periods are numbers, dates, ordered categories, or texts that begin with the year and whose order as
texts is their order in time (2001-07, 2001Q3); other texts have no order that a program could know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core import checks
from causal_ddpm.core.errors import DataError

Codes = NDArray[np.int64]
Kind = Literal["number", "date", "category", "text"]

_YEAR_FIRST = re.compile(r"\d{4}([-/. ]?[QqHhSsWwMm]?\d{1,2}){0,2}([ T].*)?$")
"""2001, 2001-07, 2001-07-31, 2001Q3, 2001-W07."""


@dataclass(frozen=True, eq=False)
class Axis:
    """Labels of one axis in their order, and the place of each row on it.

    Parameters
    ----------
    labels : ndarray, shape (K,)
        Distinct labels, in order.
    place : ndarray of int, shape (n,)
        Position of each row's label.
    kind : {"number", "date", "category", "text"}
    """

    labels: NDArray[Any]
    place: Codes
    kind: Kind


def unit_axis(series: nw.Series[Any]) -> Axis:
    """Units sorted by name; numbers in numerical order.

    Raises
    ------
    DataError
        If a row has no unit.
    """
    _refuse_missing(series, "unit")
    if series.dtype.is_numeric():
        labels, place = np.unique(whole(checks.as_float(series, "names")), return_inverse=True)
        return Axis(labels, place.astype(np.int64), "number")
    names = np.asarray([str(v) for v in series.to_list()])
    labels, place = np.unique(names, return_inverse=True)
    return Axis(labels, place.astype(np.int64), "text")


def period_axis(series: nw.Series[Any]) -> Axis:
    """Periods in the order of time.

    Raises
    ------
    DataError
        If a row has no period, or the order of the periods is not known.
    """
    _refuse_missing(series, "period")
    keys, kind = period_keys(series)
    if kind == "text":
        refuse_unordered(series.name, np.unique(keys))
    distinct, place = np.unique(keys, return_inverse=True)
    labels = distinct
    if kind == "category":
        labels = np.asarray(_ordered_levels(series))[distinct]
    elif kind == "number":
        if not np.isfinite(distinct).all():
            raise DataError("a period is infinite", "finite periods", column=series.name)
        labels = whole(distinct)
    elif kind == "date" and np.array_equal(distinct, distinct.astype("datetime64[D]")):
        labels = distinct.astype("datetime64[D]")
    return Axis(labels, place.astype(np.int64), kind)


def period_keys(series: nw.Series[Any]) -> tuple[NDArray[Any], Kind]:
    """Values that sort as the periods of a column do, and what kind they are.

    Missing values become NaN, NaT or the empty text.
    """
    if series.dtype.is_numeric() or series.dtype == nw.Boolean:
        return checks.as_float(series, "periods"), "number"
    values = series.to_list()
    known = [v for v in values if not checks.is_missing(v)]
    if known and all(isinstance(v, int | float | np.number) for v in known):
        numbers = [np.nan if checks.is_missing(v) else float(v) for v in values]
        return np.asarray(numbers), "number"
    if known and all(isinstance(v, date) for v in known):
        return _dates(values), "date"
    levels = _ordered_levels(series)
    if levels:
        rank = {level: k for k, level in enumerate(levels)}
        return np.asarray([rank.get(str(v), -1) for v in values], dtype=np.int64), "category"
    return np.asarray(["" if checks.is_missing(v) else str(v).strip() for v in values]), "text"


def whole(values: NDArray[np.float64]) -> NDArray[Any]:
    """The same numbers as integers, where all of them are."""
    known = np.isfinite(values).all() and (np.abs(values) < 2**53).all()
    return values.astype(np.int64) if known and np.array_equal(values, np.floor(values)) else values


def units_are(n: int) -> str:
    """A number of units as the subject of a sentence."""
    return "1 unit is" if n == 1 else f"{n:,} units are"


def _dates(values: list[Any]) -> NDArray[Any]:
    naive = [
        None if checks.is_missing(v) else v.replace(tzinfo=None) if hasattr(v, "tzinfo") else v
        for v in values
    ]
    return np.asarray([np.datetime64(v, "us") for v in naive])


def _ordered_levels(series: nw.Series[Any]) -> list[str]:
    """Levels of a category whose order was declared; empty otherwise."""
    return [str(v) for v in series.dtype.categories] if isinstance(series.dtype, nw.Enum) else []


def _refuse_missing(series: nw.Series[Any], role: str) -> None:
    missing = sum(checks.is_missing(v) for v in series.to_list())
    if missing:
        raise DataError(
            f"{missing:,} of {len(series):,} rows have no {role}",
            f"a {role} in every row",
            "Drop those rows, or find out where they belong.",
            column=series.name,
        )


def refuse_unordered(name: str, labels: NDArray[Any]) -> None:
    """Refuse texts that do not begin with the year, or differ in length."""
    odd = [v for v in labels if not _YEAR_FIRST.match(v) or len(v) != len(labels[0])]
    if odd:
        raise DataError(
            f"the periods are texts whose order is not known, such as '{odd[0][:30]}'",
            "numbers, dates, or texts that begin with the year, such as 2001-07 or 2001Q3",
            "Number the periods (1, 2, 3, ...), or declare the column an ordered category.",
            column=name,
        )
