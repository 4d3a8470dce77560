"""Ridge regression per arm with a learnt link and a borrowed index.

Arm a follows a generalised ridge with one link parameter k:

    y = al + g_k(eta) + noise,   eta = x'w,   g_k(eta) = (exp(k eta) - 1) / k

k = 0 is the linear model, k > 0 an exponential, k < 0 a saturating surface. (al, w, k) minimise
sum_i w_i (y_i - al - g_k(x_i'w))^2 + lam |w|^2 + .02 lam k^2 by Levenberg-Marquardt, along a
falling path of lam chosen by linearised leave-one-out error.

*Cross index*: a second pass gives each arm the other arm's index eta as one nearly unpenalised
column. That index was fitted on other rows, hence is out of sample by construction, and it lends
the direction learnt in the bigger arm to the smaller one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.protocols import Array
from causal_ddpm.nuisance.ridge import ridge_loo

_PATH = np.logspace(-0.5, 2.5, 6)
_CROSS_PATH = np.logspace(-0.5, 3.5, 8)
_LINK_BOUND = 3.0
_CROSS_FACTOR = 0.01
_MAX_AXES = 100


@dataclass(frozen=True, eq=False)
class IndexModel:
    """y = intercept + g_link(x coef); link 0 is the linear model."""

    intercept: float
    coef: Array
    link: float = 0.0

    def index(self, x: Array) -> Array:
        """The index eta = x coef, shape (n,)."""
        return x @ self.coef

    def predict(self, x: Array) -> Array:
        """Means, shape (n,)."""
        return self.intercept + link_function(self.link, self.index(x))[0]


@dataclass(frozen=True, eq=False)
class FittedLinkRidge:
    """Each arm's model; ``cross`` holds each arm's second-pass model and its index scale."""

    axes: Array | None
    arms: tuple[IndexModel, ...]
    cross: tuple[tuple[IndexModel, float], ...] | None

    def predict(self, x: Array) -> Array:
        """Means under each arm, shape (n, 2), or (n, 1) when there is one."""
        z = x if self.axes is None else x @ self.axes
        if self.cross is None:
            return np.column_stack([model.predict(z) for model in self.arms])
        return np.column_stack(
            [
                model.predict(_with_index(z, self.arms[1 - arm], scale))
                for arm, (model, scale) in enumerate(self.cross)
            ]
        )


@dataclass(frozen=True)
class LinkRidge:
    """Ridge per arm, optionally with a learnt link and the other arm's index.

    Parameters
    ----------
    name : str
        Name in the stack: ``linkX`` with link and cross index, ``linT`` with neither.
    link : bool
        Learn the link parameter k; otherwise the model is linear.
    cross_index : bool
        Second pass with the other arm's index as a column.

    Notes
    -----
    With more than 100 columns the linked model works on the 100 leading principal axes of the
    training rows; the linear one always uses all columns.
    """

    name: str = "linkX"
    link: bool = True
    cross_index: bool = True

    def fit(
        self, x: Array, arm: NDArray[np.int64], y: Array, weights: Array | None, seed: int
    ) -> FittedLinkRidge:
        """Fit each arm; deterministic, ``seed`` is not used."""
        w = np.ones(len(y)) if weights is None else weights
        axes = _principal_axes(x) if self.link and x.shape[1] > _MAX_AXES else None
        z = x if axes is None else x @ axes
        rows = [np.flatnonzero(arm == a) for a in range(int(arm.max()) + 1)]
        first = tuple(self._fit_arm(z[i], y[i], w[i]) for i in rows)
        if not self.cross_index or len(first) == 1:
            return FittedLinkRidge(axes, first, None)
        cross = tuple(self._fit_cross(z, i, y, w, first[1 - a]) for a, i in enumerate(rows))
        return FittedLinkRidge(axes, first, cross)

    def _fit_arm(self, x: Array, y: Array, weights: Array) -> IndexModel:
        if self.link:
            return fit_link(x, y, weights, np.ones(x.shape[1]), _PATH)
        ridge = ridge_loo(x, y, weights, _PATH)
        return IndexModel(ridge.intercept, ridge.coef)

    def _fit_cross(
        self, x: Array, rows: NDArray[np.int64], y: Array, weights: Array, other: IndexModel
    ) -> tuple[IndexModel, float]:
        scale = float(other.index(x).std()) + 1e-9
        design = _with_index(x[rows], other, scale)
        factors = np.r_[_CROSS_FACTOR, np.ones(x.shape[1])]
        if self.link:
            return fit_link(design, y[rows], weights[rows], factors, _CROSS_PATH), scale
        stretch = 1 / np.sqrt(factors)
        ridge = ridge_loo(design * stretch, y[rows], weights[rows], _CROSS_PATH)
        return IndexModel(ridge.intercept, ridge.coef * stretch), scale


def link_function(k: float, eta: Array) -> tuple[Array, Array, Array]:
    """g_k(eta) and its derivatives in eta and in k; k eta is held within [-12, 7]."""
    if abs(k) < 1e-4:
        return eta + k * eta**2 / 2, 1 + k * eta, eta**2 / 2 + k * eta**3 / 3
    e = np.exp(np.clip(k * eta, -12, 7))
    return (e - 1) / k, e, (eta * e * k - (e - 1)) / k**2


@dataclass(frozen=True, eq=False)
class _Problem:
    """Penalised least squares in theta = (al, w, k), rows scaled by the root of their weight."""

    x: Array
    y: Array
    root: Array
    penalty: Array

    def residual(self, theta: Array) -> tuple[Array, Array, Array]:
        """Scaled residual and derivatives of g in eta and in k, all shape (n,)."""
        g, slope, by_k = link_function(theta[-1], self.x @ theta[1:-1])
        return self.root * (self.y - theta[0] - g), slope, by_k

    def objective(self, theta: Array, r: Array) -> float:
        return float(r @ r + self.penalty @ theta**2)

    def jacobian(self, slope: Array, by_k: Array) -> Array:
        columns = [np.ones(len(slope)), self.x * slope[:, None], by_k]
        return np.column_stack(columns) * self.root[:, None]


def fit_link(x: Array, y: Array, weights: Array, factors: Array, path: Array) -> IndexModel:
    """Link ridge along a path of penalties, the best by linearised leave-one-out error.

    Parameters
    ----------
    x : ndarray, shape (n, p)
    y, weights : ndarray, shape (n,)
    factors : ndarray, shape (p,)
        Penalty factor of each coefficient.
    path : ndarray
        Penalties, tried from the largest to the smallest, each starting from the one before.
    """
    theta = np.r_[np.average(y, weights=weights), np.zeros(x.shape[1] + 1)]
    best, best_loo = theta, np.inf
    for lam in sorted(path, reverse=True):
        problem = _Problem(x, y, np.sqrt(weights), np.r_[1e-9, lam * factors, 0.02 * lam])
        *_, theta = _levenberg_marquardt(problem, theta)
        loo = _linearised_loo(problem, theta)
        if loo < best_loo:
            best, best_loo = theta, loo
    return IndexModel(float(best[0]), best[1:-1], float(best[-1]))


def _levenberg_marquardt(problem: _Problem, theta: Array, steps: int = 12) -> Iterator[Array]:
    """Successive iterates with falling objective, the start included."""
    r, slope, by_k = problem.residual(theta)
    value, damping = problem.objective(theta, r), 1e-3
    yield theta
    for _ in range(steps):
        j = problem.jacobian(slope, by_k)
        hessian = j.T @ j + np.diag(problem.penalty)
        gradient = j.T @ r - problem.penalty * theta
        for _ in range(6):
            trial = theta + np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), gradient)
            trial[-1] = np.clip(trial[-1], -_LINK_BOUND, _LINK_BOUND)
            state = problem.residual(trial)
            new = problem.objective(trial, state[0])
            if new < value:
                break
            damping = max(8 * damping, 1e-6)
        else:
            return
        gain, theta, value, (r, slope, by_k) = value - new, trial, new, state
        damping = max(damping / 10, 1e-9)
        yield theta
        if gain < 1e-4 * value:
            return


def _linearised_loo(problem: _Problem, theta: Array) -> float:
    r, slope, by_k = problem.residual(theta)
    j = problem.jacobian(slope, by_k)
    hessian = j.T @ j + np.diag(problem.penalty)
    h = np.einsum("ij,ji->i", j, np.linalg.solve(hessian, j.T))
    return float(np.sum((r / np.maximum(1 - h, 0.05)) ** 2))


def _with_index(x: Array, other: IndexModel, scale: float) -> Array:
    return np.column_stack([other.index(x) / scale, x])


def _principal_axes(x: Array) -> Array:
    """Leading right singular vectors of the columns, shape (p, at most 100)."""
    _, v = np.linalg.eigh(x.T @ x)
    return v[:, ::-1][:, : min(_MAX_AXES, len(x))]
