"""The probability of a label given covariates, and the propensity P(A = a | X) made of it.

    p(x) = calibrate( v_1 p_logistic(x) + v_2 p_trees(x) + v_3 p_sparse(x) ),   v_1 + v_2 + v_3 = 1

p_logistic is a ridge-penalised logistic regression on the covariates and their squares, p_trees a
small boosted ensemble with logistic deviance, p_sparse a lasso-penalised logistic regression that
has products of covariates too (:mod:`causal_ddpm.nuisance.sparse_logistic`; the propensity has it,
the probabilities of outcomes do without, v_3 = 0). Penalties, mixing weights and the calibration

    logit p_calibrated = a + b logit p,   min -log likelihood + 5 (a^2 + (b - 1)^2)

are chosen by held-out likelihood on an inner split of the training rows alone: no row is scored by
a probability that it helped to choose. (The clipping of denominators is the scores' business; here
probabilities only stay 1e-6 away from 0 and 1.)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.core.data import CausalData, read_covariates
from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.protocols import Array
from causal_ddpm.core.random import Seed, integer_seed, stream
from causal_ddpm.core.treatment import require_binary
from causal_ddpm.nuisance.boosting import (
    FittedTrees,
    TreeSettings,
    boosting_backend,
    boosting_note,
    fit_trees,
)
from causal_ddpm.nuisance.encoding import Encoder, FittedEncoder
from causal_ddpm.nuisance.folds import cluster_folds, stratified_folds
from causal_ddpm.nuisance.logistic import FittedLogistic, expit, fit_logistic, logit
from causal_ddpm.nuisance.sparse_logistic import FittedSparseLogistic, fit_sparse_logistic

PROBABILITY_TREES = TreeSettings(
    n_trees=60, learning_rate=0.05, leaves=6, min_leaf=15, loss="binary"
)
GUARD = 1e-6
"""Probabilities stay this far from 0 and 1."""

_SQUARE_BOUND = 4.0
_ROWS_PER_SQUARE = 10
_MIN_PER_FOLD = 2
_CALIBRATION_PULL = 10.0
_SHARES = np.linspace(0, 1, 11)
_HALF_SHARE = 0.05
_WITH_SPARSE = 3
_LOGISTIC_ALONE = (1.0, 0.0, 0.0)
SPARSE_PENALTIES = (0.03, 0.06, 0.12, 0.25, 0.5)
"""Candidates of the propensity's sparse part."""

_Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FittedProbabilityMix:
    """P(label = 1 | x) learnt on training rows.

    Attributes
    ----------
    encoder : FittedEncoder
    squared : ndarray of int
        Features whose square enters the logistic part.
    logistic, trees, sparse : fitted parts, or None where their weight is zero
    mix : tuple of float
        Weights v of the logistic, the boosted and the sparse part.
    calibration : tuple of float
        Intercept a and slope b.
    constant : float
        Probability where the label did not vary: (sum + 1/2) / (n + 1).
    report : mapping
        Choices made and held-out losses.
    """

    encoder: FittedEncoder
    squared: NDArray[np.int64]
    logistic: FittedLogistic | None
    trees: FittedTrees | None
    mix: tuple[float, float, float]
    calibration: tuple[float, float]
    constant: float
    report: Mapping[str, Any]
    sparse: FittedSparseLogistic | None = None

    def predict(self, covariates: Covariates, extra: Array | None = None) -> Array:
        """P(label = 1), shape (n,), within [1e-6, 1 - 1e-6]."""
        if self.logistic is None:
            return np.full(len(covariates), self.constant)
        x = _features(self.encoder, covariates, extra)
        squares = _with_squares(x, self.squared)
        p = self.mix[0] * self.logistic.predict(squares)
        if self.trees is not None:
            p = p + self.mix[1] * expit(self.trees.predict(x))
        if self.sparse is not None:
            p = p + self.mix[2] * self.sparse.predict(x, squares)
        return _calibrated(p, self.calibration)


