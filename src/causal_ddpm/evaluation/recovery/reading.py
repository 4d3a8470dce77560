"""One analysis for all rows: generated ones, the real ones, and fresh draws of the true process.

With rows (x_i, a_i, y_i), two folds (copies of a row in one) and boosted trees throughout,

    m_a(x)    regression of y in arm a, learnt on the other fold (mean of both for new x)
    e_a(x)    probability of arm a, likewise, kept above .01
    q_u(x, a) quantile regression in arm a, on all rows, at u = .1, .5, .9
    mean effect of arm a: average of m_a - m_0 + 1{a_i = a} (y_i - m_a) / e_a - 1{a_i = 0} (...)
    law of Y(a): the outcomes of arm a with weights 1 / e_a

(cross-fitted AIPW and inverse-probability weights: Chernozhukov et al. 2018; Firpo 2007). A fitted
generator that can set the treatment is asked for m_a and q_u directly, by its draws.

**Yardstick.** The same analysis of R fresh draws of n rows says how far from the truth n rows of
the process itself end up. With the errors r_1, ..., r_R of a number, its allowance is

    2.6 sqrt(mean r^2)           where it has a sign (an effect, a slope)
    mean r + 2.6 sd r            where it has none (a distance, a root mean square error)

which about one draw in a hundred exceeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from causal_ddpm.core.random import Seed, integer_seed, stream
from causal_ddpm.evaluation.fidelity import DISTINCT
from causal_ddpm.evaluation.recovery.known import LEVELS, Comparison
from causal_ddpm.nuisance.boosting import TreeSettings, boosting_backend, fit_trees
from causal_ddpm.nuisance.propensity import fit_calibration

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

FLOOR = 0.01
"""Estimated propensities stay above it."""

EFFECT_LEVELS = (0.25, 0.5, 0.75)
"""Quantile effects that are compared."""

_N_FOLDS = 2
_MIN_ROWS = 10
MEAN_TREES = TreeSettings(n_trees=80, learning_rate=0.1, leaves=12, min_leaf=15)
_ARM_TREES = TreeSettings(n_trees=60, learning_rate=0.06, leaves=12, min_leaf=15, loss="binary")


@dataclass(frozen=True, eq=False)
class Reading:
    """What an analysis reads off rows.

    Parameters
    ----------
    codes, y : ndarray, shape (n,)
        Arms and outcomes.
    mean : ndarray, shape (n, A)
        Out-of-fold m_a(x_i).
    propensity : ndarray, shape (n, A)
        Out-of-fold e_a(x_i).
    mean_at, propensity_at : ndarray, shape (M, A)
        The same at the points of comparison.
    quantiles_at : ndarray, shape (M, A, 3), or None
    slopes : ndarray, shape (A,), or None
        b of the logistic regression logit P(a_i = a) = c + b logit P(D = a | x_i) on the true
        probability, where the design states it at any covariates.
    """

    codes: Codes
    y: Array
    mean: Array
    propensity: Array
    mean_at: Array
    propensity_at: Array
    quantiles_at: Array | None = None
    slopes: Array | None = None

    @property
    def residuals(self) -> Array:
        """y - m_a(x) in each row's own arm, shape (n,)."""
        return self.y - self.mean[np.arange(len(self.y)), self.codes]

    def effect(self, arm: int) -> float:
        """Mean effect of an arm against the control on all units."""
        return float((self._score(arm) - self._score(0)).mean())

    def effect_on_treated(self, arm: int = 1) -> float:
        """Mean effect of an arm against the control on its own units."""
        own, control = self.codes == arm, self.codes == 0
        odds = self.propensity[:, arm] / self.propensity[:, 0]
        left = self.y - self.mean[:, 0]
        total = (own * left - control * odds * left).sum()
        return float(total / max(int(own.sum()), 1))

    def law(self, arm: int) -> tuple[Array, Array]:
        """Outcomes of an arm and their weights, which stand for the law of Y(arm)."""
        own = self.codes == arm
        if not own.any():
            return self.y, np.ones_like(self.y)
        return self.y[own], 1 / self.propensity[own, arm]

    def quantile_effects(self, arm: int) -> Array:
        """Quantiles of Y(arm) less those of Y(0), at EFFECT_LEVELS."""
        return np.asarray(weighted(*self.law(arm)) - weighted(*self.law(0)))

    def _score(self, arm: int) -> Array:
        own = self.codes == arm
        m, e = self.mean[:, arm], self.propensity[:, arm]
        return m + own * (self.y - m) / e


