"""``heavy-tails``: the ``gauss`` design with t(3) noise.

    Y(a) | x ~ l_a(x) + r_a(x) T,   T ~ t(3)

Its variance 3 r_a^2 is finite, so the efficiency bounds exist; third and higher moments do not, so
standard errors, which average squares, settle slowly.
"""

from __future__ import annotations

from causal_ddpm.dgp.confounded import (
    EFFECT,
    LEVEL,
    NORMAL_COLUMNS,
    SELECTION,
    SPREAD,
    Array,
    ConfoundedDesign,
    location,
    spread,
    strong_selection,
)
from causal_ddpm.dgp.laws import Student


def _student(x: Array, a: int) -> Student:
    return Student(location(x, a), spread(x, a), df=3.0)


HEAVY_TAILS = ConfoundedDesign(
    "heavy-tails", 10, strong_selection, _student,
    (NORMAL_COLUMNS, SELECTION, LEVEL, EFFECT, SPREAD, "Y(a) ~ l_a + r_a t(3)"),
)  # fmt: skip
