"""``binary-outcome``: outcomes 0 and 1 whose log odds are the location of ``gauss``.

P(Y(a) = 1 | x) = S(l_a(x) - 1.1)
"""

from __future__ import annotations

from scipy.special import expit

from causal_ddpm.dgp.confounded import (
    EFFECT,
    LEVEL,
    NORMAL_COLUMNS,
    SELECTION,
    Array,
    ConfoundedDesign,
    location,
    strong_selection,
)
from causal_ddpm.dgp.laws import Bernoulli


def _success(x: Array, a: int) -> Bernoulli:
    return Bernoulli(expit(location(x, a) - 1.1))


BINARY_OUTCOME = ConfoundedDesign(
    "binary-outcome", 10, strong_selection, _success,
    (NORMAL_COLUMNS, SELECTION, LEVEL, EFFECT, "Y(a) ~ Bernoulli(S(l_a - 1.1))"),
)  # fmt: skip
