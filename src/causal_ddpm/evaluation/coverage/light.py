"""Nuisances that cost milliseconds, for thousands of draws.

``oracle``: the design's own means, propensities and laws.

``light``: five folds; with z = (1, x, x^2, x^3), x standardised and cut at 2.5 either way,

    mean of arm a      ridge on z, penalty 10      (binary outcomes: logistic ridge)
    propensity         logistic ridge on z, penalty 10
    law of Y(a)        N(mean, s_a^2), s_a the sd of the training residuals, corrected for the
                       effective number of coefficients

Of more than 20 covariates, those stay whose correlation with the outcome within arms, or with the
treatment, has |t| > sqrt(2 log p), and enter linearly. So the law is wrong where the noise is not
normal or not homoskedastic, and means and propensities lack interactions. Estimators see nothing
else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtr

from causal_ddpm.core.covariates import Index
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.discrete import DiscreteLaw, RowLaw
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.nuisance.crossfit import Nuisances
from causal_ddpm.nuisance.folds import draw_folds

Array = NDArray[np.float64]
Source = Callable[[str, Any, np.random.SeedSequence], Any]
"""``(design name, draw, seed) -> nuisances``."""

N_FOLDS = 5
PENALTY = 10.0
REACH = 2.5
MANY = 20
_NEWTON_STEPS = 8


@dataclass(frozen=True, eq=False)
class DesignLaw:
    """The true law of Y(arm) given each row: what estimators read of a law, and no more."""

    design: Any
    x: Array
    arm: int

    def __len__(self) -> int:
        return len(self.x)

    def is_finite(self) -> bool:
        """Known laws are."""
        return True

    def rows(self, index: Index) -> DesignLaw:
        """The law of a subset of rows."""
        return DesignLaw(self.design, self.x[index], self.arm)

    def mean(self) -> Array:
        """Mean of each row's law, shape (n,)."""
        return np.asarray(self.design.mean(self.x, self.arm))

    def cdf(self, y: ArrayLike) -> Array:
        """F_i(y) on a grid (G,) or (n, G), shape (n, G)."""
        return np.asarray(self.design.cdf(self.x, self.arm, np.atleast_1d(y)))


@dataclass(frozen=True, eq=False)
class NormalLaw:
    """N(center, sd^2) for n rows: what estimators read of a law, and no more."""

    center: Array
    sd: Array

    def __len__(self) -> int:
        return len(self.center)

    def is_finite(self) -> bool:
        """Whether means and standard deviations are."""
        return bool(np.isfinite(self.center).all() and np.isfinite(self.sd).all())

    def rows(self, index: Index) -> NormalLaw:
        """The law of a subset of rows."""
        return NormalLaw(self.center[index], self.sd[index])

    def mean(self) -> Array:
        """Mean of each row's law, shape (n,)."""
        return self.center

    def cdf(self, y: ArrayLike) -> Array:
        """F_i(y) on a grid (G,) or (n, G), shape (n, G)."""
        grid = np.atleast_1d(np.asarray(y, dtype=float))
        return np.asarray(ndtr((grid - self.center[:, None]) / self.sd[:, None]))


def oracle(design: str, draw: Any, seed: np.random.SeedSequence) -> Nuisances:
    """The truth at every row."""
    known, x = design_by_name(design), draw.data.covariates.values
    laws = [DesignLaw(known, x, a) for a in (0, 1)]
    return _record(draw.data, draw.mean, draw.propensity, laws, seed, "oracle")


