"""Scores of effects of units: formulas, what they are centred at, and their size."""

import numpy as np
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE
from causal_ddpm.dgp.confounded import GAUSS, NO_EFFECT
from causal_ddpm.estimators.cate import conditional_effects
from causal_ddpm.estimators.effect_scores import EffectScores
from causal_ddpm.estimators.ranking import Ranking
from causal_ddpm.evaluation.cate_scores import score_effects, summary_scores
from causal_ddpm.nuisance.crossfit import Nuisances


def oracle(draw):
    folds = np.arange(draw.data.n) % 5
    return Nuisances(folds, draw.mean, draw.propensity, None, draw.data.fingerprint)


DRAW = GAUSS.draw(20_000, seed=71)
TAU = DRAW.mean[:, 1] - DRAW.mean[:, 0]
NUISANCES = oracle(DRAW)


def test_gain_and_r2_by_hand():
    psi = conditional_effects(DRAW.data, NUISANCES).score
    t = DRAW.data.covariates.values[:, 1]
    found = score_effects(DRAW.data, NUISANCES, t).scores
    gain = ((psi - psi.mean()) ** 2).mean() - ((psi - t) ** 2).mean()
    assert found.values[0] == pytest.approx(gain / psi.var(), abs=1e-10)
    assert found.values[1] == pytest.approx(gain, abs=1e-10)


def test_gain_is_the_variance_of_the_effect_less_the_squared_error():
    rng = np.random.default_rng(0)
    for t in (TAU, TAU + rng.normal(size=len(TAU)) * 0.5, np.full(len(TAU), 9.0) + TAU):
        found = score_effects(DRAW.data, NUISANCES, t).scores
        expected = TAU.var() - ((t - TAU) ** 2).mean()
        assert abs(found.values[1] - expected) < 4 * found.std_error[1]


def test_toc_falls_to_zero_and_its_areas_find_the_effect():
    found = score_effects(DRAW.data, NUISANCES, TAU, shares=[0.1, 0.5, 0.9, 1.0])
    true = [TAU[np.quantile(TAU, 1 - u) <= TAU].mean() - TAU.mean() for u in (0.1, 0.5, 0.9)]
    curve = found.toc.estimate
    assert (np.abs(curve.values[:3] - true) < 4 * curve.std_error[:3]).all()
    assert curve.values[3] == pytest.approx(0, abs=1e-10)
    assert curve.std_error[3] == pytest.approx(0, abs=1e-10)
    assert found.toc.uniform
    assert (found.toc.lower <= curve.values).all()
    tests = found.scores.test()
    assert (tests.loc[["AUTOC", "Qini"], "p_value"] < 1e-6).all()


def test_calibration_compares_predicted_with_measured_groups():
    found = score_effects(DRAW.data, NUISANCES, 2 * TAU, n_groups=4)
    frame = found.calibration.frame()
    assert frame["predicted"].is_monotonic_increasing
    np.testing.assert_allclose(frame["value"], frame["predicted"] / 2, atol=0.25)
    assert len(found.to_dict()["calibration"]) == 4


def test_two_candidates_are_compared_on_the_same_rows():
    good = score_effects(DRAW.data, NUISANCES, TAU).scores
    poor = score_effects(DRAW.data, NUISANCES, 0.2 * TAU + 1).scores
    assert (good - poor).values[1] > 3 * (good - poor).std_error[1]


def test_size_of_autoc_and_qini_without_an_effect():
    """400 samples of 300 rows, ranks that know nothing: two-sided tests at 5 percent."""
    draw = NO_EFFECT.draw(400 * 300, seed=80)
    scores = EffectScores.of(ATE(), draw.data, oracle(draw), calibrated=False).effect.reshape(
        400, 300
    )
    ranks = np.random.default_rng(1).normal(size=(400, 300))
    rejected, w, folds = [], np.ones(300), np.arange(300) % 5
    for psi, t in zip(scores, ranks, strict=True):
        values, phi = summary_scores(psi, t, w, Ranking.of(t, w, folds))
        errors = np.sqrt((phi**2).sum(axis=0)) / 300
        rejected.append(np.abs(values[2:]) > 1.96 * errors[2:])
    size = np.mean(rejected, axis=0)
    assert (size < 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 400)).all()
    assert (size > 0.01).all()


def test_refusals():
    for effects, sentence in (
        (np.ones(3), r"the effects have shape \(3,\)"),
        (np.full(20_000, np.nan), "20000 of them not finite"),
        (conditional_effects(GAUSS.draw(500, seed=1).data, oracle(GAUSS.draw(500, seed=1))),
         "belong to other data"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=sentence):
            score_effects(DRAW.data, NUISANCES, effects)
    with pytest.raises(DataError, match=r"the shares are \[0.0\]"):
        score_effects(DRAW.data, NUISANCES, TAU, shares=[0.0])
