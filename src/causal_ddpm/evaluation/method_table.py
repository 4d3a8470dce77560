"""One estimand, one sample, many methods: what each says, and whether they agree.

Whether they agree is decided by the rule of :mod:`causal_ddpm.evaluation.agreement`. A method whose
own standard error is known to be wrong for the data has no vote, and says why in the ``no_vote`` of
its details. The spread is the range of the point estimates; it is laid beside the median width of
their intervals, since a choice of method that moves the answer further than sampling does is an
uncertainty that no single interval shows.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from causal_ddpm.baselines.base import Baseline, load
from causal_ddpm.core.errors import (
    CausalDDPMError,
    CausalDDPMWarning,
    DataError,
    MissingDependencyError,
    OverlapError,
)
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.estimate import SCHEMA_VERSION, Estimate
from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed
from causal_ddpm.evaluation.agreement import Agreement, precision_weighted_median
from causal_ddpm.evaluation.analysis import plain

Method = Baseline[Any]
"""What a table asks of a method, ours or another library's."""


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
    no_overlap : bool
        Whether it has no estimate because the groups do not overlap.
    """

    name: str
    title: str
    library: str
    assumes: str
    estimate: Estimate | None = None
    reason: str = ""
    seconds: float = 0.0
    own: bool = False
    no_overlap: bool = False

    @property
    def pre_fit(self) -> float | None:
        """Root mean squared gap before treatment, where the method has one."""
        found = None if self.estimate is None else self.estimate.details.get("pre_fit")
        return None if found is None else float(found)

    @property
    def no_vote(self) -> str:
        """Why the method has no vote on agreement; empty where it has one."""
        return "" if self.estimate is None else str(self.estimate.details.get("no_vote", ""))


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
    def spread(self) -> float:
        """Largest point estimate less the smallest."""
        return float(np.ptp(self.values))

    @property
    def typical_width(self) -> float:
        """Median width of the intervals."""
        return float(np.median([high - low for low, high in self._intervals()]))

    @property
    def agreement(self) -> Agreement | None:
        """Whether the methods with a vote agree; None where fewer than two have one."""
        voters = self.frame().query("votes")
        return Agreement.of(
            voters["value"], voters["std_error"], voters["ci_low"], voters["ci_high"]
        )

    @property
    def agree(self) -> bool | None:
        """The flag of :attr:`agreement`."""
        return None if self.agreement is None else self.agreement.agree

    def _intervals(self) -> list[tuple[float, float]]:
        return [
            row.estimate.interval(self.level) for row in self.answered if row.estimate is not None
        ]

    @property
    def verdict(self) -> str:
        """Spread and agreement in words."""
        n, values = len(self.answered), self.values
        sentences = []
        if n > 1:
            sentences.append(
                f"{n} methods give {values.min():.4g} to {values.max():.4g} (median "
                f"{np.median(values):.4g}): a spread of {self.spread:.3g}, "
                f"{self.spread / self.typical_width:.1f} times the median width of their "
                f"{self.level:.0%} intervals."
            )
        agreement = self.agreement
        alone = "Fewer than two methods have a vote: there is nothing to agree on."
        voters = [row.title for row in self.answered if not row.no_vote]
        sentences.append(alone if agreement is None else agreement.in_words(voters))
        silent_ones = [row.title for row in self.answered if row.no_vote]
        if silent_ones:
            sentences.append(f"Without a vote: {', '.join(silent_ones)}.")
        return " ".join(sentences)

    def frame(self) -> pd.DataFrame:
        """One row a method with an estimate.

        Columns name, method, value, std_error, ci_low, ci_high, level, pre_fit, seconds, votes,
        agrees (its interval holds our estimate, or where ours is not among them the
        precision-weighted median of those with a vote), own, library, assumes, warnings.
        """
        found = pd.DataFrame([self._record(row) for row in self.answered])
        chosen = found["own"] if found["own"].any() else found["votes"]
        middle = found[chosen] if chosen.any() else found
        centre = precision_weighted_median(middle["value"], middle["std_error"])
        found["agrees"] = (found["ci_low"] <= centre) & (centre <= found["ci_high"])
        return found

    def _record(self, row: MethodRow) -> dict[str, Any]:
        assert row.estimate is not None
        low, high = row.estimate.interval(self.level)
        return {
            "name": row.name,
            "method": row.title,
            "value": row.estimate.value,
            "std_error": row.estimate.std_error,
            "ci_low": low,
            "ci_high": high,
            "level": self.level,
            "pre_fit": row.pre_fit,
            "seconds": row.seconds,
            "votes": not row.no_vote,
            "own": row.own,
            "library": row.library,
            "assumes": row.assumes,
            "warnings": "; ".join(row.estimate.warnings),
        }

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON types; what is not finite becomes null."""
        agreement = self.agreement
        content = {
            "schema_version": SCHEMA_VERSION,
            "estimand": self.estimand,
            "fingerprint": self.fingerprint,
            "level": self.level,
            "methods": self.frame().to_dict("records"),
            "left_out": self.left_out,
            "spread": self.spread,
            "typical_width": self.typical_width,
            "agreement": None if agreement is None else agreement.to_dict(),
            "verdict": self.verdict,
            "details": {r.name: r.estimate.details for r in self.rows if r.estimate is not None},
        }
        return dict(plain(content))

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
        reason = f"it failed: {str(error).rstrip('.')}"
        return replace(row, reason=reason, no_overlap=isinstance(error, OverlapError))
    return replace(row, estimate=estimate, seconds=time.process_time() - start)
