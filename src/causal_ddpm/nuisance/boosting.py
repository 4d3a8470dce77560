"""Gradient-boosted trees behind one small interface: LightGBM, or scikit-learn where it is missing.

:func:`fit_trees` boosts one target from scratch under one of three deviances of the score s(x):

    squared   (y - s)^2
    binary    log(1 + exp(s)) - y s          s = log odds
    gamma     y exp(-s) + s                  s = log mean

A :class:`BoostSession` (squared loss) grows trees in instalments on rows that are binned once. Each
``advance`` first moves the score by the best constant and then boosts it towards a target, which a
backfitting loop may change between instalments, as it may the weights.

Every fit is single-threaded and deterministic: the same rows and seed give the same bits whatever
the number of workers. Without LightGBM (or its OpenMP library) scikit-learn's
``HistGradientBoosting*`` takes over: same losses, no row sampling, somewhat slower.
"""

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
    """Trees in the making on fixed rows, under squared loss."""

    scores: Array

    def recentre(self, target: Array, weights: Array | None = None) -> None:
        """Move the score by the weighted mean of what is left of the target."""
        ...

    def advance(self, target: Array, weights: Array | None = None) -> None:
        """Recentre, then grow ``n_trees`` more trees towards the target."""
        ...

    def freeze(self) -> FittedTrees:
        """The ensemble so far; the session ends."""
        ...


def fit_trees(
    x: Array, target: Array, weights: Array | None, settings: TreeSettings, seed: int
) -> FittedTrees:
    """Boost one target from scratch.

    Parameters
    ----------
    x : ndarray, shape (n, p)
    target : ndarray, shape (n,)
        0/1 for "binary", positive for "gamma".
    weights : ndarray, shape (n,), optional
    settings : TreeSettings
    seed : int
        Draws the rows and columns of each tree.
    """
    if boosting_backend() == "lightgbm":
        return _fit_lightgbm(x, target, weights, settings, seed)
    model = _hist_model(settings, x.shape[1], seed)
    return _HistTrees((model.fit(x, target, sample_weight=weights),), settings.loss)


def boost_session(x: Array, settings: TreeSettings, seed: int) -> BoostSession:
    """Start boosting on the rows of x, shape (n, p)."""
    session = _LightGBMSession if boosting_backend() == "lightgbm" else _HistSession
    return session(x, settings, seed)


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


def _column_share(settings: TreeSettings, n_columns: int) -> float:
    return min(settings.column_share, _MAX_COLUMNS / n_columns)


def _left(target: Array, scores: Array, weights: Array | None) -> float:
    return float(np.average(target - scores, weights=weights))


# --------------------------------------------------------------------------------- LightGBM


@dataclass(frozen=True, eq=False)
class _LightGBMTrees:
    booster: Any
    offset: float = 0.0

    def predict(self, x: Array) -> Array:
        """Scores, shape (n,)."""
        raw = self.booster.predict(np.ascontiguousarray(x), raw_score=True, num_threads=1)
        return self.offset + raw


def _fit_lightgbm(
    x: Array, target: Array, weights: Array | None, settings: TreeSettings, seed: int
) -> _LightGBMTrees:
    booster = _booster(x, target, weights, settings, seed)
    for _ in range(settings.n_trees):
        if booster.update():  # no leaf can be split any more
            break
    return _LightGBMTrees(booster.free_dataset())


