"""Weights and clusters: weighting is duplication, and dependent rows count once."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, SmallSampleWarning
from causal_ddpm.core.estimand import ATE, ATT, ATU, QTE, PotentialDistributions
from causal_ddpm.core.estimate import influence_covariance
from causal_ddpm.estimators.ate import MeanEffect
from causal_ddpm.estimators.registry import estimator_for

MEANS = (ATE(), ATT(), ATU())
EXACT = 1e-10


def _duplicated(frame, mean, propensity, laws):
    index = np.repeat(np.arange(len(frame)), frame["w"])
    rows = frame.iloc[index].assign(origin=index).reset_index(drop=True)
    return rows, mean[index], propensity[index], tuple(law.rows(index) for law in laws)


@pytest.mark.parametrize(
    ("weights_type", "clusters", "duplicated_clusters"),
    [
        ("frequency", None, None),
        ("sampling", None, "origin"),
        ("frequency", "g", "g"),
        ("sampling", "g", "g"),
    ],
)
@pytest.mark.parametrize("estimand", MEANS, ids=lambda e: e.name)
def test_weights_equal_row_duplication(
    estimand, weights_type, clusters, duplicated_clusters, small_sample, as_data, given
):
    frame, *nuisances = small_sample()
    assert (frame["w"] == 0).any()
    weighted = as_data(frame, weights="w", weights_type=weights_type, clusters=clusters)
    rows, *copies = _duplicated(frame, *nuisances)
    doubled = as_data(rows, clusters=duplicated_clusters)
    a = MeanEffect(estimand).estimate(weighted, given(weighted, *nuisances))
    b = MeanEffect(estimand).estimate(doubled, given(doubled, *copies))
    assert a.value == pytest.approx(b.value, abs=EXACT)
    assert a.std_error == pytest.approx(b.std_error, abs=EXACT)
    if clusters is not None:
        assert a.df == b.df


@pytest.mark.parametrize("weights_type", ["frequency", "sampling"])
def test_distributions_and_quantiles_equal_row_duplication(
    weights_type, small_sample, as_data, given
):
    frame, *nuisances = small_sample(n=150)
    weighted = as_data(frame, weights="w", weights_type=weights_type)
    rows, *copies = _duplicated(frame, *nuisances)
    doubled = as_data(rows, clusters="origin" if weights_type == "sampling" else None)
    for estimand in (PotentialDistributions(), QTE([0.2, 0.5, 0.8])):
        a = estimator_for(estimand).estimate(weighted, given(weighted, *nuisances))
        b = estimator_for(estimand).estimate(doubled, given(doubled, *copies))
        np.testing.assert_allclose(a.values, b.values, atol=EXACT)
        if isinstance(estimand, PotentialDistributions):
            cov_a, cov_b = (
                influence_covariance(x.influence, x.clusters, x.n_independent) for x in (a, b)
            )
            np.testing.assert_allclose(cov_a, cov_b, atol=EXACT)
        # bootstrap draws differ, their law does not
        np.testing.assert_allclose(a.bootstrap.std(axis=0), b.bootstrap.std(axis=0), rtol=0.15,
                                   atol=0.005)  # fmt: skip


def test_equal_weights_change_nothing(small_sample, as_data, given):
    frame, *nuisances = small_sample()
    plain = as_data(frame)
    weighted = as_data(frame.assign(w=3.5), weights="w")
    for estimand in (*MEANS, QTE()):
        a = estimator_for(estimand).estimate(plain, given(plain, *nuisances))
        b = estimator_for(estimand).estimate(weighted, given(weighted, *nuisances))
        np.testing.assert_allclose(a.values, b.values, atol=EXACT)
        np.testing.assert_allclose(a.std_error, b.std_error, atol=EXACT)


def test_unweighted_standard_error_is_the_textbook_one(small_sample, as_data, given):
    frame, mean, propensity, _ = small_sample()
    data = as_data(frame)
    estimate = MeanEffect(ATE(calibrated=False)).estimate(data, given(data, mean, propensity))
    d, e = data.treatment, propensity[np.arange(data.n), data.treatment]
    own = mean[np.arange(data.n), d]
    psi = mean[:, 1] - mean[:, 0] + (2 * d - 1) / e * (data.outcome - own)
    assert estimate.value == pytest.approx(psi.mean(), abs=1e-12)
    assert estimate.std_error == pytest.approx(psi.std(ddof=1) / np.sqrt(data.n), abs=1e-12)


def _clustered_data(rng, n_clusters, size):
    """Treatment and half of the noise variance belong to the cluster."""
    g = np.repeat(np.arange(n_clusters), size)
    d = rng.permutation(np.arange(n_clusters) % 2)[g]
    noise = rng.normal(size=n_clusters)[g] + rng.normal(size=len(g))
    return pd.DataFrame({"y": 1.0 * d + noise, "d": d, "x": rng.normal(size=len(g)), "g": g})


def test_clustered_standard_error_is_right_where_rows_are_dependent(as_data, given):
    rng = np.random.default_rng(5)
    values, clustered, naive, covered = [], [], [], []
    for _ in range(300):
        frame = _clustered_data(rng, n_clusters=40, size=10)
        data = as_data(frame, clusters="g")
        truth = np.tile([0.0, 1.0], (data.n, 1))
        nuisances = given(data, truth, np.full((data.n, 2), 0.5))
        estimate = MeanEffect(ATE()).estimate(data, nuisances)
        low, high = estimate.interval()
        values.append(estimate.value)
        clustered.append(estimate.std_error)
        naive.append(np.std(estimate.influence) / np.sqrt(data.n))
        covered.append(low <= 1.0 <= high)
    spread = np.std(values)
    assert np.mean(clustered) == pytest.approx(spread, rel=0.1)
    assert np.mean(naive) < 0.6 * spread
    assert 0.91 <= np.mean(covered) <= 0.99


def test_intervals_use_t_with_clusters_minus_one(small_sample, as_data, given):
    frame, mean, propensity, _ = small_sample()
    data = as_data(frame, clusters="g")
    estimate = MeanEffect(ATE()).estimate(data, given(data, mean, propensity))
    g = frame["g"].nunique()
    low, high = estimate.interval(0.9)
    assert high - low == pytest.approx(2 * stats.t.ppf(0.95, g - 1) * estimate.std_error)
    assert any(f"Few clusters: {g}" in w for w in estimate.warnings)
    assert SmallSampleWarning.__name__ in estimate.details["warning_categories"]


def test_multipliers_are_shared_within_clusters(small_sample, as_data, given):
    # all rows of a cluster are copies: the bootstrap must not take them for independent rows
    frame, mean, propensity, laws = small_sample(n=80)
    index = np.repeat(np.arange(80), 9)
    rows = frame.iloc[index].assign(g=index).reset_index(drop=True)
    copies = (mean[index], propensity[index], tuple(law.rows(index) for law in laws))
    single, clustered, wrong = as_data(frame), as_data(rows, clusters="g"), as_data(rows)
    spread = [
        estimator_for(QTE(0.5)).estimate(data, given(data, *nuisances)).std_error
        for data, nuisances in (
            (single, (mean, propensity, laws)), (clustered, copies), (wrong, copies),
        )
    ]  # fmt: skip
    assert spread[1] == pytest.approx(spread[0], rel=0.15)
    assert spread[2] < 0.6 * spread[0]


def test_four_clusters_are_refused(small_sample, as_data, given):
    frame, mean, propensity, laws = small_sample()
    data = as_data(frame.assign(g=np.arange(len(frame)) % 4), clusters="g")
    for estimand in (ATE(), QTE()):
        with pytest.raises(DataError, match=r"column 'g': there are only 4 clusters; .*at least 5"):
            estimator_for(estimand).estimate(data, given(data, mean, propensity, laws))


def test_small_samples_are_noted(small_sample, as_data, given):
    frame, mean, propensity, _ = small_sample(n=300)
    data = as_data(frame)
    assert MeanEffect(ATE()).estimate(data, given(data, mean, propensity)).warnings == ()
    few = as_data(frame.iloc[:150])
    estimate = MeanEffect(ATE()).estimate(few, given(few, mean[:150], propensity[:150]))
    assert any("Small sample: 150 rows" in w for w in estimate.warnings)
    # a large sample with a small arm
    d = (np.arange(300) < 60).astype(int)
    data = CausalData(frame.assign(d=d), "d", "y", ["x"])
    estimate = MeanEffect(ATT()).estimate(data, given(data, mean, propensity))
    assert any("60 in the smaller arm" in w for w in estimate.warnings)


def test_an_arm_without_weight_is_refused(small_sample, as_data, given):
    frame, mean, propensity, _ = small_sample()
    data = as_data(frame.assign(w=frame["d"]), weights="w")
    with pytest.raises(DataError, match=r"column 'w': every untreated row has weight zero"):
        MeanEffect(ATE()).estimate(data, given(data, mean, propensity))
