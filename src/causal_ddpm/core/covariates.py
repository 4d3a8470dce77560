"""Confounder columns as one float table: numbers as they are, categories as level codes.

Nothing is imputed or encoded here. Missing cells are NaN in every kind of column; a level that the
schema does not know gets the code ``len(categories)`` ("other"). Imputation and one-hot encoding
are fitted inside training folds (``nuisance.encoding``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.errors import DataError

Index = NDArray[np.integer] | NDArray[np.bool_] | slice | list[int]
"""Positions, mask or slice of rows."""

Kind = Literal["numeric", "boolean", "categorical"]


@dataclass(frozen=True)
class Column:
    """Name, kind and known levels of one confounder."""

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Covariates:
    """Confounders of n rows.

    Parameters
    ----------
    columns : tuple of Column
        The schema, one entry a column.
    values : ndarray, shape (n, p), float64
        Numbers, 0/1 for booleans, level codes for categories, NaN for missing.
    """

    columns: tuple[Column, ...]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(c.name for c in self.columns)

    def rows(self, index: Index) -> Covariates:
        """A subset of rows (integer positions, boolean mask or slice)."""
        return Covariates(self.columns, self.values[index])

    def under(self, columns: Sequence[Column]) -> Covariates:
        """The same rows in the order, and with the level codes, of another schema.

        Raises
        ------
        DataError
            If a column is missing or its kind differs.
        """
        if tuple(columns) == self.columns:
            return self
        place = {column.name: j for j, column in enumerate(self.columns)}
        missing = [column.name for column in columns if column.name not in place]
        if missing:
            raise DataError(f"there is no confounder '{missing[0]}'", "those of the training data")
        parts = [
            _recoded(self.columns[place[c.name]], self.values[:, place[c.name]], c) for c in columns
        ]
        return Covariates(tuple(columns), np.column_stack(parts))

    @classmethod
    def from_array(cls, x: ArrayLike) -> Covariates:
        """All-numeric covariates named x0, x1, ... from an (n, p) array."""
        values = np.ascontiguousarray(np.asarray(x, dtype=np.float64))
        return cls(tuple(Column(f"x{j}", "numeric") for j in range(values.shape[1])), values)


def _recoded(source: Column, values: NDArray[np.float64], target: Column) -> NDArray[np.float64]:
    """Values of one column under the schema of ``target``; unknown levels become "other"."""
    if (source.kind == "categorical") != (target.kind == "categorical"):
        raise DataError(
            f"the confounder is {source.kind}", f"{target.kind}, as in training", column=source.name
        )
    if source.kind != "categorical" or source.categories == target.categories:
        return values
    code = {level: float(k) for k, level in enumerate(target.categories)}
    other = float(len(target.categories))
    table = np.array([*(code.get(level, other) for level in source.categories), other])
    seen = np.isfinite(values)
    return np.where(seen, table[np.where(seen, values, 0).astype(np.int64)], np.nan)
