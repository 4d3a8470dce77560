"""What a generator of table rows has to offer to be examined, and the roles of the columns.

Any object with a ``name`` and ``fit(frame, roles, random_state)`` is a :class:`Generator`; what it
returns must ``sample`` whole rows. A fitted generator that can also draw outcomes under a treatment
that is set (:class:`Interventional`) is asked for its effects directly; the effects of all others
are read from an analysis of the rows they generate, the same for everyone
(:mod:`causal_ddpm.evaluation.recovery.reading`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.checks import shown
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import ConvergenceError, DataError
from causal_ddpm.core.random import Seed
from causal_ddpm.core.synthetic import SYNTHETIC_MARKER
from causal_ddpm.core.treatment import Kind, Label

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Roles:
    """Which column of a frame plays which part.

    Parameters
    ----------
    treatment : str or tuple of str
        One column; several are factors of 0/1 each. Of a market: the price.
    outcome : str
    covariates : tuple of str
        Columns determined before the treatment; there may be none.
    instrument, unit, period : str, optional
        Where the design has them.
    treatment_kind : {"binary", "arms", "factors", "dose"}
    control : label, optional
        The arm that others are compared with.
    """

    treatment: str | tuple[str, ...]
    outcome: str
    covariates: tuple[str, ...]
    instrument: str | None = None
    unit: str | None = None
    period: str | None = None
    treatment_kind: Kind = "binary"
    control: Label | None = None

    @classmethod
    def of(cls, data: CausalData) -> Roles:
        """The roles of data that carry them."""
        schema = data.treatment_schema
        names = schema.names
        return cls(
            treatment=names[0] if len(names) == 1 else names,
            outcome=data.outcome_name,
            covariates=data.confounder_names,
            instrument=data.instrument_name,
            treatment_kind=schema.kind,
            control=schema.labels[0] if schema.kind == "arms" else None,
        )

    @property
    def treatments(self) -> tuple[str, ...]:
        """Treatment columns."""
        return (self.treatment,) if isinstance(self.treatment, str) else self.treatment

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that have a role, causes before effects."""
        before = [c for c in (self.unit, self.period) if c is not None]
        z = [] if self.instrument is None else [self.instrument]
        return (*before, *self.covariates, *z, *self.treatments, self.outcome)

    def data(self, frame: pd.DataFrame) -> CausalData:
        """Rows with these roles.

        Raises
        ------
        DataError
            If the frame cannot be used in these roles.
        """
        return CausalData(
            frame,
            treatment=self.treatment if isinstance(self.treatment, str) else list(self.treatment),
            outcome=self.outcome,
            confounders=self.covariates,
            treatment_kind=self.treatment_kind,
            control=self.control,
            instrument=self.instrument,
        )


@runtime_checkable
class FittedGenerator(Protocol):
    """A generator that has learnt from rows."""

    def sample(self, n: int, random_state: Seed = None) -> pd.DataFrame:
        """Draw n whole rows, with the columns and types that were learnt from."""
        ...


@runtime_checkable
class Interventional(Protocol):
    """A fitted generator that can set the treatment."""

    def interventional(
        self, rows: pd.DataFrame, treatment: Any, n_samples: int, random_state: Seed = None
    ) -> Array:
        """Draws of the outcome under do(treatment), shape (n, n_samples).

        Parameters
        ----------
        rows : DataFrame, n rows
            Covariates; other columns are left alone.
        treatment : Any
            One value of the treatment for all rows: a label or a dose; a tuple of factors.
        n_samples : int
            Draws a row.
        random_state : int, SeedSequence or None
        """
        ...


@runtime_checkable
class Generator(Protocol):
    """Settings of a generator; fitting returns something new and leaves them untouched."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def fit(self, frame: pd.DataFrame, roles: Roles, random_state: Seed = None) -> FittedGenerator:
        """Learn from the rows of a frame; columns without a role are to be ignored."""
        ...


def generated_rows(
    fitted: FittedGenerator, roles: Roles, n: int, random_state: Seed
) -> pd.DataFrame:
    """n rows of a fitted generator, checked, without the marker of generated rows.

    Raises
    ------
    ConvergenceError
        If rows or columns are missing, or numbers are not finite.
    """
    rows = fitted.sample(n, random_state)
    absent = [c for c in roles.columns if c not in rows.columns]
    if absent or len(rows) != n:
        found = f"{len(rows):,} rows" + (f" without the column '{absent[0]}'" if absent else "")
        raise ConvergenceError(
            f"The generator returned {found}; expected {n:,} rows with {shown(roles.columns, 6)}."
        )
    rows = rows.drop(columns=SYNTHETIC_MARKER, errors="ignore").reset_index(drop=True)
    needed = [c for c in roles.columns if c not in roles.covariates]
    bad = [c for c in needed if rows[c].isna().any()]
    if bad:
        raise ConvergenceError(f"Generated cells of the column '{bad[0]}' are missing.")
    return rows.loc[:, list(roles.columns)]


def check_interventional(roles: Roles, rows: pd.DataFrame) -> None:
    """Refuse rows without the covariates that a treatment is to be set for.

    Raises
    ------
    DataError
    """
    absent = [c for c in roles.covariates if c not in rows.columns]
    if absent:
        raise DataError(f"the rows lack the column '{absent[0]}'", "all covariates")