def read(
    frame: pd.DataFrame,
    comparison: Comparison,
    points: Array,
    random_state: Seed,
    quantiles: bool = True,
) -> Reading:
    """Analyse rows.

    Parameters
    ----------
    frame : DataFrame
    comparison : Comparison
    points : ndarray, shape (M, p)
        Encoded covariates at which functions are compared.
    random_state : int, SeedSequence or None
    quantiles : bool
        Whether to learn conditional quantiles too.
    """
    codes = comparison.codes(frame)
    frame, codes = frame[codes >= 0], codes[codes >= 0]
    x, y, arms = comparison.encoding.matrix(frame), comparison.outcome(frame), comparison.labels
    folds = _folds(np.column_stack([x, codes, y]), random_state)
    mean, e = np.empty((len(y), len(arms))), np.empty((len(y), len(arms)))
    mean_at, e_at = (np.zeros((len(points), len(arms))) for _ in range(2))
    for k in range(_N_FOLDS):
        rest, own = folds != k, folds == k
        both = np.vstack([x[own], points])
        seed = integer_seed(random_state, "trees", k)
        m = np.column_stack(
            [_mean(x[rest & (codes == a)], y[rest & (codes == a)], both, seed, float(y.mean()))
             for a in range(len(arms))]
        )  # fmt: skip
        p = _probabilities(x[rest], codes[rest], len(arms), both, seed)
        mean[own], e[own] = m[: own.sum()], p[: own.sum()]
        mean_at += m[own.sum() :] / _N_FOLDS
        e_at += p[own.sum() :] / _N_FOLDS
    found = None
    if quantiles:
        seed = integer_seed(random_state, "quantile trees")
        found = np.stack([_quantiles(x, y, codes == a, points, seed) for a in range(len(arms))], 1)
    return Reading(codes, y, mean, e, mean_at, e_at, found, _slopes(frame, codes, comparison))


def weighted(y: Array, weights: Array, levels: Sequence[float] = EFFECT_LEVELS) -> Array:
    """Quantiles of weighted outcomes."""
    order = np.argsort(y, kind="stable")
    mass = np.cumsum(weights[order])
    return np.interp(levels, (mass - weights[order] / 2) / mass[-1], y[order])


def signed_allowance(errors: Sequence[float]) -> float:
    """2.6 root mean squares of errors that have a sign."""
    return DISTINCT * float(np.sqrt(np.mean(np.square(errors))))


def allowance(errors: Sequence[float]) -> float:
    """Mean and 2.6 standard deviations of errors that have none."""
    return float(np.mean(errors) + DISTINCT * np.std(errors, ddof=1))


def rms(values: Array) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def _folds(rows: Array, random_state: Seed) -> Codes:
    """Folds in which copies of a row stay together."""
    group = np.unique(rows, axis=0, return_inverse=True)[1].ravel()
    return stream(random_state, "folds").permutation(int(group.max()) + 1)[group] % _N_FOLDS


def _slopes(frame: pd.DataFrame, codes: Codes, comparison: Comparison) -> Array | None:
    if comparison.propensity is None:
        return None
    true = comparison.propensity(frame)
    return np.array(
        [fit_calibration(p, (codes == a).astype(np.int64), None)[1] for a, p in enumerate(true.T)]
    )


def _mean(x: Array, y: Array, at: Array, seed: int, otherwise: float) -> Array:
    if len(y) < _MIN_ROWS:
        return np.full(len(at), y.mean() if len(y) else otherwise)
    return fit_trees(x, y, None, MEAN_TREES, seed).predict(at)


def _probabilities(x: Array, codes: Codes, n_arms: int, at: Array, seed: int) -> Array:
    """Probabilities of the arms, one fitted against the others; of two arms the second alone."""
    p = np.zeros((len(at), n_arms))
    for a in range(1, 2) if n_arms == 2 else range(n_arms):
        own = codes == a
        if own.all() or not own.any():
            p[:, a] = own.mean()
        else:
            p[:, a] = expit(fit_trees(x, own.astype(float), None, _ARM_TREES, seed).predict(at))
    if n_arms == 2:
        p[:, 0] = 1 - p[:, 1]
    p = np.maximum(p, FLOOR)
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _quantiles(x: Array, y: Array, own: NDArray[np.bool_], points: Array, seed: int) -> Array:
    """Quantiles at LEVELS, sorted, shape (M, 3)."""
    if own.sum() < _MIN_ROWS:
        return np.broadcast_to(np.quantile(y, LEVELS), (len(points), len(LEVELS)))
    found = [_quantile_trees(u, seed).fit(x[own], y[own]).predict(points) for u in LEVELS]
    return np.sort(np.column_stack(found), axis=1)


def _quantile_trees(level: float, seed: int) -> Any:
    """Boosted trees for one quantile: LightGBM, or scikit-learn where it is missing."""
    if boosting_backend() == "lightgbm":
        from lightgbm import LGBMRegressor

        return LGBMRegressor(
            objective="quantile", alpha=level, n_estimators=60, learning_rate=0.1, num_leaves=12,
            min_child_samples=15, random_state=seed, n_jobs=1, deterministic=True, verbose=-1,
        )  # fmt: skip
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        loss="quantile", quantile=level, max_iter=60, max_leaf_nodes=12, min_samples_leaf=15,
        early_stopping=False, random_state=seed,
    )  # fmt: skip
