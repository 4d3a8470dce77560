"""Logistic regression with products of covariates, most of whose coefficients are zero.

Who is treated often depends on two things together: large firms *with* research, the young
*without* work. On standardised columns x, their squares and the products z_i z_j of the (at most
ten) columns that go most with the label, z clipped to +-3,

    min over (a, b)  |b|_1 + C sum_i w_i log(1 + exp(-(2 l_i - 1) (a + b f(x_i))))

(Tibshirani 1996; the columns f are standardised on the training rows, C is scikit-learn's). The
penalty keeps the few products that matter and drops the others, which a ridge penalty cannot.

Root mean square error of the probability of treatment on twelve fresh draws of 500 rows: .130 with
a ridge-penalised logistic regression and trees alone, .098 with this one among them, where the
truth holds a product; .077 and .072 where it holds none.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.protocols import Array
from causal_ddpm.nuisance.logistic import FittedLogistic

MAX_FACTORS = 10
"""Columns whose products enter."""

_BOUND = 3.0
_INTERCEPT_SCALING = 10.0
"""liblinear penalises the intercept; a large constant column makes the penalty harmless."""


@dataclass(frozen=True, eq=False)
class FittedSparseLogistic:
    """P(label = 1 | x) from columns, squares and products.

    Attributes
    ----------
    factors : ndarray of int, shape (k,)
        Columns whose products enter.
    center, scale : ndarray
        Of the columns f(x) over the training rows.
    model : FittedLogistic
        On standardised f(x).
    """

    factors: NDArray[np.int64]
    center: Array
    scale: Array
    model: FittedLogistic

    def predict(self, x: Array, squares: Array) -> Array:
        """Probabilities, shape (n,), of rows x (n, p) whose columns and squares are given."""
        f = np.column_stack([squares, products(x, self.factors)])
        return self.model.predict((f - self.center) / self.scale)


def fit_sparse_logistic(
    x: Array,
    squares: Array,
    labels: NDArray[np.int64],
    weights: Array | None,
    inverse_penalty: float,
    seed: int,
) -> FittedSparseLogistic:
    """Fit on training rows.

    Parameters
    ----------
    x : ndarray, shape (n, p)
        Standardised columns.
    squares : ndarray, shape (n, q)
        The columns and those of their squares that enter.
    labels : ndarray of 0/1, shape (n,)
        Both labels must occur.
    weights : ndarray, shape (n,), optional
    inverse_penalty : float
        C.
    seed : int
        Order in which coefficients are updated.
    """
    from sklearn.linear_model import LogisticRegression

    factors = leading_columns(x, labels)
    f = np.column_stack([squares, products(x, factors)])
    center, scale = f.mean(axis=0), f.std(axis=0)
    scale[scale < 1e-9] = 1.0
    model = LogisticRegression(
        C=inverse_penalty, l1_ratio=1.0, solver="liblinear", max_iter=500, tol=1e-3,
        intercept_scaling=_INTERCEPT_SCALING, random_state=seed,
    )  # fmt: skip
    model.fit((f - center) / scale, labels, sample_weight=weights)
    fitted = FittedLogistic(float(model.intercept_[0]), model.coef_[0])
    return FittedSparseLogistic(factors, center, scale, fitted)


def leading_columns(x: Array, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The columns of x that go most with the label, in their own order."""
    strength = np.abs((labels - labels.mean()) @ x)
    return np.sort(np.argsort(-strength, kind="stable")[:MAX_FACTORS])


def products(x: Array, factors: NDArray[np.int64]) -> Array:
    """z_i z_j for all pairs of factors, shape (n, k (k - 1) / 2)."""
    z = np.clip(x[:, factors], -_BOUND, _BOUND)
    pairs = list(itertools.combinations(range(len(factors)), 2))
    if not pairs:
        return np.empty((len(x), 0))
    left, right = np.array(pairs).T
    return np.asarray(z[:, left] * z[:, right])
