"""CDF differences and shares below a line: formulas, atoms, bands, refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, ndtr, ndtri

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE, QTE, CDFDifference, PotentialDistributions, ShareBelow
from causal_ddpm.core.estimate import influence_covariance
from causal_ddpm.dgp.confounded import BIMODAL, GAUSS
from causal_ddpm.estimators import scores
from causal_ddpm.estimators.api import estimate_with
from causal_ddpm.estimators.corrected_law import TAIL_ROWS
from causal_ddpm.estimators.curves import effect_curve
from causal_ddpm.estimators.registry import estimator_for

POINTS = (-0.5, 0.0, 0.8)
EXACT = 1e-10


def _by_hand(data, laws, e, points):
    """AIPW of the indicators 1{Y <= y}, and its influence, written out."""
    y, d, e1 = data.outcome[:, None], data.treatment[:, None], e[:, [1]]
    f0, f1 = (law.cdf(points) for law in laws)
    below = y <= np.asarray(points)
    psi = f1 - f0 + d / e1 * (below - f1) - (1 - d) / (1 - e1) * (below - f0)
    return psi.mean(axis=0), psi - psi.mean(axis=0)


def test_a_difference_is_the_aipw_estimate_of_indicators(small_sample, as_data, given):
    frame, mean, e, laws = small_sample(n=400)
    data = as_data(frame)
    estimate = estimator_for(CDFDifference(POINTS)).estimate(data, given(data, mean, e, laws))
    value, phi = _by_hand(data, laws, e, POINTS)
    np.testing.assert_allclose(estimate.values, value, atol=EXACT)
    np.testing.assert_allclose(estimate.influence, phi, atol=EXACT)
    np.testing.assert_allclose(estimate.cov, influence_covariance(phi), atol=EXACT)
    assert estimate.labels == ("F1-F0(-0.5)", "F1-F0(0)", "F1-F0(0.8)")


def test_shares_are_strictly_below_the_line(given):
    # a third of the outcomes lies on the line itself
    rng = np.random.default_rng(1)
    y, d = rng.integers(0, 3, 600).astype(float), np.arange(600) % 2
    data = CausalData(pd.DataFrame({"y": y, "d": d, "x": rng.normal(size=600)}), "d", "y", ["x"])
    law = ConditionalLaw(np.tile(np.linspace(-1, 3, 16), (600, 1)))
    nuisances = given(data, np.zeros((600, 2)), np.full((600, 2), 0.5), (law, law))
    effect, treated, untreated = estimator_for(ShareBelow(1)).estimate(data, nuisances).values
    assert treated == pytest.approx((y[d == 1] < 1).mean(), abs=0.01)
    assert untreated == pytest.approx((y[d == 0] < 1).mean(), abs=0.01)
    assert effect == pytest.approx(treated - untreated, abs=EXACT)
    at_most = estimator_for(CDFDifference(1.0)).estimate(data, nuisances).details
    assert at_most["cdf_treated"][0] == pytest.approx((y[d == 1] <= 1).mean(), abs=0.01)


def test_shares_equal_the_difference_of_the_distribution_functions(small_sample, as_data, given):
    frame, mean, e, laws = small_sample(n=300)
    data = as_data(frame)
    nuisances = given(data, mean, e, laws)
    shares = estimator_for(ShareBelow(POINTS)).estimate(data, nuisances)
    difference = estimator_for(CDFDifference(POINTS)).estimate(data, nuisances)
    assert shares.labels[:4] == (
        "ShareBelow(-0.5)", "ShareBelow(0)", "ShareBelow(0.8)", "P(Y(1)<-0.5)",
    )  # fmt: skip
    np.testing.assert_allclose(shares.values[:3], difference.values, atol=EXACT)
    np.testing.assert_allclose(shares.std_error[:3], difference.std_error, atol=EXACT)
    treated, untreated = shares.values[3:6], shares.values[6:]
    np.testing.assert_allclose(treated - untreated, difference.values, atol=EXACT)


@pytest.mark.parametrize("among", ["all", "treated", "untreated"])
def test_differences_are_those_of_the_distributions_on_their_own_grid(among, oracle):
    draw = GAUSS.draw(400, seed=2)
    nuisances = oracle(draw, GAUSS)
    both, difference = estimate_with(
        draw.data, [PotentialDistributions(among=among), CDFDifference(among=among)], nuisances
    )
    f0, f1 = both.values.reshape(2, -1)
    np.testing.assert_allclose(difference.values, f1 - f0, atol=EXACT)
    curve = effect_curve(difference)
    assert curve.uniform
    np.testing.assert_array_equal(curve.grid, both.details["grid"])
    assert ((curve.lower <= curve.estimate.values) & (curve.estimate.values <= curve.upper)).all()
    # nothing is known of a tail without rows: the floor of both arms
    assert difference.std_error[-1] >= TAIL_ROWS / 400 * np.sqrt(2) * 0.99


def _mean_of_score(t):
    """Mean of the score of P(Y(1) <= .3) with law and propensity wrong by t.

    x ~ N(0, 1), D = 1 with probability S(x), Y(1) | x ~ N(x, 1); the mean over D and Y is exact.
    """
    x, c = ndtri(mid_levels(2_000)), np.array([0.3])
    e, true = expit(x), ndtr(c[0] - x)
    law = ndtr(c[0] - x - t * np.cos(x))[:, None]
    omega = 1 / expit(x + t * np.cos(x))
    one = np.ones_like(x)
    below, above, other = (
        scores.cdf_scores(y, one, law, weight, c)[:, 0]
        for y, weight in ((-9 * one, omega), (9 * one, omega), (one, 0 * one))
    )
    return np.mean(e * (true * below + (1 - true) * above) + (1 - e) * other)


def test_the_score_does_not_feel_small_errors_of_law_and_propensity():
    assert _mean_of_score(0.0) == pytest.approx(ndtr(0.3 / np.sqrt(2)), abs=1e-4)
    assert abs(_mean_of_score(1e-3) - _mean_of_score(-1e-3)) / 2e-3 < 1e-3
    assert abs(_mean_of_score(1.0) - _mean_of_score(0.0)) > 1e-3  # large ones it does


def test_effects_and_bands_cover(oracle):
    points = (-1.0, 0.0, 1.0, 2.0, 3.0)
    truth = np.array(list(BIMODAL.truth_of(CDFDifference(points)).values()))
    inside, at_once, shares = [], [], []
    share_truth = np.array(list(BIMODAL.truth_of(ShareBelow(0.0)).values()))
    for seed in range(100):
        draw = BIMODAL.draw(300, seed)
        nuisances = oracle(draw, BIMODAL, n_nodes=12)
        estimate = estimator_for(CDFDifference(points)).estimate(draw.data, nuisances)
        low, high = estimate.interval()
        inside.append((low <= truth) & (truth <= high))
        band = effect_curve(estimate)
        at_once.append(((band.lower <= truth) & (truth <= band.upper)).all())
        low, high = estimator_for(ShareBelow(0.0)).estimate(draw.data, nuisances).interval()
        shares.append((low <= share_truth) & (share_truth <= high))
    assert 0.92 <= np.mean(inside) <= 0.98
    assert np.mean(at_once) >= 0.95 - 2.6 * np.sqrt(0.95 * 0.05 / 100)
    assert np.mean(shares) >= 0.91


def test_quantile_effects_as_a_curve(oracle):
    draw = GAUSS.draw(400, seed=3)
    levels = tuple(np.linspace(0.1, 0.9, 9).round(2))
    estimate = estimator_for(QTE(levels, among="treated")).estimate(draw.data, oracle(draw, GAUSS))
    assert estimate.labels[0] == "QTT(0.1)"
    assert QTE(0.5, among="untreated").labels == ("QTU(0.5)",)
    curve, pointwise = effect_curve(estimate), estimate.interval()
    np.testing.assert_array_equal(curve.grid, levels)
    assert (curve.upper - curve.lower).mean() > (pointwise[1] - pointwise[0]).mean()
    assert list(curve.to_frame().columns) == ["grid", "value", "lower", "upper"]


def test_what_is_no_curve_is_refused(oracle):
    draw = GAUSS.draw(200, seed=4)
    for estimand in (ATE(), ShareBelow([0.0, 1.0])):
        estimate = estimator_for(estimand).estimate(draw.data, oracle(draw, GAUSS))
        with pytest.raises(DataError, match="is no curve along a grid; expected an estimate of"):
            effect_curve(estimate)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ShareBelow(), r"thresholds are \[\]; expected one finite number at least"),
        (lambda: ShareBelow(np.nan), r"thresholds are \[nan\]"),
        (lambda: CDFDifference([0.0, np.inf]), r"points are \[0.0, inf\]"),
        (lambda: CDFDifference([]), r"points are \[\]"),
        (lambda: CDFDifference(among="some"), "'all', 'treated' or 'untreated'"),
        (lambda: ShareBelow(1.0, among="some"), "'all', 'treated' or 'untreated'"),
    ],
)
def test_bad_settings_are_refused(make, sentence):
    with pytest.raises(DataError, match=sentence):
        make()


def test_means_only_models_are_refused(small_sample, as_data, given):
    frame, mean, e, _ = small_sample()
    data = as_data(frame)
    for estimand in (CDFDifference(), ShareBelow(0.0)):
        with pytest.raises(DataError, match="learned means only; expected a model of the whole"):
            estimator_for(estimand).estimate(data, given(data, mean, e))


def test_points_far_outside_the_data_have_no_effect_and_honest_errors(oracle):
    draw = GAUSS.draw(300, seed=6)
    span = np.ptp(draw.data.outcome)
    far = [draw.data.outcome.min() - span, draw.data.outcome.max() + span]
    estimate = estimator_for(CDFDifference(far)).estimate(draw.data, oracle(draw, GAUSS))
    np.testing.assert_allclose(estimate.values, 0.0, atol=1e-3)
    assert (estimate.std_error > TAIL_ROWS / 300).all()


@pytest.mark.parametrize("clusters", [None, "g"])
@pytest.mark.parametrize("weights_type", ["frequency", "sampling"])
def test_weighting_is_duplication(weights_type, clusters, small_sample, as_data, given):
    frame, mean, e, laws = small_sample(n=150)
    weighted = as_data(frame, weights="w", weights_type=weights_type, clusters=clusters)
    index = np.repeat(np.arange(150), frame["w"])
    rows = frame.iloc[index].assign(origin=index).reset_index(drop=True)
    alike = clusters or ("origin" if weights_type == "sampling" else None)
    copies = as_data(rows, clusters=alike)
    again = tuple(law.rows(index) for law in laws)
    for estimand in (CDFDifference(POINTS), ShareBelow(0.2)):
        estimator = estimator_for(estimand)
        a = estimator.estimate(weighted, given(weighted, mean, e, laws))
        b = estimator.estimate(copies, given(copies, mean[index], e[index], again))
        np.testing.assert_allclose(a.values, b.values, atol=EXACT)
        np.testing.assert_allclose(a.std_error, b.std_error, atol=EXACT)
