"""A long frame of units and periods as a panel, checked once.

Unit i is first treated in period g_i and stays treated; g_i = T stands for never. Cell (i, t) is
treated when t >= g_i, observed when its outcome is known. What later layers may learn untreated
outcomes from is ``untreated``: observed cells that are not treated.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core import checks
from causal_ddpm.core.data import frame_with
from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.core.panel_axes import Axis, period_axis, unit_axis, units_are
from causal_ddpm.core.panel_checks import (
    Reversals,
    covariate_of_rows,
    first_by_cells,
    first_by_cohort,
    of_units,
    outcome_of_rows,
    refuse_duplicates,
)
from causal_ddpm.core.panel_frame import fingerprint, long_frame
from causal_ddpm.core.panel_words import panel_in_words
from causal_ddpm.core.synthetic import SYNTHETIC_MARKER

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]


class PanelData:
    """A panel plus the role of each column.

    Parameters
    ----------
    df : pandas, polars or pyarrow frame
        One row a unit and period, in any order. Cells without a row, or without an outcome, are
        not observed: panels may be unbalanced and have gaps.
    unit, period : str
        Columns that name the cell. Periods are numbers, dates, ordered categories, or texts that
        begin with the year.
    outcome : str
        Numeric column.
    treated : str, optional
        Column of 1 in treated cells and 0 in the others; or give ``cohort``.
    cohort : str, optional
        Column with the unit's first treated period; missing, 0 or infinite for never.
    covariates : sequence of str
        Numeric columns, known wherever the outcome is, that the treatment does not change.
    weights : str, optional
        Column of non-negative weights, one a unit.
    clusters : str, optional
        Column whose equal values mark dependent units, one a unit.
    reversals : {"refuse", "keep_treated", "drop_after"}
        What to do where treatment ends: refuse, count the unit as treated from the first time on,
        or leave out its cells from then on.

    Attributes
    ----------
    units, periods : ndarray, shape (N,) and (T,)
        Labels, units sorted by name, periods by time.
    y : ndarray, shape (N, T)
        Outcome, NaN where it is not observed.
    x : ndarray, shape (N, T, p)
        Covariates; cells without an outcome carry the unit's nearest known value.
    covariate_names : tuple of str
    first : ndarray of int, shape (N,)
        Index of the first treated period, T for never.
    observed : ndarray of bool, shape (N, T)
    weights : ndarray, shape (N,), or None
    clusters : ndarray of int, shape (N,), or None
        Codes; ``cluster_labels`` are their names.
    unit_name, period_name, outcome_name, treated_name, cohort_name : str
        Columns; the last two are None where not given, as are ``weights_name``, ``clusters_name``.
    left_out : tuple of str
        Units without an untreated outcome, among them those treated from the start.
    notes : tuple of str
        What was done about gaps, reversals, units and periods, in words.
    fingerprint : str
        SHA-256 of all of the above but the notes.

    Raises
    ------
    DataError
        With one sentence, for anything that cannot be used.
    NotIdentifiedError
        If no treated cell has an untreated one to be compared with.
    SyntheticDataError
        If rows are marked as generated.
    """

    def __init__(  # noqa: PLR0913 - one argument a role, most have defaults
        self,
        df: Any,
        unit: str,
        period: str,
        outcome: str,
        treated: str | None = None,
        cohort: str | None = None,
        covariates: Sequence[str] | str | None = None,
        weights: str | None = None,
        clusters: str | None = None,
        reversals: Reversals = "refuse",
    ):
        names = (covariates,) if isinstance(covariates, str) else tuple(covariates or ())
        _refuse_two_treatments(treated, cohort)
        given = [name for name in (treated, cohort, *names, weights, clusters) if name is not None]
        frame = frame_with(df, [unit, period, outcome, *given])
        _refuse_rows(frame)
        self.unit_name, self.period_name, self.outcome_name = unit, period, outcome
        self.treated_name, self.cohort_name = treated, cohort
        self.covariate_names, self.weights_name, self.clusters_name = names, weights, clusters
        units, periods = unit_axis(frame[unit]), period_axis(frame[period])
        if len(periods.labels) < 2:
            raise DataError(
                f"all rows have the {period} {periods.labels[0]}", "at least 2 periods",
                "Without a period before treatment use CausalData.",
            )  # fmt: skip
        refuse_duplicates(units, periods, (unit, period))
        self.units, self.periods = units.labels, periods.labels
        self._read_cells(frame, units, periods)
        self.weights: Array | None = None
        if weights is not None:
            w = checks.positive_weights(frame[weights], False)
            hint = "Use the mean of each unit, or its value before treatment."
            self.weights = of_units(w, units, "weight", weights, hint)
        self.clusters: Codes | None = None
        self.cluster_labels: NDArray[Any] | None = None
        if clusters is not None:
            groups = unit_axis(frame[clusters])
            hint = "A unit belongs to one cluster; drop units that moved, or cluster by unit."
            self.clusters = of_units(groups.place, units, "cluster", clusters, hint)
            self.cluster_labels = groups.labels
        self.first: Codes
        notes = self._read_treatment(frame, units, periods, reversals)
        self.left_out: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = (*notes, *self._leave_out())
        self._refuse_copies()
        self._finish()

    def _read_cells(self, frame: nw.DataFrame[Any], units: Axis, periods: Axis) -> None:
        """Outcome and covariates as arrays."""
        cell = units.place, periods.place
        rows = outcome_of_rows(frame[self.outcome_name])
        self.y: Array = np.full((len(units.labels), len(periods.labels)), np.nan)
        self.y[cell] = rows
        self.observed: Mask = np.isfinite(self.y)
        self.x: Array = np.full((*self.y.shape, len(self.covariate_names)), np.nan)
        for j, name in enumerate(self.covariate_names):
            self.x[(*cell, j)] = covariate_of_rows(frame[name], np.isfinite(rows))

    def _read_treatment(
        self, frame: nw.DataFrame[Any], units: Axis, periods: Axis, reversals: Reversals
    ) -> list[str]:
        """First treated period of each unit; notes on how it was found."""
        if self.cohort_name is not None:
            self.first, notes = first_by_cohort(frame[self.cohort_name], units, periods)
        else:
            assert self.treated_name is not None
            d = checks.binary_values(
                frame[self.treated_name], "treatment", ("treated", "untreated"),
                ", or give the first treated period of each unit with cohort=",
            )  # fmt: skip
            self.first, ended, notes = first_by_cells(
                d, units, periods, self.treated_name, reversals
            )
            self.observed = self.observed & ~ended
        if not (self.first < len(self.periods)).any():
            raise DataError(
                "no unit is treated within the panel", "at least one treated unit",
                column=self.cohort_name or self.treated_name,
            )  # fmt: skip
        return notes

    def _leave_out(self) -> list[str]:
        """Leave out units, then periods, without an untreated outcome; say which."""
        notes = []
        useless = ~self.untreated.any(axis=1)
        if useless.any():
            who = self.units[useless]
            self.left_out = tuple(str(name) for name in who)
            notes.append(
                f"{units_are(len(who))} left out for want of an untreated outcome: "
                f"{checks.shown(who)}"
            )
            self._keep_units(np.flatnonzero(~useless))
        lonely: Mask = np.asarray(~self.untreated.any(axis=0))
        if lonely.any():
            which = self.periods[lonely]
            notes.append(
                f"{len(which):,} {'period is' if len(which) == 1 else 'periods are'} left out, "
                f"with no untreated outcome to compare with: {checks.shown(which)}"
            )
            self._keep_periods(~lonely)
        if not (self.observed & self.treated).any():
            raise NotIdentifiedError(
                "No treated outcome has an untreated one to be compared with: "
                f"{'; '.join(notes) or 'all outcomes of treated units are missing'}. Add units "
                "that are never or later treated, and periods before the treatment."
            )
        return notes

    def _keep_units(self, index: NDArray[Any]) -> None:
        self.units, self.first = self.units[index], self.first[index]
        self.y, self.x, self.observed = self.y[index], self.x[index], self.observed[index]
        self.weights = None if self.weights is None else self.weights[index]
        self.clusters = None if self.clusters is None else self.clusters[index]

    def _keep_periods(self, kept: Mask) -> None:
        before = np.concatenate([[0], np.cumsum(kept)])
        self.first, self.periods = before[self.first].astype(np.int64), self.periods[kept]
        self.y, self.x = self.y[:, kept], self.x[:, kept]
        self.observed = self.observed[:, kept]

    def _refuse_copies(self) -> None:
        """Refuse covariates that are the treatment under other codes."""
        seen = self.observed
        checks.refuse_treatment_copies(
            self.covariate_names, self.x[seen], self.treated[seen].astype(np.int64)
        )

    def _finish(self) -> None:
        """Blank what is not observed, fill covariates, stamp, and lock the arrays."""
        self.y = np.where(self.observed, self.y, np.nan)
        self.x = _carried(self.x)
        self.fingerprint = fingerprint(self)
        for array in (self.y, self.x, self.observed, self.first, self.units, self.periods):
            array.setflags(write=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, T)."""
        return len(self.units), len(self.periods)

    @property
    def treated(self) -> Mask:
        """Cells from a unit's first treated period on, shape (N, T)."""
        return np.asarray(np.arange(len(self.periods)) >= self.first[:, None])

    @property
    def untreated(self) -> Mask:
        """Observed cells that are not treated, shape (N, T)."""
        return self.observed & ~self.treated

    @property
    def is_control(self) -> Mask:
        """Units never treated within the panel, shape (N,)."""
        return np.asarray(self.first == len(self.periods))

    @property
    def event_time(self) -> Codes:
        """t - g_i in periods of the panel, shape (N, T); without meaning for controls."""
        return np.asarray(np.arange(len(self.periods)) - self.first[:, None], dtype=np.int64)

    @property
    def cohorts(self) -> Codes:
        """Distinct first treated periods, as indices, without never."""
        return np.unique(self.first[~self.is_control])

    @property
    def balanced(self) -> bool:
        """True when every cell is observed."""
        return bool(self.observed.all())

    @property
    def time(self) -> Array:
        """Calendar time, shape (T,): the periods if they are numbers, otherwise their index."""
        if np.issubdtype(self.periods.dtype, np.number):
            return self.periods.astype(np.float64)
        return np.arange(len(self.periods), dtype=np.float64)

    def rows(self, index: ArrayLike) -> PanelData:
        """The panel of some units, in the order of ``index``; it may lack treated ones.

        Parameters
        ----------
        index : array of int or bool
            Positions of units, or a mask of shape (N,).
        """
        places = np.asarray(index)
        places = np.flatnonzero(places) if places.dtype == bool else places.astype(np.int64)
        part = copy.copy(self)
        part._keep_units(places)
        part._finish()
        return part

    def placebo_panel(self, unit_index: int | Sequence[int], first: int) -> PanelData:
        """The controls alone, some of them pretended treated.

        Parameters
        ----------
        unit_index : int or sequence of int
            Controls, as positions among the units of this panel.
        first : int
            Index of the period in which they pretend to be first treated.

        Raises
        ------
        DataError
            If a unit is treated, or the period has none before it.
        """
        chosen = np.atleast_1d(np.asarray(unit_index, dtype=np.int64))
        if not self.is_control[chosen].all():
            raise DataError("a placebo unit is treated itself", "units that are never treated")
        if not 0 < first < len(self.periods):
            raise DataError(
                f"the placebo starts in period {first}", f"an index from 1 to {self.shape[1] - 1}"
            )
        controls = np.flatnonzero(self.is_control)
        part = self.rows(controls)
        part.first = np.where(np.isin(controls, chosen), first, self.shape[1]).astype(np.int64)
        part._finish()
        return part

    def frame(self) -> pd.DataFrame:
        """Observed cells as a long frame under the user's names, sorted by unit and period.

        ``treated`` (0/1) and ``cohort`` (a period; missing for never) are added under the names
        given, or these.
        """
        return long_frame(self)

    def summary(self) -> str:
        """The panel and its treatment in words."""
        return panel_in_words(self)

    def __repr__(self) -> str:
        return self.summary()

    def __len__(self) -> int:
        return len(self.units)


