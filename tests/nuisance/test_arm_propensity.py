"""Propensities of several arms: probabilities, out of fold, and close to the truth."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.dgp.three_arms import ThreeArms
from causal_ddpm.nuisance.arm_propensity import ArmPropensityMix, arms_log_loss, normalised
from causal_ddpm.nuisance.crossfit import fit_nuisances
from causal_ddpm.nuisance.folds import draw_folds
from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel, LearnerPropensityModel
from causal_ddpm.nuisance.oracle import OracleOutcomeModel, OraclePropensityModel
from causal_ddpm.nuisance.propensity import ProbabilityMix, PropensityMix

DESIGN = ThreeArms()
QUICK = ArmPropensityMix(ProbabilityMix(inverse_penalties=(0.1,), inner_folds=2))
MODELS = (QUICK, LearnerPropensityModel(LogisticRegression()))


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_rows_are_probabilities_learnt_out_of_fold(model):
    draw = DESIGN.draw(300, 1)
    folds = draw_folds(draw.data, 3, 0)
    e, report = model.cross_fit(draw.data, folds, 1)
    assert e.shape == (300, 3)
    np.testing.assert_allclose(e.sum(axis=1), 1)
    assert e.min() > 0
    assert report["log_loss"] == pytest.approx(arms_log_loss(e, draw.data.treatment))
    again, _ = model.cross_fit(draw.data, folds, 1)
    np.testing.assert_array_equal(e, again)
    # treatments of a fold play no part in its own probabilities
    frame, own = draw.frame.copy(), np.flatnonzero(folds == 0)
    frame.loc[own, "arm"] = frame["arm"].to_numpy()[own[::-1]]
    names = [f"x{j}" for j in range(5)]
    swapped = CausalData(frame, "arm", "y", names, treatment_kind="arms", control="control")
    moved, _ = model.cross_fit(swapped, folds, 1)
    np.testing.assert_array_equal(e[own], moved[own])
    assert not np.array_equal(e, moved)


def test_it_is_better_than_shares_and_close_to_the_truth():
    draw = DESIGN.draw(1_500, 2)
    folds = draw_folds(draw.data, 3, 0)
    e, report = QUICK.cross_fit(draw.data, folds, 1)
    d = draw.data.treatment
    shares = np.tile(np.bincount(d) / len(d), (len(d), 1))
    least = arms_log_loss(draw.propensity, d)
    assert report["log_loss"] < least + 0.5 * (arms_log_loss(shares, d) - least)
    for arm in range(3):
        assert np.corrcoef(e[:, arm], draw.propensity[:, arm])[0, 1] > 0.8
        assert e[:, arm].mean() == pytest.approx((d == arm).mean(), abs=0.02)


def test_two_labelled_arms_are_fitted_once():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    d = (rng.random(200) < 1 / (1 + np.exp(-x))).astype(int)
    frame = pd.DataFrame({"x": x, "y": rng.normal(size=200), "d": d,
                          "arm": np.array(["no", "yes"])[d]})  # fmt: skip
    labelled = CausalData(frame, "arm", "y", ["x"], treatment_kind="arms")
    plain = CausalData(frame, "d", "y", ["x"])
    folds = np.arange(200) % 3
    e, report = QUICK.cross_fit(labelled, folds, 1)
    assert [r["arm"] for r in report["folds"]] == ["yes"] * 3
    same, _ = QUICK.cross_fit(plain, folds, 1)
    np.testing.assert_array_equal(e, same)
    other, _ = PropensityMix(QUICK.probability).cross_fit(plain, folds, 1)
    assert np.corrcoef(e[:, 1], other[:, 1])[0, 1] > 0.9


def test_probabilities_of_zero_are_lifted():
    e = normalised(np.array([[0.0, 0.5, 0.5], [1.0, 1.0, 0.0]]))
    np.testing.assert_allclose(e.sum(axis=1), 1)
    assert e.min() > 4e-7


def test_several_arms_have_their_propensity_by_default():
    from sklearn.linear_model import LinearRegression

    data = DESIGN.draw(150, 3).data
    outcome = LearnerOutcomeModel(LinearRegression())
    nuisances = fit_nuisances(data, outcome, n_folds=2)
    assert nuisances.mean.shape == nuisances.propensity.shape == (150, 3)
    assert "one an arm" in nuisances.propensity_report["method"]


def test_oracles_know_any_number_of_arms():
    draw = DESIGN.draw(60, 4)
    means = OracleOutcomeModel([lambda x, a=a: DESIGN.mean(x, a) for a in range(3)])
    nuisances = fit_nuisances(draw.data, means, OraclePropensityModel(DESIGN.propensity), n_folds=3)
    np.testing.assert_allclose(nuisances.mean, draw.mean)
    np.testing.assert_allclose(nuisances.propensity, draw.propensity)


def test_doses_have_no_propensity():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=["dose", "y", "x"])
    data = CausalData(frame, "dose", "y", ["x"], treatment_kind="dose")
    for model in MODELS:
        with pytest.raises(DataError, match="of kind 'dose'; expected a binary treatment or arms"):
            model.cross_fit(data, np.arange(60) % 3, 0)
