"""Methods for a cross-section side by side: what each says, whether they agree, how near they are.

The rows are those of :mod:`causal_ddpm.evaluation.method_table`, the rule of agreement that of
:mod:`causal_ddpm.evaluation.agreement`. A difference without adjustment is shown for reference and
has no vote. With a benchmark b, an experiment's or a known truth, each method is shown with its
distance (theta - b) / s in its own standard errors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from causal_ddpm.core.estimate import SCHEMA_VERSION
from causal_ddpm.evaluation.agreement import Agreement
from causal_ddpm.evaluation.analysis import plain
from causal_ddpm.evaluation.method_table import MethodRow
from causal_ddpm.evaluation.provenance import Provenance, Reference

COLUMNS = (
    "name", "method", "value", "std_error", "ci_low", "ci_high", "cpu_seconds", "votes", "own",
    "assumes",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What all methods were asked.

    Parameters
    ----------
    estimand, population : str
        The quantity, and for whom.
    treatment, outcome : str
        What acts on what.
    sample : str
        The rows in words.
    """

    estimand: str
    population: str
    treatment: str
    outcome: str
    sample: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """Methods side by side.

    Parameters
    ----------
    question : Question
    rows : tuple of MethodRow
        All methods, also those that have no answer.
    level : float
        Level of the intervals.
    no_vote : frozenset of str
        Names of methods that do not count when methods are asked to agree.
    benchmark : Reference or None
        A number that is believed.
    provenance : Provenance
    """

    question: Question
    rows: tuple[MethodRow, ...]
    level: float
    no_vote: frozenset[str]
    benchmark: Reference | None
    provenance: Provenance

    @property
    def answered(self) -> tuple[MethodRow, ...]:
        """Methods with an estimate."""
        return tuple(row for row in self.rows if row.estimate is not None)

    @property
    def left_out(self) -> dict[str, str]:
        """Why the others have none, by title."""
        return {row.title: row.reason for row in self.rows if row.estimate is None}

    @property
    def agreement(self) -> Agreement | None:
        """Whether the methods agree; None where fewer than two have a vote."""
        voters = self.frame().query("votes")
        return Agreement.of(
            voters["value"], voters["std_error"], voters["ci_low"], voters["ci_high"]
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the methods worry about, each sentence once, behind the method's title."""
        found = [
            f"{row.title}: {text}"
            for row in self.answered
            if row.estimate is not None
            for text in row.estimate.warnings
        ]
        return tuple(dict.fromkeys(found))

    def frame(self) -> pd.DataFrame:
        """One row a method that answered.

        Columns name, method, value, std_error, ci_low, ci_high, cpu_seconds, votes, own, assumes
        and, with a benchmark, distance (in the method's standard errors) and holds (whether its
        interval holds the benchmark).
        """
        records = [self._record(row) for row in self.answered]
        extra = [] if self.benchmark is None else ["distance", "holds"]
        return pd.DataFrame(records, columns=[*COLUMNS, *extra])

    def _record(self, row: MethodRow) -> dict[str, Any]:
        assert row.estimate is not None
        low, high = row.estimate.interval(self.level)
        record = {
            "name": row.name,
            "method": row.title,
            "value": row.estimate.value,
            "std_error": row.estimate.std_error,
            "ci_low": low,
            "ci_high": high,
            "cpu_seconds": row.seconds,
            "votes": row.name not in self.no_vote,
            "own": row.own,
            "assumes": row.assumes,
        }
        if self.benchmark is not None:
            apart, s = row.estimate.value - self.benchmark.value, row.estimate.std_error
            record["distance"] = apart / s if s > 0 else 0.0
            record["holds"] = bool(low <= self.benchmark.value <= high)
        return record

    def summary(self) -> str:
        """The verdict in words: agreement, and the benchmark where there is one."""
        agreement = self.agreement
        alone = "Fewer than two methods have a vote: there is nothing to agree on."
        sentences = [alone if agreement is None else agreement.in_words()]
        if self.benchmark is not None:
            frame = self.frame()
            nearest = frame.sort_values("distance", key=abs).iloc[0]
            sentences.append(
                f"{int(frame['holds'].sum())} of {len(frame)} intervals hold the "
                f"{self.benchmark.label} {self.benchmark.value:,.5g}; nearest in its standard "
                f"errors is {nearest['method']} with {nearest['value']:,.4g} "
                f"({nearest['distance']:+.2f})."
            )
        return " ".join(sentences)

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON types; what is not finite becomes null."""
        agreement, benchmark = self.agreement, self.benchmark
        content = {
            "schema_version": SCHEMA_VERSION,
            "estimand": self.question.estimand,
            "population": self.question.population,
            "treatment": self.question.treatment,
            "outcome": self.question.outcome,
            "sample": self.question.sample,
            "level": self.level,
            "methods": self.frame().to_dict(orient="records"),
            "left_out": self.left_out,
            "agreement": None if agreement is None else agreement.to_dict(),
            "benchmark": None
            if benchmark is None
            else {"label": benchmark.label, "value": benchmark.value},
            "summary": self.summary(),
            "details": {r.name: r.estimate.details for r in self.rows if r.estimate is not None},
            "warnings": self.warnings,
            "provenance": self.provenance.to_dict(),
        }
        return dict(plain(content))

    def to_json(self) -> str:
        """:meth:`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def __repr__(self) -> str:
        q, shown = self.question, ["method", "value", "std_error", "ci_low", "ci_high"]
        table = self.frame()[shown + (["distance"] if self.benchmark is not None else [])]
        lines = [
            f"{q.estimand} of {q.treatment} on {q.outcome}, {q.sample}",
            table.to_string(index=False, float_format=lambda v: f"{v:.4g}"),
            self.summary(),
            *(f"{title} is left out: {reason}." for title, reason in self.left_out.items()),
        ]
        return "\n".join(lines)
