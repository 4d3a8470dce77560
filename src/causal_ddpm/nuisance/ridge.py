"""Weighted ridge regression whose penalty is chosen by exact leave-one-out error.

With rows scaled by sqrt(w), columns and y centred, A = V'-rotated design with A'A = diag(lam):

    coef(p) = V (T'y) / (lam + p),   T = A V,   h_i(p) = w_i / sum(w) + sum_k T_ik^2 / (lam_k + p)
    loo(p) = sum_i (r_i(p) / (1 - h_i(p)))^2 / sum(w)

One eigendecomposition (of the smaller of A'A and AA') serves the whole path of penalties.
"""

from dataclasses import dataclass

import numpy as np

from causal_ddpm.core.protocols import Array

_MIN_SLACK = 0.05
"""Smallest 1 - h_i, so that a row which fits itself does not divide by zero."""


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """y = intercept + x coef, with the chosen penalty and its leave-one-out mean square."""

    intercept: float
    coef: Array
    penalty: float
    loo: float

    def predict(self, x: Array) -> Array:
        """Fitted means, shape (n,)."""
        return self.intercept + x @ self.coef


def ridge_loo(x: Array, y: Array, weights: Array, penalties: Array) -> RidgeFit:
    """Ridge of y on x with an unpenalised intercept.

    Parameters
    ----------
    x : ndarray, shape (n, p)
    y, weights : ndarray, shape (n,)
    penalties : ndarray
        Candidate penalties; the one with the least leave-one-out error wins.
    """
    total = weights.sum()
    mean_x, mean_y = weights @ x / total, weights @ y / total
    root = np.sqrt(weights)
    t, lam, v = _principal((x - mean_x) * root[:, None])
    target = (y - mean_y) * root
    projected, squares = t.T @ target, t**2
    best = RidgeFit(mean_y, np.zeros(x.shape[1]), np.inf, np.inf)
    for penalty in penalties:
        shrunk = projected / (lam + penalty)
        h = weights / total + squares @ (1 / (lam + penalty))
        loo = float(np.sum(((target - t @ shrunk) / np.maximum(1 - h, _MIN_SLACK)) ** 2) / total)
        if loo < best.loo:
            coef = v @ shrunk
            best = RidgeFit(float(mean_y - mean_x @ coef), coef, float(penalty), loo)
    return best


def _principal(a: Array) -> tuple[Array, Array, Array]:
    """T = A V (n, r), squared singular values (r,), V (p, r)."""
    n, p = a.shape
    if p <= n:
        lam, v = np.linalg.eigh(a.T @ a)
        return a @ v, np.maximum(lam, 0.0), v
    lam, u = np.linalg.eigh(a @ a.T)
    keep = lam > 1e-10 * max(lam[-1], 1e-300)
    root = np.sqrt(lam[keep])
    return u[:, keep] * root, lam[keep], a.T @ u[:, keep] / root
