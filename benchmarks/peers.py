"""The peers behind two small interfaces: a CATE for new rows, and an effect with an interval.

Where they take nuisance learners all get the same: LightGBM with 200 rounds, rate .05 and 15 leaves
on one thread, in five folds. Such trees overfit the propensity of small samples, which is unkind to
doubly robust estimators, so these also run with a logistic propensity (standardised covariates).
Everything else is the library's default.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Cate = Callable[[Array, Array, Array, Array, int], Array]
"""``(x, treatment, y, x_test, seed) -> cate of the test rows``."""
Propensity = Literal["trees", "logistic"]

_SWEEPS = {"num_gfr": 10, "num_burnin": 100, "num_mcmc": 500}
_N_FOLDS = 5
_Z = 1.959963984540054


@dataclass(frozen=True)
class Effect:
    """An effect with its standard error and 95 % interval."""

    value: float
    std_error: float
    ci_low: float
    ci_high: float


def normal_effect(value: float, std_error: float) -> Effect:
    """Effect with the interval value +- 1.96 standard errors."""
    value, std_error = float(value), float(std_error)
    return Effect(value, std_error, value - _Z * std_error, value + _Z * std_error)


def version() -> str:
    """What recorded rows of the peers are valid for."""
    libraries = ("stochtree", "econml", "doubleml", "lightgbm", "scikit-learn", "numpy")
    here = Path(__file__).parent
    source = b"".join((here / name).read_bytes() for name in ("peers.py", "datasets.py"))
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in libraries)
    return f"{versions}, adapters {hashlib.sha256(source).hexdigest()[:12]}"


def _regressor(seed: int) -> Any:
    from lightgbm import LGBMRegressor

    return LGBMRegressor(**_trees(seed))


def _classifier(seed: int, kind: Propensity = "trees") -> Any:
    from lightgbm import LGBMClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if kind == "trees":
        return LGBMClassifier(**_trees(seed))
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


def _trees(seed: int) -> dict[str, Any]:
    return {
        "n_estimators": 200,
        "learning_rate": 0.05,
        "num_leaves": 15,
        "n_jobs": 1,
        "verbose": -1,
        "random_state": seed,
        "deterministic": True,
        "force_row_wise": True,
    }


# -- conditional effects --------------------------------------------------------------------
def bart_t(x: Array, d: Array, y: Array, x_test: Array, seed: int) -> Array:
    """BART T-learner: one BART regression an arm (stochtree)."""
    from stochtree import BARTModel

    means = []
    for arm in (0, 1):
        model = BARTModel()
        model.sample(
            X_train=x[d == arm],
            y_train=y[d == arm],
            general_params={"random_seed": seed + arm, "num_threads": 1},
            **_SWEEPS,
        )
        means.append(np.asarray(model.predict(x_test, type="mean", terms="y_hat")).ravel())
    return means[1] - means[0]


def bcf(x: Array, d: Array, y: Array, x_test: Array, seed: int) -> Array:
    """Bayesian causal forest (stochtree), which estimates the propensity itself."""
    from stochtree import BCFModel

    model = BCFModel()
    model.sample(
        X_train=x,
        Z_train=d.astype(float),
        y_train=y,
        general_params={"random_seed": seed, "num_threads": 1},
        **_SWEEPS,
    )
    arm = np.ones(len(x_test))
    return np.asarray(model.predict(x_test, arm, type="mean", terms="cate")).ravel()


def x_learner(x: Array, d: Array, y: Array, x_test: Array, seed: int) -> Array:
    """X-learner (EconML) with boosted trees for outcomes, effects and the propensity."""
    from econml.metalearners import XLearner

    model = XLearner(models=_regressor(seed), propensity_model=_classifier(seed))
    with _quiet():
        return np.asarray(model.fit(y, d, X=x).effect(x_test)).ravel()


CATE: dict[str, Cate] = {"bart_t": bart_t, "bcf": bcf, "x_learner": x_learner}


# -- average effects ------------------------------------------------------------------------
def econml_dr_ate(
    x: Array, d: Array, y: Array, seed: int, propensity: Propensity = "trees"
) -> Effect:
    """ATE by EconML's LinearDRLearner.

    All covariates enter as controls W and none as effect modifiers X, so the final stage is an
    intercept: the mean of the doubly robust scores, with its robust standard error.
    """
    from econml.dr import LinearDRLearner

    model = LinearDRLearner(
        model_propensity=_classifier(seed, propensity),
        model_regression=_regressor(seed),
        cv=_N_FOLDS,
        random_state=seed,
    )
    with _quiet():
        model.fit(y, d, X=None, W=x)
        inference = model.intercept__inference(T=1)
    return normal_effect(inference.point_estimate, inference.stderr)


def econml_forest_att(x: Array, d: Array, y: Array, seed: int) -> Effect:
    """ATT by EconML's CausalForestDML: its own doubly robust ``att_`` over the training rows."""
    from econml.dml import CausalForestDML

    model = CausalForestDML(
        model_y=_regressor(seed),
        model_t=_classifier(seed),
        discrete_treatment=True,
        cv=_N_FOLDS,
        n_estimators=200,
        min_samples_leaf=5,
        n_jobs=1,
        random_state=seed,
    )
    with _quiet():
        model.fit(y, d, X=x)
        return normal_effect(np.ravel(model.att_(T=1))[0], np.ravel(model.att_stderr_(T=1))[0])


