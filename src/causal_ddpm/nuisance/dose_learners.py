"""Light nuisances of a dose-response curve: any regression for mu, a normal density for the dose.

    mu(x, a)    a scikit-learn regressor on the encoded confounders and the dose as last column
    f(a | x)    N(m(x), s^2), m by a regressor, s^2 the mean squared residual of training rows that
                m has not seen

fitted outside each fold. They take milliseconds: for simulations, and where dose and outcome are
known to be that simple.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.protocols import Array
from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.nuisance.dose import DoseReading
from causal_ddpm.nuisance.encoding import Encoder
from causal_ddpm.nuisance.learners.sklearn_learner import fit_clone, is_sklearn

Folds = NDArray[np.int64]
_INNER_FOLDS = 5


@dataclass(frozen=True)
class LearnerDoseMean:
    """mu(x, a) from a regressor.

    Parameters
    ----------
    regressor : scikit-learn regressor
        Its input has the standardised dose as last column.
    encoder : Encoder
    """

    regressor: Any
    encoder: Encoder = field(default_factory=Encoder)

    def __post_init__(self) -> None:
        _check_regressor(self.regressor)

    def read_doses(
        self,
        data: CausalData,
        fold_ids: Folds,
        nodes: Array,
        random_state: Seed,
        n_jobs: int = 1,
    ) -> DoseReading:
        """One fit a fold."""
        inputs, _ = data.treatment_schema.inputs(data.covariates, data.treatment)
        own, grid = np.empty(data.n), np.empty((data.n, len(nodes)))
        for k in np.unique(fold_ids):
            train, test = fold_ids != k, fold_ids == k
            weights = data.weights[train] if data.has_weights else None
            encoder = self.encoder.fit(inputs.rows(train), weights)
            seed = integer_seed(random_state, int(k))
            z = encoder.transform(inputs.rows(train))
            model = fit_clone(self.regressor, z, data.outcome[train], weights, seed)
            z = encoder.transform(inputs.rows(test))
            own[test] = model.predict(z)
            everywhere = np.repeat(z, len(nodes), axis=0)
            everywhere[:, -1] = np.tile((nodes - encoder.center[-1]) / encoder.scale[-1], len(z))
            grid[test] = model.predict(everywhere).reshape(len(z), -1)
        return DoseReading(own, grid, {"model": type(self.regressor).__name__})


@dataclass(frozen=True)
class GaussianDoseDensity:
    """f(a | x) = N(m(x), s^2).

    Parameters
    ----------
    regressor : scikit-learn regressor
        For m.
    encoder : Encoder
    """

    regressor: Any
    encoder: Encoder = field(default_factory=Encoder)

    def __post_init__(self) -> None:
        _check_regressor(self.regressor)

    def read_doses(
        self,
        data: CausalData,
        fold_ids: Folds,
        nodes: Array,
        random_state: Seed,
        n_jobs: int = 1,
    ) -> DoseReading:
        """One fit a fold, and five more for its residuals."""
        mean, sd = np.empty(data.n), np.empty(data.n)
        for k in np.unique(fold_ids):
            test, train = fold_ids == k, np.flatnonzero(fold_ids != k)
            inner = np.arange(len(train)) % _INNER_FOLDS
            residual = np.empty(len(train))
            for j in range(_INNER_FOLDS):
                rows = train[inner == j]
                residual[inner == j] = data.treatment[rows] - self._fitted(
                    data, train[inner != j], integer_seed(random_state, int(k), j)
                )(rows)
            squares = np.average(residual**2, weights=data.weights[train])
            predict = self._fitted(data, train, integer_seed(random_state, int(k)))
            mean[test], sd[test] = predict(np.flatnonzero(test)), np.sqrt(squares)
        own = stats.norm.pdf(data.treatment, mean, sd)
        grid = stats.norm.pdf(nodes, mean[:, None], sd[:, None])
        return DoseReading(own, grid, {"model": f"normal, {type(self.regressor).__name__}"})

    def _fitted(
        self, data: CausalData, train: NDArray[np.int64], seed: int
    ) -> Callable[[NDArray[np.int64]], Array]:
        """m, fitted on some rows, as a function of row positions."""
        weights = data.weights[train] if data.has_weights else None
        encoder = self.encoder.fit(data.covariates.rows(train), weights)
        x = encoder.transform(data.covariates.rows(train))
        model = fit_clone(self.regressor, x, data.treatment[train], weights, seed)
        return lambda rows: np.asarray(model.predict(encoder.transform(data.covariates.rows(rows))))


def _check_regressor(model: Any) -> None:
    if not is_sklearn(model):
        raise DataError(
            f"the learner is a {type(model).__name__}",
            "a scikit-learn regressor (fit, predict, get_params, set_params)",
        )
