"""What was done to the units, by kind, and the worlds that one may ask about.

    binary    one column of 0/1                     worlds 0 and 1
    arms      one column of labels                  one world a label, coded 0 (control) .. A - 1
    factors   several columns of 0/1                one world a cell, tuples of 0/1
    dose      one column of numbers                 one world a number within the observed range

Binary treatments and arms are *codes*: every learner keeps their worlds apart. Factors and doses
are *columns* that stand beside the confounders in one conditional law of the outcome, which is
then read at cells and doses that no unit, or few units, received.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core import checks
from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.core.errors import DataError

Kind = Literal["binary", "arms", "factors", "dose"]
Label = str | int | float | bool
Values = NDArray[Any]
KINDS: tuple[Kind, ...] = ("binary", "arms", "factors", "dose")

MAX_ARMS = 20
"""More labels than this are no arms of one comparison."""

MIN_DOSES = 10
"""A dose takes more distinct values than this."""

_DOSE_STRATA = 5


@dataclass(frozen=True)
class Treatment:
    """Kind, columns and known levels of a treatment.

    Parameters
    ----------
    kind : {"binary", "arms", "factors", "dose"}
    names : tuple of str
        Treatment columns.
    labels : tuple
        Arms in the order of their codes, the control first; empty for factors and doses.
    bounds : tuple of float, optional
        Smallest and largest dose observed.
    """

    kind: Kind
    names: tuple[str, ...]
    labels: tuple[Label, ...] = ()
    bounds: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """The columns in one text."""
        return " x ".join(self.names)

    @property
    def n_arms(self) -> int:
        """Worlds that learners keep apart; one where the treatment is a column like others."""
        return max(len(self.labels), 1)

    @property
    def columns(self) -> tuple[Column, ...]:
        """Columns that join the confounders; none for binary treatments and arms."""
        kind: Literal["boolean", "numeric"] = "boolean" if self.kind == "factors" else "numeric"
        return () if self.labels else tuple(Column(name, kind) for name in self.names)

    @property
    def probes(self) -> tuple[Any, ...]:
        """A few worlds that between them use every part of a law: all arms, both end doses."""
        return self.labels or self.bounds or (self.control,)

    @property
    def control(self) -> Any:
        """The first arm, or the cell without any factor.

        Raises
        ------
        DataError
            For a dose, which has none.
        """
        if self.kind == "dose":
            raise DataError("a dose has no control", "the dose to compare with")
        return self.labels[0] if self.labels else (0,) * len(self.names)

    # -- worlds ----------------------------------------------------------------------------
    def value_of(self, arm: Any, n: int) -> Values:
        """One world as observed values would be: a code, a dose (or n of them), a cell.

        Raises
        ------
        DataError
            If ``arm`` is no world of this treatment.
        """
        if self.labels:
            return np.asarray(self._code(arm))
        return self._doses(arm, n) if self.kind == "dose" else self._cell(arm)

    def under(self, covariates: Covariates, arm: Any) -> tuple[Covariates, int]:
        """What a learner reads of rows in one world: inputs and arm code."""
        value = self.value_of(arm, len(covariates))
        if self.labels:
            return covariates, int(value)
        shape = (len(covariates), len(self.names))
        column = value[:, None] if value.ndim == 1 and self.kind == "dose" else value
        return self._joined(covariates, np.broadcast_to(column, shape)), 0

    def inputs(
        self, covariates: Covariates, values: Values
    ) -> tuple[Covariates, NDArray[np.int64]]:
        """What a learner reads of rows in their own worlds: inputs and arm codes, shape (n,)."""
        if self.labels:
            return covariates, values
        columns = values.reshape(len(covariates), -1)
        return self._joined(covariates, columns), np.zeros(len(covariates), dtype=np.int64)

    def same(self, values: Values, arm: Any) -> NDArray[np.bool_]:
        """Rows whose own world is ``arm``, shape (n,)."""
        equal = values == self.value_of(arm, len(values))
        return np.asarray(equal.all(axis=1) if equal.ndim == 2 else equal)

    def strata(self, values: Values) -> NDArray[np.int64]:
        """Labels to balance folds by: arms, cells, or fifths of the dose; shape (n,)."""
        if self.kind == "dose":
            cuts = np.quantile(values, np.linspace(0, 1, _DOSE_STRATA + 1)[1:-1])
            return np.asarray(np.searchsorted(cuts, values, side="right"), dtype=np.int64)
        if self.kind == "factors":
            return np.asarray(values @ (1 << np.arange(len(self.names))), dtype=np.int64)
        return values

    def read(self, frame: nw.DataFrame[Any]) -> Values:
        """Values of new rows under this schema.

        Raises
        ------
        DataError
            If a column is missing or holds something else.
        """
        checks.check_observed(frame.columns, self.names)
        if self.kind == "factors":
            return np.column_stack([_zero_one(frame[name]) for name in self.names])
        series = frame[self.names[0]]
        if self.kind == "dose":
            return _finite(series)
        return np.asarray([self._code(v) for v in series.to_list()], dtype=np.int64)

    # -- inside ----------------------------------------------------------------------------
    def _joined(self, covariates: Covariates, columns: Values) -> Covariates:
        values = np.column_stack([covariates.values, columns.astype(float)])
        return Covariates((*covariates.columns, *self.columns), values)

    def _code(self, arm: Any) -> int:
        for match in (lambda label: label == arm, lambda label: str(label) == str(arm)):
            for code, label in enumerate(self.labels):
                if np.ndim(arm) == 0 and match(label):
                    return code
        raise DataError(
            f"the arm is {arm!r}",
            "0 (untreated) or 1 (treated)"
            if self.kind == "binary"
            else f"one of {checks.shown(self.labels, MAX_ARMS)}",
        )

    def _doses(self, arm: Any, n: int) -> Values:
        low, high = self.bounds or (-np.inf, np.inf)
        try:
            doses = np.asarray(arm, dtype=float)
        except (TypeError, ValueError):
            doses = np.asarray(np.nan)
        if doses.shape not in ((), (n,)) or not ((doses >= low) & (doses <= high)).all():
            raise DataError(
                f"the dose is {arm if np.size(arm) < 4 else 'an array of values'}",
                f"a number, or one a row, within the observed range {low:g} to {high:g}",
                "Beyond the doses that were given no data speak.",
                column=self.names[0],
            )
        return doses

    def _cell(self, arm: Any) -> Values:
        named = isinstance(arm, Mapping)
        complete = not named or set(arm) == set(self.names)
        cell = [arm[name] for name in self.names] if named and complete else arm
        if not complete or np.shape(cell) != (len(self.names),) or not set(cell) <= {0, 1}:
            raise DataError(
                f"the cell is {arm!r}",
                f"0 or 1 for each of {checks.shown(self.names, 8)}, in a tuple or by name",
            )
        return np.asarray(cell, dtype=np.int64)


def require_binary(treatment: Treatment, use: str) -> None:
    """Refuse a treatment that is not 0/1.

    Raises
    ------
    DataError
        ``use`` names what needs two arms.
    """
    if treatment.kind != "binary":
        raise DataError(
            f"the treatment is of kind '{treatment.kind}'",
            f"a binary treatment (0 or 1) for {use}",
            "PotentialOutcomeModel().fit learns the law under treatments of every kind.",
            column=treatment.name,
        )


# ------------------------------------------------------------------------------------- reading


def read_treatment(
    frame: nw.DataFrame[Any],
    treatment: str | Sequence[str],
    kind: Kind = "binary",
    control: Label | None = None,
) -> tuple[Values, Treatment]:
    """Values of the treatment columns and their schema.

    Parameters
    ----------
    frame : narwhals frame
        It has the columns.
    treatment : str or sequence of str
        Several columns are factors.
    kind : {"binary", "arms", "factors", "dose"}
    control : label, optional
        The arm that others are compared with; only for arms.

    Returns
    -------
    values : ndarray
        Codes (n,), doses (n,) or 0/1 cells (n, k).
    schema : Treatment

    Raises
    ------
    DataError
        For missing, constant or unusable values.
    """
    if kind not in KINDS:
        raise DataError(f"treatment_kind is {kind!r}", f"one of {checks.shown(KINDS)}")
    names = (treatment,) if isinstance(treatment, str) else tuple(treatment)
    if control is not None and kind != "arms":
        raise DataError(f"control is {control!r}", "treatment_kind='arms' beside it")
    if kind == "factors" or not isinstance(treatment, str):
        return _read_factors(frame, names, kind)
    series = frame[names[0]]
    if kind == "dose":
        return _read_dose(series)
    if kind == "arms":
        return _read_arms(series, control)
    return checks.binary_treatment(series), Treatment("binary", names, (0, 1))


def _read_factors(
    frame: nw.DataFrame[Any], names: tuple[str, ...], kind: Kind
) -> tuple[Values, Treatment]:
    if kind in ("arms", "dose") or not names:
        raise DataError(
            f"{len(names)} treatment columns were given with treatment_kind={kind!r}",
            "one column of arms or doses, or several columns of 0/1 factors",
        )
    return (
        np.column_stack([checks.binary_treatment(frame[name]) for name in names]),
        Treatment("factors", names),
    )


def _read_dose(series: nw.Series[Any]) -> tuple[Values, Treatment]:
    doses = _finite(series)
    n_values = len(np.unique(doses))
    if n_values <= MIN_DOSES:
        raise DataError(
            f"the dose takes only {n_values} distinct values",
            f"more than {MIN_DOSES}",
            "A few levels are arms: treatment_kind='arms'.",
            column=series.name,
        )
    bounds = (float(doses.min()), float(doses.max()))
    return doses, Treatment("dose", (series.name,), bounds=bounds)


def _read_arms(series: nw.Series[Any], control: Label | None) -> tuple[Values, Treatment]:
    values = [_plain(v) for v in series.to_list()]
    missing = sum(checks.is_missing(v) for v in values)
    if missing:
        raise checks.missing_treatment(missing, len(values), series.name)
    found = sorted(set(values), key=lambda v: (isinstance(v, str), v))
    if not 2 <= len(found) <= MAX_ARMS:
        raise DataError(
            f"the treatment takes {len(found):,} distinct values ({checks.shown(found)})",
            f"2 to {MAX_ARMS} arms",
            "Many numbers are a dose: treatment_kind='dose'." if len(found) > 2 else "",
            column=series.name,
        )
    named = [v for v in found if v == control or str(v) == str(control)]
    first = found[0] if control is None else next(iter(named), None)
    if first is None:
        raise DataError(
            f"control is {control!r}", f"one of {checks.shown(found, MAX_ARMS)}", column=series.name
        )
    labels = (first, *(v for v in found if v != first))
    code = {label: k for k, label in enumerate(labels)}
    return (
        np.asarray([code[v] for v in values], dtype=np.int64),
        Treatment("arms", (series.name,), labels),
    )


def _plain(value: Any) -> Any:
    """A label as a Python text or number."""
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _finite(series: nw.Series[Any]) -> NDArray[np.float64]:
    doses = checks.as_float(series, "a numeric dose")
    bad = int((~np.isfinite(doses)).sum())
    if bad:
        raise checks.missing_treatment(bad, len(doses), series.name)
    checks.refuse_size(doses, "dose", series.name)
    return doses


def _zero_one(series: nw.Series[Any]) -> NDArray[np.int64]:
    values = checks.as_float(series, "0 or 1")
    if not np.isin(values, (0, 1)).all():
        raise DataError("the factor is not 0 or 1 everywhere", "0 or 1", column=series.name)
    return values.astype(np.int64)
