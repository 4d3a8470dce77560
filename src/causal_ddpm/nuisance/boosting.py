"""Gradient-boosted trees behind one small interface: LightGBM, or scikit-learn where it is missing.

A :class:`BoostSession` holds the binned training rows and grows trees in instalments. Each call of
``advance`` first moves the score by the best constant and then boosts it towards the target, so a
backfitting loop can change target and weights between instalments without binning again. With
score s (shape (n,)) and row weight w the gradients are

    squared   g = w (s - y)                h = w
    binary    g = w (sigmoid(s) - y)       h = w sigmoid(s) (1 - sigmoid(s))
    gamma     g = w (1 - y exp(-s))        h = w y exp(-s)           (log link)

Every fit is single-threaded and deterministic: the same rows and seed give the same bits whatever
the number of workers. Without LightGBM (or its OpenMP library) scikit-learn's
``HistGradientBoosting*`` takes over: same losses, no row sampling, somewhat slower.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.protocols import Array

Loss = Literal["squared", "binary", "gamma"]
_MAX_COLUMNS = 100
"""Columns a tree may see at most: with hundreds of covariates each tree takes a random subset."""


@dataclass(frozen=True)
class TreeSettings:
    """Shape and shrinkage of the trees.

    Parameters
    ----------
    n_trees : int
        Trees of one instalment.
    learning_rate : float
        Shrinkage of each tree.
    leaves : int
        Leaves a tree.
    min_leaf : int
        Rows a leaf at least.
    l2 : float
        Ridge penalty on leaf values, in rows.
    row_share, column_share : float
        Share of rows and columns each tree sees.
    loss : {"squared", "binary", "gamma"}
        Deviance to be boosted.
    bins : int
        Histogram bins a column.
    """

    n_trees: int
    learning_rate: float
    leaves: int
    min_leaf: int
    l2: float = 0.0
    row_share: float = 1.0
    column_share: float = 1.0
    loss: Loss = "squared"
    bins: int = 63


class FittedTrees(Protocol):
    """A frozen ensemble."""

    def predict(self, x: Array) -> Array:
        """Scores (log odds for "binary", log means for "gamma"), shape (n,)."""
        ...


class BoostSession(Protocol):
    """Trees in the making on fixed rows."""

    scores: Array

    def recentre(self, target: Array, weights: Array | None = None) -> None:
        """Move the score by the constant that minimises the loss."""
        ...

    def advance(self, target: Array, weights: Array | None = None) -> None:
        """Recentre, then grow ``n_trees`` more trees towards the target."""
        ...

    def freeze(self) -> FittedTrees:
        """The ensemble so far."""
        ...


def boost_session(x: Array, settings: TreeSettings, seed: int) -> BoostSession:
    """Start boosting on the rows of x, shape (n, p)."""
    if boosting_backend() == "lightgbm":
        return _LightGBMSession(x, settings, seed)
    return _HistSession(x, settings, seed)


def fit_trees(
    x: Array, target: Array, weights: Array | None, settings: TreeSettings, seed: int
) -> FittedTrees:
    """One instalment of trees from scratch."""
    session = boost_session(x, settings, seed)
    session.advance(target, weights)
    return session.freeze()


@cache
def boosting_backend() -> Literal["lightgbm", "scikit-learn"]:
    """Which library grows the trees here."""
    try:
        import lightgbm  # noqa: F401
    except (ImportError, OSError):  # OSError: the OpenMP runtime library is missing
        return "scikit-learn"
    return "lightgbm"


def boosting_note() -> str:
    """A sentence for reports, empty when LightGBM is at work."""
    if boosting_backend() == "lightgbm":
        return ""
    return (
        "LightGBM or its OpenMP library could not be loaded; "
        "scikit-learn's histogram boosting was used instead."
    )


# ----------------------------------------------------------------------------------- losses


def _squared(score: Array, target: Array) -> tuple[Array, Array]:
    return score - target, np.ones_like(score)


def _binary(score: Array, target: Array) -> tuple[Array, Array]:
    p = 1 / (1 + np.exp(-score))
    return p - target, np.maximum(p * (1 - p), 1e-12)


def _gamma(score: Array, target: Array) -> tuple[Array, Array]:
    ratio = target * np.exp(-score)
    return 1 - ratio, ratio


_GRADIENTS: dict[Loss, Callable[[Array, Array], tuple[Array, Array]]] = {
    "squared": _squared,
    "binary": _binary,
    "gamma": _gamma,
}


def best_shift(score: Array, target: Array, weights: Array | None, loss: Loss) -> float:
    """The constant c that minimises the loss of score + c."""
    w = np.ones(len(score)) if weights is None else weights
    if loss == "squared":
        return float(np.average(target - score, weights=w))
    if loss == "gamma":
        return float(np.log(np.average(target * np.exp(-score), weights=w)))
    shift = 0.0
    for _ in range(25):
        gradient, hessian = _binary(score + shift, target)
        step = float((w @ gradient) / (w @ hessian))
        shift -= float(np.clip(step, -4, 4))
        if abs(step) < 1e-10:
            break
    return float(np.clip(shift, -30, 30))


# --------------------------------------------------------------------------------- LightGBM


@dataclass(frozen=True, eq=False)
class _LightGBMTrees:
    booster: Any
    offset: float

    def predict(self, x: Array) -> Array:
        """Scores, shape (n,)."""
        raw = self.booster.predict(np.ascontiguousarray(x), raw_score=True, num_threads=1)
        return self.offset + raw


class _LightGBMSession:
    def __init__(self, x: Array, settings: TreeSettings, seed: int):
        import lightgbm

        params = _lightgbm_params(settings, x.shape[1], seed)
        data = lightgbm.Dataset(np.ascontiguousarray(x), np.zeros(len(x)), params=params)
        self._booster = lightgbm.Booster(params, data)
        self._settings = settings
        self._offset = 0.0
        self.scores: Array = np.zeros(len(x))

    def recentre(self, target: Array, weights: Array | None = None) -> None:
        shift = best_shift(self.scores, target, weights, self._settings.loss)
        self._offset += shift
        self.scores = self.scores + shift

    def advance(self, target: Array, weights: Array | None = None) -> None:
        self.recentre(target, weights)
        gradients = _GRADIENTS[self._settings.loss]

        def objective(score: Array, _: object) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            g, h = gradients(score + self._offset, target)
            if weights is not None:
                g, h = weights * g, weights * h
            return g.astype(np.float32), h.astype(np.float32)

        for _ in range(self._settings.n_trees):
            if self._booster.update(fobj=objective):
                break
        self.scores = self._offset + self._train_scores()

    def _train_scores(self) -> Array:
        scores: list[Array] = []

        def keep(score: Array, _: object) -> tuple[str, float, bool]:
            scores.append(score.copy())
            return "kept", 0.0, True

        self._booster.eval_train(keep)
        return scores[0]

    def freeze(self) -> _LightGBMTrees:
        self._booster.free_dataset()
        return _LightGBMTrees(self._booster, self._offset)


def _lightgbm_params(settings: TreeSettings, n_columns: int, seed: int) -> dict[str, Any]:
    return {
        "objective": "none", "metric": "none", "verbosity": -1, "seed": seed % 2**31,
        "deterministic": True, "force_row_wise": True, "num_threads": 1,
        "learning_rate": settings.learning_rate, "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.min_leaf, "lambda_l2": settings.l2,
        "bagging_fraction": settings.row_share, "bagging_freq": int(settings.row_share < 1),
        "feature_fraction": _column_share(settings, n_columns), "max_bin": settings.bins,
    }  # fmt: skip


def _column_share(settings: TreeSettings, n_columns: int) -> float:
    return min(settings.column_share, _MAX_COLUMNS / n_columns)


# ----------------------------------------------------------------------------- scikit-learn


@dataclass(frozen=True, eq=False)
class _HistTrees:
    models: tuple[Any, ...]
    loss: Loss
    offset: float

    def predict(self, x: Array) -> Array:
        """Scores, shape (n,)."""
        return self.offset + sum(
            (_hist_scores(m, x, self.loss) for m in self.models), np.zeros(len(x))
        )


def _hist_scores(model: Any, x: Array, loss: Loss) -> Array:
    if loss == "binary":
        return model.decision_function(x)
    return np.log(model.predict(x)) if loss == "gamma" else model.predict(x)


class _HistSession:
    """Each instalment is one scikit-learn fit; the squared loss may have several."""

    def __init__(self, x: Array, settings: TreeSettings, seed: int):
        self._x, self._settings, self._seed = x, settings, seed
        self._models: list[Any] = []
        self._offset = 0.0
        self.scores: Array = np.zeros(len(x))

    def recentre(self, target: Array, weights: Array | None = None) -> None:
        shift = best_shift(self.scores, target, weights, self._settings.loss)
        self._offset += shift
        self.scores = self.scores + shift

    def advance(self, target: Array, weights: Array | None = None) -> None:
        self.recentre(target, weights)
        model = self._model()
        if self._settings.loss == "squared":
            model.fit(self._x, target - self.scores, sample_weight=weights)
        else:
            if self._models:
                raise NotImplementedError("only the squared loss can be boosted in instalments")
            model.fit(self._x, target, sample_weight=weights)
            self._offset, self.scores = 0.0, np.zeros(len(self._x))
        self._models.append(model)
        self.scores = self.scores + _hist_scores(model, self._x, self._settings.loss)

    def freeze(self) -> _HistTrees:
        return _HistTrees(tuple(self._models), self._settings.loss, self._offset)

    def _model(self) -> Any:
        from sklearn.ensemble import (
            HistGradientBoostingClassifier,
            HistGradientBoostingRegressor,
        )

        s = self._settings
        common: dict[str, Any] = {
            "max_iter": s.n_trees, "learning_rate": s.learning_rate, "max_leaf_nodes": s.leaves,
            "min_samples_leaf": s.min_leaf, "l2_regularization": s.l2, "max_bins": s.bins,
            "max_features": _column_share(s, self._x.shape[1]), "early_stopping": False,
            "random_state": (self._seed + len(self._models)) % 2**31,
        }  # fmt: skip
        if s.loss == "binary":
            return HistGradientBoostingClassifier(**common)
        loss = "gamma" if s.loss == "gamma" else "squared_error"
        return HistGradientBoostingRegressor(loss=loss, **common)
