"""Nuisances of a dose that cost milliseconds, for thousands of draws.

``oracle``: what the design knows. ``light``, in five folds, with z the covariates and t the dose,
standardised and cut at 2.5 either way,

    mu(x, a)    least squares on (1, z, z^2, z t, t, t^2, .., t^5)
    f(a | x)    N(m(x), s^2), m by least squares on (1, z), s^2 its residual variance
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.evaluation.coverage.light import N_FOLDS, REACH, Source
from causal_ddpm.nuisance.dose import N_NODES, DoseNuisances, DoseReading, dose_nodes
from causal_ddpm.nuisance.folds import draw_folds

Array = NDArray[np.float64]

_DEGREE = 5


def oracle(design: str, draw: Any, seed: np.random.SeedSequence) -> DoseNuisances:
    """The truth at every row."""
    known: Any = design_by_name(design)
    data: CausalData = draw.data
    x, nodes = data.covariates.values, dose_nodes(data, N_NODES)
    mean = np.column_stack([known.mean(x, node) for node in nodes])
    density = np.column_stack([known.density(x, node) for node in nodes])
    return _record(
        data,
        draw_folds(data, N_FOLDS, seed),
        nodes,
        DoseReading(draw.mean, mean, {"model": "oracle"}),
        DoseReading(draw.density, density, {"model": "oracle"}),
    )


def light(design: str, draw: Any, seed: np.random.SeedSequence) -> DoseNuisances:
    """Least squares, out of fold."""
    data: CausalData = draw.data
    folds, nodes = draw_folds(data, N_FOLDS, seed), dose_nodes(data, N_NODES)
    dose = data.treatment
    z = _standard(data.covariates.values, data.covariates.values)
    shape = (data.n, len(nodes))
    own, grid, f_own, f_grid = (np.empty(s) for s in (data.n, shape, data.n, shape))
    for k in range(N_FOLDS):
        train, test = folds != k, folds == k
        coef = _coefficients(_features(z[train], _standard(dose[train], dose)), data.outcome[train])
        own[test] = _features(z[test], _standard(dose[test], dose)) @ coef
        for g, t in enumerate(_standard(nodes, dose)):
            grid[test, g] = _features(z[test], np.full(int(test.sum()), t)) @ coef
        line = np.column_stack([np.ones(data.n), z])
        coef = _coefficients(line[train], dose[train])
        residual = dose[train] - line[train] @ coef
        sd = np.sqrt(residual @ residual / (len(residual) - line.shape[1]))
        mean = line[test] @ coef
        f_own[test] = _normal(dose[test], mean, sd)
        f_grid[test] = _normal(nodes, mean[:, None], sd)
    names = {"model": "least squares"}, {"model": "normal density"}
    return _record(
        data, folds, nodes, DoseReading(own, grid, names[0]), DoseReading(f_own, f_grid, names[1])
    )


def _record(
    data: CausalData,
    folds: NDArray[np.int64],
    nodes: Array,
    mean: DoseReading,
    density: DoseReading,
) -> DoseNuisances:
    return DoseNuisances(folds, nodes, mean, density, data.fingerprint, mean.report["model"])


def _standard(values: Array, sample: Array) -> Array:
    """Values in standard deviations of a sample from its mean, cut at REACH either way."""
    return np.asarray(np.clip((values - sample.mean(axis=0)) / sample.std(axis=0), -REACH, REACH))


def _features(z: Array, t: Array) -> Array:
    powers = t[:, None] ** np.arange(_DEGREE + 1)
    return np.column_stack([powers, z, z**2, z * t[:, None]])


def _coefficients(features: Array, target: Array) -> Array:
    return np.asarray(np.linalg.lstsq(features, target, rcond=None)[0])


def _normal(a: Array, mean: Array, sd: float) -> Array:
    return np.asarray(np.exp(-(((a - mean) / sd) ** 2) / 2) / (sd * np.sqrt(2 * np.pi)))


DOSE_SOURCES: Mapping[str, Source] = {"oracle": oracle, "light": light}
"""Nuisances of a dose, by name."""
