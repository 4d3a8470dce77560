"""A data frame with causal roles, checked once.

Every later layer trusts this object: the treatment is coded, the outcome is finite, confounders are
numbers or level codes, weights are non-negative.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core import checks
from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.instrument import read_instrument
from causal_ddpm.core.outcome import AS_ASKED, AskedKind, read_outcome
from causal_ddpm.core.synthetic import SYNTHETIC_MARKER
from causal_ddpm.core.treatment import Kind, Label, Values, read_treatment

Array = NDArray[np.float64]
WeightsType = Literal["sampling", "frequency"]


class CausalData:
    """A frame plus the role of each column.

    Parameters
    ----------
    df : pandas, polars or pyarrow frame
        One row a unit.
    treatment : str or sequence of str
        Column with 0 (untreated) and 1 (treated), or what ``treatment_kind`` says; several columns
        are factors of 0/1 each.
    outcome : str
        Numeric column, in the units in which effects will be reported; other columns as
        ``outcome_kind`` says.
    confounders : sequence of str
        Columns determined before treatment: numeric, boolean or categorical. Missing values are
        allowed; they are imputed, with an indicator, inside the training folds.
    weights : str, optional
        Column of non-negative weights.
    clusters : str, optional
        Column whose equal values mark dependent rows; folds and standard errors follow it.
    unit_id : str, optional
        Column that names the rows in output.
    weights_type : {"sampling", "frequency"}
        Whether a weight stands for units of the population or for identical rows.
    treatment_kind : {"binary", "arms", "factors", "dose"}
        "arms" are labels of up to 20 arms, a "dose" is a number; see
        :mod:`causal_ddpm.core.treatment`. Several treatment columns are factors without saying so.
    control : label, optional
        The arm that others are compared with; by default the first in sorted order.
    outcome_kind : str
        "auto" recognises numbers as continuous, heavy-tailed, binary, a count or a rating. To be
        asked for: "continuous", "heavy_tailed", "binary", "count", "ordinal" (numbers or an ordered
        category), "categorical" (texts without order); see :mod:`causal_ddpm.core.outcome`.
    instrument : str, optional
        Column of 0/1 that moves some units into the treatment and touches the outcome in no other
        way; :class:`~causal_ddpm.core.estimand.LATE` needs one.

    Attributes
    ----------
    n, n_synthetic : int
        Rows, and how many of them are marked as synthetic.
    treatment : ndarray
        Arm codes 0/1, shape (n,); codes 0 .. A - 1 of the arms, doses, or factors (n, k).
    treatment_schema : Treatment
        Kind, columns and labels of the treatment.
    outcome : ndarray, shape (n,)
        Outcome in original units; codes 0 .. K - 1 where its levels are texts.
    outcome_schema : Outcome
        Kind of the outcome, why, and its levels.
    covariates : Covariates
        Confounders, shape (n, p).
    weights : ndarray, shape (n,)
        Ones when no column was given.
    clusters : ndarray of int, shape (n,), or None
        Cluster codes.
    row_ids : ndarray, shape (n,)
        Unit ids, or 0..n-1.
    instrument : ndarray of int, shape (n,), or None
        Codes 0/1 of the instrument.
    arms : tuple
        Labels in the order of their codes, ``(0, 1)`` for a binary treatment; empty for factors
        and doses.
    fingerprint : str
        SHA-256 of all of the above.

    Raises
    ------
    DataError
        With one sentence, for anything that cannot be used; see :mod:`causal_ddpm.core.checks`.
    """

    def __init__(  # noqa: PLR0913 - one argument a role, most have defaults
        self,
        df: Any,
        treatment: str | Sequence[str],
        outcome: str,
        confounders: Sequence[str],
        weights: str | None = None,
        clusters: str | None = None,
        unit_id: str | None = None,
        weights_type: WeightsType = "sampling",
        treatment_kind: Kind = "binary",
        control: Label | None = None,
        outcome_kind: AskedKind = "auto",
        instrument: str | None = None,
    ):
        treatments, confounders = _names(treatment, "treatment"), _names(confounders, "confounders")
        extra = [name for name in (weights, clusters, unit_id, instrument) if name is not None]
        frame = frame_with(df, [*treatments, outcome, *confounders, *extra])
        if weights_type not in ("sampling", "frequency"):
            raise DataError(f"weights_type is {weights_type!r}", "'sampling' or 'frequency'")
        if not confounders:
            raise DataError(
                "no confounders were given",
                "at least one column",
                "In a randomised experiment name the covariates measured before treatment.",
            )
        checks.check_rows(len(frame))
        self.outcome_name = outcome
        self.confounder_names = tuple(confounders)
        self.weights_name, self.clusters_name = weights, clusters
        self.weights_type: WeightsType = weights_type
        self.treatment: Values
        self.treatment, self.treatment_schema = read_treatment(
            frame, treatment, treatment_kind, control
        )
        self.treatment_name = self.treatment_schema.name
        self.arms = self.treatment_schema.labels
        columns = tuple(checks.confounder_column(frame[name]) for name in confounders)
        self.covariates = read_covariates(frame, columns)
        checks.refuse_treatment_copies(
            self.confounder_names, self.covariates.values, self.treatment
        )
        self.instrument_name = instrument
        self.instrument: NDArray[np.int64] | None = None
        if instrument is not None:
            self.instrument = read_instrument(frame[instrument], self.treatment, self.covariates)
        n = len(frame)
        self.weights: Array = (
            np.ones(n)
            if weights is None
            else checks.positive_weights(frame[weights], weights_type == "frequency")
        )
        self.outcome, self.outcome_schema = read_outcome(
            frame[outcome], outcome_kind, None if weights is None else self.weights
        )
        self.clusters = None if clusters is None else checks.group_codes(frame[clusters])
        self.row_ids: NDArray[Any] = np.arange(n) if unit_id is None else frame[unit_id].to_numpy()
        self.n_synthetic = (
            int(np.sum([bool(v) for v in frame[SYNTHETIC_MARKER].to_list()]))
            if SYNTHETIC_MARKER in frame.columns
            else 0
        )
        self.fingerprint = self._hash()
        for array in (self.treatment, self.outcome, self.covariates.values, self.weights):
            array.setflags(write=False)

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.outcome)

    def __len__(self) -> int:
        return self.n

    @property
    def has_weights(self) -> bool:
        """True when a weight column was given."""
        return self.weights_name is not None

    def _hash(self) -> str:
        digest = hashlib.sha256()
        names = (self.treatment_name, self.outcome_name, *self.confounder_names, self.weights_type)
        digest.update("\x1f".join(names).encode())
        if self.treatment_schema.kind != "binary":
            digest.update(repr(self.treatment_schema).encode())
        if self.outcome_schema.why == AS_ASKED:
            digest.update(repr(self.outcome_schema).encode())
        digest.update(repr(self.covariates.columns).encode())
        clusters = np.empty(0, dtype=np.int64) if self.clusters is None else self.clusters
        for array in (self.treatment, self.outcome, self.covariates.values, self.weights, clusters):
            digest.update(np.ascontiguousarray(array).tobytes())
        if self.instrument is not None:
            digest.update(f"instrument {self.instrument_name}".encode())
            digest.update(np.ascontiguousarray(self.instrument).tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        kinds = [c.kind for c in self.covariates.columns]
        missing = int(np.isnan(self.covariates.values).any(axis=1).sum())
        counted = ", ".join(
            f"{kinds.count(k)} {k}" for k in ("numeric", "boolean", "categorical") if k in kinds
        )
        lines = [
            f"CausalData: {self.n:,} rows",
            f"  treatment    {self.treatment_name}: {self._treatment_in_words()}",
            f"  outcome      {self.outcome_name}: {self._outcome_in_words()}",
            f"  confounders  {checks.shown(self.confounder_names, 8)} ({counted})",
        ]
        if self.instrument is not None:
            lines.append(f"  instrument   {self.instrument_name}: {self._instrument_in_words()}")
        if missing:
            lines.append(f"  missing      {missing:,} rows lack at least one confounder")
        if self.has_weights:
            lines.append(f"  weights      {self.weights_name} ({self.weights_type})")
        if self.clusters is not None:
            lines.append(f"  clusters     {self.clusters_name}: {len(np.unique(self.clusters)):,}")
        if self.n_synthetic:
            lines.append(f"  synthetic    {self.n_synthetic:,} marked rows")
        return "\n".join(lines)

    def _treatment_in_words(self) -> str:
        schema, d = self.treatment_schema, self.treatment
        if schema.kind == "binary":
            return f"{int(d.sum()):,} treated, {int((1 - d).sum()):,} untreated"
        if schema.kind == "arms":
            counts = [f"{label} ({int((d == a).sum()):,})" for a, label in enumerate(self.arms)]
            return f"{len(counts)} arms, {checks.shown(counts, 6)}"
        if schema.kind == "dose":
            return f"a dose from {d.min():.4g} to {d.max():.4g}, mean {d.mean():.4g}"
        n_run = len(np.unique(schema.strata(d)))
        return f"{d.shape[1]} factors, {n_run:,} of {2 ** d.shape[1]:,} cells run"

    def _instrument_in_words(self) -> str:
        z = np.asarray(self.instrument)
        words = f"{int(z.sum()):,} rows with 1, {int((1 - z).sum()):,} with 0"
        if self.treatment_schema.kind != "binary":
            return words
        shares = [self.treatment[z == k].mean() for k in (1, 0)]
        return f"{words}; treated {shares[0]:.0%} and {shares[1]:.0%} of them"

    def _outcome_in_words(self) -> str:
        schema = self.outcome_schema
        if schema.kind == "categorical":
            shares = [
                f"{name} ({np.mean(self.outcome == value):.0%})"
                for name, value in zip(schema.labels, schema.values, strict=True)
            ]
            return checks.shown(shares, 6)
        if self.treatment_schema.kind != "binary":
            return f"mean {self.outcome.mean():.4g}, sd {self.outcome.std():.4g}"
        y1, y0 = self.outcome[self.treatment == 1], self.outcome[self.treatment == 0]
        return f"mean {y1.mean():.4g} treated, {y0.mean():.4g} untreated"


def _names(given: Any, role: str) -> list[Any]:
    """Names of one column or of several, in a list."""
    if isinstance(given, str):
        return [given]
    try:
        return list(given)
    except TypeError:
        raise DataError(
            f"{role} is {given!r}",
            "the name of a column, or several in a list",
            "Numbers as names: df.columns = df.columns.astype(str).",
        ) from None


def require_data(data: object) -> None:
    """Refuse what is no :class:`CausalData`.

    Raises
    ------
    DataError
    """
    if not isinstance(data, CausalData):
        raise DataError(
            f"the data are a {type(data).__name__}",
            "CausalData",
            "Wrap the frame: CausalData(df, treatment=..., outcome=..., confounders=[...]).",
        )


def read_covariates(frame: Any, columns: Sequence[Column]) -> Covariates:
    """Read confounders of a frame under a known schema.

    Parameters
    ----------
    frame : frame, Covariates or array_like
        A native or narwhals frame that has the columns; covariates (recoded); an (n, p) array
        is accepted when every column is numeric or boolean.
    columns : sequence of Column
        The schema, from the training data.

    Raises
    ------
    DataError
        If a column is missing or of another kind.
    """
    if isinstance(frame, Covariates):
        return frame.under(columns)
    names = [c.name for c in columns]
    if isinstance(frame, np.ndarray | list):
        return _covariates_from_array(frame, columns)
    table = frame if isinstance(frame, nw.DataFrame) else frame_with(frame, names)
    values = np.empty((len(table), len(columns)))
    for j, column in enumerate(columns):
        values[:, j] = _codes(table[column.name], column)
    return Covariates(tuple(columns), values)


def _codes(series: nw.Series[Any], column: Column) -> Array:
    plain = column.kind == "boolean" and series.dtype == nw.Boolean
    if column.kind == "numeric" or plain:
        return checks.as_float(series, "numbers, as in the training data")
    raw = series.to_list()
    if column.kind == "boolean":
        return np.asarray([np.nan if checks.is_missing(v) else float(v) for v in raw])
    code = {level: float(k) for k, level in enumerate(column.categories)}
    other = float(len(column.categories))
    return np.asarray([np.nan if checks.is_missing(v) else code.get(str(v), other) for v in raw])


def _covariates_from_array(x: ArrayLike, columns: Sequence[Column]) -> Covariates:
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(columns):
        raise DataError(f"X has shape {values.shape}", f"(n, {len(columns)})")
    if any(c.kind == "categorical" for c in columns):
        raise DataError(
            "X is an array but some confounders are categories", "a data frame with named columns"
        )
    return Covariates(tuple(columns), values)


def frame_with(df: Any, wanted: Sequence[str]) -> nw.DataFrame[Any]:
    """A frame of any library, once it has the columns; refuses what is no frame."""
    lazy = hasattr(df, "collect")
    names = None if lazy else getattr(df, "column_names", getattr(df, "columns", None))
    if names is None:
        raise DataError(
            f"the data are a {type(df).__name__}",
            "a pandas, polars or pyarrow frame",
            "Collect it first: df.collect()." if lazy else "Read the file with pandas.read_csv.",
        )
    checks.check_columns(list(names), wanted)
    table: nw.DataFrame[Any] = nw.from_native(df, eager_only=True)
    return table