@dataclass(frozen=True)
class ProbabilityMix:
    """Held-out-likelihood mix of a logistic regression and boosted trees, for any 0/1 label.

    Parameters
    ----------
    inverse_penalties : tuple of float
        Candidates for the logistic part (scikit-learn's ``C``).
    sparse_penalties : tuple of float
        Candidates for the sparse part; without any there is none.
    trees : TreeSettings
        The boosted part.
    inner_folds : int
        Folds inside the training rows on which penalty, mix and calibration are chosen.
    encoder : Encoder
    """

    inverse_penalties: tuple[float, ...] = (0.01, 0.1, 1.0)
    sparse_penalties: tuple[float, ...] = ()
    trees: TreeSettings = PROBABILITY_TREES
    inner_folds: int = 3
    encoder: Encoder = field(default_factory=Encoder)

    def fit(
        self,
        covariates: Covariates,
        labels: _Labels,
        weights: Array | None,
        seed: int,
        extra: Array | None = None,
        clusters: NDArray[np.int64] | None = None,
    ) -> FittedProbabilityMix:
        """Fit on training rows.

        Parameters
        ----------
        covariates : Covariates, n rows
        labels : ndarray of 0/1, shape (n,)
        weights : ndarray, shape (n,), optional
        seed : int
        extra : ndarray, shape (n, m), optional
            Further numeric columns (for example arm indicators), used as they are.
        clusters : ndarray of int, shape (n,), optional
            Inner folds keep equal values together.
        """
        labels = np.asarray(labels, dtype=np.int64)
        w = None if weights is None else weights / weights.mean()
        encoder = self.encoder.fit(covariates, w)
        x = _features(encoder, covariates, extra)
        constant = float((labels.sum() + 0.5) / (len(labels) + 1))
        rarest = int(np.bincount(labels, minlength=2).min())
        if rarest == 0:
            report = {"mix": _LOGISTIC_ALONE[0], "constant": constant}
            return FittedProbabilityMix(
                encoder, np.empty(0, np.int64), None, None, _LOGISTIC_ALONE, (0.0, 1.0), constant,
                report,
            )  # fmt: skip
        rows = _Rows(x, _square_columns(x), labels, w, seed)
        choice = self._choose(rows, rarest, clusters)
        logistic = rows.logistic(choice.inverse_penalty)
        trees = rows.boosted(self.trees) if choice.mix[1] > 0 else None
        sparse = rows.sparse(choice.sparse_penalty) if choice.mix[2] > 0 else None
        return FittedProbabilityMix(
            encoder,
            rows.squared,
            logistic,
            trees,
            choice.mix,
            choice.calibration,
            constant,
            choice.report(),
            sparse,
        )

    def _choose(self, rows: "_Rows", rarest: int, clusters: NDArray[np.int64] | None) -> "_Choice":
        """Penalty, mix and calibration by likelihood on inner held-out rows."""
        n_folds = min(self.inner_folds, rarest // _MIN_PER_FOLD)
        folds = _inner_folds(rows, n_folds, clusters)
        if folds is None:
            least = min(self.inverse_penalties)
            return _Choice(least, 0.0, _LOGISTIC_ALONE, (0.0, 1.0), float("nan"))
        n, sparse = len(rows.labels), self.sparse_penalties
        linear, lasso = np.empty((n, len(self.inverse_penalties))), np.empty((n, len(sparse)))
        boosted = np.empty(n)
        for k in np.unique(folds):
            train, test = rows.subset(folds != k), rows.subset(folds == k)
            for j, c in enumerate(self.inverse_penalties):
                linear[folds == k, j] = train.logistic(c).predict(test.squares)
            for j, c in enumerate(sparse):
                lasso[folds == k, j] = train.sparse(c).predict(test.x, test.squares)
            boosted[folds == k] = expit(train.boosted(self.trees).predict(test.x))
        best, best_sparse = _least(rows, linear), _least(rows, lasso) if sparse else 0
        parts = [linear[:, best], boosted, *([lasso[:, best_sparse]] if sparse else [])]
        mix, mixed = _best_mix(rows, parts)
        calibration = fit_calibration(mixed, rows.labels, rows.weights)
        return _Choice(
            self.inverse_penalties[best], sparse[best_sparse] if sparse else 0.0, mix, calibration,
            rows.loss(mixed),
        )  # fmt: skip


def _least(rows: "_Rows", candidates: Array) -> int:
    """Position of the column of least held-out loss."""
    return int(np.argmin([rows.loss(p) for p in candidates.T]))


def _best_mix(rows: "_Rows", parts: list[Array]) -> tuple[tuple[float, float, float], Array]:
    """Weights of two or three parts, in tenths, of least held-out loss, and the mixture."""
    shares = _SHARES if len(parts) == _WITH_SPARSE else _SHARES[:1]
    mixes = [
        (float(v1), max(0.0, round(float(1 - v1 - v3), 12)) if v3 else float(1 - v1), float(v3))
        for v1 in _SHARES
        for v3 in shares
        if v1 + v3 < 1 + _HALF_SHARE
    ]
    mixed = [sum(v * p for v, p in zip(mix, parts, strict=False)) for mix in mixes]
    best = int(np.argmin([rows.loss(np.asarray(p)) for p in mixed]))
    return mixes[best], np.asarray(mixed[best])


@dataclass(frozen=True)
class _Choice:
    inverse_penalty: float
    sparse_penalty: float
    mix: tuple[float, float, float]
    calibration: tuple[float, float]
    inner_loss: float

    def report(self) -> dict[str, float]:
        return {
            "inverse_penalty": self.inverse_penalty, "mix": self.mix[0],
            "mix_trees": self.mix[1], "mix_sparse": self.mix[2],
            "sparse_penalty": self.sparse_penalty,
            "calibration_intercept": self.calibration[0], "calibration_slope": self.calibration[1],
            "inner_log_loss": self.inner_loss,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Rows:
    """Encoded rows with labels."""

    x: Array
    squared: NDArray[np.int64]
    labels: _Labels
    weights: Array | None
    seed: int

    @property
    def squares(self) -> Array:
        return _with_squares(self.x, self.squared)

    def subset(self, rows: NDArray[np.bool_]) -> "_Rows":
        w = None if self.weights is None else self.weights[rows]
        return _Rows(self.x[rows], self.squared, self.labels[rows], w, self.seed)

    def logistic(self, inverse_penalty: float) -> FittedLogistic:
        return fit_logistic(self.squares, self.labels, self.weights, inverse_penalty)

    def sparse(self, inverse_penalty: float) -> FittedSparseLogistic:
        return fit_sparse_logistic(
            self.x, self.squares, self.labels, self.weights, inverse_penalty, self.seed
        )

    def boosted(self, trees: TreeSettings) -> FittedTrees:
        return fit_trees(self.x, self.labels.astype(float), self.weights, trees, self.seed)

    def loss(self, p: Array) -> float:
        return log_loss(p, self.labels, self.weights)


def log_loss(p: Array, labels: _Labels, weights: Array | None = None) -> float:
    """Mean negative log likelihood of 0/1 labels."""
    q = np.clip(np.where(labels == 1, p, 1 - p), GUARD, 1)
    return float(-np.average(np.log(q), weights=weights))


def fit_calibration(p: Array, labels: _Labels, weights: Array | None) -> tuple[float, float]:
    """(a, b) of logit p' = a + b logit p, pulled towards (0, 1) with the weight of a few rows."""
    z = logit(np.clip(p, GUARD, 1 - GUARD))
    design = np.column_stack([np.ones_like(z), z])
    w = np.ones_like(z) if weights is None else weights
    start = np.array([0.0, 1.0])
    theta = start.copy()
    for _ in range(50):
        q = expit(design @ theta)
        gradient = design.T @ (w * (q - labels)) + _CALIBRATION_PULL * (theta - start)
        hessian = (design * (w * q * (1 - q))[:, None]).T @ design + _CALIBRATION_PULL * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        theta = theta - step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-10:
            break
    return float(theta[0]), float(theta[1])


def _calibrated(p: Array, calibration: tuple[float, float]) -> Array:
    z = logit(np.clip(p, GUARD, 1 - GUARD))
    return np.clip(expit(calibration[0] + calibration[1] * z), GUARD, 1 - GUARD)


def _features(encoder: FittedEncoder, covariates: Covariates, extra: Array | None) -> Array:
    x = encoder.transform(covariates)
    return x if extra is None else np.column_stack([x, extra])


def _square_columns(x: Array) -> NDArray[np.int64]:
    """Continuous features, unless there are too many features for the rows."""
    continuous = [j for j, column in enumerate(x.T) if len(np.unique(column)) > 5]
    if x.shape[1] + len(continuous) > len(x) / _ROWS_PER_SQUARE:
        continuous = []
    return np.asarray(continuous, dtype=np.int64)


def _with_squares(x: Array, squared: NDArray[np.int64]) -> Array:
    z = np.clip(x[:, squared], -_SQUARE_BOUND, _SQUARE_BOUND)
    return np.column_stack([x, z**2 - 1])


def _inner_folds(
    rows: _Rows, n_folds: int, clusters: NDArray[np.int64] | None
) -> NDArray[np.int64] | None:
    """Inner folds with both labels outside each, or None when the rarer label is too rare."""
    if n_folds < 2:
        return None
    rng = stream(rows.seed, "inner folds")
    if clusters is None:
        return stratified_folds(rows.labels, n_folds, rng)
    folds = cluster_folds(rows.labels, clusters, n_folds, rng)
    outside = [rows.labels[folds != k] for k in range(n_folds)]
    return folds if all(len(np.unique(part)) == 2 for part in outside) else None


# ------------------------------------------------------------------------------- propensity


@dataclass(frozen=True, eq=False)
class FittedPropensity:
    """P(A = a | X) for new rows."""

    columns: tuple[Column, ...]
    mix: FittedProbabilityMix

    def predict(self, X: Any) -> Array:
        """Probabilities of both arms, shape (n, 2), for a frame or Covariates."""
        return both_arms(self.mix.predict(read_covariates(X, self.columns)))


@dataclass(frozen=True)
class PropensityMix:
    """Propensity model: :class:`ProbabilityMix` on the treatment.

    Parameters
    ----------
    probability : ProbabilityMix
        Settings of the mix.
    """

    probability: ProbabilityMix = field(
        default_factory=lambda: ProbabilityMix(sparse_penalties=SPARSE_PENALTIES)
    )

    def cross_fit(
        self, data: CausalData, fold_ids: NDArray[np.int64], random_state: Seed, n_jobs: int = 1
    ) -> tuple[Array, Mapping[str, Any]]:
        """Out-of-fold probabilities, shape (n, 2), and what was chosen in each fold."""
        require_binary(data.treatment_schema, "the propensity")
        folds = np.unique(fold_ids)
        jobs = [
            (self.probability, data, fold_ids != k, integer_seed(random_state, int(k)))
            for k in folds
        ]
        treated, reports = np.empty(data.n), []
        for k, (p, report) in zip(folds, run_jobs(_fit_and_predict, jobs, n_jobs), strict=True):
            treated[fold_ids == k] = p
            reports.append(dict(report))
        summary = {
            "method": "calibrated mix of logistic regressions and boosted trees",
            "backend": boosting_backend(), "note": boosting_note(), "folds": reports,
            "log_loss": log_loss(treated, data.treatment, data.weights),
        }  # fmt: skip
        return both_arms(treated), summary

    def fit(self, data: CausalData, random_state: Seed) -> FittedPropensity:
        """Fit on all rows, for new data."""
        require_binary(data.treatment_schema, "the propensity")
        mix = self.probability.fit(
            data.covariates,
            data.treatment,
            _weights(data),
            integer_seed(random_state, "all"),
            clusters=data.clusters,
        )
        return FittedPropensity(data.covariates.columns, mix)


def both_arms(p: Array) -> Array:
    """(1 - p, p), shape (n, 2)."""
    return np.column_stack([1 - p, p])


def _weights(data: CausalData) -> Array | None:
    return data.weights if data.has_weights else None


def _fit_and_predict(
    settings: ProbabilityMix, data: CausalData, train: NDArray[np.bool_], seed: int
) -> tuple[Array, Mapping[str, Any]]:
    """Fit on the training rows, predict the others."""
    w = data.weights[train] if data.has_weights else None
    clusters = None if data.clusters is None else data.clusters[train]
    covariates = data.covariates
    fitted = settings.fit(covariates.rows(train), data.treatment[train], w, seed, clusters=clusters)
    return fitted.predict(covariates.rows(~train)), fitted.report
