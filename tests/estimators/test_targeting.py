"""TMLE: the score is solved, estimates stay in range, and errors of either nuisance do no harm."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from causal_ddpm.core.estimand import ATE, ATT, ATU
from causal_ddpm.dgp.weak_overlap import WEAK_OVERLAP
from causal_ddpm.estimators import scores
from causal_ddpm.estimators.ate import MeanEffect
from causal_ddpm.estimators.targeting import fluctuation, targeted_means

EXACT = 1e-10
TARGETED = (ATE(targeted=True), ATT(targeted=True), ATU(targeted=True))
targeted = pytest.mark.parametrize("estimand", TARGETED, ids=lambda e: e.name)


def _by_hand(y, d, mu, omega, w, arm):
    """Targeted means of an arm by minimising the weighted log likelihood of the fluctuation."""
    low, high = y.min(), y.max()
    q = logit(np.clip((mu[:, arm] - low) / (high - low), 5e-4, 1 - 5e-4))
    share, own = (y - low) / (high - low), d == arm

    def loss(epsilon):
        p = expit(q[own] + epsilon)
        return -((w * omega)[own] @ (share[own] * np.log(p) + (1 - share[own]) * np.log(1 - p)))

    found = minimize_scalar(loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-12}).x
    for _ in range(5):  # Newton steps take the minimum to machine precision
        p = expit(q[own] + found)
        score = (w * omega)[own] @ (share[own] - p)
        found += score / ((w * omega)[own] @ (p * (1 - p)))
    return low + (high - low) * expit(q + found)


def test_the_ate_equals_the_formula_written_by_hand(small_sample, as_data, given):
    frame, mean, e, _ = small_sample(n=300)
    data = as_data(frame, weights="w")
    estimate = MeanEffect(TARGETED[0]).estimate(data, given(data, mean, e))
    y, d, w = data.outcome, data.treatment, data.weights
    w, omega = w.astype(float), 1 / np.where(d == 1, e[:, 1], e[:, 0])
    seen = w > 0
    m1, m0 = (_by_hand(y[seen], d[seen], mean[seen], omega[seen], w[seen], a) for a in (1, 0))
    y, d, w, omega = y[seen], d[seen], w[seen], omega[seen]
    theta = np.average(m1 - m0, weights=w)
    assert estimate.value == pytest.approx(theta, abs=EXACT)
    psi = m1 - m0 + d * omega * (y - m1) - (1 - d) * omega * (y - m0) - theta
    error = np.sqrt(((w * psi) ** 2).sum()) / w.sum() * np.sqrt(len(y) / (len(y) - 1))
    assert estimate.std_error == pytest.approx(error, abs=EXACT)


def test_the_att_equals_the_formula_written_by_hand(small_sample, as_data, given):
    frame, mean, e, _ = small_sample(n=300)
    data = as_data(frame)
    estimate = MeanEffect(TARGETED[1]).estimate(data, given(data, mean, e))
    y, d = data.outcome, data.treatment
    m0 = _by_hand(y, d, mean, e[:, 1] / e[:, 0], np.ones(len(y)), 0)
    assert estimate.value == pytest.approx((y - m0)[d == 1].mean(), abs=EXACT)


@targeted
def test_estimates_stay_within_the_range_whatever_the_nuisances(
    estimand, small_sample, as_data, given
):
    frame, mean, e, _ = small_sample(n=200)
    frame = frame.assign(y=(frame["y"] > 0.5).astype(float))
    data = as_data(frame)
    wild = given(data, 5 * mean, e)
    assert abs(MeanEffect(estimand).estimate(data, wild).value) <= 1.0
    plain = MeanEffect(type(estimand)()).estimate(data, wild)
    assert plain.method == "given nuisances"


def test_aipw_can_leave_the_range_where_tmle_does_not():
    d = np.repeat([0, 1], [60, 40])
    y = (np.arange(100) > 56).astype(float)  # the event is common among the treated
    e1 = np.where(d == 1, 0.25, 0.3)  # their propensities are too low: they count too much
    e, w, mu = np.column_stack([1 - e1, e1]), np.ones(100), np.full((100, 2), 0.2)
    omega = scores.ate_weights(d, e, 0.01)
    moved, _ = targeted_means(y, d, mu, omega, w, (0, 1))
    aipw, tmle = (scores.solve(scores.ate_score(y, d, m, omega), w)[0] for m in (mu, moved))
    assert aipw > 1.0
    assert 0.5 < tmle <= 1.0


@targeted
def test_the_correction_of_the_score_vanishes(estimand, small_sample):
    frame, mean, e, _ = small_sample(n=250, seed=4)
    y, d, w = (frame[k].to_numpy(dtype=float) for k in ("y", "d", "w"))
    d = d.astype(int)
    target = scores.TARGETS[estimand.group]
    omega = target.weights(d, e, 0.02)
    moved, epsilons = targeted_means(y, d, mean, omega, w, target.stand_ins)
    assert set(epsilons) == {str(a) for a in target.stand_ins}
    for a in (0, 1):
        gap = (w * omega * (y - moved[:, a]))[d == a].sum()
        if a in target.stand_ins:
            assert abs(gap) < 1e-8
            assert moved[:, a].min() >= y[w > 0].min()
            assert moved[:, a].max() <= y[w > 0].max()
        else:
            np.testing.assert_array_equal(moved[:, a], mean[:, a])


def test_outcomes_that_never_vary_in_an_arm_end_at_the_edge():
    q, weights = np.zeros(5), np.ones(5)
    assert fluctuation(np.zeros(5), q, weights) == -40.0
    assert fluctuation(np.ones(5), q, weights) == 40.0
    assert fluctuation(np.full(5, 0.5), q, weights) == pytest.approx(0.0, abs=1e-12)


@targeted
@pytest.mark.parametrize("weights_type", ["frequency", "sampling"])
def test_weights_equal_row_duplication(estimand, weights_type, small_sample, as_data, given):
    frame, mean, e, _ = small_sample()
    index = np.repeat(np.arange(len(frame)), frame["w"])
    rows = frame.iloc[index].assign(g=index).reset_index(drop=True)
    weighted = as_data(frame, weights="w", weights_type=weights_type)
    doubled = as_data(rows, clusters="g" if weights_type == "sampling" else None)
    a = MeanEffect(estimand).estimate(weighted, given(weighted, mean, e))
    b = MeanEffect(estimand).estimate(doubled, given(doubled, mean[index], e[index]))
    assert a.value == pytest.approx(b.value, abs=EXACT)
    assert a.std_error == pytest.approx(b.std_error, abs=EXACT)


@pytest.mark.parametrize("wrong", ["means", "propensities", "both"])
def test_one_wrong_nuisance_does_no_harm_and_two_do(wrong, given):
    draw = WEAK_OVERLAP.draw(20_000, seed=3)
    mean, e = draw.mean, draw.propensity
    if wrong != "propensities":
        mean = np.tile(draw.data.outcome.mean(), (20_000, 2))
    if wrong != "means":
        e = np.full((20_000, 2), 0.5)
    estimate = MeanEffect(ATE(targeted=True)).estimate(draw.data, given(draw.data, mean, e))
    off = abs(estimate.value - draw.truth.value("ATE")) / estimate.std_error
    assert off > 10 if wrong == "both" else off < 4
    assert estimate.details["epsilon"].keys() == {"0", "1"}


def test_coverage_under_weak_overlap(given):
    truth = WEAK_OVERLAP.truth().value("ATE")
    covered, errors = {False: [], True: []}, {False: [], True: []}
    for seed in range(50):
        draw = WEAK_OVERLAP.draw(400, seed=seed)
        x = draw.data.covariates.values
        blurred = draw.mean + 0.5 * np.cos(2 * x[:, [4]])  # means that are not quite right
        nuisances = given(draw.data, blurred, draw.propensity)
        for choice in (False, True):
            estimate = MeanEffect(ATE(targeted=choice)).estimate(draw.data, nuisances)
            low, high = estimate.interval()
            covered[choice].append(low <= truth <= high)
            errors[choice].append(estimate.value - truth)
    assert np.mean(covered[True]) > 0.85
    assert np.std(errors[True]) < 1.05 * np.std(errors[False])


def test_the_method_says_so_and_both_can_be_compared(small_sample, as_data, given):
    frame, mean, e, _ = small_sample(n=300)
    data = as_data(frame)
    nuisances = given(data, mean, e)
    object.__setattr__(nuisances, "method", "cross-fitted AIPW, ridge")
    aipw, tmle = (MeanEffect(ATE(targeted=t)).estimate(data, nuisances) for t in (False, True))
    assert tmle.method == "cross-fitted TMLE, ridge"
    assert aipw.method == "cross-fitted AIPW, ridge"
    assert "epsilon" not in aipw.details
    gap = tmle - aipw
    assert 0 < gap.std_error < aipw.std_error
