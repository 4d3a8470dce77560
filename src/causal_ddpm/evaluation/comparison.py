"""A method table with a question, a benchmark and a stamp: what ``compare`` returns.

The rows and their agreement are those of :mod:`causal_ddpm.evaluation.method_table`. With a
benchmark b, an experiment's result or a known truth, each method is shown with its distance
(theta - b) / s in its own standard errors s.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from causal_ddpm.evaluation.analysis import plain
from causal_ddpm.evaluation.method_table import MethodTable
from causal_ddpm.evaluation.provenance import Provenance, Reference


@dataclass(frozen=True)
class Question:
    """What all methods were asked.

    Parameters
    ----------
    population : str
        For whom.
    treatment, outcome : str
        What acts on what.
    sample : str
        The rows in words.
    cautions : tuple of str
        What to worry about whichever method is asked.
    """

    population: str
    treatment: str
    outcome: str
    sample: str
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(MethodTable):
    """Methods for one cross-section side by side.

    Parameters
    ----------
    rows, estimand, fingerprint, level
        As in :class:`~causal_ddpm.evaluation.method_table.MethodTable`.
    question : Question
    benchmark : Reference or None
        A number that is believed.
    provenance : Provenance
    """

    question: Question
    benchmark: Reference | None
    provenance: Provenance

    @property
    def asked(self) -> str:
        """The question in a few words."""
        return f"{self.estimand} of {self.question.treatment} on {self.question.outcome}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to worry about: the rows, the overlap, then each method, behind its title."""
        alone = [
            f"{row.title} finds no overlap: methods that still answer extrapolate, and that they "
            "agree says little."
            for row in self.rows
            if row.no_overlap
        ]
        found = [
            f"{row.title}: {text}"
            for row in self.answered
            if row.estimate is not None
            for text in row.estimate.warnings
        ]
        return tuple(dict.fromkeys([*self.question.cautions, *alone, *found]))

    def frame(self) -> pd.DataFrame:
        """One row a method with an estimate.

        The columns of :meth:`MethodTable.frame` and, with a benchmark, distance (in the method's
        standard errors) and holds (whether its interval holds the benchmark).
        """
        found = super().frame().drop(columns="pre_fit")
        if self.benchmark is not None:
            b = self.benchmark.value
            known = found["std_error"] > 0
            found["distance"] = ((found["value"] - b) / found["std_error"].where(known)).fillna(0.0)
            found["holds"] = (found["ci_low"] <= b) & (found["ci_high"] >= b)
        return found

    def summary(self) -> str:
        """The verdict, and how near the methods are to the benchmark."""
        if self.benchmark is None:
            return self.verdict
        frame = self.frame()
        candidates = frame[frame["votes"]] if frame["votes"].any() else frame
        nearest = candidates.sort_values("distance", key=abs).iloc[0]
        return (
            f"{self.verdict} {int(frame['holds'].sum())} of {len(frame)} intervals hold the "
            f"{self.benchmark.label} {self.benchmark.value:,.5g}; nearest in its standard errors "
            f"is {nearest['method']} with {nearest['value']:,.4g} ({nearest['distance']:+.2f})."
        )

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON types; what is not finite becomes null."""
        benchmark, q = self.benchmark, self.question
        content = {
            **super().to_dict(),
            "population": q.population,
            "treatment": q.treatment,
            "outcome": q.outcome,
            "sample": q.sample,
            "benchmark": None
            if benchmark is None
            else {"label": benchmark.label, "value": benchmark.value},
            "summary": self.summary(),
            "warnings": self.warnings,
            "provenance": self.provenance.to_dict(),
        }
        return dict(plain(content))

    def to_json(self) -> str:
        """:meth:`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def __repr__(self) -> str:
        shown = ["method", "value", "std_error", "ci_low", "ci_high"]
        table = self.frame()[shown + (["distance"] if self.benchmark is not None else [])]
        lines = [
            f"{self.asked}, {self.question.sample}",
            table.to_string(index=False, float_format=lambda v: f"{v:.4g}"),
            self.summary(),
            *(f"{title} is left out: {reason}." for title, reason in self.left_out.items()),
        ]
        return "\n".join(lines)
