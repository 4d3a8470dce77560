"""One estimand, one sample, many methods: what each says, and whether they agree.

The reference is our own estimate, or the median of the point estimates where ours is not among
them. A method agrees when its interval holds the reference. The methods agree when all of them do
and their point estimates have one sign. The spread is the range of the point estimates; it is laid
beside the median width of their intervals, since a choice of method that moves the answer further
than sampling does is an uncertainty that no single interval shows.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd

from causal_ddpm.baselines.base import load
from causal_ddpm.core.errors import (
    CausalDDPMError,
    CausalDDPMWarning,
    DataError,
    MissingDependencyError,
)
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.estimate import SCHEMA_VERSION, Estimate
from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed

RULE = (
    "A method agrees when its interval holds the reference; the methods agree when all do and "
    "their point estimates have one sign."
)


class Method(Protocol):
    """What a table asks of a method; every :class:`~causal_ddpm.baselines.base.Baseline` has it."""

    @property
    def name(self) -> str:
        """What methods are chosen by."""
        ...

    @property
    def title(self) -> str:
        """What tables call it."""
        ...

    @property
    def assumes(self) -> str:
        """What carries its result, in words."""
        ...

    @property
    def library(self) -> str:
        """Import name of the library that computes it."""
        ...

    @property
    def extra(self) -> str:
        """The extra that installs it."""
        ...

    def applies(self, data: Any, estimand: Estimand) -> str | None:
        """Why it cannot answer, or None."""
        ...

    def estimate(
        self, data: Any, estimand: Estimand, random_state: Seed = 0, level: float = 0.95
    ) -> Estimate:
        """Its estimate."""
        ...


@dataclass(frozen=True, eq=False)
class MethodRow:
    """What one method says.

    Parameters
    ----------
    name, title, library, assumes : str
        As the method says of itself.
    estimate : Estimate or None
        None where there is none.
    reason : str
        Why there is none: it does not apply, is not installed, or failed; empty otherwise.
    seconds : float
        CPU seconds that it took, without importing its library.
    own : bool
        Whether it is ours.
    """

    name: str
    title: str
    library: str
    assumes: str
    estimate: Estimate | None = None
    reason: str = ""
    seconds: float = 0.0
    own: bool = False

    @property
    def pre_fit(self) -> float | None:
        """Root mean squared gap before treatment, where the method has one."""
        found = None if self.estimate is None else self.estimate.details.get("pre_fit")
        return None if found is None else float(found)


@dataclass(frozen=True, eq=False, repr=False)
class MethodTable:
    """Methods side by side, with their spread; see the module page for the rule of agreement.

    Parameters
    ----------
    rows : tuple of MethodRow
        In the order asked for, ours first.
    estimand : str
        What all of them estimate.
    fingerprint : str
        Hash of the data that all of them got.
    level : float
        Level of the intervals.
    """

    rows: tuple[MethodRow, ...]
    estimand: str
    fingerprint: str
    level: float
    rule: str = RULE

    @property
    def answered(self) -> tuple[MethodRow, ...]:
        """Rows with an estimate."""
        return tuple(row for row in self.rows if row.estimate is not None)

    @property
    def left_out(self) -> Mapping[str, str]:
        """Why the others have none, by title."""
        return {row.title: row.reason for row in self.rows if row.estimate is None}

    @property
    def values(self) -> np.ndarray:
        """Point estimates of :attr:`answered`."""
        return np.array([float(row.estimate) for row in self.answered if row.estimate is not None])

    @property
    def reference(self) -> float:
        """Our estimate, or else the median of all."""
        own = [v for row, v in zip(self.answered, self.values, strict=True) if row.own]
        return float(own[0] if own else np.median(self.values))

    @property
    def spread(self) -> float:
        """Largest point estimate less the smallest."""
        return float(np.ptp(self.values))

    @property
    def typical_width(self) -> float:
        """Median width of the intervals."""
        return float(np.median([high - low for low, high in self._intervals()]))

    @property
    def agree(self) -> bool:
        """The agreement flag; :attr:`rule` says when it is set."""
        return bool(self._holds().all() and len(set(np.sign(self.values))) == 1)

    def _intervals(self) -> list[tuple[float, float]]:
        return [
            row.estimate.interval(self.level) for row in self.answered if row.estimate is not None
        ]

    def _holds(self) -> np.ndarray:
        """Whether each interval holds the reference."""
        return np.array([low <= self.reference <= high for low, high in self._intervals()])

    @property
    def verdict(self) -> str:
        """Spread and agreement in words."""
        n, values = len(self.answered), self.values
        whose = "our estimate" if any(row.own for row in self.answered) else "the median"
        apart = [
            row.title for row, holds in zip(self.answered, self._holds(), strict=True) if not holds
        ]
        parts = [
            f"{n} methods give {values.min():.4g} to {values.max():.4g} (median "
            f"{np.median(values):.4g}): a spread of {self.spread:.3g}, "
            f"{self.spread / self.typical_width:.1f} times the median width of their "
            f"{self.level:.0%} intervals.",
            f"They {'agree' if self.agree else 'do not agree'}:",
            f"all intervals hold {whose}"
            if not apart
            else f"{whose} lies outside the interval of {', '.join(apart)}",
        ]
        signs = "one sign" if len(set(np.sign(values))) == 1 else "different signs"
        return " ".join(parts) + f"; the point estimates have {signs}."

    def frame(self) -> pd.DataFrame:
        """One row a method with an estimate.

        Columns name, method, value, std_error, ci_low, ci_high, level, pre_fit, seconds, agrees,
        own, library, assumes, warnings.
        """
        rows = []
        for row, (low, high), holds in zip(
            self.answered, self._intervals(), self._holds(), strict=True
        ):
            assert row.estimate is not None
            rows.append(
                {
                    "name": row.name,
                    "method": row.title,
                    "value": row.estimate.value,
                    "std_error": row.estimate.std_error,
                    "ci_low": low,
                    "ci_high": high,
                    "level": self.level,
                    "pre_fit": row.pre_fit,
                    "seconds": row.seconds,
                    "agrees": bool(holds),
                    "own": row.own,
                    "library": row.library,
                    "assumes": row.assumes,
                    "warnings": "; ".join(row.estimate.warnings),
                }
            )
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        records = self.frame().to_dict("records")
        for record, row in zip(records, self.answered, strict=True):
            assert row.estimate is not None
            record |= {"pre_fit": row.pre_fit, "warnings": list(row.estimate.warnings)}
            record["details"] = dict(row.estimate.details)
        return {
            "schema_version": SCHEMA_VERSION,
            "estimand": self.estimand,
            "fingerprint": self.fingerprint,
            "level": self.level,
            "methods": records,
            "left_out": dict(self.left_out),
            "spread": self.spread,
            "typical_width": self.typical_width,
            "reference": self.reference,
            "agree": self.agree,
            "rule": self.rule,
            "verdict": self.verdict,
        }

    def __repr__(self) -> str:
        shown = self.frame()[["method", "value", "std_error", "ci_low", "ci_high", "seconds"]]
        lines = [shown.to_string(index=False, float_format=lambda v: f"{v:.4g}"), self.verdict]
        lines += [f"{title} is left out: {reason}." for title, reason in self.left_out.items()]
        return "\n".join(lines)


def ask(
    methods: Sequence[tuple[Method, bool]],
    data: Any,
    estimand: Estimand,
    random_state: Seed = 0,
    level: float = 0.95,
    progress: Progress = silent,
    n_jobs: int = 1,
) -> tuple[MethodRow, ...]:
    """Ask each method; (method, whether it is ours).

    With ``n_jobs`` worker processes one method is a job, and no answer depends on their number.

    Raises
    ------
    DataError
        If none has an answer; names the first reason.
    """
    jobs = [(method, own, data, estimand, random_state, level) for method, own in methods]
    rows = []
    for k, row in enumerate(run_jobs(_row, jobs, n_jobs)):
        rows.append(row)
        progress(row.title, (k + 1) / len(jobs))
    if all(row.estimate is None for row in rows):
        first = rows[0]
        raise DataError(
            "no method has an answer",
            "at least one that applies",
            f"{first.title}: {first.reason}." if rows else "",
        )
    return tuple(rows)


def _row(
    method: Method, own: bool, data: Any, estimand: Estimand, random_state: Seed, level: float
) -> MethodRow:
    row = MethodRow(method.name, method.title, method.library, method.assumes, own=own)
    reason = method.applies(data, estimand)
    if reason is not None:
        return replace(row, reason=reason)
    try:
        load(method.library, method.extra)
        start = time.process_time()
        with warnings.catch_warnings():  # they are in the estimate
            warnings.simplefilter("ignore", CausalDDPMWarning)
            estimate = method.estimate(data, estimand, random_state, level)
    except MissingDependencyError as error:
        return replace(row, reason=str(error).rstrip("."))
    except CausalDDPMError as error:
        return replace(row, reason=f"it failed: {str(error).rstrip('.')}")
    return replace(row, estimate=estimate, seconds=time.process_time() - start)
