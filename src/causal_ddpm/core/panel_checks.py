"""Refusals of panels that cannot be used, each one sentence long.

Rows are cells: row r belongs to unit ``unit[r]`` and period ``period[r]``. A unit is first treated
in period g and stays treated, so that the whole treatment is one number a unit; g = T stands for
never.
"""

from __future__ import annotations

from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core import checks
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.panel_axes import Axis, period_keys, refuse_unordered, units_are

Codes = NDArray[np.int64]
Array = NDArray[np.float64]
Reversals = Literal["refuse", "keep_treated", "drop_after"]

REVERSALS = ("refuse", "keep_treated", "drop_after")

_NEVER_WORDS = ("", "0", "never", "inf")


def refuse_duplicates(units: Axis, periods: Axis, names: tuple[str, str]) -> None:
    """Refuse two rows of the same unit and period."""
    cell = units.place * len(periods.labels) + periods.place
    distinct, count = np.unique(cell, return_counts=True)
    if len(distinct) < len(cell):
        n_twice = int((count > 1).sum())
        i, t = divmod(int(distinct[count.argmax()]), len(periods.labels))
        raise DataError(
            f"{names[0]} {units.labels[i]} has {count.max():,} rows in {names[1]} "
            f"{periods.labels[t]}"
            + (f", and {n_twice - 1:,} other cells have more than one" if n_twice > 1 else ""),
            "one row for each unit and period",
            "Drop the duplicates, or add up or average the rows of a cell first.",
        )


def outcome_of_rows(series: nw.Series[Any]) -> Array:
    """The outcome, NaN where missing; refuses texts, infinite, constant and extreme values."""
    y = checks.as_float(series, "a numeric outcome")
    if np.isinf(y).any():
        raise DataError(
            f"{int(np.isinf(y).sum()):,} outcome values are infinite",
            "finite numbers",
            "A logarithm of zero is a common cause.",
            column=series.name,
        )
    known = y[~np.isnan(y)]
    if not len(known):
        raise DataError("every outcome is missing", "observed outcomes", column=series.name)
    checks.refuse_size(known, "outcome", series.name)
    if np.ptp(known) == 0:
        raise DataError(
            f"the outcome is constant (always {known[0]:g})",
            "an outcome that varies",
            column=series.name,
        )
    return y


def covariate_of_rows(series: nw.Series[Any], needed: NDArray[np.bool_]) -> Array:
    """A numeric covariate; refuses values that are missing where ``needed``, or infinite."""
    x = checks.as_float(series, "numbers or true/false; make a column of 0/1 of each category")
    if np.isinf(x).any():
        raise DataError("the covariate has infinite values", "finite numbers", column=series.name)
    checks.refuse_size(x, "covariate", series.name, low=0.0)
    missing = int((np.isnan(x) & needed).sum())
    if missing:
        raise DataError(
            f"the covariate is missing in {missing:,} of {int(needed.sum()):,} cells that have an "
            "outcome",
            "a value in each of them",
            "Leave the covariate out, fill it in, or drop those periods.",
            column=series.name,
        )
    return x


def of_units(values: NDArray[Any], units: Axis, role: str, column: str, hint: str) -> NDArray[Any]:
    """The value of each unit, shape (N,), of a column that is constant within units.

    Raises
    ------
    DataError
        If it varies within a unit.
    """
    _, row = np.unique(units.place, return_index=True)
    own = values[row]
    differs = values != own[units.place]
    if differs.any():
        i = int(units.place[np.flatnonzero(differs)[0]])
        raise DataError(
            f"the {role} varies within {units.labels[i]}", f"one {role} a unit", hint, column=column
        )
    return own


def first_by_cells(
    treated: Codes, units: Axis, periods: Axis, column: str, reversals: Reversals
) -> tuple[Codes, NDArray[np.bool_], list[str]]:
    """First treated period of each unit from 0/1 rows.

    Parameters
    ----------
    treated : ndarray of int, shape (n,)
    units, periods : Axis
    column : str
        Name of the treatment, for sentences.
    reversals : {"refuse", "keep_treated", "drop_after"}
        What to do with a unit that is untreated again after it was treated.

    Returns
    -------
    first : ndarray of int, shape (N,)
    ended : ndarray of bool, shape (N, T)
        Cells to leave out because treatment had ended.
    notes : list of str

    Raises
    ------
    DataError
        For a reversal that is to be refused, or an unknown way to handle it.
    """
    if reversals not in REVERSALS:
        raise DataError(f"reversals is {reversals!r}", " or ".join(map(repr, REVERSALS)))
    shape = len(units.labels), len(periods.labels)
    table = np.full(shape, -1, dtype=np.int64)
    table[units.place, periods.place] = treated
    ever = (table == 1).any(axis=1)
    if not ((table == 0).any(axis=1) & ever).any():
        raise DataError(
            f"{units_are(int(ever.sum()))} treated in all of their periods, all others in none",
            "1 in cells under treatment and 0 before it",
            "If the column marks groups, multiply it by a dummy of the periods after the change, "
            "or give each unit's first treated period with cohort=.",
            column=column,
        )
    first = np.where(ever, (table == 1).argmax(axis=1), shape[1])
    after = np.arange(shape[1]) > first[:, None]
    ended = np.logical_or.accumulate(after & (table == 0), axis=1)
    notes = _gap_notes(table, first)
    if ended.any():
        notes.append(_reversal(ended, units, periods, column, reversals))
    return first, ended & (reversals == "drop_after"), notes


