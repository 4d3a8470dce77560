"""Any learner as a nuisance model, the oracles, and the conformance checks themselves."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.distribution import ConditionalLaw
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.protocols import OutcomePredictions
from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel, LearnerPropensityModel
from causal_ddpm.nuisance.learners import BoostedTrees, LinkRidge
from causal_ddpm.nuisance.oracle import OracleOutcomeModel, OraclePropensityModel
from causal_ddpm.testing import check_learner, check_outcome_model, check_propensity_model

LINEAR = LinkRidge("linT", link=False, cross_index=False)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 2))
    frame = pd.DataFrame({"x0": x[:, 0], "x1": x[:, 1], "d": np.arange(200) % 2})
    frame["y"] = 3 + x[:, 0] + frame["d"] * (1 + x[:, 1]) + 0.1 * rng.standard_normal(200)
    return CausalData(frame, "d", "y", ["x0", "x1"])


@pytest.mark.parametrize("learner", [LinearRegression(), LINEAR, BoostedTrees()])
def test_outcome_models_conform(learner):
    check_outcome_model(LearnerOutcomeModel(learner))


@pytest.mark.parametrize("classifier", [LogisticRegression(), DecisionTreeClassifier(max_depth=2)])
def test_propensity_models_conform(classifier):
    check_propensity_model(LearnerPropensityModel(classifier))


def test_cross_fitting_equals_fitting_by_hand(data):
    folds = np.arange(200) // 2 % 4
    mean = LearnerOutcomeModel(LinearRegression()).cross_fit(data, folds, 0).mean
    x = np.column_stack([np.ones(200), data.covariates.values])
    for k in range(4):
        for a in (0, 1):
            train = (folds != k) & (data.treatment == a)
            theta = np.linalg.lstsq(x[train], data.outcome[train], rcond=None)[0]
            assert mean[folds == k, a] == pytest.approx(x[folds == k] @ theta)


def test_progress_is_told_to_the_end(data):
    shares = []
    LearnerOutcomeModel(LINEAR).cross_fit(
        data, np.arange(200) // 2 % 4, 0, progress=lambda stage, share: shares.append(share)
    )
    assert shares == [0.25, 0.5, 0.75, 1.0]


def test_what_cannot_learn_is_refused():
    with pytest.raises(DataError, match="a Learner"):
        LearnerOutcomeModel("ridge")
    with pytest.raises(DataError, match="predict_proba"):
        LearnerPropensityModel(LinearRegression())


def test_oracles_return_the_truth(data):
    folds = np.zeros(200, dtype=int)
    x = data.covariates.values
    nodes = np.array([[-1.0, 0.0, 1.0]])
    outcome = OracleOutcomeModel(
        (lambda x: x[:, 0], lambda x: x[:, 0] + 2.0),
        (
            lambda x: ConditionalLaw(x[:, :1] + nodes),
            lambda x: ConditionalLaw(x[:, :1] + 2 + nodes),
        ),
    )
    predictions = outcome.cross_fit(data, folds, 0)
    assert np.array_equal(predictions.mean, np.column_stack([x[:, 0], x[:, 0] + 2]))
    assert predictions.laws[1].mean() == pytest.approx(x[:, 0] + 2)
    e, _ = OraclePropensityModel(lambda x: np.full(len(x), 0.3)).cross_fit(data, folds, 0)
    assert np.array_equal(e, np.tile([0.7, 0.3], (200, 1)))


# -- the checks catch what they are for -------------------------------------------------------


class Peeking:
    """An outcome model that fits on the very rows that it predicts."""

    def cross_fit(self, data, fold_ids, random_state, n_jobs=1, progress=None):
        arms = [data.outcome[data.treatment == a].mean() for a in (0, 1)]
        return OutcomePredictions(np.tile(arms, (data.n, 1)))


class Restless:
    """Predictions and probabilities from a generator without a seed."""

    name = "restless"

    def fit(self, x, arm, y, weights, seed):
        return self

    def predict(self, x):
        return np.random.default_rng().random((len(x), 2))

    def cross_fit(self, data, fold_ids, random_state, n_jobs=1):
        e = np.random.default_rng().uniform(0.3, 0.7, data.n)
        return np.column_stack([1 - e, e]), {}


class Lopsided:
    """Probabilities that do not sum to one."""

    def cross_fit(self, data, fold_ids, random_state, n_jobs=1):
        return np.full((data.n, 2), 0.4), {}


def test_a_leak_is_caught():
    with pytest.raises(AssertionError, match="leak"):
        check_outcome_model(Peeking())


def test_hidden_randomness_is_caught():
    with pytest.raises(AssertionError, match="same seed"):
        check_learner(Restless())
    with pytest.raises(AssertionError, match="same seed"):
        check_propensity_model(Restless())


def test_probabilities_that_do_not_sum_to_one_are_caught():
    with pytest.raises(AssertionError, match="sum to one"):
        check_propensity_model(Lopsided())