def econml_linear_att(
    x: Array, d: Array, y: Array, seed: int, propensity: Propensity = "trees"
) -> Effect:
    """ATT by EconML's LinearDML: its linear conditional effect averaged over the treated rows.

    The standard error is that of the average (joint covariance of all coefficients), with the
    covariates of the treated held fixed; EconML has no efficient score for the ATT.
    """
    from econml.dml import LinearDML

    model = LinearDML(
        model_y=_regressor(seed),
        model_t=_classifier(seed, propensity),
        discrete_treatment=True,
        cv=_N_FOLDS,
        random_state=seed,
    )
    with _quiet():
        found = model.fit(y, d, X=x).effect_inference(x[d == 1]).population_summary()
    return normal_effect(np.ravel(found.mean_point)[0], np.ravel(found.stderr_mean)[0])


def doubleml_irm(
    x: Array,
    d: Array,
    y: Array,
    seed: int,
    score: str = "ATE",
    propensity: Propensity = "trees",
) -> Effect:
    """ATE (score "ATE") or ATT (score "ATTE") by DoubleML's interactive regression model."""
    from doubleml import DoubleMLData, DoubleMLIRM
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(_N_FOLDS, shuffle=True, random_state=seed).split(x, d)
    with _quiet():
        model = DoubleMLIRM(
            DoubleMLData.from_arrays(x, y, d),
            ml_g=_regressor(seed),
            ml_m=_classifier(seed, propensity),
            n_folds=_N_FOLDS,
            score=score,
            draw_sample_splitting=False,
        )
        model.set_sample_splitting([list(folds)])
        model.fit()
    return normal_effect(model.coef[0], model.se[0])


ATE: dict[str, Callable[[Array, Array, Array, int], Effect]] = {
    "econml_trees": econml_dr_ate,
    "econml_logistic": partial(econml_dr_ate, propensity="logistic"),
    "doubleml_trees": doubleml_irm,
    "doubleml_logistic": partial(doubleml_irm, propensity="logistic"),
}
ATT: dict[str, Callable[[Array, Array, Array, int], Effect]] = {
    "econml_trees": econml_linear_att,
    "econml_logistic": partial(econml_linear_att, propensity="logistic"),
    "econml_forest": econml_forest_att,
    "doubleml_trees": partial(doubleml_irm, score="ATTE"),
    "doubleml_logistic": partial(doubleml_irm, score="ATTE", propensity="logistic"),
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Peers warn about feature names and folds at every call; what they return is what counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
