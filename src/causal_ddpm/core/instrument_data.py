"""A frame with a dose, its outcome, and instruments that move the dose, checked once.

The instruments are any columns: numbers, yes/no or categories, one or several. (For a binary
treatment with a binary instrument :class:`~causal_ddpm.core.data.CausalData` is the record.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core import checks
from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.data import frame_with, read_covariates
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.synthetic import SYNTHETIC_MARKER
from causal_ddpm.core.treatment import read_treatment

Array = NDArray[np.float64]


class InstrumentData:
    """A frame plus the role of each column.

    Parameters
    ----------
    df : pandas, polars or pyarrow frame
        One row a unit.
    treatment : str
        Numeric column, the dose.
    outcome : str
        Numeric column.
    instruments : str or sequence of str
        Columns that move the dose and touch the outcome in no other way.
    confounders : sequence of str
        Columns fixed before the instruments, given which these are as good as random; none by
        default.
    weights : str, optional
        Column of non-negative sampling weights.
    clusters : str, optional
        Column whose equal values mark dependent rows.

    Attributes
    ----------
    n : int
    dose, outcome : ndarray, shape (n,)
    instruments, covariates : Covariates
        n rows each.
    weights : ndarray, shape (n,)
        Ones when no column was given.
    clusters : ndarray of int, shape (n,), or None
    row_ids : ndarray, shape (n,)
    n_synthetic : int
        Rows marked as synthetic.
    fingerprint : str
        SHA-256 of all of the above.

    Raises
    ------
    DataError
        With one sentence, for anything that cannot be used.
    """

    def __init__(
        self,
        df: Any,
        treatment: str,
        outcome: str,
        instruments: str | Sequence[str],
        confounders: str | Sequence[str] = (),
        weights: str | None = None,
        clusters: str | None = None,
    ):
        named = (instruments,) if isinstance(instruments, str) else tuple(instruments)
        others = (confounders,) if isinstance(confounders, str) else tuple(confounders)
        extra = [name for name in (weights, clusters) if name is not None]
        frame = frame_with(df, [treatment, outcome, *named, *others, *extra])
        if not named:
            raise DataError("no instrument was given", "at least one column that moves the dose")
        checks.check_rows(len(frame))
        self.treatment_name, self.outcome_name = treatment, outcome
        self.instrument_names, self.confounder_names = named, others
        self.weights_name, self.clusters_name = weights, clusters
        dose, self.treatment_schema = read_treatment(frame, treatment, "dose", None)
        self.dose: Array = np.asarray(dose, dtype=float)
        self.outcome: Array = checks.finite_outcome(frame[outcome])
        self.instruments = self._table(frame, named)
        self.covariates = self._table(frame, others)
        self._refuse_useless_instruments()
        self.weights: Array = (
            np.ones(len(frame))
            if weights is None
            else checks.positive_weights(frame[weights], False)
        )
        self.clusters = None if clusters is None else checks.group_codes(frame[clusters])
        self.n = len(frame)
        self.row_ids: NDArray[Any] = np.arange(self.n)
        marked = SYNTHETIC_MARKER in frame.columns
        self.n_synthetic = sum(map(bool, frame[SYNTHETIC_MARKER].to_list())) if marked else 0
        self.fingerprint = self._hash()
        for array in (self.dose, self.outcome, self.weights):
            array.setflags(write=False)

    @staticmethod
    def _table(frame: Any, names: tuple[str, ...]) -> Covariates:
        columns = tuple(checks.confounder_column(frame[name]) for name in names)
        return read_covariates(frame, columns)

    def _refuse_useless_instruments(self) -> None:
        """Refuse instruments that are constant or copies of the dose."""
        for name, values in zip(self.instrument_names, self.instruments.values.T, strict=True):
            seen = values[np.isfinite(values)]
            if not np.ptp(seen) > 0:
                raise DataError("the instrument does not vary", "a column that moves the dose",
                                column=name)  # fmt: skip
            refusal = DataError(
                "the instrument is a copy of the dose", "a column that moves the dose",
                "With an exogenous dose ask for the dose-response curve, DoseResponse().",
                column=name,
            )  # fmt: skip
            checks.refuse_copy(values, self.dose, refusal)

    def _hash(self) -> str:
        digest = hashlib.sha256()
        names = (self.treatment_name, self.outcome_name, "instruments", *self.instrument_names)
        digest.update("\x1f".join((*names, "confounders", *self.confounder_names)).encode())
        digest.update(repr((self.instruments.columns, self.covariates.columns)).encode())
        clusters = np.empty(0, dtype=np.int64) if self.clusters is None else self.clusters
        tables = (self.instruments.values, self.covariates.values)
        for array in (self.dose, self.outcome, *tables, self.weights, clusters):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return self.n

    def __repr__(self) -> str:
        lines = [
            f"InstrumentData: {self.n:,} rows",
            f"  dose         {self.treatment_name}: {self.dose.min():.4g} to "
            f"{self.dose.max():.4g}, mean {self.dose.mean():.4g}",
            f"  outcome      {self.outcome_name}: mean {self.outcome.mean():.4g}, "
            f"sd {self.outcome.std():.4g}",
            f"  instruments  {checks.shown(self.instrument_names, 8)}",
        ]
        if self.confounder_names:
            lines.append(f"  confounders  {checks.shown(self.confounder_names, 8)}")
        if self.clusters is not None:
            lines.append(f"  clusters     {self.clusters_name}: {len(np.unique(self.clusters)):,}")
        return "\n".join(lines)
