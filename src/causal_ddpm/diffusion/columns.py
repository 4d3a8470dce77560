r"""Columns of a table as coordinates of a diffusion, and back: marginal laws stay exact.

A number y of a column with distribution function F becomes a standard normal by the distributional
transform of Rueschendorf (2009),

    u = F(y-) + V (F(y) - F(y-)),      z = Phi^-1(u),      V uniform on [0, 1],

and back by the empirical quantile function, y = F^-1(Phi(z)): between two values that occur once
each it is linear, a value that occurs more often (a count, a heaped age) keeps its own flat
stretch, and nothing lies outside the observed range. V is drawn anew whenever a row is used; an
observer of y, who does not know V, sees the mean of z over the stretch. A value with a large share
of an otherwise continuous column (zero earnings) becomes a level of a category beside z: "no atom"
or which one. Missingness is a category too, present or missing.

References
----------
Rueschendorf (2009), On the distributional transform, Sklar's theorem, and the empirical copula
process.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from causal_ddpm.core import checks
from causal_ddpm.core.errors import CausalDDPMWarning, DataError

Array = NDArray[np.float64]
Level = str | float | bool

OTHER = "other"
MAX_LEVELS = 100
"""More levels than these are grouped: the rarest become one level, "other"."""

_ATOM_SHARE, _CONTINUOUS, _MAX_ATOMS = 0.05, 30, 5
_IDENTIFIER_SHARE = 0.5
_DENSITY = 1 / np.sqrt(2 * np.pi)


@dataclass(frozen=True, eq=False)
class QuantileTable:
    """The empirical distribution of a column.

    Parameters
    ----------
    values : ndarray, shape (m,)
        Distinct values, rising.
    counts : ndarray of int, shape (m,)
        Rows that have them.
    decimals : int
        Digits after the point that the column uses; -1 for as many as there are.
    """

    values: Array
    counts: NDArray[np.int64]
    decimals: int

    @classmethod
    def of(cls, y: Array) -> "QuantileTable":
        """Table of finite values y, at least one."""
        values, counts = np.unique(y, return_counts=True)
        digits = [q for q in range(7) if np.allclose(values, values.round(q), rtol=0, atol=1e-9)]
        return cls(values, counts, digits[0] if digits else -1)

    def limits(self) -> tuple[Array, Array]:
        """F(y-) and F(y) at the distinct values, each (m,)."""
        below = np.concatenate([[0], self.counts.cumsum()]) / self.counts.sum()
        return below[:-1], below[1:]

    def stretch(self, y: Array) -> tuple[Array, Array]:
        """F(y-) and F(y) of values of the column."""
        low, high = self.limits()
        at = np.searchsorted(self.values, y).clip(max=len(self.values) - 1)
        return low[at], high[at]

    def seen(self, y: Array) -> Array:
        """Mean of z over the stretch of y; between values of the column, by interpolation."""
        low, high = self.limits()
        density = _DENSITY * np.exp(-0.5 * ndtri(np.stack([low, high])) ** 2)
        return np.interp(y, self.values, (density[0] - density[1]) / (high - low))

    def quantile(self, u: Array) -> Array:
        """F^-1(u), with a straight line between neighbours that occur once."""
        low, high = self.limits()
        once = (self.counts == 1) & (len(self.values) > _CONTINUOUS)
        middle = (low + high) / 2
        knots = np.column_stack([np.where(once, middle, low), np.where(once, middle, high)])
        y = np.interp(u, knots.ravel(), np.repeat(self.values, 2))
        return y if self.decimals < 0 else np.round(y, self.decimals)


@dataclass(frozen=True, eq=False)
class TableColumn:
    """One column: what it holds and how it is written.

    Parameters
    ----------
    name : str
    kind : {"number", "category", "constant"}
    dtype : str
        Name of its type in narwhals.
    levels : tuple
        Of a category, or the one value of a constant; True and False, texts or numbers.
    shares : tuple of float
        Of the levels.
    table : QuantileTable, optional
        Of a number, without its atoms.
    atoms : tuple of float
        Values of a number that are levels of their own.
    atom_shares : tuple of float
        Share of rows without atom, then of each atom.
    missing : float
        Share of missing cells.
    """

    name: str
    kind: Literal["number", "category", "constant"]
    dtype: str
    levels: tuple[Level, ...] = ()
    shares: tuple[float, ...] = ()
    table: QuantileTable | None = None
    atoms: tuple[float, ...] = ()
    atom_shares: tuple[float, ...] = ()
    missing: float = 0.0

    @property
    def is_numeric(self) -> bool:
        """Whether its cells are numbers (truth values are not)."""
        return self.kind == "number" or isinstance(self.levels[0], float)

    def codes(self, cells: Sequence[Any]) -> NDArray[np.int64]:
        """Level of each cell, -1 where missing.

        Raises
        ------
        DataError
            For a level that the column does not know and has no "other" for.
        """
        known = {level: k for k, level in enumerate(self.levels)}
        other = known.get(OTHER)
        codes = np.full(len(cells), -1)
        for i, cell in enumerate(cells):
            if checks.is_missing(cell):
                continue
            code = known.get(_level(cell, self.levels[0]), other)
            if code is None:
                raise DataError(
                    f"the level '{str(cell)[:30]}' is unknown",
                    f"one of {checks.shown(self.levels)}",
                    column=self.name,
                )
            codes[i] = code
        return codes


def _level(cell: Any, example: Level) -> Level:
    """A cell as the kind of level that ``example`` is."""
    try:
        if isinstance(example, bool):
            return bool(cell)
        return float(cell) if isinstance(example, float) else str(cell)
    except (TypeError, ValueError):
        return str(cell)


def read_column(series: nw.Series[Any], categorical: bool) -> TableColumn:
    """What a column holds.

    Parameters
    ----------
    series : narwhals Series
    categorical : bool
        Read a numeric column as a category.

    Raises
    ------
    DataError
        For dates, identifiers, free text, infinite numbers, and columns without any value.
    """
    name, dtype = str(series.name), series.dtype
    kind = str(dtype).split("(")[0]
    if dtype.is_temporal():
        raise _dates_refused(name, f"type {dtype}")
    if dtype.is_numeric() and not categorical:
        return _read_numbers(name, kind, checks.as_float(series, "numbers"))
    cells = series.to_list()
    if dtype.is_numeric():
        cells = [None if checks.is_missing(c) else float(c) for c in cells]
    elif not all(isinstance(c, bool | np.bool_) for c in cells if not checks.is_missing(c)):
        cells = [None if checks.is_missing(c) else _text(c, name) for c in cells]
    return _read_levels(name, kind, cells)


def _dates_refused(name: str, example: str) -> DataError:
    return DataError(
        f"the column holds dates or times ({example})", "numbers, true/false or categories",
        "Turn it into a number first, for example the year.", column=name,
    )  # fmt: skip


def _text(cell: Any, name: str) -> str:
    if not isinstance(cell, str | int | float | np.generic):
        raise DataError(f"the column holds values of type {type(cell).__name__}",
                        "numbers, true/false or categories", column=name)  # fmt: skip
    return str(cell)


def _read_numbers(name: str, dtype: str, y: Array) -> TableColumn:
    if np.isinf(y).any():
        raise DataError("the column has infinite values", "finite numbers", column=name)
    here = y[np.isfinite(y)]
    _refuse_empty(name, len(here))
    values, counts = np.unique(here, return_counts=True)
    missing = 1 - len(here) / len(y)
    if len(values) <= 2:
        shares = tuple((counts / len(here)).tolist())
        kind: Literal["category", "constant"] = "category" if len(values) == 2 else "constant"
        return TableColumn(name, kind, dtype, tuple(values.tolist()), shares, missing=missing)
    heavy = counts >= _ATOM_SHARE * len(here)
    if len(values) <= _CONTINUOUS or not heavy.any() or heavy.sum() > _MAX_ATOMS:
        table = QuantileTable.of(here)
        return TableColumn(name, "number", dtype, table=table, missing=missing)
    atoms = values[heavy]
    rest = here[~np.isin(here, atoms)]
    weights = np.concatenate([[len(rest)], counts[heavy]]) / len(here)
    return TableColumn(
        name, "number", dtype, table=QuantileTable.of(rest), atoms=tuple(atoms.tolist()),
        atom_shares=tuple(weights.tolist()), missing=missing,
    )  # fmt: skip


def _read_levels(name: str, dtype: str, cells: list[Any]) -> TableColumn:
    here = [c for c in cells if not checks.is_missing(c)]
    _refuse_empty(name, len(here))
    values, counts = np.unique(np.asarray(here), return_counts=True)
    levels, shares = values.tolist(), counts / len(here)
    if isinstance(levels[0], str) and checks.look_like_dates(levels):
        raise _dates_refused(name, f"such as '{levels[0][:30]}'")
    if len(levels) > max(20, _IDENTIFIER_SHARE * len(here)):
        raise DataError(
            f"the column has {len(levels):,} distinct texts in {len(here):,} rows",
            "a category with repeated levels",
            "Free text and identifiers are no categories: drop or summarise the column.",
            column=name,
        )
    if len(levels) > MAX_LEVELS:
        warnings.warn(
            f"Column '{name}' has {len(levels)} levels; the rarest {len(levels) - MAX_LEVELS + 1} "
            f"are grouped as '{OTHER}'.", CausalDDPMWarning, stacklevel=5,
        )  # fmt: skip
        kept = np.sort(np.argsort(-shares, kind="stable")[: MAX_LEVELS - 1])
        levels = [*(str(levels[k]) for k in kept), OTHER]
        shares = np.append(shares[kept], 1 - shares[kept].sum())
    missing = 1 - len(here) / len(cells)
    kind: Literal["category", "constant"] = "category" if len(levels) > 1 else "constant"
    return TableColumn(name, kind, dtype, tuple(levels), tuple(shares.tolist()), missing=missing)


def _refuse_empty(name: str, count: int) -> None:
    if count == 0:
        raise DataError("every value is missing", "a column with observed values",
                        "Drop the column.", column=name)  # fmt: skip
