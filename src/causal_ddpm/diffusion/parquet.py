"""Tables that stay in a Parquet file: surveyed once, then read as numbers batch by batch.

A numeric column gives one number, its mean where it is missing, and then one more that says so. A
column of texts gives one number for each of its levels (0 or 1). What a column gives is settled by
one pass over the file (:func:`survey`), which holds one batch of rows at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError

Array = NDArray[np.float64]
Level = str | int | float | bool

BATCH_ROWS = 32_768
"""Rows that are in memory at a time."""

MAX_LEVELS = 100


@dataclass(frozen=True)
class NumberColumn:
    """A numeric column; ``mean`` fills gaps, which get a column of their own if there were any."""

    name: str
    mean: float
    sd: float
    missing_share: float

    @property
    def moments(self) -> tuple[list[float], list[float]]:
        """Means and standard deviations of the numbers it gives."""
        if not self.missing_share:
            return [self.mean], [self.sd]
        p = self.missing_share
        return [self.mean, p], [self.sd * float(np.sqrt(1 - p)), float(np.sqrt(p * (1 - p)))]

    def encode(self, column: Any) -> Array:
        """The numbers of a column of a batch, shape (b, 1) or (b, 2)."""
        x = numbers_of(column, self.name)
        gap = np.isnan(x)
        if gap.any() and not self.missing_share:
            raise DataError(
                f"{int(gap.sum())} values are missing", "no gaps, as in the training rows",
                "Fill them, or train on rows that have gaps too.", column=self.name,
            )  # fmt: skip
        filled = np.where(gap, self.mean, x)
        return np.column_stack([filled, gap] if self.missing_share else [filled])


@dataclass(frozen=True)
class LevelColumn:
    """A column with few distinct values, and the share of rows that have each."""

    name: str
    levels: tuple[Level, ...]
    shares: tuple[float, ...]

    @property
    def moments(self) -> tuple[list[float], list[float]]:
        """Means and standard deviations of the indicators."""
        return list(self.shares), [float(np.sqrt(p * (1 - p))) for p in self.shares]

    def codes(self, column: Any) -> NDArray[np.int64]:
        """Positions of a batch's values among the levels, shape (b,)."""
        values = _plain(column)
        try:
            found = pc.index_in(values, pa.array(self.levels, type=values.type))
        except (pa.ArrowException, TypeError):
            raise _of_another_type(
                values, f"values such as {self.levels[0]!r}", self.name
            ) from None
        if found.null_count:
            unknown = values.filter(found.is_null())[0].as_py()
            raise DataError(
                f"the value {unknown!r} was not among the training rows",
                f"one of {', '.join(map(repr, self.levels[:6]))}", column=self.name,
            )  # fmt: skip
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)

    def encode(self, column: Any) -> Array:
        """Indicators of the levels, shape (b, L)."""
        return np.asarray(np.eye(len(self.levels))[self.codes(column)])


Column = NumberColumn | LevelColumn


def encode(columns: Sequence[Column], batch: Any) -> Array:
    """The columns of a batch as numbers, shape (b, D)."""
    return np.hstack([c.encode(batch.column(c.name)) for c in columns])


def numbers_of(column: Any, name: str) -> Array:
    """A numeric column of a batch, NaN where it is missing, shape (b,).

    Raises
    ------
    DataError
        If it is not numeric or holds an infinite value.
    """
    try:
        x = np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False))
    except pa.ArrowException:
        raise _of_another_type(column, "numbers", name) from None
    if np.isinf(x).any():
        raise DataError("a value is infinite", "finite numbers or gaps", column=name)
    return x


def _plain(column: Any) -> Any:
    """A column of a batch without its dictionary."""
    kind = column.type
    return pc.cast(column, kind.value_type) if pa.types.is_dictionary(kind) else column