def require_panel(panel: object) -> None:
    """Refuse what is no :class:`PanelData`.

    Raises
    ------
    DataError
    """
    if not isinstance(panel, PanelData):
        raise DataError(
            f"a {type(panel).__name__} was given",
            "a PanelData",
            "Wrap the frame: PanelData(df, unit=..., period=..., outcome=..., treated=...).",
        )


def _refuse_two_treatments(treated: str | None, cohort: str | None) -> None:
    if (treated is None) == (cohort is None):
        found = (
            "neither treated nor cohort is" if treated is None else "treated and cohort are both"
        )
        raise DataError(
            f"{found} given", "exactly one of them",
            "treated is a column of 0/1 cells, cohort one of first treated periods.",
        )  # fmt: skip


def _refuse_rows(frame: nw.DataFrame[Any]) -> None:
    """Refuse an empty frame, and generated rows."""
    if not len(frame):
        raise DataError("the data have no rows", "at least one row a unit and period")
    if SYNTHETIC_MARKER in frame.columns:
        from causal_ddpm.core.estimate import refuse_synthetic  # it loads scipy.stats

        refuse_synthetic(sum(map(bool, frame[SYNTHETIC_MARKER].to_list())))


def _carried(x: Array) -> Array:
    """Missing values filled with the last known of the unit, or else the first, (N, T, p)."""
    place = np.arange(x.shape[1])[None, :, None]
    known = np.isfinite(x)
    last = np.maximum.accumulate(np.where(known, place, -1), axis=1)
    earliest = known.argmax(axis=1)[:, None, :]
    return np.take_along_axis(x, np.where(last < 0, earliest, last), axis=1)