def light(design: str, draw: Any, seed: np.random.SeedSequence) -> Nuisances:
    """Ridge and logistic regression on covariates and their squares, out of fold."""
    data: CausalData = draw.data
    folds = draw_folds(data, N_FOLDS, seed)
    y, d, x = data.outcome, data.treatment, data.covariates.values
    binary = data.outcome_schema.kind == "binary"
    mean, sd, e = np.empty((data.n, 2)), np.empty((data.n, 2)), np.empty(data.n)
    for k in range(N_FOLDS):
        own, rest = folds == k, folds != k
        kept = screened(x[rest], d[rest], y[rest])
        z, z_own = basis(x[rest][:, kept], x[own][:, kept], 3 if len(kept) == x.shape[1] else 1)
        e[own] = expit(z_own @ logistic_ridge(z, d[rest].astype(float)))
        for a in (0, 1):
            arm = d[rest] == a
            z_a, y_a = z[arm], y[rest][arm]
            if binary:
                mean[own, a] = expit(z_own @ logistic_ridge(z_a, y_a))
            else:
                beta, sd[own, a] = ridge(z_a, y_a)
                mean[own, a] = z_own @ beta
    laws = [
        DiscreteLaw(np.array([0.0, 1.0]), np.column_stack([1 - mean[:, a], mean[:, a]]))
        if binary
        else NormalLaw(mean[:, a], sd[:, a])
        for a in (0, 1)
    ]
    return _record(data, mean, np.column_stack([1 - e, e]), laws, seed, "light")


SOURCES: Mapping[str, Source] = {"oracle": oracle, "light": light}
"""Nuisances of a binary treatment, by name."""


def ridge(z: Array, y: Array) -> tuple[Array, float]:
    """Coefficients of a ridge regression, first column not penalised, and its residual sd."""
    gram = z.T @ z
    penalised = gram + _penalty(z.shape[1])
    solved = np.linalg.solve(penalised, np.column_stack([z.T @ y, gram]))
    beta: Array = np.asarray(solved[:, 0])
    hat = float(np.trace(solved[:, 1:]))
    residual = y - z @ beta
    return beta, float(np.sqrt(residual @ residual / max(len(y) - hat, 1.0)))


def logistic_ridge(z: Array, y: Array) -> Array:
    """Coefficients of a ridge-penalised logistic regression, by Newton's method."""
    beta, penalty = np.zeros(z.shape[1]), _penalty(z.shape[1])
    for _ in range(_NEWTON_STEPS):
        p = expit(z @ beta)
        hessian = (z * (p * (1 - p))[:, None]).T @ z + penalty
        beta = beta + np.linalg.solve(hessian, z.T @ (y - p) - penalty @ beta)
    return beta


def _penalty(p: int) -> Array:
    penalty = PENALTY * np.eye(p)
    penalty[0, 0] = 1e-8
    return penalty


def screened(x: Array, d: NDArray[np.int64], y: Array) -> NDArray[np.int64]:
    """Columns that outcome or treatment have to do with; all of them where they are few."""
    n, p = x.shape
    if p <= MANY:
        return np.arange(p)
    within = y - np.where(d == 1, y[d == 1].mean(), y[d == 0].mean())
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    t = np.zeros(p)
    for v in (within, d - d.mean()):
        r = z.T @ v / (n * v.std())
        t = np.maximum(t, np.abs(r) * np.sqrt((n - 2) / (1 - r**2)))
    return np.flatnonzero(t >= min(np.sqrt(2 * np.log(p)), t.max()))


def basis(x: Array, x_own: Array, degree: int) -> tuple[Array, Array]:
    """Constant and powers for training rows and for the fold, standardised by the former."""
    center, scale = x.mean(axis=0), x.std(axis=0)
    both = [np.clip((v - center) / scale, -REACH, REACH) for v in (x, x_own)]
    z, z_own = (np.hstack([v**k for k in range(1, degree + 1)]) for v in both)
    center, scale = z.mean(axis=0), z.std(axis=0)
    return _with_constant((z - center) / scale), _with_constant((z_own - center) / scale)


def _with_constant(z: Array) -> Array:
    return np.hstack([np.ones((len(z), 1)), z])


def _record(
    data: CausalData,
    mean: Array,
    propensity: Array,
    laws: list[Any],
    seed: np.random.SeedSequence,
    method: str,
) -> Nuisances:
    return Nuisances(
        fold_ids=draw_folds(data, N_FOLDS, seed),
        mean=mean,
        propensity=propensity,
        laws=cast("tuple[RowLaw, ...]", tuple(laws)),
        fingerprint=data.fingerprint,
        method=method,
    )
