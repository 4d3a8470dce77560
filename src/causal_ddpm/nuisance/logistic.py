"""Penalised logistic regression on standardised columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.protocols import Array

_NEWTON_COLUMNS = 100
"""Up to here Newton steps with a Cholesky solve are quicker than L-BFGS."""


@dataclass(frozen=True, eq=False)
class FittedLogistic:
    """P(label = 1 | x) = 1 / (1 + exp(-(intercept + x coef)))."""

    intercept: float
    coef: Array

    def predict(self, x: Array) -> Array:
        """Probabilities, shape (n,)."""
        return expit(self.intercept + x @ self.coef)


def fit_logistic(
    x: Array, labels: NDArray[np.int64], weights: Array | None, inverse_penalty: float
) -> FittedLogistic:
    """Minimise |coef|^2 / 2 + inverse_penalty sum_i w_i loss_i; the intercept is free.

    Parameters
    ----------
    x : ndarray, shape (n, p)
        Standardised columns.
    labels : ndarray of 0/1, shape (n,)
        Both labels must occur.
    weights : ndarray, shape (n,), optional
    inverse_penalty : float
        scikit-learn's ``C``.
    """
    from sklearn.linear_model import LogisticRegression

    solver = "newton-cholesky" if x.shape[1] <= _NEWTON_COLUMNS else "lbfgs"
    model = LogisticRegression(C=inverse_penalty, solver=solver, max_iter=2000, tol=1e-5)
    model.fit(x, labels, sample_weight=weights)
    return FittedLogistic(float(model.intercept_[0]), model.coef_[0])


def expit(z: Array) -> Array:
    """1 / (1 + exp(-z)), without overflow."""
    return 0.5 * (1 + np.tanh(z / 2))


def logit(p: Array) -> Array:
    """log(p / (1 - p))."""
    return np.log(p) - np.log1p(-p)
