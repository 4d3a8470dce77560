"""Refusals of unusable input, each one sentence long.

The functions take columns that :mod:`causal_ddpm.core.data` has read and either return checked
numpy arrays or raise :class:`~causal_ddpm.core.errors.DataError`.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Column
from causal_ddpm.core.errors import DataError

MIN_ROWS = 40
"""Below this many rows no cross-fitted effect is worth reporting."""

SMALLEST, LARGEST = 1e-100, 1e100
"""The largest number of a column in size lies between these: squares beyond are out of range."""

_WEIGHTS = (1e-30, 1e30)
"""The same of weights, which some learners hold in single precision."""

_MOST_ROWS = 1e15
"""Frequency weights stand for no more rows than can be counted exactly."""

_DATE = re.compile(r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([ T].*)?$")
"""2020-01-31, 31.1.2020 or 1/31/20, with or without a time."""

_IDENTIFIER_SHARE = 0.25
"""A text column with more distinct values than this share of the rows is no category."""


def shown(values: Iterable[Any], limit: int = 5) -> str:
    """A short list of values for a message."""
    items = list(values)
    text = ", ".join(str(v) for v in items[:limit])
    return text + (f", ... ({len(items):,} in all)" if len(items) > limit else "")


def check_columns(available: Sequence[str], wanted: Sequence[Any]) -> None:
    """Refuse duplicate or unknown names, names that are no texts, one column in two roles."""
    for name in wanted:
        if not isinstance(name, str):
            raise DataError(
                f"a role is given as a {type(name).__name__}",
                "the name of a column, a text",
                "Add values to the frame as a column first; numbers as names: "
                "df.columns = df.columns.astype(str).",
            )
    twice = [name for name, count in Counter(available).items() if count > 1]
    if twice:
        raise DataError(
            f"the column name '{twice[0]}' occurs {available.count(twice[0])} times",
            "unique column names",
            "Rename or drop the duplicates.",
        )
    for name in wanted:
        if name not in available:
            close = difflib.get_close_matches(str(name), list(map(str, available)), n=1, cutoff=0.5)
            hint = (
                f"Did you mean '{close[0]}'?" if close else f"Columns are: {shown(available, 12)}."
            )
            raise DataError(f"there is no column '{name}'", "a column of the data", hint)
    doubled = [name for name, count in Counter(wanted).items() if count > 1]
    if doubled:
        raise DataError(
            "the column is given more than one role",
            "one role a column",
            "Name it once: treatment, outcome, confounder, instrument, weight, cluster or unit id.",
            column=doubled[0],
        )


def check_rows(n: int) -> None:
    """Refuse an empty table and one that is too small for cross-fitting."""
    if n == 0:
        raise DataError("the data have no rows", f"at least {MIN_ROWS} rows")
    if n < MIN_ROWS:
        raise DataError(
            f"the data have {n} rows",
            f"at least {MIN_ROWS}",
            "With so few rows compare the arms by hand; a cross-fitted model would be noise.",
        )


def binary_treatment(series: nw.Series[Any]) -> NDArray[np.int64]:
    """Codes 0/1 of a treatment column; refuses missing, constant and non-binary values."""
    return binary_values(
        series,
        "treatment",
        ("treated", "untreated"),
        ", or say what it is with treatment_kind='arms' or 'dose'",
    )


def binary_values(
    series: nw.Series[Any], role: str, words: tuple[str, str], way_out: str = ""
) -> NDArray[np.int64]:
    """Codes 0/1 of a column.

    Parameters
    ----------
    series : narwhals series
    role : str
        What sentences call the column.
    words : tuple of str
        What 1 and 0 mean.
    way_out : str
        What else could be done with other values.

    Raises
    ------
    DataError
        For missing, constant and non-binary values.
    """
    missing = _n_missing(series)
    if missing:
        raise missing_treatment(missing, len(series), series.name, role)
    values = sorted(series.unique().to_list(), key=str)
    if len(values) == 1:
        raise DataError(
            f"the {role} is constant (always {values[0]})",
            f"both {words[0]} (1) and {words[1]} (0) rows",
            "An effect needs units of both kinds.",
            column=series.name,
        )
    try:
        numbers = {float(v) for v in values}
    except (TypeError, ValueError):
        numbers = set()
    if numbers != {0.0, 1.0}:
        raise DataError(
            f"the {role} takes the values {shown(values)}",
            f"0 ({words[1]}) and 1 ({words[0]})",
            f"Recode it, for example (df[column] == value).astype(int){way_out}.",
            column=series.name,
        )
    return np.asarray([int(float(v)) for v in series.to_list()], dtype=np.int64)


def missing_treatment(missing: int, n: int, column: str, role: str = "treatment") -> DataError:
    """What to say of treatment (or instrument) values that are missing."""
    return DataError(
        f"{missing:,} of {n:,} {role} values are missing",
        f"no missing {role}",
        "Drop those rows, or code what 'missing' means.",
        column=column,
    )


def check_observed(available: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse rows without the treatment or the outcome that were observed."""
    missing = [name for name in wanted if name not in available]
    if missing:
        raise DataError(
            f"the rows have no column '{missing[0]}'",
            "the treatment and the outcome that were observed",
            "A counterfactual starts from what happened.",
        )