def _reversal(
    ended: NDArray[np.bool_],
    units: Axis,
    periods: Axis,
    column: str,
    reversals: Reversals,
) -> str:
    """Refuse treatment that ends, or say what is done about it."""
    back = np.flatnonzero(ended.any(axis=1))
    i, t = int(back[0]), int(ended[back[0]].argmax())
    if reversals == "refuse":
        raise DataError(
            f"{units_are(len(back))} untreated again after treatment, "
            f"such as {units.labels[i]} in {periods.labels[t]}",
            "units that stay treated",
            "reversals='keep_treated' counts them as treated from the first time on, "
            "'drop_after' leaves out their cells once treatment has ended.",
            column=column,
        )
    who = checks.shown(units.labels[back])
    if reversals == "keep_treated":
        return f"treatment ended in {who}; these units count as treated from the first time on"
    return f"treatment ended in {who}; their cells from then on are left out"


def _gap_notes(table: Codes, first: Codes) -> list[str]:
    """A note on units whose row just before the first treated one is missing."""
    starts = np.flatnonzero((first > 0) & (first < table.shape[1]))
    in_gap = starts[table[starts, first[starts] - 1] == -1]
    if not len(in_gap):
        return []
    return [
        f"{units_are(len(in_gap))} without a row just before the first treated one; "
        "treatment is taken to start at that one"
    ]


def first_by_cohort(series: nw.Series[Any], units: Axis, periods: Axis) -> tuple[Codes, list[str]]:
    """First treated period of each unit from its cohort; missing, 0 and infinite mean never.

    Raises
    ------
    DataError
        For a cohort that varies within a unit, is of another type than the periods, or is 0 where
        0 is a period too.
    """
    labels, n_periods = periods.labels, len(periods.labels)
    keys, never = _cohort_keys(series, periods)
    hint = "Give each unit the period of its first treatment, in all of its rows."
    place = np.searchsorted(labels if periods.kind != "category" else np.arange(n_periods), keys)
    rows = np.where(never, n_periods, place).astype(np.int64)
    first = of_units(rows, units, "cohort", series.name, hint)
    late = (rows == n_periods) & ~never
    if not late.any():
        return first, []
    n_late = len(np.unique(units.place[late]))
    return first, [
        f"{units_are(n_late)} treated only after the last period, and untreated in this panel"
    ]


def _cohort_keys(series: nw.Series[Any], periods: Axis) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Sort keys of the cohorts, and which rows are never treated."""
    keys, kind = period_keys(series)
    missing = np.asarray([checks.is_missing(v) for v in series.to_list()])
    if kind == "text":
        words = np.char.lower(keys.astype(str))
        missing |= np.isin(words, _NEVER_WORDS)
    if missing.all():
        kind, keys = periods.kind, np.zeros(len(keys), dtype=periods.labels.dtype)
    if kind == "category" or (kind == "text" and periods.kind == "category"):
        kind, keys = "category", _category_places(series, periods, missing)
    if kind != periods.kind:
        raise DataError(
            f"the cohorts are of kind '{kind}', the periods of kind '{periods.kind}'",
            "the period of first treatment, written as the periods are",
            "Missing, 0 or infinity stand for never treated.",
            column=series.name,
        )
    if kind == "text":
        refuse_unordered(series.name, np.unique(np.append(keys[~missing], periods.labels)))
    if kind == "number":
        zero = keys == 0
        if zero.any() and (periods.labels[0] < 0):
            raise DataError(
                "the cohort 0 could be a period, or stand for never treated",
                "cohorts that say one thing",
                "Leave the cohort of never treated units empty, or number the periods from 1.",
                column=series.name,
            )
        missing = missing | zero | np.isposinf(keys)
    return keys, missing


def _category_places(
    series: nw.Series[Any], periods: Axis, missing: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Places of cohorts among periods that are categories."""
    place = {str(label): k for k, label in enumerate(periods.labels)}
    values = [str(v) for v in series.to_list()]
    strange = [v for v, gone in zip(values, missing, strict=True) if not gone and v not in place]
    if strange:
        raise DataError(
            f"the cohort '{strange[0][:30]}' is no period",
            f"one of {checks.shown(periods.labels)}",
            column=series.name,
        )
    return np.asarray([place.get(v, 0) for v in values], dtype=np.int64)
