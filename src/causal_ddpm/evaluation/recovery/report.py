"""The record of a recovery: sections of findings, each held against the truth, and the verdicts.

A finding is one number of the generated world beside the truth. Its ``error`` is their distance;
its ``allowance`` is what a fresh draw of n rows from the true process, read in the same way, stays
within (about ninety-nine times in a hundred; see :mod:`causal_ddpm.evaluation.recovery.reading`).
With ``ratio = error / allowance``,

    recovered        ratio <= 1      as near as n rows of the process itself would be
    in part          ratio <= 2
    not recovered    ratio >  2

so that no verdict demands more than sampling allows. A section is as good as its worst finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from causal_ddpm.core.errors import DataError
from causal_ddpm.evaluation.recovery.generator import Roles

Verdict = Literal["recovered", "in part", "not recovered", "not judged"]
VERDICTS: tuple[Verdict, ...] = ("not judged", "recovered", "in part", "not recovered")
"""From good to bad, after what was not judged."""

IN_PART = 2.0
"""The ratio beyond which nothing is recovered."""

_COLUMNS = (
    "section", "quantity", "truth", "real", "recovered", "low", "high", "error", "allowance",
    "ratio", "verdict",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One number of the generated world beside the truth.

    Parameters
    ----------
    quantity : str
        What was measured, in words that fit into a sentence.
    recovered : float
        The number read from the generator.
    error : float
        Distance from the truth, not negative; a distance measure is its own error.
    truth : float, optional
        The number in the true process; left out where it is a distance, whose truth is zero.
    allowance : float, optional
        What a fresh draw of n rows stays within; without it nothing is judged.
    real : float, optional
        The same number read from the real draw that the generator learnt from.
    low, high : float, optional
        95 % interval of ``recovered`` as n generated rows would give it.
    """

    quantity: str
    recovered: float
    error: float
    truth: float | None = None
    allowance: float | None = None
    real: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def ratio(self) -> float | None:
        """error / allowance."""
        return None if self.allowance is None else self.error / max(self.allowance, 1e-12)

    @property
    def verdict(self) -> Verdict:
        """By the rule of the module page."""
        if self.ratio is None:
            return "not judged"
        if self.ratio <= 1:
            return "recovered"
        return "in part" if self.ratio <= IN_PART else "not recovered"

    def sentence(self, n: int) -> str:
        """What was found, in words; n is the number of rows that were learnt from."""
        found = f"{self.quantity} is {_number(self.recovered)}"
        if self.truth is not None:
            found += f" where the truth is {_number(self.truth)}"
        if self.allowance is None:
            return f"{found}."
        unit = "stays within" if self.truth is not None else "stays below"
        of = " of it" if self.truth is not None else ""
        return f"{found}; a fresh draw of {n:,} rows {unit} {_number(self.allowance)}{of}."

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with ratio and verdict."""
        return {**vars(self), "ratio": self.ratio, "verdict": self.verdict}


@dataclass(frozen=True, eq=False)
class Section:
    """One aspect of the process.

    Parameters
    ----------
    name : str
        Short name, a key.
    title : str
    measure : str
        What was measured and how, in a sentence.
    findings : tuple of Finding
    not_assessed : str
        Why there are none, where there are none.
    curves : mapping of str to DataFrame
        Numbers behind pictures: truth and recovered along something.
    words : tuple of str
        What was not recovered, in words of the section's own; findings speak for themselves where
        it has none.
    """

    name: str
    title: str
    measure: str
    findings: tuple[Finding, ...] = ()
    not_assessed: str = ""
    curves: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    words: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of its findings."""
        return max((f.verdict for f in self.findings), key=VERDICTS.index, default="not judged")

    @property
    def ratio(self) -> float | None:
        """The largest ratio of its findings."""
        ratios = [f.ratio for f in self.findings if f.ratio is not None]
        return max(ratios) if ratios else None

    def frame(self) -> pd.DataFrame:
        """One row a finding."""
        return _frame([(self.name, f) for f in self.findings])

    def not_recovered(self, n: int) -> tuple[str, ...]:
        """What was not, or only in part, recovered, in sentences; the worst findings first."""
        if self.verdict in ("recovered", "not judged"):
            return ()
        missed = [f for f in self.findings if f.ratio is not None and f.ratio > 1]
        missed.sort(key=lambda f: -(f.ratio or 0.0))
        more = len(missed) - _SHOWN
        rest = (f"So it is with {more} more of its {len(self.findings)} numbers.",) * (more > 0)
        found = tuple(_capital(f.sentence(n)) for f in missed[:_SHOWN])
        return (*self.words, *found, *rest)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "name": self.name,
            "title": self.title,
            "measure": self.measure,
            "verdict": self.verdict,
            "ratio": self.ratio,
            "findings": [f.to_dict() for f in self.findings],
            "not_assessed": self.not_assessed,
            "words": list(self.words),
            "curves": {k: v.to_dict(orient="list") for k, v in self.curves.items()},
        }