def finite_outcome(series: nw.Series[Any]) -> NDArray[np.float64]:
    """Float outcome; refuses text, missing, infinite and constant values."""
    y = as_float(series, "a numeric outcome, or outcome_kind='categorical' or 'ordinal'")
    bad = ~np.isfinite(y)
    if bad.any():
        raise DataError(
            f"{int(bad.sum()):,} of {len(y):,} outcome values are missing or infinite",
            "finite numbers",
            "Drop those rows or find out why they are missing.",
            column=series.name,
        )
    refuse_size(y, "outcome", series.name)
    if np.ptp(y) == 0:
        raise DataError(
            f"the outcome is constant (always {y[0]:g})",
            "an outcome that varies",
            column=series.name,
        )
    return y


def refuse_size(
    values: NDArray[np.float64],
    role: str,
    column: str,
    low: float = SMALLEST,
    high: float = LARGEST,
) -> None:
    """Refuse numbers, NaN where missing, whose squares are out of a computer's range.

    Raises
    ------
    DataError
        If the largest in size is beyond ``high`` or, unless all are zero, below ``low``.
    """
    largest = float(np.abs(values[~np.isnan(values)]).max(initial=0.0))
    if largest == 0 or low < largest < high:
        return
    raise DataError(
        f"the largest {role} is {largest:.3g} in size",
        f"one between {low:.0e} and {high:.0e}" if low else f"one below {high:.0e}",
        f"Measure the {role} in another unit, or look for codes that stand for missing values.",
        column=column,
    )


def positive_weights(series: nw.Series[Any], frequency: bool) -> NDArray[np.float64]:
    """Finite, non-negative weights with a positive sum (whole numbers for frequency weights)."""
    w = as_float(series, "numeric weights")
    if not np.isfinite(w).all() or (w < 0).any() or w.sum() <= 0:
        raise DataError(
            "the weights are missing, negative, infinite or all zero",
            "finite non-negative weights",
            column=series.name,
        )
    if frequency and w.sum() > _MOST_ROWS:
        raise DataError(
            f"the weights stand for {w.sum():.3g} rows",
            f"{_MOST_ROWS:.0e} at most",
            "Use weights_type='sampling' for survey weights.",
            column=series.name,
        )
    refuse_size(w, "weight", series.name, *_WEIGHTS)
    if frequency and not np.array_equal(w, np.round(w)):
        raise DataError(
            "frequency weights are not whole numbers",
            "counts of rows",
            "Use weights_type='sampling' for survey weights.",
            column=series.name,
        )
    return w


def group_codes(series: nw.Series[Any]) -> NDArray[np.int64]:
    """Integer codes of clusters; refuses missing ones."""
    missing = _n_missing(series)
    if missing:
        raise DataError(
            f"{missing:,} cluster values are missing", "a cluster for every row", column=series.name
        )
    _, codes = np.unique(np.asarray([str(v) for v in series.to_list()]), return_inverse=True)
    return codes.astype(np.int64)


def confounder_column(series: nw.Series[Any]) -> Column:
    """Kind and levels of a confounder; refuses what cannot be a confounder."""
    name, dtype = series.name, series.dtype
    if _n_missing(series) == len(series):
        raise DataError(
            "every value is missing",
            "a confounder with observed values",
            "Drop the column.",
            column=name,
        )
    if dtype.is_temporal():
        raise _dates_refused(name, f"type {dtype}")
    if dtype == nw.Boolean:
        return Column(name, "boolean")
    if dtype.is_numeric():
        values = as_float(series, "numbers")
        if np.isinf(values).any():
            raise DataError("the confounder has infinite values", "finite numbers", column=name)
        refuse_size(values, "confounder", name, low=0.0)
        return Column(name, "numeric")
    if dtype in (nw.String, nw.Categorical, nw.Enum) or dtype == nw.Object:
        return _category_column(series)
    raise DataError(
        f"the confounder has type {dtype}", "numbers, true/false or categories", column=name
    )


def look_like_dates(levels: Iterable[str]) -> bool:
    """Whether every text is a date, with or without a time."""
    return all(_DATE.match(level) for level in levels)


