"""Inequality: Lorenz curves and Gini coefficients of the two potential outcomes.

With F the corrected distribution function of Y(a) >= 0 (:mod:`causal_ddpm.estimators.scores`),

    A(p) = integral of max(p - F(y), 0) over y >= 0  (that of the quantile function from 0 to p)
    B = integral of (1 - F(y))^2 over y >= 0
    mu = A(1),    L(p) = A(p) / mu,    Gini = 1 - B / mu

(Gastwirth 1971; Firpo and Pinto 2016). All are smooth in F: if F has the influence phi(y),

    phi_A(p) = - integral of phi over {F < p},    phi_B = - 2 integral of (1 - F) phi
    phi_L = (phi_A - L phi_mu) / mu,              phi_Gini = ((1 - Gini) phi_mu - phi_B) / mu

so that no density is needed. The integrals run over the cells between the points of a grid. Within
a cell, F is replaced by its mean over the cell, in which the indicators 1{Y <= y} are integrated
exactly: with F itself between the points, the Gini coefficient of n rows would be moved by a good
part of its standard error.

Nothing is placed outside the observed range, below which F is zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import Estimand, GiniEffect, LorenzEffect
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.estimators.corrected_law import (
    FINE_GRID,
    ArmScore,
    OutcomeGrid,
    Scored,
    outcome_grid,
    row_chunks,
    score_laws,
)
from causal_ddpm.estimators.inference import Result, build_estimate
from causal_ddpm.estimators.scores import Array, sorted_cdf
from causal_ddpm.nuisance.crossfit import Nuisances


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells between the points of a grid.

    Parameters
    ----------
    grid : OutcomeGrid
    """

    grid: OutcomeGrid

    @property
    def width(self) -> Array:
        """Widths h, shape (G - 1,)."""
        return np.diff(self.grid.points)

    @property
    def start(self) -> float:
        """The smallest observed outcome, up to which F is zero."""
        return float(self.grid.points[0])

    def psi(self, arm: ArmScore, rows: slice = slice(None)) -> Array:
        """Means of psi_b over the cells, shape (rows, G - 1).

        The law of the row is averaged over the ends of a cell, or constant where no mass lies
        within it.
        """
        right, h = self.grid.points[1:], self.width
        at = arm.cdf(self.grid.points, rows)
        cdf = np.where(self.grid.jumps, at[:, :-1], (at[:, :-1] + at[:, 1:]) / 2)
        below = np.clip((right - arm.y[rows, None]) / h, 0.0, 1.0)
        return arm.g[rows, None] * cdf + arm.omega[rows, None] * (below - cdf)

    def total(self, cdf: Array) -> Array:
        """mu of distribution functions (..., G - 1), shape (...)."""
        return np.asarray(self.start + (1.0 - cdf) @ self.width)


class Measure(Protocol):
    """A measure of inequality with k entries."""

    def of(self, cells: Cells, cdf: Array) -> Array:
        """Values of distribution functions (..., G - 1), shape (..., k)."""
        ...

    def gradient(self, cells: Cells, cdf: Array) -> Array:
        """Derivatives of the values in one distribution function (G - 1,), shape (G - 1, k)."""
        ...


@dataclass(frozen=True)
class Gini:
    """The Gini coefficient."""

    def of(self, cells: Cells, cdf: Array) -> Array:
        """1 - B / mu."""
        b = cells.start + (1.0 - cdf) ** 2 @ cells.width
        return np.asarray(1.0 - b / cells.total(cdf))[..., None]

    def gradient(self, cells: Cells, cdf: Array) -> Array:
        """((1 - Gini) mu' - B') / mu with mu' = -h and B' = -2 (1 - F) h."""
        rest = 1.0 - self.of(cells, cdf)
        slope = (2.0 * (1.0 - cdf) - rest) * cells.width / cells.total(cdf)
        return np.asarray(slope)[:, None]


@dataclass(frozen=True, eq=False)
class Lorenz:
    """The Lorenz curve at levels p, shape (k,)."""

    p: Array

    def of(self, cells: Cells, cdf: Array) -> Array:
        """A(p) / mu."""
        parts = [np.maximum(p - cdf, 0.0) @ cells.width for p in self.p]
        total = cells.total(cdf)[..., None]
        return np.asarray((self.p * cells.start + np.stack(parts, axis=-1)) / total)

    def gradient(self, cells: Cells, cdf: Array) -> Array:
        """(A' - L mu') / mu with A' = -h where F < p."""
        share = self.of(cells, cdf)
        below = cdf[:, None] < self.p
        return np.asarray((share - below) * cells.width[:, None] / cells.total(cdf))


