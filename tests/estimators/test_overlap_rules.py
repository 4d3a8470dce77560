"""Overlap: silent where it is good, loud where it is weak, refused where there is none."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import OverlapError, OverlapWarning
from causal_ddpm.core.estimand import ATE, ATT, ATU, QTE
from causal_ddpm.dgp.confounded import GAUSS
from causal_ddpm.estimators.api import estimate_effects, estimate_with
from causal_ddpm.estimators.ate import MeanEffect
from causal_ddpm.estimators.overlap import separation
from causal_ddpm.estimators.registry import estimator_for


def _data(d, seed=0):
    rng = np.random.default_rng(seed)
    n = len(d)
    frame = pd.DataFrame({"y": rng.normal(size=n), "d": d, "x": rng.normal(size=n)})
    return CausalData(frame, "d", "y", ["x"])


def _estimate(estimand, given, d, e1):
    data = _data(d)
    e = np.column_stack([1 - e1, e1])
    return MeanEffect(estimand).estimate(data, given(data, np.zeros((data.n, 2)), e))


def test_a_perfectly_predicted_arm_is_refused(given):
    d = np.arange(400) % 2
    e1 = np.where(d == 1, 0.99, 0.01)
    for estimand in (ATE(), ATT(), ATU()):
        with pytest.raises(OverlapError, match=r"No overlap .*predict the treatment perfectly"):
            _estimate(estimand, given, d, e1)


def test_quantiles_are_refused_by_the_same_rules(small_sample, as_data, given):
    frame, mean, _, laws = small_sample()
    data = as_data(frame)
    e1 = np.where(data.treatment == 1, 0.99, 0.01)
    nuisances = given(data, mean, np.column_stack([1 - e1, e1]), laws)
    with pytest.raises(OverlapError, match="No overlap for the QTE"):
        estimator_for(QTE()).estimate(data, nuisances)


def test_arms_that_live_apart_are_refused(given):
    # three untreated rows among the treated keep the ROC area at .985
    d = np.arange(400) % 2
    e1 = np.where(d == 1, 0.7, 0.02)
    e1[[0, 2, 4]] = 0.75
    message = r"the 200 untreated rows count as 1\d\d\.\d comparable ones and stand for 7% of"
    with pytest.raises(OverlapError, match=message):
        _estimate(ATE(), given, d, e1)


def test_too_few_comparable_rows_are_refused(given):
    # 400 untreated rows of which 4 carry all the weight
    d = (np.arange(500) < 100).astype(int)
    e1 = np.where(d == 1, 0.95, 0.0005)
    e1[100:104] = 0.97
    with pytest.raises(OverlapError, match=r"the 400 untreated rows count as \d\.\d comparable"):
        _estimate(ATT(), given, d, e1)


def test_lack_of_overlap_on_one_side_leaves_the_other_estimand(given):
    # a quarter of the untreated could never be treated; every treated one has untreated peers
    rng = np.random.default_rng(1)
    e1 = np.concatenate([np.full(1_000, 1e-4), rng.uniform(0.4, 0.6, 1_000)])
    d = (rng.random(2_000) < e1).astype(int)
    att = _estimate(ATT(), given, d, e1)
    assert att.warnings == ()
    atu = _estimate(ATU(), given, d, e1)
    assert "rows have hardly any treated row like them" in atu.warnings[0]
    assert "treated rows stand for" in atu.warnings[0]
    assert atu.details["overlap"][0]["n_outside"] >= 1_000


def test_one_dominating_row_and_bounded_weights_are_named(given):
    rng = np.random.default_rng(2)
    e1 = rng.uniform(0.3, 0.7, 600)
    d = (rng.random(600) < e1).astype(int)
    e1[np.flatnonzero(d == 0)[:4]] = 0.999
    estimate = _estimate(ATT(), given, d, e1)
    (text,) = estimate.warnings
    assert "one untreated row carries" in text
    assert "the weights of 4 untreated rows were bounded" in text
    assert estimate.details["warning_categories"] == [OverlapWarning.__name__]


def test_good_overlap_is_silent(oracle):
    noisy = 0
    for seed in range(40):
        draw = GAUSS.draw(500, seed)
        noisy += bool(MeanEffect(ATE()).estimate(draw.data, oracle(draw)).warnings)
    assert noisy <= 4


def test_separation_is_the_area_under_the_roc_curve():
    d = np.array([0, 0, 1, 1])
    e1 = np.array([0.1, 0.4, 0.35, 0.8])
    assert separation(d, np.column_stack([1 - e1, e1])) == pytest.approx(0.75)
    flat = np.full((4, 2), 0.5)
    assert separation(d, flat) == pytest.approx(0.5)


def test_job_training_against_a_survey_is_answered_with_a_warning(light_models):
    sets = pytest.importorskip("causaldata", reason="needs the extra 'data' (causaldata)")
    nsw = sets.nsw_mixtape.load_pandas().data
    cps = sets.cps_mixtape.load_pandas().data
    frame = pd.concat([nsw[nsw["treat"] == 1], cps[cps["treat"] == 0]], ignore_index=True)
    confounders = ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
    data = CausalData(frame, "treat", "re78", confounders)
    with pytest.warns(OverlapWarning, match="15,992 untreated rows count as about"):
        (att,) = estimate_effects(data, ATT(), **light_models)
    assert data.n == 16_177
    assert att.value > 0  # the naive difference is -8 498, the experiment says 1 794
    assert 400 < att.std_error < 1_200


def test_warnings_are_issued_and_kept(given):
    rng = np.random.default_rng(3)
    e1 = rng.uniform(0.3, 0.7, 600)
    d = (rng.random(600) < e1).astype(int)
    e1[np.flatnonzero(d == 0)[:4]] = 0.999
    data = _data(d)
    nuisances = given(data, np.zeros((600, 2)), np.column_stack([1 - e1, e1]))
    with pytest.warns(OverlapWarning) as caught:
        ate, att = estimate_with(data, [ATE(), ATT()], nuisances)
    assert {str(w.message) for w in caught} == {*ate.warnings, *att.warnings}
