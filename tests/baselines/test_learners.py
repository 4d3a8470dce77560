"""Methods that learn: pension figures, folds, bootstrap samples."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from causal_ddpm.baselines.causal_forest import CausalForest
from causal_ddpm.baselines.double_ml import (
    InteractiveInstrument,
    InteractiveRegression,
    PartiallyLinear,
)
from causal_ddpm.baselines.learners import folds
from causal_ddpm.baselines.meta_learners import DRLearner, TLearner, resamples
from causal_ddpm.core.estimand import ATE, ATT, LATE, DoseResponse


def test_folds_split_every_stratum_evenly():
    strata = np.repeat([0, 1, 2], [100, 53, 7])
    split = folds(strata, 0)
    assert np.array_equal(np.sort(np.concatenate([test for _, test in split])), np.arange(160))
    for train, test in split:
        assert not set(train) & set(test)
        assert np.bincount(strata[test], minlength=3) == pytest.approx([20, 10.6, 1.4], abs=1)
    assert any(not np.array_equal(a[1], b[1]) for a, b in zip(split, folds(strata, 1), strict=True))


def test_bootstrap_samples_keep_the_arms_or_take_whole_clusters(simulated, roles):
    frame = simulated(100)
    for rows in resamples(roles(frame), 3, 0):
        assert frame["d"].iloc[rows].sum() == frame["d"].sum()
    whole = frame.groupby("g").size()
    for rows in resamples(roles(frame, clusters="g"), 3, 0):
        counts = np.bincount(frame["g"].iloc[rows], minlength=25)
        assert np.all(counts % whole == 0)
        assert len(set(counts)) > 1


def _forest(kind, **more):
    return kind(n_estimators=20, min_samples_leaf=5, random_state=0, n_jobs=1, **more)


@pytest.mark.peers
def test_pension_eligibility_by_double_machine_learning(classics):
    forests = PartiallyLinear(
        _forest(RandomForestRegressor, max_features=None),
        _forest(RandomForestClassifier, max_features=None),
    )
    found = forests.estimate(classics.eligible, ATE())
    assert found.value == pytest.approx(9.8, abs=0.6)
    assert found.std_error == pytest.approx(1.3, abs=0.1)


@pytest.mark.peers
@pytest.mark.parametrize("method", [PartiallyLinear(), InteractiveRegression(), DRLearner()])
def test_pension_eligibility_by_boosted_trees(classics, method):
    found = method.estimate(classics.eligible, ATE())
    assert found.value == pytest.approx(9.8, abs=1.3)
    assert found.std_error == pytest.approx(1.3, abs=0.15)


@pytest.mark.peers
def test_pension_participation_by_the_interactive_instrument(classics):
    found = InteractiveInstrument().estimate(classics.participants, LATE())
    assert found.value == pytest.approx(13.0, abs=1.5)
    assert found.std_error == pytest.approx(1.9, abs=0.3)


@pytest.mark.peers
def test_a_dose_has_one_slope_in_the_partially_linear_model(classics):
    found = PartiallyLinear().estimate(classics.card, DoseResponse([12], derivative=True))
    assert found.value == pytest.approx(0.0747, abs=0.015)
    assert found.std_error < 0.006


@pytest.mark.peers
def test_forest_reads_the_doubly_robust_average(classics):
    found = {e.name: CausalForest(40).estimate(classics.nsw, e).value for e in (ATE(), ATT())}
    assert found["ATE"] == pytest.approx(1794, abs=1200)
    assert found["ATE"] != found["ATT"]


@pytest.mark.peers
def test_bootstrap_follows_the_clusters(simulated, roles):
    frame = simulated(500)
    frame["y"] += 2.0 * np.random.default_rng(3).normal(size=25)[frame["g"]] * frame["d"]
    plain = TLearner(15).estimate(roles(frame), ATE())
    clustered = TLearner(15).estimate(roles(frame, clusters="g"), ATE())
    assert clustered.std_error > 1.4 * plain.std_error
    assert clustered.df == 24