@dataclass(frozen=True, eq=False)
class Measured:
    """A measure of one arm: values, shape (k,), and centred influence, shape (n, k)."""

    values: Array
    phi: Array


def measured(measure: Measure, cells: Cells, arm: ArmScore, w: Array) -> Measured:
    """Value and influence of a measure of the corrected law of one arm."""
    sums = [w[rows] @ cells.psi(arm, rows) for rows in row_chunks(len(w))]
    cdf = sorted_cdf(np.sum(sums, axis=0) / (w @ arm.g))
    if cells.total(cdf) <= 0:
        raise DataError(f"the mean of Y({arm.arm}) is 0", "a positive mean in both arms")
    gradient = measure.gradient(cells, cdf)
    psi = np.concatenate([cells.psi(arm, rows) @ gradient for rows in row_chunks(len(w))])
    return Measured(measure.of(cells, cdf), arm.centred(psi, w))


@dataclass(frozen=True)
class LorenzCurveEffect:
    """Estimator of the difference of the Lorenz curves.

    Parameters
    ----------
    estimand : LorenzEffect
    """

    estimand: LorenzEffect

    def estimate(self, data: CausalData, nuisances: Nuisances, level: float = 0.95) -> Estimate:
        """L1 - L0 at each level; :func:`causal_ddpm.estimators.curves.effect_curve` has its band.

        Raises
        ------
        DataError
            If an outcome is negative or none is positive, the outcome model learned means only,
            or with fewer than five clusters.
        OverlapError
            If no row can speak to the estimand.
        """
        measure = Lorenz(np.asarray(self.estimand.levels))
        scored, untreated, treated = _both(self.estimand, measure, data, nuisances)
        details = scored.details | {
            "levels": list(self.estimand.levels),
            "lorenz_untreated": untreated.values.tolist(),
            "lorenz_treated": treated.values.tolist(),
        }
        values, phi = treated.values - untreated.values, treated.phi - untreated.phi
        result = Result(self.estimand.labels, values, phi, scored.notes, details)
        return build_estimate(result, data, nuisances, self.estimand, scored.sampling, level)


@dataclass(frozen=True)
class GiniCoefficientEffect:
    """Estimator of the difference of the Gini coefficients, and of both.

    Parameters
    ----------
    estimand : GiniEffect
    """

    estimand: GiniEffect

    def estimate(self, data: CausalData, nuisances: Nuisances, level: float = 0.95) -> Estimate:
        """G1 - G0, then G1 and G0.

        Raises
        ------
        DataError
            If an outcome is negative or none is positive, the outcome model learned means only,
            or with fewer than five clusters.
        OverlapError
            If no row can speak to the estimand.
        """
        scored, untreated, treated = _both(self.estimand, Gini(), data, nuisances)
        values, phi = (
            np.hstack([t - u, t, u])
            for t, u in ((treated.values, untreated.values), (treated.phi, untreated.phi))
        )
        result = Result(self.estimand.labels, values, phi, scored.notes, scored.details)
        return build_estimate(result, data, nuisances, self.estimand, scored.sampling, level)


def _both(
    estimand: Estimand, measure: Measure, data: CausalData, nuisances: Nuisances
) -> tuple[Scored, Measured, Measured]:
    """The rows made ready, and the measure of the untreated and of the treated law."""
    check_amounts(data, estimand.name)
    scored = score_laws(estimand, data, nuisances)
    cells = Cells(outcome_grid(data.outcome, data.weights, FINE_GRID))
    untreated, treated = (measured(measure, cells, arm, scored.weights) for arm in scored.arms)
    return scored, untreated, treated


def check_amounts(data: CausalData, estimand: str) -> None:
    """Refuse outcomes of which shares of a total cannot be taken.

    Raises
    ------
    DataError
    """
    y = data.outcome[data.weights > 0]
    if y.min() < 0 or y.max() <= 0:
        found = f"{(y < 0).sum():,} outcomes are negative" if y.min() < 0 else "every outcome is 0"
        raise DataError(
            found,
            f"amounts of at least 0 with a positive mean for the {estimand}",
            "Ask for QTE or CDFDifference, which allow any outcome.",
            column=data.outcome_name,
        )
