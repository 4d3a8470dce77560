"""``weak-overlap``: the ``gauss`` design with propensities between .02 and .98.

    e(x) = clip(S(1.2 x0 - .9 x1 + .75 x0 x2), .02, .98)

Selection is one and a half times as strong as in ``gauss``: a few rows carry inverse-probability
weights of up to 50.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from causal_ddpm.dgp.confounded import (
    EFFECT,
    LEVEL,
    NORMAL_COLUMNS,
    SPREAD,
    Array,
    ConfoundedDesign,
    gauss_law,
)


def _harsh_selection(x: Array) -> Array:
    return np.clip(expit(1.2 * x[:, 0] - 0.9 * x[:, 1] + 0.75 * x[:, 2] * x[:, 0]), 0.02, 0.98)


WEAK_OVERLAP = ConfoundedDesign(
    "weak-overlap", 10, _harsh_selection, gauss_law,
    (
        NORMAL_COLUMNS,
        "e(x) = clip(S(1.2 x0 - .9 x1 + .75 x0 x2), .02, .98), d ~ Bernoulli(e(x))",
        LEVEL, EFFECT, SPREAD, "Y(a) ~ N(l_a, r_a^2)",
    ),
)  # fmt: skip
