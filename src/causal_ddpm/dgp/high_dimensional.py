"""``high-dimensional``: 100 correlated covariates, of which five matter.

    x_0 = z_0,  x_j = .5 x_{j-1} + sqrt(.75) z_j            (cov(x_j, x_k) = .5^|j - k|)
    e = clip(S(.6 x0 - .5 x2 + .4 x4), .05, .95)
    l_a = x0 + .8 x1 - .6 x2 + .5 x3 + a (1 + .5 x1 + .3 x4),   Y(a) | x ~ N(l_a, 1)

Correlation falling geometrically and a sparse linear truth are the setting of Belloni,
Chernozhukov and Hansen (2014, section 4).
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from causal_ddpm.dgp.confounded import Array, ConfoundedDesign
from causal_ddpm.dgp.laws import Mixture, gaussian

_RHO = 0.5


def _correlated(z: Array) -> Array:
    x = z.copy()
    for j in range(1, z.shape[1]):
        x[:, j] = _RHO * x[:, j - 1] + np.sqrt(1 - _RHO**2) * z[:, j]
    return x


def _selection(x: Array) -> Array:
    return np.clip(expit(0.6 * x[:, 0] - 0.5 * x[:, 2] + 0.4 * x[:, 4]), 0.05, 0.95)


def _sparse(x: Array, a: int) -> Mixture:
    level = x[:, 0] + 0.8 * x[:, 1] - 0.6 * x[:, 2] + 0.5 * x[:, 3]
    effect = 1 + 0.5 * x[:, 1] + 0.3 * x[:, 4]
    return gaussian(level + a * effect, np.ones(len(x)))


HIGH_DIMENSIONAL = ConfoundedDesign(
    "high-dimensional", 100, _selection, _sparse,
    (
        "x0, ..., x99 normal with mean 0, variance 1, covariance .5^|j - k|",
        "e(x) = clip(S(.6 x0 - .5 x2 + .4 x4), .05, .95), d ~ Bernoulli(e(x))",
        "l_0 = x0 + .8 x1 - .6 x2 + .5 x3, l_1 = l_0 + 1 + .5 x1 + .3 x4", "Y(a) ~ N(l_a, 1)",
    ),
    columns=_correlated,
    n_active=5,
)  # fmt: skip
