"""The robustness value, shared by the two omitted-variable analyses.

A confounder that explains the share v of what is left of the outcome and of the treatment biases
the estimate by k sqrt(v v / (1 - v)) in units in which the estimate is k f away from its null, so
the v that carries it there solves v^2 / (1 - v) = f^2:

    RV(f) = (sqrt(f^4 + 4 f^2) - f^2) / 2

(Cinelli and Hazlett 2020, section 4.3).
"""

from __future__ import annotations

import math


def robustness_value(f: float) -> float:
    """RV(f) for f >= 0, in [0, 1)."""
    if f <= 0.0:
        return 0.0
    return 2.0 / (1.0 + math.sqrt(1.0 + 4.0 / f**2))


def share_in_words(share: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"
