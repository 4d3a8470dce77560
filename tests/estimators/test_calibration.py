"""The line that an outcome model is put on: weighted least squares, leverage, invariances."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import ATE, ATT, ATU
from causal_ddpm.dgp.confounded import GAUSS
from causal_ddpm.estimators.ate import MeanEffect
from causal_ddpm.estimators.calibration import MAX_LEVERAGE, calibrated_means
from causal_ddpm.estimators.inference import Sampling
from causal_ddpm.estimators.scores import ate_score, ate_weights, clip_bound


@pytest.fixture
def rows(small_sample):
    frame, mean, propensity, _ = small_sample()
    return frame, mean + np.array([0.5, -0.3]), propensity


def data_of(frame, **roles):
    return CausalData(frame, "d", "y", ["x"], outcome_kind="continuous", **roles)


def calibrate(data, mean, propensity, arms=(0, 1)):
    c = clip_bound(data.treatment, data.weights)
    sampling = Sampling.of(data)
    return calibrated_means(data.outcome, data.treatment, mean, propensity, sampling, c, arms)


def test_the_line_and_its_leverage_are_those_of_weighted_least_squares(rows):
    frame, mean, e = rows
    data = data_of(frame[frame["w"] > 0], weights="w")
    kept = frame["w"].to_numpy() > 0
    mean, e = mean[kept], e[kept]
    found = calibrate(data, mean, e)
    for a in (0, 1):
        own = data.treatment == a
        root = np.sqrt(data.weights * (1 - e[:, a]) / e[:, a] ** 2)[own, None]
        x = sm.add_constant(mean[own, a])
        fit = sm.OLS(root[:, 0] * data.outcome[own], root * x).fit()
        np.testing.assert_allclose(found.lines[a], fit.params, rtol=1e-9)
        np.testing.assert_allclose(found.mean[:, a], fit.params @ [np.ones(len(e)), mean[:, a]])
        hat = fit.get_influence().hat_matrix_diag
        np.testing.assert_allclose(found.inflation[own], 1 / np.sqrt(1 - hat), rtol=1e-9)


def test_a_right_model_is_left_alone_and_so_is_an_arm_that_does_not_stand_in(rows):
    frame, mean, e = rows
    right = frame.assign(y=mean[np.arange(len(frame)), frame["d"]])
    found = calibrate(data_of(right), mean, e)
    np.testing.assert_allclose(found.mean, mean, atol=1e-10)
    one = calibrate(data_of(frame), mean, e, arms=(0,))
    np.testing.assert_array_equal(one.mean[:, 1], mean[:, 1])
    assert (one.inflation[frame["d"] == 1] == 1).all()
    assert set(one.lines) == {0}


def test_no_other_line_has_a_smaller_weighted_error(rows):
    frame, mean, e = rows
    data = data_of(frame)
    found = calibrate(data, mean, e)
    own = data.treatment == 1
    v = ((1 - e[:, 1]) / e[:, 1] ** 2)[own]

    def loss(alpha, beta):
        return v @ (data.outcome[own] - alpha - beta * mean[own, 1]) ** 2

    alpha, beta = found.lines[1]
    best = loss(alpha, beta)
    assert all(loss(alpha + i, beta + j) > best for i in (-0.1, 0.1) for j in (-0.1, 0, 0.1))
    assert best <= loss(0, 1)


def test_units_of_the_outcome_do_not_matter(rows):
    frame, mean, e = rows
    plain = calibrate(data_of(frame), mean, e)
    other = calibrate(data_of(frame.assign(y=3 * frame["y"] + 7)), 3 * mean + 7, e)
    np.testing.assert_allclose(other.mean, 3 * plain.mean + 7, atol=1e-9)
    np.testing.assert_allclose(other.inflation, plain.inflation, rtol=1e-9)


@pytest.mark.parametrize("weights_type", ["frequency", "sampling"])
def test_weights_stand_for_copies(rows, weights_type):
    frame, mean, e = rows
    kept = frame["w"].to_numpy() > 0
    frame, mean, e = frame[kept].reset_index(drop=True), mean[kept], e[kept]
    copies = np.repeat(np.arange(len(frame)), frame["w"])
    doubled = frame.iloc[copies].assign(origin=copies)
    clusters = {"clusters": "origin"} if weights_type == "sampling" else {}
    weighted = calibrate(data_of(frame, weights="w", weights_type=weights_type), mean, e)
    repeated = calibrate(data_of(doubled, **clusters), mean[copies], e[copies])
    np.testing.assert_allclose(weighted.mean[copies], repeated.mean, atol=1e-10)
    np.testing.assert_allclose(weighted.inflation[copies], repeated.inflation, rtol=1e-10)


def test_constant_means_are_only_moved(rows):
    frame, _, e = rows
    found = calibrate(data_of(frame), np.zeros((len(frame), 2)), e)
    for a in (0, 1):
        own = frame["d"] == a
        v = ((1 - e[:, a]) / e[:, a] ** 2)[own]
        np.testing.assert_allclose(found.mean[:, a], np.average(frame["y"][own], weights=v))


def test_one_row_that_carries_everything_is_inflated_up_to_a_limit(rows):
    frame, mean, e = rows
    e = e.copy()
    first = int(np.flatnonzero(frame["d"] == 1)[0])
    e[:, 1], e[first, 1] = 0.999, 0.021
    e[:, 0] = 1 - e[:, 1]
    found = calibrate(data_of(pd.DataFrame(frame)), mean, e, arms=(1,))
    assert found.inflation[first] == pytest.approx(1 / np.sqrt(1 - MAX_LEVERAGE))
    assert np.isfinite(found.mean).all()


@pytest.mark.parametrize("estimand", [ATE(), ATT(), ATU()], ids=lambda e: e.name)
def test_the_calibrated_effect_is_the_score_at_the_lines(estimand, rows, given):
    """Estimate, and standard error with HC2 residuals, written by hand."""
    frame, mean, e = rows
    data = data_of(frame)
    found = MeanEffect(estimand).estimate(data, given(data, mean, e))
    y, d = data.outcome, data.treatment
    moved, scale = mean.copy(), np.ones(len(y))
    for a in {"ATE": (0, 1), "ATT": (0,), "ATU": (1,)}[estimand.name]:
        own = d == a
        root = np.sqrt((1 - e[own, a]) / e[own, a] ** 2)[:, None]
        x = np.column_stack([np.ones(own.sum()), mean[own, a]])
        coef, *_ = np.linalg.lstsq(root * x, root[:, 0] * y[own], rcond=None)
        moved[:, a] = coef[0] + coef[1] * mean[:, a]
        q, _ = np.linalg.qr(root * x)
        scale[own] = 1 / np.sqrt(1 - (q**2).sum(axis=1))

    def score(stretch):
        r0, r1 = (stretch * (y - moved[:, a]) for a in (0, 1))
        if estimand.name == "ATE":
            effect = moved[:, 1] - moved[:, 0]
            return effect + d * r1 / e[:, 1] - (1 - d) * r0 / e[:, 0], np.ones(len(y))
        if estimand.name == "ATT":
            r0 = np.where(d == 0, r0, y - moved[:, 0])
            return (d - (1 - d) * e[:, 1] / e[:, 0]) * r0, d
        r1 = np.where(d == 1, r1, y - moved[:, 1])
        return (d * e[:, 0] / e[:, 1] - (1 - d)) * r1, 1 - d

    psi, member = score(1.0)
    theta = psi.sum() / member.sum()
    wide, _ = score(scale)
    phi = (wide - theta * member) / member.mean()
    assert found.value == pytest.approx(theta, abs=1e-10)
    assert found.std_error == pytest.approx(phi.std(ddof=1) / len(y) ** 0.5, abs=1e-10)
    assert found.influence.mean() == pytest.approx(0, abs=1e-10)
    plain = MeanEffect(replace(estimand, calibrated=False)).estimate(data, given(data, mean, e))
    assert plain.value != pytest.approx(found.value, abs=1e-6)


def test_errors_of_the_model_that_a_line_can_undo_do_no_harm(oracle):
    """Means stretched and shifted: the calibrated effect is the one at the true means."""
    draw = GAUSS.draw(3000, 7)
    nuisances = oracle(draw)
    worse = replace(nuisances, mean=2 * nuisances.mean - 1)
    a, b = (MeanEffect(ATE()).estimate(draw.data, n) for n in (nuisances, worse))
    assert b.value == pytest.approx(a.value, abs=1e-9)
    assert b.std_error == pytest.approx(a.std_error, abs=1e-9)
    plain = MeanEffect(ATE(calibrated=False)).estimate(draw.data, worse)
    assert plain.std_error > 1.3 * a.std_error


def test_small_errors_of_both_nuisances_move_the_mean_to_second_order():
    """By integration: each row of x stands once in each arm, weighted by its propensity."""
    draw = GAUSS.draw(20_000, 8)
    x, e, mean = draw.data.covariates.values, draw.propensity, draw.mean
    frame = pd.DataFrame({
        "d": np.repeat([0, 1], len(x)), "y": mean.T.ravel(), "x": np.tile(x[:, 0], 2),
        "share": e.T.ravel(),
    })  # fmt: skip
    data = CausalData(frame, "d", "y", ["x"], weights="share")
    sampling, c = Sampling.of(data), clip_bound(data.treatment, data.weights)
    towards = 0.3 * np.tanh(x[:, 1]), np.column_stack([np.sin(2 * x[:, 0]), x[:, 1] ** 2])

    def value(step):
        odds = e[:, 1] / e[:, 0] * np.exp(step * towards[0])
        near = np.tile(np.column_stack([1 / (1 + odds), odds / (1 + odds)]), (2, 1))
        mu = np.tile(mean + step * towards[1], (2, 1))
        d, y = data.treatment, data.outcome
        m = calibrated_means(y, d, mu, near, sampling, c, (0, 1)).mean
        psi = ate_score(y, d, m, ate_weights(d, near, c)).psi_b
        return np.average(psi, weights=data.weights)

    assert abs(value(1e-3) - value(-1e-3)) / 2e-3 < 1e-3
    assert abs(value(1.0) - value(0.0)) > 1e-3
