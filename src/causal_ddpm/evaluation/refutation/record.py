"""What a refutation returns: one check a question, each with a p-value and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]

NEGLIGIBLE = 0.1
"""A change below this many standard errors of the estimate is no finding, however significant."""


@dataclass(frozen=True, eq=False)
class Check:
    """One question put to the estimate.

    Parameters
    ----------
    name : str
    question : str
        What was changed and what should come out.
    value, std_error : float
        What came out, on average over the runs, and its standard error.
    p_value : float
        Of the value (or spread) that should come out; uniform where nothing is wrong.
    values, std_errors : ndarray, shape (R,)
        Effects or changes of the runs, and standard errors of each.
    scale : float
        Standard error of the estimate that is checked.
    level : float
    may_be_negligible : bool
        Whether a significant value still passes when it is tiny beside ``scale``.
    details : mapping
        Further numbers, JSON-ready.
    """

    name: str
    question: str
    value: float
    std_error: float
    p_value: float
    values: Array
    std_errors: Array
    scale: float
    level: float
    may_be_negligible: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the p-value is at least 1 - level, or the value negligible where that counts."""
        tiny = self.may_be_negligible and abs(self.value) < NEGLIGIBLE * self.scale
        return self.p_value >= 1 - self.level or tiny

    @property
    def n_runs(self) -> int:
        """How often the analysis was repeated."""
        return len(self.values)

    def sentence(self) -> str:
        """Question, finding and verdict."""
        times = "once" if self.n_runs == 1 else f"{self.n_runs} times"
        verdict = "as it should be" if self.passed else "NOT as it should be"
        return (
            f"{self.name.capitalize()}: {self.question}; found {self.value:.4g} (standard error "
            f"{self.std_error:.3g}, run {times}, p = {self.p_value:.3g}): {verdict}."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {
            "check": self.name,
            "question": self.question,
            "value": self.value,
            "std_error": self.std_error,
            "p_value": self.p_value,
            "passed": self.passed,
            "values": self.values.tolist(),
            "std_errors": self.std_errors.tolist(),
            **self.details,
        }


@dataclass(frozen=True, eq=False)
class Refutation:
    """Checks that an analysis must survive before its estimate is believed.

    Parameters
    ----------
    estimand : str
    value, std_error : float
        The estimate with the models used in the checks.
    given : float or None
        The estimate that was passed in.
    method : str
        The models used in the checks.
    checks : tuple of Check
    level : float
    """

    estimand: str
    value: float
    std_error: float
    given: float | None
    method: str
    checks: tuple[Check, ...]
    level: float

    @property
    def passed(self) -> bool:
        """Whether every check passed; each fails by chance with probability 1 - level."""
        return all(check.passed for check in self.checks)

    @property
    def sentences(self) -> tuple[str, ...]:
        """One plain sentence a check."""
        return tuple(check.sentence() for check in self.checks)

    def to_frame(self) -> pd.DataFrame:
        """One row a check: check, value, std_error, p_value, passed, n_runs."""
        names = ("value", "std_error", "p_value", "passed", "n_runs")
        return pd.DataFrame(
            [{"check": c.name, **{name: getattr(c, name) for name in names}} for c in self.checks]
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return {
            "estimand": self.estimand,
            "value": self.value,
            "std_error": self.std_error,
            "given": self.given,
            "method": self.method,
            "level": self.level,
            "passed": self.passed,
            "sentences": list(self.sentences),
            "checks": [check.to_dict() for check in self.checks],
        }

    def __repr__(self) -> str:
        given = "" if self.given is None else f" (given: {self.given:.6g})"
        lines = [
            f"Refutation of the {self.estimand}: {self.value:.6g}, SE {self.std_error:.4g}, by "
            f"{self.method}{given}"
        ]
        return "\n".join(lines + [f"  {sentence}" for sentence in self.sentences])