def _of_another_type(column: Any, expected: str, name: str) -> DataError:
    return DataError(f"the column is of type {column.type}", expected, column=name)


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file, or a folder of them read in the order of their names.

    Parameters
    ----------
    path : Path
    """

    path: Path

    @cached_property
    def files(self) -> list[Path]:
        """The files.

        Raises
        ------
        DataError
            If there is none.
        """
        files = sorted(self.path.glob("*.parquet")) if self.path.is_dir() else [self.path]
        if not files or not files[0].is_file():
            raise DataError(f"there is no Parquet file at '{self.path}'", "a file or a folder")
        return files

    @cached_property
    def schema(self) -> Any:
        """Names and types of the columns of the first file."""
        return self._open(self.files[0]).schema_arrow

    @property
    def n_rows(self) -> int:
        """Rows of all files."""
        return sum(self._open(path).metadata.num_rows for path in self.files)

    def check(self, names: Sequence[str]) -> None:
        """Refuse names that are not columns, or are given twice."""
        for i, name in enumerate(names):
            if name not in self.schema.names:
                close = get_close_matches(name, self.schema.names, n=1)
                hint = f"Did you mean '{close[0]}'?" if close else ""
                raise DataError(f"'{self.path}' has no column '{name}'", "a column of it", hint)
            if name in names[:i]:
                raise DataError(f"the column '{name}' is named twice", "each column once")

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Record batches with the given columns, in order.

        Raises
        ------
        DataError
            If a file cannot be read, or has no such column.
        """
        for path in self.files:
            try:
                yield from self._open(path).iter_batches(BATCH_ROWS, columns=list(names))
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(path, error) from error

    def _open(self, path: Path) -> Any:
        try:
            return pq.ParquetFile(path, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(f"'{path}' cannot be read as Parquet ({first})", "a Parquet file")


@dataclass
class _Moments:
    """Count, sum and sum of squares of a numeric column around its first batch's mean."""

    n: int = 0
    missing: int = 0
    origin: float | None = None
    first: float = 0.0
    second: float = 0.0

    def add(self, x: Array) -> None:
        ok = x[~np.isnan(x)]
        self.missing += len(x) - len(ok)
        if len(ok):
            self.origin = float(ok.mean()) if self.origin is None else self.origin
            self.n += len(ok)
            self.first += float((ok - self.origin).sum())
            self.second += float(((ok - self.origin) ** 2).sum())

    def column(self, name: str) -> NumberColumn:
        if self.origin is None:
            raise DataError("no value is there", "a column that holds numbers", column=name)
        shift = self.first / self.n
        sd = float(np.sqrt(max(self.second / self.n - shift**2, 0.0)))
        return NumberColumn(name, self.origin + shift, sd, self.missing / (self.n + self.missing))


@dataclass
class _Levels:
    """How often each value of a column occurs."""

    counts: dict[Level, int]

    def add(self, values: Any, name: str, most: int) -> None:
        missing = pc.sum(pc.is_null(values, nan_is_null=True)).as_py()
        if missing:
            raise DataError(
                f"{missing} values are missing", "a value in every row",
                "Give gaps a level of their own, such as 'missing'.", column=name,
            )  # fmt: skip
        for entry in pc.value_counts(values).to_pylist():
            self.counts[entry["values"]] = self.counts.get(entry["values"], 0) + entry["counts"]
        if len(self.counts) > most:
            raise DataError(
                f"more than {most} distinct values", "few levels",
                "Group the rare ones, or leave the column out.", column=name,
            )  # fmt: skip

    def column(self, name: str) -> LevelColumn:
        levels = sorted(self.counts)
        total = sum(self.counts.values())
        return LevelColumn(name, tuple(levels), tuple(self.counts[v] / total for v in levels))


def survey(
    table: ParquetTable, names: Sequence[str], discrete: Sequence[str] = (), most: int = MAX_LEVELS
) -> tuple[tuple[Column, ...], int]:
    """What each column holds, and the number of rows: one pass over the file.

    Parameters
    ----------
    table : ParquetTable
    names : sequence of str
    discrete : sequence of str
        Columns whose distinct values are counted although they are numeric.
    most : int
        Distinct values that a column of texts may have.

    Raises
    ------
    DataError
        For columns that are unknown, of another type, empty, infinite or too rich in levels.
    """
    table.check(names)
    tallies: dict[str, _Moments | _Levels] = {}
    for name in names:
        kind = table.schema.field(name).type
        numeric = _is_numeric(kind, name)
        tallies[name] = _Moments() if numeric and name not in discrete else _Levels({})
    n_rows = 0
    for batch in table.batches(names):
        n_rows += batch.num_rows
        for name, tally in tallies.items():
            if isinstance(tally, _Moments):
                tally.add(numbers_of(batch.column(name), name))
            else:
                tally.add(_plain(batch.column(name)), name, most)
    if n_rows == 0:
        raise DataError(f"'{table.path}' has no rows", "rows to learn from")
    return tuple(tally.column(name) for name, tally in tallies.items()), n_rows


def _is_numeric(kind: Any, name: str) -> bool:
    """Whether a column is numeric; otherwise it must hold texts."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_string(value) or pa.types.is_large_string(value):
        return False
    types = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    if pa.types.is_dictionary(kind) or not any(is_of(kind) for is_of in types):
        raise DataError(f"the column is of type {kind}", "numbers or texts",
                        "Turn dates into numbers first.", column=name)  # fmt: skip
    return True
