"""Nuisances of several arms that cost milliseconds, like those of two.

``oracle``: the design's own. ``light``: the regressions of
:mod:`causal_ddpm.evaluation.coverage.light`, one an arm; propensities are brought to sum to one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import expit

from causal_ddpm.core.data import CausalData
from causal_ddpm.evaluation.coverage.light import (
    N_FOLDS,
    Array,
    Source,
    basis,
    logistic_ridge,
    ridge,
)
from causal_ddpm.nuisance.arm_propensity import normalised
from causal_ddpm.nuisance.crossfit import Nuisances
from causal_ddpm.nuisance.folds import draw_folds

_DEGREE = 3


def oracle(design: str, draw: Any, seed: np.random.SeedSequence) -> Nuisances:
    """The truth at every row."""
    return _record(draw.data, draw.mean, draw.propensity, seed, "oracle")


def light(design: str, draw: Any, seed: np.random.SeedSequence) -> Nuisances:
    """Ridge and logistic regressions, out of fold."""
    data: CausalData = draw.data
    folds = draw_folds(data, N_FOLDS, seed)
    y, d, x = data.outcome, data.treatment, data.covariates.values
    mean, p = (np.empty((data.n, len(data.arms))) for _ in range(2))
    for k in range(N_FOLDS):
        own, rest = folds == k, folds != k
        z, z_own = basis(x[rest], x[own], _DEGREE)
        for a in range(len(data.arms)):
            arm = d[rest] == a
            p[own, a] = expit(z_own @ logistic_ridge(z, arm.astype(float)))
            mean[own, a] = z_own @ ridge(z[arm], y[rest][arm])[0]
    return _record(data, mean, normalised(p), seed, "light")


def _record(
    data: CausalData, mean: Array, propensity: Array, seed: np.random.SeedSequence, method: str
) -> Nuisances:
    folds = draw_folds(data, N_FOLDS, seed)
    return Nuisances(folds, mean, propensity, None, data.fingerprint, method)


ARM_SOURCES: Mapping[str, Source] = {"oracle": oracle, "light": light}