_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Recovery:
    """What a generator recovered of a design.

    Parameters
    ----------
    design, model : str
        Their names.
    n : int
        Rows that were learnt from.
    sections : tuple of Section
    n_generated : int
        Generated rows that were read.
    n_replicates : int
        Fresh draws behind the allowances.
    equations : tuple of str
        The design.
    seed : int or None
    seconds : mapping of str to float
        CPU time of ``fit``, ``generate`` and ``read``.
    sample : DataFrame, optional
        The real draw, for pictures.
    roles : Roles, optional
        Of its columns.
    """

    design: str
    model: str
    n: int
    sections: tuple[Section, ...]
    n_generated: int = 0
    n_replicates: int = 0
    equations: tuple[str, ...] = ()
    seed: int | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    sample: pd.DataFrame | None = None
    roles: Roles | None = None

    def section(self, name: str) -> Section:
        """A section by its short name.

        Raises
        ------
        DataError
            If there is none of that name.
        """
        return _named(self.sections, name)

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """Verdict of each section."""
        return {s.name: s.verdict for s in self.sections}

    @property
    def not_recovered(self) -> tuple[str, ...]:
        """What was not, or only in part, recovered, in sentences."""
        return tuple(text for s in self.sections for text in s.not_recovered(self.n))

    def frame(self) -> pd.DataFrame:
        """One row a finding: section, quantity, truth, recovered, error, allowance, verdict, ..."""
        return _frame([(s.name, f) for s in self.sections for f in s.findings])

    def to_frame(self) -> pd.DataFrame:
        """The same as :meth:`frame`."""
        return self.frame()

    def scores(self) -> pd.DataFrame:
        """One row a section: ``section``, ``verdict``, ``ratio``, shares of findings recovered."""
        rows = []
        for s in self.sections:
            judged = [f for f in s.findings if f.ratio is not None]
            share = sum(f.verdict == "recovered" for f in judged) / len(judged) if judged else None
            rows.append({"section": s.name, "verdict": s.verdict, "ratio": s.ratio,
                         "n_findings": len(judged), "share_recovered": share})  # fmt: skip
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """The whole record as text."""
        lines = [f"{self.model} on {self.design}, learnt from {self.n:,} rows", ""]
        width = max((len(s.title) for s in self.sections), default=0)
        for s in self.sections:
            said = s.not_assessed or _ratio_in_words(s)
            lines.append(f"{s.title:<{width}}  {s.verdict:<14}{said}")
        missed = self.not_recovered
        lines += ["", "Not recovered:" if missed else "Everything judged was recovered."]
        return "\n".join([*lines, *(f"- {text}" for text in missed)])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "design": self.design,
            "model": self.model,
            "n": self.n,
            "n_generated": self.n_generated,
            "n_replicates": self.n_replicates,
            "seed": self.seed,
            "seconds": dict(self.seconds),
            "equations": list(self.equations),
            "verdicts": self.verdicts,
            "sections": [s.to_dict() for s in self.sections],
            "not_recovered": list(self.not_recovered),
        }

    def __repr__(self) -> str:
        return self.summary()


def _named(sections: Sequence[Section], name: str) -> Section:
    for section in sections:
        if section.name == name:
            return section
    raise DataError(f"there is no section '{name}'", ", ".join(s.name for s in sections))


def _frame(rows: Sequence[tuple[str, Finding]]) -> pd.DataFrame:
    table = pd.DataFrame([{"section": name, **f.to_dict()} for name, f in rows], columns=_COLUMNS)
    numbers = [c for c in _COLUMNS if c not in ("section", "quantity", "verdict")]
    return table.astype(dict.fromkeys(numbers, float))


def _ratio_in_words(section: Section) -> str:
    worst = section.ratio
    if worst is None:
        return ""
    return f"largest error {worst:.2g} times what a fresh draw stays within"


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