def _dates_refused(name: str, example: str) -> DataError:
    return DataError(
        f"the confounder holds dates or times ({example})",
        "numbers, true/false or categories",
        "Turn it into a number first, for example the year or days since a reference date.",
        column=name,
    )


def _category_column(series: nw.Series[Any]) -> Column:
    values = [v for v in series.to_list() if not is_missing(v)]
    if all(isinstance(v, bool | np.bool_) for v in values):
        return Column(series.name, "boolean")
    if any(not isinstance(v, str | int | float | np.generic) for v in values):
        kind = type(next(v for v in values if not isinstance(v, str | int | float))).__name__
        raise DataError(
            f"the confounder holds values of type {kind}",
            "numbers, true/false or categories",
            column=series.name,
        )
    levels = sorted({str(v) for v in values})
    if look_like_dates(levels):
        raise _dates_refused(series.name, f"such as '{levels[0][:30]}'")
    if len(levels) > max(20, _IDENTIFIER_SHARE * len(series)):
        raise DataError(
            f"the confounder has {len(levels):,} distinct texts in {len(series):,} rows "
            f"(e.g. '{levels[0][:30]}')",
            "a category with repeated levels",
            "Free text, dates in words and identifiers are no confounders: drop or summarise the "
            "column; if it should be numeric, find the entries that are not numbers.",
            column=series.name,
        )
    return Column(series.name, "categorical", tuple(levels))


def refuse_treatment_copies(
    names: Sequence[str],
    values: NDArray[np.float64],
    treatment: NDArray[Any],
    role: str = "treatment",
) -> None:
    """Refuse a confounder that is a treatment, shape (n,) or (n, k), under other codes."""
    for name, column in zip(names, values.T, strict=True):
        refuse_copy(
            column,
            treatment,
            DataError(
                f"the confounder is a copy of the {role}",
                "variables determined before treatment",
                "Remove it from the confounders: no comparable untreated unit would be left.",
                column=name,
            ),
        )


def refuse_copy(column: NDArray[np.float64], treatment: NDArray[Any], refusal: DataError) -> None:
    """Raise ``refusal`` where a column, NaN where missing, is a treatment under other codes."""
    seen = np.isfinite(column)
    if any(_is_copy(column[seen], t[seen]) for t in treatment.reshape(len(treatment), -1).T):
        raise refusal


def _is_copy(x: NDArray[np.float64], treatment: NDArray[Any]) -> bool:
    """True when x names the same groups as the codes, or orders rows as the doses do."""
    (a, i), (b, j) = (np.unique(v, return_inverse=True) for v in (x, treatment))
    if len(a) != len(b) or len(a) < 2:
        return False
    if treatment.dtype.kind == "f":
        return np.array_equal(i, j) or np.array_equal(i, len(a) - 1 - j)
    return len(np.unique(i * len(b) + j)) == len(a)


def is_missing(value: Any) -> bool:
    """True for None, NaN and pandas.NA-like values."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return True


def _n_missing(series: nw.Series[Any]) -> int:
    if _is_number(series):
        return int(np.isnan(as_float(series, "numbers")).sum())
    return sum(is_missing(v) for v in series.to_list())


def _is_word(value: Any) -> bool:
    """True for a text that is no number."""
    try:
        float(value)
    except (TypeError, ValueError):
        return isinstance(value, str)
    return False


def _is_number(series: nw.Series[Any]) -> bool:
    return series.dtype.is_numeric() or series.dtype == nw.Boolean


_WRITTEN_NUMBER = re.compile(r"\s*[^\w\s.,+-]?\s*[+-]?[^\w\s.,+-]?\d[\d., ]*\s*\S{0,3}\s*")


def _number_hint(example: str | None) -> str:
    """What to do about a text where a number should be; without one all entries are numbers."""
    if example is None:
        return "Store it as numbers, for example df[column].astype(float)."
    if _WRITTEN_NUMBER.fullmatch(example):
        return (
            "Write plain numbers, such as 1234.5: no thousands separators, no decimal commas, no "
            "currency or percent signs."
        )
    return "Find the entries that are not numbers."


def as_float(series: nw.Series[Any], expected: str) -> NDArray[np.float64]:
    """A numeric or boolean column as a fresh float array, NaN where a value is missing.

    Raises
    ------
    DataError
        If the column holds anything else; ``expected`` completes the sentence.
    """
    if not _is_number(series):
        example = next((v for v in series.to_list() if _is_word(v)), None)
        found = f"the column has type {series.dtype}" + (
            f" (e.g. '{example[:30]}')" if example else ""
        )
        raise DataError(found, expected, _number_hint(example), column=series.name)
    return np.array(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
