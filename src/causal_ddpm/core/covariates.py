"""Confounder columns as one float table: numbers as they are, categories as level codes.

Nothing is imputed or encoded here. Missing cells are NaN in every kind of column; a level that the
schema does not know gets the code ``len(categories)`` ("other"). Imputation and one-hot encoding
are fitted inside training folds (``nuisance.encoding``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

    @classmethod
    def from_array(cls, x: ArrayLike) -> Covariates:
        """All-numeric covariates named x0, x1, ... from an (n, p) array."""
        values = np.ascontiguousarray(np.asarray(x, dtype=np.float64))
        return cls(tuple(Column(f"x{j}", "numeric") for j in range(values.shape[1])), values)
