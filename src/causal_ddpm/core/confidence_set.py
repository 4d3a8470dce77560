"""Values that a test does not reject, where they need not form an interval.

Inverting a test whose statistic is a ratio of quadratics in the parameter b leaves

    {b : s b^2 - 2 m b + c <= 0},        root = m^2 - s c,

an interval where s > 0 (empty where root < 0), two rays where s < 0 and root > 0, and otherwise
the whole line: the data do not bound b (Anderson and Rubin 1949; Fieller 1954).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_ROUNDING = 1e-12
"""A root this small, as a share of m^2, counts as zero."""


@dataclass(frozen=True)
class ConfidenceSet:
    """Values that a test does not reject: one interval, two rays, everything, or none.

    Parameters
    ----------
    intervals : tuple of (float, float)
        In ascending order; ends may be infinite. None at all: the test rejects every value.
    level : float
    """

    intervals: tuple[tuple[float, float], ...]
    level: float

    @property
    def bounded(self) -> bool:
        """Whether the data bound the parameter from both sides."""
        return all(bool(np.isfinite(end)) for pair in self.intervals for end in pair)

    def __contains__(self, value: float) -> bool:
        return any(low <= value <= high for low, high in self.intervals)

    def __str__(self) -> str:
        if not self.intervals:
            return "empty (every value is rejected: the instruments contradict each other)"
        if self.intervals == ((-np.inf, np.inf),):
            return "the whole line"
        return " and ".join(_interval_in_words(low, high) for low, high in self.intervals)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields; an infinite end is None."""
        ends = [[e if np.isfinite(e) else None for e in pair] for pair in self.intervals]
        return {"intervals": ends, "bounded": self.bounded, "level": self.level}


def quadratic_set(square: float, mixed: float, constant: float, level: float) -> ConfidenceSet:
    """The values b with ``square b^2 - 2 mixed b + constant <= 0``; see the module page."""
    root = mixed**2 - square * constant
    if square > 0 and root < -_ROUNDING * mixed**2:
        return ConfidenceSet((), level)
    if square > 0:
        middle, half = mixed / square, np.sqrt(max(root, 0.0)) / square
        return ConfidenceSet(((float(middle - half), float(middle + half)),), level)
    if square == 0 or root <= 0:
        return ConfidenceSet(((-np.inf, np.inf),), level)
    ends = np.sort((mixed + np.array([-1, 1]) * np.sqrt(root)) / square)
    return ConfidenceSet(((-np.inf, float(ends[0])), (float(ends[1]), np.inf)), level)


def _interval_in_words(low: float, high: float) -> str:
    if np.isinf(low):
        return f"everything up to {high:.4g}"
    return f"{low:.4g} to {high:.4g}" if np.isfinite(high) else f"everything from {low:.4g}"