class _LightGBMSession:
    """Squared-loss boosting with hand-made gradients g = w (s - y), h = w."""

    def __init__(self, x: Array, settings: TreeSettings, seed: int):
        self._booster = _booster(x, np.zeros(len(x)), None, settings, seed, objective="none")
        varies = bool((np.ptp(x, axis=0) > 1e-6).any())  # LightGBM refuses to grow otherwise
        self._n_trees, self._offset = settings.n_trees if varies else 0, 0.0
        self.scores: Array = np.zeros(len(x))

    def recentre(self, target: Array, weights: Array | None = None) -> None:
        shift = _left(target, self.scores, weights)
        self._offset += shift
        self.scores = self.scores + shift

    def advance(self, target: Array, weights: Array | None = None) -> None:
        self.recentre(target, weights)
        goal = target - self._offset
        hessian = np.ones(len(goal)) if weights is None else weights

        def gradients(score: Array, _: object) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            return (hessian * (score - goal)).astype(np.float32), hessian32

        hessian32 = hessian.astype(np.float32)
        for _ in range(self._n_trees):
            if self._booster.update(fobj=gradients):
                break
        self.scores = self._offset + self._tree_scores()

    def _tree_scores(self) -> Array:
        """Sum of the trees on the training rows, which LightGBM keeps up to date."""
        kept: list[Array] = []

        def keep(score: Array, _: object) -> tuple[str, float, bool]:
            kept.append(score.copy())
            return "kept", 0.0, True

        self._booster.eval_train(keep)
        return kept[0]

    def freeze(self) -> _LightGBMTrees:
        return _LightGBMTrees(self._booster.free_dataset(), self._offset)


def _booster(
    x: Array,
    target: Array,
    weights: Array | None,
    settings: TreeSettings,
    seed: int,
    objective: str | None = None,
) -> Any:
    import lightgbm

    names = {"squared": "regression", "binary": "binary", "gamma": "gamma"}
    params = {
        "objective": objective or names[settings.loss],
        "metric": "none",
        "verbosity": -1,
        "seed": seed % 2**31,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.min_leaf,
        "lambda_l2": settings.l2,
        "bagging_fraction": settings.row_share,
        "bagging_freq": int(settings.row_share < 1),
        "feature_fraction": _column_share(settings, x.shape[1]),
        "max_bin": settings.bins,
        "feature_pre_filter": False,
    }
    data = lightgbm.Dataset(np.ascontiguousarray(x), target, weight=weights, params=params)
    return lightgbm.Booster(params, data)


# ----------------------------------------------------------------------------- scikit-learn


@dataclass(frozen=True, eq=False)
class _HistTrees:
    models: tuple[Any, ...]
    loss: Loss
    offset: float = 0.0

    def predict(self, x: Array) -> Array:
        """Scores, shape (n,)."""
        return self.offset + sum((self._scores(m, x) for m in self.models), np.zeros(len(x)))

    def _scores(self, model: Any, x: Array) -> Array:
        if self.loss == "binary":
            return model.decision_function(x)
        return np.log(model.predict(x)) if self.loss == "gamma" else model.predict(x)


class _HistSession:
    """Each instalment is one scikit-learn fit to what is left of the target."""

    def __init__(self, x: Array, settings: TreeSettings, seed: int):
        self._x, self._settings, self._seed = x, settings, seed
        self._models: list[Any] = []
        self._offset = 0.0
        self.scores: Array = np.zeros(len(x))

    def recentre(self, target: Array, weights: Array | None = None) -> None:
        shift = _left(target, self.scores, weights)
        self._offset += shift
        self.scores = self.scores + shift

    def advance(self, target: Array, weights: Array | None = None) -> None:
        self.recentre(target, weights)
        seed = self._seed + len(self._models)
        model = _hist_model(self._settings, self._x.shape[1], seed)
        model.fit(self._x, target - self.scores, sample_weight=weights)
        self._models.append(model)
        self.scores = self.scores + model.predict(self._x)

    def freeze(self) -> _HistTrees:
        return _HistTrees(tuple(self._models), "squared", self._offset)


def _hist_model(settings: TreeSettings, n_columns: int, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    common: dict[str, Any] = {
        "max_iter": settings.n_trees,
        "learning_rate": settings.learning_rate,
        "max_leaf_nodes": settings.leaves,
        "min_samples_leaf": settings.min_leaf,
        "l2_regularization": settings.l2,
        "max_bins": settings.bins,
        "max_features": _column_share(settings, n_columns),
        "early_stopping": False,
        "random_state": seed % 2**31,
    }
    if settings.loss == "binary":
        return HistGradientBoostingClassifier(**common)
    loss = "gamma" if settings.loss == "gamma" else "squared_error"
    return HistGradientBoostingRegressor(loss=loss, **common)
