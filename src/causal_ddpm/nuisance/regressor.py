"""The conditional law of one outcome given covariates, as a scikit-learn regressor.

The same law as :class:`PotentialOutcomeModel` learns, without a treatment: location by a
cross-fitted stack, scale, shape by diffusion (``location="none"``: the diffusion alone).

Rows are brought into an order of their own before anything is drawn, so the fit does not depend on
the order in which they came. Weights that are whole numbers, up to ten times as many in all as
there are rows, count rows: a weight of three is the row three times. Other weights are relative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from causal_ddpm.core import checks
from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.core.data import read_covariates
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.outcome import AskedKind, read_outcome
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.core.treatment import Treatment
from causal_ddpm.diffusion.persistence import load_model, save_model
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.nuisance.folds import stratified_folds
from causal_ddpm.nuisance.law import PotentialOutcomeLaw
from causal_ddpm.nuisance.location import Sample
from causal_ddpm.nuisance.outcome import LawSchema, PotentialOutcomeModel

Array = NDArray[np.float64]

MIN_ROWS = 10
"""Fewer rows cannot be split into five folds that train a network each."""

MAX_REPETITION = 10
"""Whole weights are rows only while they add up to at most this many times the rows."""

_NOTHING: tuple[int, ...] = ()
_NO_TREATMENT = Treatment("factors", ())


class DiffusionRegressor(RegressorMixin, BaseEstimator):
    """The whole law of y given X, by diffusion.

    Parameters
    ----------
    location : {"stack", "none"}
        "stack" diffuses the residual of a cross-fitted stack of regressions, the recommended form;
        "none" diffuses the outcome itself, end to end.
    n_folds : int
        Folds of the cross-fitting.
    n_members, hidden_dim, n_steps : int, optional
        Networks a fold, their width, training steps; by the recipe when left out.
    learning_rate, weight_decay, dropout : float, optional
        Of the training, by the recipe when left out.
    outcome_kind : str
        "auto", "continuous", "heavy_tailed", "count", "ordinal" or "binary"; the law keeps to it.
    random_state : int, RandomState or None
    n_jobs : int, optional
        Worker processes; the result does not depend on it.

    Attributes
    ----------
    law_ : PotentialOutcomeLaw
        The fitted law, under a treatment of no columns: ``law_.cdf(X, (), y)``.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only if X had names.

    Notes
    -----
    X may be an array with missing values (NaN), or a pandas or polars frame with categories.

    Examples
    --------
    >>> import numpy as np
    >>> from causal_ddpm import DiffusionRegressor
    >>> x = np.linspace(-2, 2, 60)[:, None]
    >>> y = 3 * x[:, 0] + np.sin(9 * x[:, 0])
    >>> model = DiffusionRegressor(n_steps=20, random_state=0).fit(x, y)
    >>> model.predict_quantiles(x[:2], [0.1, 0.5, 0.9]).shape
    (2, 3)
    """

    def __init__(  # noqa: PLR0913 - scikit-learn wants every setting flat
        self,
        *,
        location: Literal["stack", "none"] = "stack",
        n_folds: int = 5,
        n_members: int | None = None,
        hidden_dim: int | None = None,
        n_steps: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        dropout: float | None = None,
        outcome_kind: AskedKind = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
    ):
        self.location = location
        self.n_folds = n_folds
        self.n_members = n_members
        self.hidden_dim = hidden_dim
        self.n_steps = n_steps
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.outcome_kind = outcome_kind
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the law of y given X.

        Parameters
        ----------
        X : array or frame, shape (n, p)
        y : array, shape (n,)
        sample_weight : array, shape (n,), optional
            Not negative; whole numbers count rows.

        Raises
        ------
        DataError
            For fewer than ten rows, a constant y, or columns of unusable kinds.
        """
        model = self._model()
        covariates, target = self._training(X, y)
        w = None
        if sample_weight is not None:
            w = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        covariates, target, w = ordered_rows(covariates, target, w)
        series = nw.new_series("y", target, backend="pandas")
        target, outcome = read_outcome(series, self.outcome_kind, w)
        root = seed_sequence(_seed(self.random_state))
        arm, every = np.zeros(len(target), dtype=np.int64), np.ones(len(target), dtype=bool)
        folds = stratified_folds(arm, self.n_folds, stream(root, "folds"))
        sample = Sample(covariates, arm, target, w, folds, every, n_arms=1)
        schema = LawSchema(covariates.columns, _NO_TREATMENT, outcome, "y")
        self.law_ = model.fit_sample(sample, schema, root, self.n_jobs or 1)
        return self

    def predict(self, X: Any) -> Array:
        """E[y | X], shape (n,)."""
        check_is_fitted(self)
        return self.law_.mean(self._new(X), _NOTHING)

    def predict_quantiles(self, X: Any, levels: Sequence[float] = (0.05, 0.5, 0.95)) -> Array:
        """Quantiles of y given X, shape (n, len(levels))."""
        check_is_fitted(self)
        return self.law_.quantile(self._new(X), _NOTHING, levels)

    def predict_interval(self, X: Any, level: float = 0.9) -> Array:
        """Central interval that holds y with probability ``level``, shape (n, 2)."""
        return self.predict_quantiles(X, [(1 - level) / 2, (1 + level) / 2])

    def sample(self, X: Any, n_samples: int = 1, random_state: Any = None) -> Array:
        """Draws of y given X, shape (n, n_samples)."""
        check_is_fitted(self)
        return self.law_.sample(self._new(X), _NOTHING, n_samples, _seed(random_state))

    def save(self, path: str | Path) -> Path:
        """Write the fitted regressor to a file (JSON and safetensors in a zip, no pickle).

        Raises
        ------
        DataError
            If ``random_state`` is neither a number nor None.
        """
        check_is_fitted(self)
        if not isinstance(self.random_state, int | np.integer | None):
            raise DataError("random_state is an object", "a number or None, to be saved")
        names = getattr(self, "feature_names_in_", None)
        kept = None if names is None else tuple(map(str, names))
        return save_model(SavedRegressor(self.get_params(), kept, self.law_), path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a regressor back.

        Raises
        ------
        ModelFileError
            If the file is missing, damaged, or holds something else.
        """
        saved: SavedRegressor = load_model(path, expected=SavedRegressor)
        model = cls(**saved.parameters)
        model.law_, model.n_features_in_ = saved.law, len(saved.law.columns)
        if saved.names is not None:
            model.feature_names_in_ = np.asarray(saved.names, dtype=object)
        return model

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    # -- inside ----------------------------------------------------------------------------
    def _model(self) -> PotentialOutcomeModel:
        diffusion = DiffusionSettings(
            n_members=self.n_members,
            hidden_dim=self.hidden_dim,
            n_steps=self.n_steps,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            dropout=self.dropout,
        )
        return PotentialOutcomeModel(self.location, diffusion=diffusion, n_folds=self.n_folds)

    def _training(self, X: Any, y: ArrayLike) -> tuple[Covariates, Array]:
        if not _has_names(X):
            values, target = validate_data(
                self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", y_numeric=True,
                ensure_min_samples=MIN_ROWS,
            )  # fmt: skip
            return Covariates.from_array(values), np.asarray(target, dtype=np.float64)
        validate_data(self, X, skip_check_array=True)
        target = np.asarray(column_or_1d(y, warn=True), dtype=np.float64)
        check_consistent_length(X, target)
        frame = nw.from_native(X, eager_only=True)
        if len(frame) < MIN_ROWS:
            raise DataError(f"there are {len(frame)} rows", f"at least {MIN_ROWS}")
        checks.check_columns(frame.columns, ())
        columns = tuple(checks.confounder_column(frame[name]) for name in frame.columns)
        return read_covariates(frame, columns), target

    def _new(self, X: Any) -> Covariates:
        columns: tuple[Column, ...] = self.law_.columns
        if _has_names(X):
            validate_data(self, X, skip_check_array=True, reset=False)
            frame = nw.from_native(X, eager_only=True)
            return read_covariates(frame, columns)
        values = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False
        )
        return read_covariates(values, columns)


@dataclass(frozen=True, eq=False)
class SavedRegressor:
    """A fitted regressor as its file holds it."""

    parameters: Mapping[str, Any]
    names: tuple[str, ...] | None
    law: PotentialOutcomeLaw


def ordered_rows(
    covariates: Covariates, y: Array, weights: Array | None
) -> tuple[Covariates, Array, Array | None]:
    """Rows in sorted order; weights that are whole numbers become repeated rows.

    Parameters
    ----------
    covariates : Covariates, n rows
    y : ndarray, shape (n,)
    weights : ndarray, shape (n,), optional
        Not negative. Rows of weight zero are left out.

    Returns
    -------
    covariates, y
    weights : ndarray or None
        None when all rows count the same.
    """
    rows = np.arange(len(y))
    if weights is not None:
        rows = np.flatnonzero(weights > 0)
        whole = bool((weights == np.round(weights)).all())
        if whole and weights.sum() <= MAX_REPETITION * len(y):
            rows = np.repeat(rows, weights[rows].astype(np.int64))
            weights = None
        elif np.ptp(weights[rows]) == 0:
            weights = None
    keys = [y[rows], *covariates.values[rows].T]
    rows = rows[np.lexsort(keys if weights is None else [weights[rows], *keys])]
    if len(rows) < MIN_ROWS:
        raise DataError(f"there are {len(rows)} rows of positive weight", f"at least {MIN_ROWS}")
    return covariates.rows(rows), y[rows], None if weights is None else weights[rows]


def _has_names(X: Any) -> bool:
    """True for a frame whose columns have texts for names; any other is read as an array."""
    if not nw.dependencies.is_into_dataframe(X):
        return False
    columns = X.column_names if hasattr(X, "column_names") else X.columns
    return all(isinstance(name, str) for name in columns)


def _seed(random_state: Any) -> Seed:
    """A seed of this package from any that scikit-learn takes."""
    if random_state is None or isinstance(random_state, int | np.integer | np.random.SeedSequence):
        return random_state
    return int(check_random_state(random_state).randint(2**31 - 1))
