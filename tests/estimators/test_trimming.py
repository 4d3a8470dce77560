"""The trimmed ATE: who is left, the formula, coverage, refusals."""

import numpy as np
import pytest

from causal_ddpm.core.errors import DataError, OverlapError, SmallSampleWarning
from causal_ddpm.core.estimand import ATE, TrimmedATE
from causal_ddpm.core.estimand.trimming import optimal_bounds
from causal_ddpm.dgp.weak_overlap import WEAK_OVERLAP
from causal_ddpm.estimators.api import estimate_effects
from causal_ddpm.estimators.ate import MeanEffect
from causal_ddpm.estimators.targeting import targeted_means

EXACT = 1e-10


def test_the_optimal_bounds_make_the_variance_least():
    rng = np.random.default_rng(0)
    e, w = rng.beta(0.5, 0.7, 600).clip(0.001, 0.999), rng.integers(0, 3, 600).astype(float)
    low, high = optimal_bounds(e, w)
    assert low == pytest.approx(1 - high)
    assert 0.02 < low < 0.3

    def variance(a):
        kept = (e > a) & (e < 1 - a)
        return (w / (e * (1 - e)))[kept].sum() / w[kept].sum() ** 2

    tried = [variance(a) for a in np.linspace(0.0, 0.45, 2000)]
    assert variance(low) == pytest.approx(min(tried), rel=1e-9)
    # equation of the optimum (Crump et al. 2009): 1/(a(1-a)) = 2 E[G | G <= 1/(a(1-a))]
    kept = (e > low) & (e < high)
    twice = 2 * np.average(1 / (e * (1 - e))[kept], weights=w[kept])
    assert 1 / (low * high) == pytest.approx(twice, rel=0.05)


def test_nobody_goes_where_overlap_is_good():
    e = np.linspace(0.3, 0.7, 50)
    assert optimal_bounds(e, np.ones(50)) == (0.0, 1.0)


@pytest.mark.parametrize("rule", ["crump", 0.35, (0.3, 0.6)])
def test_equal_to_the_mean_score_of_the_rows_that_stay(rule, small_sample, as_data, given):
    frame, mean, e, _ = small_sample(n=400)
    data = as_data(frame)
    nuisances = given(data, mean, e)
    estimate = MeanEffect(TrimmedATE(rule, targeted=True)).estimate(data, nuisances)
    low, high = estimate.details["bounds"]
    kept = (e[:, 1] > low) & (e[:, 1] < high)
    y, d = data.outcome, data.treatment
    omega = 1 / e[np.arange(400), d]
    mean, _ = targeted_means(y, d, mean, omega, kept.astype(float), (0, 1))
    psi = (
        mean[:, 1]
        - mean[:, 0]
        + np.where(d == 1, 1 / e[:, 1], -1 / e[:, 0]) * (y - mean[np.arange(400), d])
    )
    assert estimate.value == pytest.approx(psi[kept].mean(), abs=EXACT)
    error = psi[kept].std(ddof=1) / np.sqrt(kept.sum())
    assert estimate.std_error == pytest.approx(error, abs=EXACT)
    assert estimate.n == kept.sum()
    assert estimate.population == f"units with {low:.3g} < e < {high:.3g}: {kept.sum()} of 400 rows"
    assert estimate.labels == ("trimmed ATE",)
    assert (estimate.influence[~kept] == 0).all()
    # all rows are there still, so the difference from the ATE has its standard error
    gap = MeanEffect(ATE()).estimate(data, nuisances) - estimate
    assert np.isfinite(gap.std_error)


@pytest.mark.parametrize("weights_type", ["frequency", "sampling"])
@pytest.mark.parametrize("targeted", [False, True])
def test_weights_equal_row_duplication(weights_type, targeted, small_sample, as_data, given):
    frame, mean, e, _ = small_sample(n=300)
    index = np.repeat(np.arange(len(frame)), frame["w"])
    rows = frame.iloc[index].assign(g=index).reset_index(drop=True)
    weighted = as_data(frame, weights="w", weights_type=weights_type)
    doubled = as_data(rows, clusters="g" if weights_type == "sampling" else None)
    estimator = MeanEffect(TrimmedATE(0.35, targeted=targeted))
    a = estimator.estimate(weighted, given(weighted, mean, e))
    b = estimator.estimate(doubled, given(doubled, mean[index], e[index]))
    assert a.value == pytest.approx(b.value, abs=EXACT)
    assert a.std_error == pytest.approx(b.std_error, abs=EXACT)


def test_intervals_are_for_the_units_that_stay(oracle):
    rules = (TrimmedATE(0.1), TrimmedATE("crump"))
    truths = [WEAK_OVERLAP.truth_of(rule)["trimmed ATE"] for rule in rules]
    covered = []
    for seed in range(50):
        draw = WEAK_OVERLAP.draw(400, seed=seed)
        nuisances = oracle(draw)
        ends = [MeanEffect(rule).estimate(draw.data, nuisances).interval() for rule in rules]
        covered.append([low <= t <= high for (low, high), t in zip(ends, truths, strict=True)])
    assert (np.mean(covered, axis=0) > 0.85).all()


def test_trimming_answers_where_the_ate_is_refused(small_sample, as_data, given):
    frame, mean, e, _ = small_sample(n=1000)
    e1 = e[:, 1].copy()
    e1[:920] = np.where(frame["d"][:920] == 1, 1 - 1e-6, 1e-6)  # decided by the confounders
    data = as_data(frame)
    nuisances = given(data, mean, np.column_stack([1 - e1, e1]))
    with pytest.raises(OverlapError, match="No overlap for the ATE"):
        MeanEffect(ATE()).estimate(data, nuisances)
    assert MeanEffect(TrimmedATE(0.1)).estimate(data, nuisances).n == 80
    with pytest.raises(
        OverlapError, match=r"trimmed ATE: units with 0\.49 < e < 0\.51: \d+ of 1,000"
    ):
        MeanEffect(TrimmedATE(0.49)).estimate(data, nuisances)


def test_reached_in_one_line(light_models):
    data = WEAK_OVERLAP.draw(600, seed=1).data
    found = estimate_effects(
        data, [TrimmedATE(), TrimmedATE(0.1), ATE(targeted=True)], **light_models
    )
    assert [e.estimand for e in found] == ["trimmed ATE", "trimmed ATE", "ATE"]
    assert "of 600 rows" in found[0].population


@pytest.mark.parametrize("rule", ["half", 0.6, -0.1, (0.6, 0.4), (0.1, 0.2, 0.3), None])
def test_rules_that_are_none_are_refused(rule):
    with pytest.raises(DataError, match="the rule of trimming is"):
        TrimmedATE(rule)


def test_hardly_any_row_to_learn_an_arm_from_is_warned_of(small_sample, as_data, given):
    frame, mean, e, _ = small_sample(n=400)
    few = frame.assign(d=(np.arange(400) < 44).astype(int))
    data = as_data(few)
    estimate = MeanEffect(ATE()).estimate(data, given(data, mean, e))
    text = next(w for w in estimate.warnings if "Few rows to learn from" in w)
    assert "train on 35 treated rows" in text
    assert SmallSampleWarning.__name__ in estimate.details["warning_categories"]
    enough = frame.assign(d=(np.arange(400) < 60).astype(int))
    data = as_data(enough)
    estimate = MeanEffect(ATE()).estimate(data, given(data, mean, e))
    assert not any("Few rows to learn from" in w for w in estimate.warnings)
