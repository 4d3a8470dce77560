"""Methods that answer three questions at once: the ATE, the ATT and the effects of new rows.

Where a method has a score and a standard error for a mean of its own, that is its answer; learners
that only predict effects of rows answer with the mean of their predictions. Boosted trees for
outcomes; for EconML and DoubleML a logistic propensity (boosted trees overfit it in small samples),
kept above .01 (DoubleML's default; EconML's, 1e-6, lets single rows decide); everything else the
library's default. No method was tuned on this list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import ours
import peers
from datasets import Sample
from peers import Array, Effect

OURS = "ours"
Answer = Effect | float
"""A mean effect, with its interval where the method has one."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a method says.

    Parameters
    ----------
    ate, att : Effect, float or None
        None where a method does not answer.
    cate : ndarray, shape (n_test,), or None
        Effects of the rows to predict.
    """

    ate: Answer | None
    att: Answer | None
    cate: Array | None


def diffusion(sample: Sample, seed: int) -> Answers:
    """Doubly robust means of this package, and the effects of rows by its law of outcomes."""
    ate, att = ours.job(ours.causal_data(sample.frame()), seed)
    return Answers(ate, att, ours.cate(sample, seed) if len(sample.X_test) else None)


def learner(cate: peers.Cate, sample: Sample, seed: int) -> Answers:
    """A method that predicts effects of rows; its means are means of them."""
    on_train, on_test = _split_rows(cate, sample, seed)
    treated = sample.treatment == 1
    return Answers(float(on_train.mean()), float(on_train[treated].mean()), on_test)


def ols_t(x: Array, d: Array, y: Array, x_test: Array, seed: int) -> Array:
    """Least squares in each arm."""
    from sklearn.linear_model import LinearRegression

    fits = [LinearRegression().fit(x[d == a], y[d == a]) for a in (0, 1)]
    return np.asarray(fits[1].predict(x_test) - fits[0].predict(x_test))


def dr_learner(sample: Sample, seed: int) -> Answers:
    """EconML's DRLearner; its ATE is the mean of the doubly robust scores (LinearDRLearner)."""
    from econml.dr import LinearDRLearner

    predicted = learner(_dr_effects, sample, seed)
    x, d, y = _numbers(sample)
    with peers._quiet():
        mean = LinearDRLearner(**_dr_settings(seed)).fit(y, d, X=None, W=x)
        found = mean.intercept__inference(T=1)
    ate = peers.normal_effect(found.point_estimate, found.stderr)
    return Answers(ate, predicted.att, predicted.cate)


def _dr_effects(x: Array, d: Array, y: Array, x_test: Array, seed: int) -> Array:
    from econml.dr import DRLearner

    model = DRLearner(**_dr_settings(seed), model_final=peers._regressor(seed))
    with peers._quiet():
        return np.asarray(model.fit(y, d, X=x).effect(x_test)).ravel()


def _dr_settings(seed: int) -> dict[str, Any]:
    return {
        "model_propensity": peers._classifier(seed, "logistic"),
        "model_regression": peers._regressor(seed),
        "min_propensity": 0.01,
        "cv": peers._N_FOLDS,
        "random_state": seed,
    }


def causal_forest(sample: Sample, seed: int) -> Answers:
    """EconML's CausalForestDML with its own doubly robust means, which are over the fitted rows."""
    from econml.dml import CausalForestDML

    x, d, y = _numbers(sample)
    model = CausalForestDML(
        model_y=peers._regressor(seed),
        model_t=peers._classifier(seed, "logistic"),
        discrete_treatment=True,
        cv=peers._N_FOLDS,
        n_estimators=400,
        n_jobs=1,
        random_state=seed,
    )
    with peers._quiet():
        model.fit(y, d, X=x)
        ate = peers.normal_effect(np.ravel(model.ate_)[0], np.ravel(model.ate_stderr_)[0])
        att = peers.normal_effect(np.ravel(model.att_(T=1))[0], np.ravel(model.att_stderr_(T=1))[0])
        x_test = sample.one_hot()[1]
        cate = np.asarray(model.effect(x_test)).ravel() if len(x_test) else None
    return Answers(ate, att, cate)


def doubleml(sample: Sample, seed: int) -> Answers:
    """DoubleML's interactive regression model: means only."""
    x, d, y = _numbers(sample)
    ate, att = (
        peers.doubleml_irm(x, d, y, seed, score, propensity="logistic") for score in ("ATE", "ATTE")
    )
    return Answers(ate, att, None)


METHODS: dict[str, Callable[[Sample, int], Answers]] = {
    OURS: diffusion,
    "ols_t": partial(learner, ols_t),
    "bart_t": partial(learner, peers.bart_t),
    "bcf": partial(learner, peers.bcf),
    "x_learner": partial(learner, peers.x_learner),
    "dr_learner": dr_learner,
    "causal_forest": causal_forest,
    "doubleml": doubleml,
}


def _numbers(sample: Sample) -> tuple[Array, Array, Array]:
    return sample.one_hot()[0], sample.treatment, sample.outcome


def _split_rows(cate: peers.Cate, sample: Sample, seed: int) -> tuple[Array, Array | None]:
    """Predictions for the training rows and for the rows to predict, from one fit."""
    x, x_test = sample.one_hot()
    rows = cate(x, sample.treatment, sample.outcome, np.vstack([x, x_test]), seed)
    return rows[: len(x)], rows[len(x) :] if len(x_test) else None
