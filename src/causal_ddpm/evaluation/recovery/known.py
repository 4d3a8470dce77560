"""What is known of a design, in one form for all of its family.

A draw tells the truth at its own rows: means E[Y(a) | x_i], propensities P(D = a | x_i) and
potential outcomes. Where the design can also be asked at covariates that it did not draw
(``mean(x, arm)`` and ``quantile(x, arm, levels)``), the noise of generated rows can be measured in
units of its own law.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.random import Seed
from causal_ddpm.evaluation.recovery.generator import Roles

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Encoding:
    """Covariates as a matrix: numbers as they are, levels as indicators.

    Parameters
    ----------
    levels : mapping of str to tuple
        Levels of the columns that are no numbers.
    columns : tuple of str
        Covariates, in order.
    """

    columns: tuple[str, ...]
    levels: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: pd.DataFrame, columns: tuple[str, ...]) -> Encoding:
        """Read levels off a frame."""
        texts = [c for c in columns if not pd.api.types.is_numeric_dtype(frame[c])]
        return cls(columns, {c: tuple(sorted(frame[c].dropna().unique())) for c in texts})

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of the matrix."""
        return tuple(
            name
            for c in self.columns
            for name in ([f"{c}={v}" for v in self.levels[c]] if c in self.levels else [c])
        )

    def matrix(self, frame: pd.DataFrame) -> Array:
        """Covariates of a frame, shape (n, p)."""
        parts = []
        for c in self.columns:
            if c in self.levels:
                parts += [(frame[c] == v).to_numpy(dtype=float) for v in self.levels[c]]
            else:
                parts.append(frame[c].to_numpy(dtype=float))
        return np.column_stack(parts) if parts else np.empty((len(frame), 0))


@dataclass(frozen=True, eq=False)
class TrueRows:
    """A draw with what is true at its rows.

    Parameters
    ----------
    frame : DataFrame
    mean : ndarray, shape (n, A)
        E[Y(a) | x_i].
    propensity : ndarray, shape (n, A)
    potential : ndarray, shape (n, A), or None
        Potential outcomes.
    """

    frame: pd.DataFrame
    mean: Array
    propensity: Array
    potential: Array | None = None

    def head(self, m: int) -> TrueRows:
        """The first m rows."""
        potential = None if self.potential is None else self.potential[:m]
        return TrueRows(self.frame.iloc[:m], self.mean[:m], self.propensity[:m], potential)


TrueLaw = Callable[[pd.DataFrame, int], tuple[Array, Array]]
"""``(rows, arm) -> E[Y(arm) | x] (n,) and quantiles at LEVELS (n, 3)``."""

LEVELS = (0.1, 0.5, 0.9)
"""Conditional quantiles that are compared."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """One outcome under the arms of one treatment, and what is true of it.

    Parameters
    ----------
    roles : Roles
        Treatment and outcome of this comparison; covariates.
    labels : tuple
        Values of the treatment column, the control first.
    encoding : Encoding
    draw : callable
        ``(n, seed) -> TrueRows``.
    law : callable or None
        The law of the outcome at any covariates.
    propensity : callable or None
        P(D = a | x) at any covariates, rows to (n, A).
    effects : mapping of str to float
        Population effects by name, where the design states them.
    """

    roles: Roles
    labels: tuple[Any, ...]
    encoding: Encoding
    draw: Callable[[int, Seed], TrueRows]
    law: TrueLaw | None = None
    propensity: Callable[[pd.DataFrame], Array] | None = None
    effects: dict[str, float] = field(default_factory=dict)

    def codes(self, frame: pd.DataFrame) -> Codes:
        """Arm of each row; -1 for a value that is no arm."""
        column, codes = frame[self.roles.treatments[0]], np.full(len(frame), -1, dtype=np.int64)
        for k, label in enumerate(self.labels):
            codes[(column == label).to_numpy()] = k
        return codes

    def outcome(self, frame: pd.DataFrame) -> Array:
        """Outcomes, shape (n,)."""
        return frame[self.roles.outcome].to_numpy(dtype=float)

    def contrasts(self) -> list[tuple[int, str]]:
        """Each arm but the control, and what its contrast is called."""
        if len(self.labels) == 2:
            return [(1, "")]
        return [(k, f" of {self.labels[k]}") for k in range(1, len(self.labels))]


def comparison_of(design: Any) -> Comparison:
    """The comparison of a design whose confounders are all seen."""
    first = design.draw(_FIRST, 0)
    roles = Roles.of(first.data)

    def draw(n: int, seed: Seed) -> TrueRows:
        d = design.draw(n, seed)
        return TrueRows(d.frame, d.mean, d.propensity, d.potential_outcomes)

    encoding = Encoding.of(first.frame, roles.covariates)
    numbers = not encoding.levels and not first.frame[list(roles.covariates)].isna().any(axis=None)
    return Comparison(
        roles,
        first.data.arms,
        encoding,
        draw,
        _law_of(design, roles) if numbers else None,
        _propensity_of(design, roles) if numbers else None,
        dict(design.truth().population),
    )


_FIRST = 2000
"""Rows of a first draw, from which roles and levels are read."""


def _law_of(design: Any, roles: Roles) -> TrueLaw | None:
    if not (hasattr(design, "mean") and hasattr(design, "quantile")):
        return None

    def law(rows: pd.DataFrame, arm: int) -> tuple[Array, Array]:
        x = rows.loc[:, list(roles.covariates)].to_numpy(dtype=float)
        return design.mean(x, arm), design.quantile(x, arm, LEVELS)

    return law


def _propensity_of(design: Any, roles: Roles) -> Callable[[pd.DataFrame], Array] | None:
    if not hasattr(design, "propensity"):
        return None
    return lambda rows: design.propensity(rows.loc[:, list(roles.covariates)].to_numpy(dtype=float))
