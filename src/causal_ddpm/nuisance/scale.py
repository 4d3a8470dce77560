"""The scale s_a(x): how far outcomes spread around their location.

log s^2(x) is boosted with gamma deviance on squared held-out residuals r^2 (the Gaussian likelihood
of r given s, up to constants). The boosted surface l(x) is then shrunk towards a constant by a
power g chosen on held-out Gaussian likelihood:

    log s_g^2(x) = c_g + g (l(x) - mean l),   c_g = log mean(r^2 exp(-g (l - mean l)))
    g = argmin  c_g + mean g (l - mean l) = argmin c_g          on a grid from 0 to 1.2

and s never falls below .05 of the residuals' root mean square.
"""

from dataclasses import dataclass

import numpy as np

from causal_ddpm.core.protocols import Array
from causal_ddpm.nuisance.boosting import FittedTrees, TreeSettings, fit_trees

SCALE_TREES = TreeSettings(n_trees=60, learning_rate=0.05, leaves=5, min_leaf=20, loss="gamma")
_POWERS = np.linspace(0, 1.2, 13)
_FLOOR = 0.05
_SMALLEST_SQUARE = 1e-6


@dataclass(frozen=True, eq=False)
class FittedLogVariance:
    """log Var(Y | features), before shrinkage."""

    trees: FittedTrees

    def predict(self, features: Array) -> Array:
        """Log variance, shape (n,)."""
        return self.trees.predict(features)


def fit_log_variance(
    features: Array, squared_residuals: Array, weights: Array | None, seed: int
) -> FittedLogVariance:
    """Boost the log variance with gamma deviance.

    Parameters
    ----------
    features : ndarray, shape (n, q)
        What the scale may depend on (covariates, arm, location).
    squared_residuals : ndarray, shape (n,)
        Held-out residuals squared; raised to at least 1e-6 of their mean.
    weights : ndarray, shape (n,), optional
    seed : int
    """
    return FittedLogVariance(
        fit_trees(features, _raised(squared_residuals, weights), weights, SCALE_TREES, seed)
    )


@dataclass(frozen=True)
class Shrinkage:
    """log s^2 = center + power (log_variance - reference), s at least ``floor``.

    Attributes
    ----------
    power : float
        0 is a constant scale, 1 the boosted one.
    center : float
        Log variance where ``log_variance`` equals ``reference``.
    reference : float
        Mean of the log variances on which the power was chosen.
    floor : float
        Smallest scale, in units of the outcome.
    """

    power: float
    center: float
    reference: float
    floor: float

    def scale(self, log_variance: Array) -> Array:
        """s(x) in units of the outcome, shape (n,)."""
        log_s2 = self.center + self.power * (log_variance - self.reference)
        return np.maximum(np.exp(0.5 * log_s2), self.floor)


def choose_shrinkage(
    log_variance: Array, squared_residuals: Array, weights: Array | None = None
) -> Shrinkage:
    """The power with the best Gaussian likelihood on rows held out from ``log_variance``.

    Parameters
    ----------
    log_variance : ndarray, shape (n,)
        Held-out predictions of :class:`FittedLogVariance`.
    squared_residuals : ndarray, shape (n,)
    weights : ndarray, shape (n,), optional
    """
    square = _raised(squared_residuals, weights)
    reference = float(np.average(log_variance, weights=weights))
    away = log_variance - reference
    centers = [np.log(np.average(square * np.exp(-g * away), weights=weights)) for g in _POWERS]
    best = int(np.argmin(centers))
    floor = _FLOOR * float(np.sqrt(np.average(squared_residuals, weights=weights)))
    return Shrinkage(float(_POWERS[best]), float(centers[best]), reference, floor)


def _raised(squared_residuals: Array, weights: Array | None) -> Array:
    mean = float(np.average(squared_residuals, weights=weights))
    return np.maximum(squared_residuals, max(_SMALLEST_SQUARE * mean, 1e-300))
