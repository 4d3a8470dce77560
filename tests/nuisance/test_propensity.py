"""The propensity mix and the probability mix beneath it."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.data import CausalData
from causal_ddpm.nuisance.folds import draw_folds
from causal_ddpm.nuisance.propensity import (
    ProbabilityMix,
    PropensityMix,
    fit_calibration,
    log_loss,
)
from causal_ddpm.testing import check_propensity_model


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def simulate(n, seed, index, p=5):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p))
    e = sigmoid(index(x))
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(p)])
    frame["d"] = (rng.random(n) < e).astype(int)
    frame["y"] = x[:, 0] + frame["d"]
    return CausalData(frame, "d", "y", [f"x{j}" for j in range(p)]), e, frame


def test_the_mix_conforms():
    check_propensity_model(PropensityMix())


def test_a_logistic_model_is_recovered_and_calibrated():
    data, e, _ = simulate(3000, 0, lambda x: 0.8 * x[:, 0] - 0.6 * x[:, 1])
    p, report = PropensityMix().cross_fit(data, draw_folds(data, 5, 0), 0)
    assert np.sqrt(np.mean((p[:, 1] - e) ** 2)) < 0.04
    intercept, slope = fit_calibration(p[:, 1], data.treatment, None)
    assert slope == pytest.approx(1, abs=0.12)
    assert intercept == pytest.approx(0, abs=0.1)
    assert np.mean([fold["mix_trees"] for fold in report["folds"]]) < 0.3
    assert report["log_loss"] < log_loss(np.full(3000, data.treatment.mean()), data.treatment)


def test_trees_take_over_where_no_square_helps():
    data, e, _ = simulate(3000, 1, lambda x: 2.0 * (x[:, 0] * x[:, 1] > 0) - 1)
    p, report = PropensityMix().cross_fit(data, draw_folds(data, 5, 0), 0)
    assert np.mean([fold["mix"] for fold in report["folds"]]) < 0.5
    assert np.corrcoef(p[:, 1], e)[0, 1] > 0.8


def test_squares_are_among_the_logistic_terms():
    data, e, _ = simulate(1500, 2, lambda x: x[:, 0] ** 2 - 1)
    p, _ = PropensityMix().cross_fit(data, draw_folds(data, 5, 0), 0)
    assert np.corrcoef(p[:, 1], e)[0, 1] > 0.9


def test_fit_predicts_frames_like_covariates():
    data, e, frame = simulate(600, 3, lambda x: x[:, 0])
    fitted = PropensityMix().fit(data, 0)
    p = fitted.predict(frame)
    assert np.array_equal(p, fitted.predict(data.covariates))
    assert np.corrcoef(p[:, 1], e)[0, 1] > 0.9
    assert p.sum(axis=1) == pytest.approx(np.ones(600))


def test_rare_labels_and_more_columns_than_rows():
    rng = np.random.default_rng(4)
    rare = (np.arange(1000) < 10).astype(np.int64)
    x = rng.standard_normal((1000, 5)) + rare[:, None]
    p = ProbabilityMix().fit(Covariates.from_array(x), rare, None, 0)
    probability = p.predict(Covariates.from_array(x))
    assert probability.mean() == pytest.approx(0.01, abs=0.006)
    assert probability[:10].mean() > 3 * probability[10:].mean()
    wide = Covariates.from_array(rng.standard_normal((120, 200)))
    noise = (np.arange(120) % 2).astype(np.int64)
    spread = (
        ProbabilityMix()
        .fit(wide, noise, None, 0)
        .predict(Covariates.from_array(rng.standard_normal((300, 200))))
    )
    assert np.abs(spread - 0.5).max() < 0.35


def test_too_few_labels_for_an_inner_split_and_none_at_all():
    x = Covariates.from_array(np.random.default_rng(5).standard_normal((60, 2)))
    few = (np.arange(60) < 3).astype(np.int64)
    p = ProbabilityMix().fit(x, few, None, 0).predict(x)
    assert ((p > 0) & (p < 0.5)).all()
    constant = ProbabilityMix().fit(x, np.zeros(60, dtype=np.int64), None, 0)
    assert constant.predict(x) == pytest.approx(np.full(60, 0.5 / 61))


def test_extra_columns_enter_the_model():
    rng = np.random.default_rng(6)
    x, arm = Covariates.from_array(rng.standard_normal((800, 3))), rng.integers(0, 2, 800)
    labels = (rng.random(800) < np.where(arm == 1, 0.8, 0.3)).astype(np.int64)
    fitted = ProbabilityMix().fit(x, labels, None, 0, extra=arm[:, None])
    by_arm = [fitted.predict(x, extra=np.full((800, 1), a)).mean() for a in (0, 1)]
    assert by_arm == pytest.approx([0.3, 0.8], abs=0.07)


def test_weights_move_the_level():
    rng = np.random.default_rng(7)
    x = Covariates.from_array(rng.standard_normal((600, 2)))
    labels = (rng.random(600) < 0.5).astype(np.int64)
    weighted = ProbabilityMix().fit(x, labels, np.where(labels == 1, 3.0, 1.0), 0)
    assert weighted.predict(x).mean() == pytest.approx(0.75, abs=0.04)


def test_inner_folds_keep_clusters_together():
    """A column that names the cluster predicts labels in random splits, not in cluster splits."""
    rng = np.random.default_rng(8)
    cluster = np.repeat(np.arange(40), 10)
    labels = rng.integers(0, 2, 40)[cluster]
    x = Covariates.from_array(np.column_stack([rng.standard_normal(40)[cluster]] * 2))
    loose = ProbabilityMix().fit(x, labels, None, 0)
    tight = ProbabilityMix().fit(x, labels, None, 0, clusters=cluster)
    assert tight.report["inner_log_loss"] > loose.report["inner_log_loss"] + 0.1


def test_calibration_repairs_overconfidence():
    rng = np.random.default_rng(9)
    z = rng.standard_normal(20_000)
    labels = (rng.random(20_000) < sigmoid(z)).astype(np.int64)
    intercept, slope = fit_calibration(sigmoid(2 * z + 1), labels, None)
    assert slope == pytest.approx(0.5, abs=0.03)
    assert intercept == pytest.approx(-0.5, abs=0.05)
