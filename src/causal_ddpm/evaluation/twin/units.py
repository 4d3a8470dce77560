"""The population of a twin: generated units, each with its covariates, propensity and laws.

Whatever is true of the twin is an average over these units, so it is known exactly, and a draw of
n rows is n of them, drawn with replacement, each with a fresh treatment and a fresh outcome.

Moments of a law are those of what it draws. Between quantile nodes the quantile function is a
straight line, so with knots k_j at levels u_j

    mean = sum_j (u_{j+1} - u_j) (k_j + k_{j+1}) / 2
    second moment = sum_j (u_{j+1} - u_j) (k_j^2 + k_j k_{j+1} + k_{j+1}^2) / 3

for a law without atom; an atom c of probability p mixes c and c^2 in.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.core.discrete import DiscreteLaw, RowLaw
from causal_ddpm.core.distribution import ConditionalLaw
from causal_ddpm.core.errors import ModelFileError

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
_LEVELS = (np.arange(400) + 0.5) / 400


@dataclass(frozen=True, eq=False)
class Units:
    """N units that stand for a population, each for an equal share.

    Parameters
    ----------
    columns : tuple of Column
        The confounders.
    values : ndarray, shape (N, p)
        Their cells, zero where missing.
    missing : ndarray of bool, shape (N, p)
    log_odds : ndarray, shape (N,)
        Of the learnt propensity.
    laws : tuple of two RowLaw
        The learnt laws of Y(0) and Y(1) given each unit's covariates.
    """

    columns: tuple[Column, ...]
    values: Array
    missing: NDArray[np.bool_]
    log_odds: Array
    laws: tuple[RowLaw, RowLaw]

    def __len__(self) -> int:
        return len(self.log_odds)

    def check_parts(self) -> None:
        """Refuse parts of different lengths; called for units that are read from a file.

        Raises
        ------
        ModelFileError
        """
        shape = (len(self), len(self.columns))
        fit = self.values.shape == self.missing.shape == shape
        if not fit or any(len(law) != len(self) for law in self.laws):
            raise ModelFileError("The parts of the twin in this file are of different lengths.")

    @property
    def covariates(self) -> Covariates:
        """As learners read them, NaN where missing."""
        return Covariates(self.columns, np.where(self.missing, np.nan, self.values))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The confounders as a user's frame has them: numbers, true/false, texts."""
        return covariates_frame(self.covariates)

    @cached_property
    def means(self) -> Array:
        """E[Y(a)] of each unit under the learnt laws, shape (N, 2)."""
        return np.column_stack([law_mean(law) for law in self.laws])

    @cached_property
    def variances(self) -> Array:
        """V[Y(a)] of each unit under the learnt laws, shape (N, 2)."""
        return np.column_stack([law_variance(law) for law in self.laws])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all of it."""
        digest = hashlib.sha256(repr(self.columns).encode())
        _update(digest, (self.values, self.missing, self.log_odds, *self.laws))
        return digest.hexdigest()


def covariates_frame(covariates: Covariates) -> pd.DataFrame:
    """Covariates as a pandas frame; missing cells are NaN or None."""
    import pandas as pd

    return pd.DataFrame(
        {
            column.name: _cells(column, values)
            for column, values in zip(covariates.columns, covariates.values.T, strict=True)
        }
    )


def law_mean(law: RowLaw) -> Array:
    """Mean of what a law draws, shape (n,); see the module page."""
    return _moment(law, 1) if isinstance(law, ConditionalLaw) else law.mean()


def law_variance(law: RowLaw) -> Array:
    """Variance of what a law draws, shape (n,)."""
    if isinstance(law, ConditionalLaw):
        return np.asarray(_moment(law, 2) - _moment(law, 1) ** 2)
    if isinstance(law, DiscreteLaw):
        return np.asarray(law.probabilities @ law.values**2 - law.mean() ** 2)
    draws = law.quantile(_LEVELS)
    return np.asarray((draws**2).mean(axis=1) - draws.mean(axis=1) ** 2)


def _moment(law: ConditionalLaw, order: int) -> Array:
    knots, levels = law.knots()
    a, b = knots[:, :-1], knots[:, 1:]
    pieces = (a + b) / 2 if order == 1 else (a**2 + a * b + b**2) / 3
    moment = pieces @ np.diff(levels)
    if law.atom is None or law.atom_probability is None:
        return np.asarray(moment)
    p = law.atom_probability
    return np.asarray(p * law.atom**order + (1 - p) * moment)


def _cells(column: Column, values: Array) -> Any:
    missing = np.isnan(values)
    if column.kind == "numeric" or (column.kind == "boolean" and missing.any()):
        return values
    if column.kind == "boolean":
        return values.astype(bool)
    known = np.where(missing, len(column.categories) + 1, values).astype(np.int64)
    return np.array([*column.categories, "other", None], dtype=object)[known]


def _update(digest: Any, parts: tuple[Any, ...]) -> None:
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(np.ascontiguousarray(part).tobytes())
        elif is_dataclass(part):
            _update(digest, tuple(getattr(part, f.name) for f in fields(part)))
        elif isinstance(part, tuple):
            _update(digest, part)
        else:
            digest.update(repr(part).encode())
