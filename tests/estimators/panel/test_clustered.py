"""Cluster-robust average effects: equal to hand-written formulas and other libraries; coverage."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from causal_ddpm.baselines.panel.twfe import TwoWayFixedEffects
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATT
from causal_ddpm.core.estimate import influence_covariance
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.estimators.panel.cluster_variance import Clusters
from causal_ddpm.estimators.panel.clustered import ClusterInference, clustered_effects
from causal_ddpm.nuisance.panel.factors import InteractiveFactors
from causal_ddpm.nuisance.panel.unit_trend import UnitTrend

COHORTS = (3, 5, 8)
INFLUENCE = ClusterInference(variance="influence", n_leads=0)


def staggered(seed, n=30, t=8, gaps=0.0, effect=1.0, **roles):
    """A panel of never treated units and two cohorts, with a covariate and unequal effects."""
    rng = np.random.default_rng(seed)
    first = np.array(COHORTS)[np.arange(n) % 3]
    x = rng.normal(size=(n, t))
    y = rng.normal(size=(n, 1)) + rng.normal(size=t).cumsum() + 0.7 * x + rng.normal(size=(n, t))
    k = np.arange(t) - first[:, None]
    y += effect * (k >= 0) * (1 + 0.2 * k + first[:, None] / 10)
    frame = pd.DataFrame({
        "unit": np.repeat(np.arange(n), t), "period": np.tile(np.arange(t), n), "y": y.ravel(),
        "x": x.ravel(), "g": np.repeat(np.where(first < t, first, 0), t),
        "w": np.repeat(rng.uniform(0.5, 2, n), t), "c": np.repeat(np.arange(n) // 2, t),
    })  # fmt: skip
    kept = (rng.random(len(frame)) >= gaps) | (frame["period"] == 0)
    return PanelData(frame[kept], "unit", "period", "y", cohort="g", **roles)


def by_hand(panel):
    """ATT, weights of all observed cells and residuals, by one dense least-squares problem."""
    n, t = panel.shape
    i, s = np.nonzero(panel.observed)
    omega = np.ones(n) if panel.weights is None else panel.weights
    Z = np.hstack([np.eye(n)[i], np.eye(t)[s], panel.x[i, s]])
    y, root = panel.y[i, s], np.sqrt(omega[i])
    free = panel.untreated[i, s]
    inverse = np.linalg.pinv(root[free, None] * Z[free])
    beta = inverse @ (root[free] * y[free])
    w = np.where(free, 0.0, omega[i])
    w /= w.sum()
    v = w.copy()
    v[free] = -(w @ Z) @ inverse * root[free]
    return i, s, y, y - Z @ beta, w, v


@pytest.mark.parametrize("roles", [{}, {"covariates": ["x"], "weights": "w"}])
@pytest.mark.parametrize("gaps", [0.0, 0.15])
def test_influence_is_the_formula_of_borusyak_jaravel_and_spiess(roles, gaps):
    panel = staggered(1, gaps=gaps, **roles)
    found = clustered_effects(panel, inference=INFLUENCE).att
    i, s, y, e, w, v = by_hand(panel)
    assert found.value == pytest.approx(v @ y, abs=1e-10)
    assert found.value == pytest.approx(w @ e, abs=1e-10)
    centred = e.copy()
    for g in panel.cohorts:  # effects less their mean in a cohort and period
        for period in range(g, panel.shape[1]):
            cell = (panel.first[i] == g) & (s == period)
            centred[cell] -= (w[cell] ** 2 @ e[cell]) / (w[cell] @ w[cell])
    n = len(panel)
    psi = np.bincount(i, v * centred, n)
    assert found.std_error == pytest.approx(np.sqrt(psi @ psi), abs=1e-10)
    np.testing.assert_allclose(found.influence[:, 0], n * psi * np.sqrt((n - 1) / n), atol=1e-9)
    overall = np.where(w > 0, e - w @ e, e)
    psi = np.bincount(i, v * overall, n)
    assert found.details["std_error_population"][0] == pytest.approx(np.sqrt(psi @ psi))


@pytest.mark.parametrize("target", ["sample", "population"])
def test_closed_form_jackknife_is_the_one_that_fits_again(target):
    panel = staggered(2, gaps=0.1, covariates=["x"])
    left = ClusterInference(target, n_leads=0)
    found = clustered_effects(panel, inference=left).att
    cells = panel.observed & panel.treated
    T = panel.shape[1]
    code = panel.first[:, None] * T + np.arange(T)
    share = np.bincount(code[cells]) / cells.sum()
    own, total = [], 0.0
    for j in range(len(panel)):
        kept = np.arange(len(panel)) != j
        rest = panel.rows(kept)
        i, s, _, e, w, _ = by_hand(rest)
        mean = w @ e
        if target == "sample":
            group = code[kept][i, s]
            sums = np.bincount(group[w > 0], e[w > 0], len(share))
            count = np.bincount(group[w > 0], minlength=len(share))
            mean = share[count > 0] @ (sums[count > 0] / count[count > 0])
        own.append(found.value - mean)
    stratum = panel.first if target == "sample" else panel.is_control
    for h in np.unique(stratum):
        mine = stratum == h
        total += (mine.sum() - 1) / mine.sum() * np.sum(np.square(own)[mine])
    assert found.std_error == pytest.approx(np.sqrt(total), rel=1e-8)
    np.testing.assert_allclose(found.cov, influence_covariance(found.influence, found.clusters))


def test_minimum_wages_are_those_of_other_libraries():
    data = pytest.importorskip("moderndid").load_mpdta().to_pandas()
    data.columns = [c.replace(".", "_") for c in data.columns]
    panel = PanelData(data, "countyreal", "year", "lemp", cohort="first_treat")
    found = clustered_effects(panel, inference=INFLUENCE)
    assert found.att.value == pytest.approx(-0.0477, abs=5e-5)
    assert found.att.std_error == pytest.approx(0.0132, abs=5e-5)
    diff_diff = pytest.importorskip("diff_diff")
    peer = diff_diff.ImputationDiD().fit(
        data.assign(first_treat=data["first_treat"].astype(int)), outcome="lemp",
        unit="countyreal", time="year", first_treat="first_treat",
    )  # fmt: skip
    assert found.att.value == pytest.approx(peer.overall_att, abs=1e-8)
    assert found.att.std_error == pytest.approx(peer.overall_se, rel=2e-3)
    assert found.by_cohort.labels == ("2004", "2006", "2007")
    assert found.event_study.labels == ("0", "1", "2", "3")


def test_one_start_is_twfe():
    pytest.importorskip("pyfixest")
    rng = np.random.default_rng(0)
    n, t, start = 24, 6, 3
    treated = (np.arange(n) < 10)[:, None] & (np.arange(t) >= start)
    y = rng.normal(size=(n, 1)) + rng.normal(size=t) + rng.normal(size=(n, t)) + treated
    frame = pd.DataFrame({"u": np.repeat(np.arange(n), t), "t": np.tile(np.arange(t), n),
                          "y": y.ravel(), "d": treated.ravel().astype(int)})  # fmt: skip
    panel = PanelData(frame, "u", "t", "y", treated="d")
    found, peer = clustered_effects(panel).att, TwoWayFixedEffects().estimate(panel, ATT())
    assert found.value == pytest.approx(peer.value, abs=1e-10)
    assert found.details["std_error_population"][0] == pytest.approx(peer.std_error, rel=0.15)


def test_leads_are_imputed_as_though_treatment_had_begun_earlier():
    panel = staggered(3)
    found = clustered_effects(panel, inference=ClusterInference(n_leads=2))
    assert found.event_study.labels == ("-2", "-1", "0", "1", "2", "3", "4")
    frame = panel.frame()
    frame["g"] = (frame["g"] - 2).fillna(0)
    moved = clustered_effects(
        PanelData(frame, "unit", "period", "y", cohort="g"), inference=INFLUENCE
    ).event_study
    np.testing.assert_allclose(found.event_study.values[:2], moved.values[:2])
    none = clustered_effects(panel, inference=ClusterInference(n_leads=0))
    assert none.att.value == found.att.value
    assert (found.lead_untreated[np.isfinite(found.lead_untreated)]).size == 2 * 20


def test_clusters_groups_of_clusters_and_workers():
    two_way = clustered_effects(staggered(4, n=36, clusters="c")).att
    assert two_way.details["n_clusters"] == 18
    panel = staggered(4, n=120)
    trend = ClusterInference(n_leads=0, max_fits=50)
    found = [clustered_effects(panel, UnitTrend(), trend, n_jobs=n).att for n in (1, 2)]
    assert 40 <= found[0].details["n_clusters"] <= 60
    np.testing.assert_array_equal(found[0].influence, found[1].influence)
    whole = clustered_effects(panel, UnitTrend(), ClusterInference(n_leads=0)).att
    assert found[0].value == whole.value
    assert found[0].std_error == pytest.approx(whole.std_error, rel=0.7)


def test_a_small_cohort_keeps_enough_groups():
    """Two groups of a cohort of twenty would leave one degree of freedom."""
    sizes = {-1: 400, 0: 20, 1: 75, 2: 5}
    cohort = np.repeat(list(sizes), list(sizes.values()))
    groups = Clusters(np.arange(500), cohort).merged(50, random_state=0)
    kept = dict(zip(*np.unique(groups.cohort, return_counts=True), strict=True))
    assert kept == {-1: 40, 0: 10, 1: 10, 2: 5}
    np.testing.assert_array_equal(groups.cohort[groups.code], cohort)


def test_any_base_and_few_treated():
    rng = np.random.default_rng(0)
    n, t, start = 20, 16, 12
    first = np.where(np.arange(n) < 3, start, t)
    y = np.outer(rng.normal(size=n) + (first < t), rng.normal(size=t).cumsum())
    y = y + 0.05 * rng.normal(size=y.shape) + (np.arange(t) >= first[:, None])
    frame = pd.DataFrame({"u": np.repeat(np.arange(n), t), "t": np.tile(np.arange(t), n),
                          "y": y.ravel(), "g": np.repeat(first % t, t)})  # fmt: skip
    panel = PanelData(frame, "u", "t", "y", cohort="g")
    found = clustered_effects(panel, InteractiveFactors(1), ClusterInference(n_leads=0))
    low, high = found.att.interval()
    assert low < 1 < high
    assert found.att.std_error < 0.2
    assert found.att.df < 19
    assert any("Few treated clusters: 3" in note for note in found.notes)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6), shift=st.floats(-50, 50), scale=st.floats(0.1, 10),
    gaps=st.sampled_from([0.0, 0.2]),
)  # fmt: skip
def test_units_of_measurement_and_levels_do_not_matter(seed, shift, scale, gaps):
    panel = staggered(seed, n=15, gaps=gaps)
    found = clustered_effects(panel).event_study
    frame = panel.frame()
    frame["y"] = scale * frame["y"] + shift + frame["unit"] - 3 * frame["period"]
    other = PanelData(frame, "unit", "period", "y", cohort="g")
    moved = clustered_effects(other).event_study
    np.testing.assert_allclose(moved.values, scale * found.values, atol=1e-7 * scale)
    np.testing.assert_allclose(moved.std_error, scale * found.std_error, rtol=1e-5)
    np.testing.assert_allclose(moved.df, found.df, rtol=1e-5)


def test_equal_weights_are_no_weights_and_doubled_units_half_the_variance():
    panel = staggered(5)
    frame = panel.frame().assign(w=3.0)
    weighted = PanelData(frame, "unit", "period", "y", cohort="g", weights="w")
    a, b = clustered_effects(panel), clustered_effects(weighted)
    np.testing.assert_allclose(a.event_study.cov, b.event_study.cov)
    twice = pd.concat([frame, frame.assign(unit=frame["unit"] + 1000)])
    many = clustered_effects(PanelData(twice, "unit", "period", "y", cohort="g"),
                             inference=INFLUENCE).att  # fmt: skip
    one = clustered_effects(panel, inference=INFLUENCE).att
    assert many.std_error == pytest.approx(one.std_error / np.sqrt(2), rel=1e-8)


def test_without_noise_there_is_no_error():
    n, t = 12, 6
    first = np.array([2, 4, 6])[np.arange(n) % 3]
    treated = np.arange(t) >= first[:, None]
    y = np.arange(n)[:, None] + np.arange(t) ** 2 + 2.0 * treated
    frame = pd.DataFrame({"u": np.repeat(np.arange(n), t), "t": np.tile(np.arange(t), n),
                          "y": y.ravel(), "d": treated.ravel().astype(int)})  # fmt: skip
    found = clustered_effects(PanelData(frame, "u", "t", "y", treated="d")).event_study
    np.testing.assert_allclose(found.values[-4:], 2.0, atol=1e-8)
    np.testing.assert_allclose(found.std_error, 0.0, atol=1e-8)


def test_a_cluster_that_holds_the_panel_together_is_left_out_too():
    panel = staggered(6, n=12)
    frame = panel.frame()
    lonely = ~((frame["period"] == 7) & frame["g"].isna() & (frame["unit"] != 2))
    frame = frame[lonely]  # only unit 2 is untreated in period 7
    found = clustered_effects(PanelData(frame, "unit", "period", "y", cohort="g")).att
    assert np.isfinite(found.value)
    assert np.isfinite(found.std_error)


def test_intervals_cover():
    """Three cohorts, autoregressive errors, effects that differ: the sample's average effect."""
    covered = []
    for draw in range(120):
        rng = np.random.default_rng([9, draw])
        n, t = 45, 9
        first = np.array([3, 6, 9])[np.arange(n) % 3]
        e = rng.normal(size=(n, t))
        for s in range(1, t):
            e[:, s] = 0.5 * e[:, s - 1] + np.sqrt(0.75) * e[:, s]
        treated = np.arange(t) >= first[:, None]
        tau = treated * (1.0 + 0.3 * (np.arange(t) - first[:, None])) * (first[:, None] / 3)
        frame = pd.DataFrame({
            "u": np.repeat(np.arange(n), t), "t": np.tile(np.arange(t), n),
            "y": (e + tau).ravel(), "d": treated.ravel().astype(int),
        })  # fmt: skip
        panel = PanelData(frame, "u", "t", "y", treated="d")
        low, high = clustered_effects(panel, inference=ClusterInference(n_leads=0)).att.interval()
        covered.append(low <= tau[treated].mean() <= high)
    assert abs(np.mean(covered) - 0.95) < 2.6 * np.sqrt(0.95 * 0.05 / 120)


def test_intervals_are_t_intervals_of_their_own():
    found = clustered_effects(staggered(7)).event_study
    low, high = found.interval(0.9)
    half = stats.t.ppf(0.95, found.df) * found.std_error
    np.testing.assert_allclose((high - low) / 2, half)
    uniform = found.interval(0.9, simultaneous=True)
    assert (uniform[0] <= low).all()
    assert (uniform[1] >= high).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "units"}, "target is 'units'"),
        ({"variance": "bootstrap"}, "variance is 'bootstrap'"),
        ({"n_leads": -1}, "n_leads is -1"),
        ({"max_fits": 3}, "max_fits is 3"),
    ],
)
def test_unknown_settings_are_refused(change, words):
    with pytest.raises(DataError, match=words):
        ClusterInference(**change)


def test_too_few_clusters_and_unknown_weights_are_refused():
    panel = staggered(8, n=12)
    with pytest.raises(DataError, match="1 of them with treated units"):
        clustered_effects(panel.rows(panel.is_control | (np.arange(12) == 0)))
    with pytest.raises(DataError, match="there are 3 clusters"):
        clustered_effects(panel.rows(np.arange(3)))
    with pytest.raises(DataError, match="influence formula was asked for"):
        clustered_effects(panel, UnitTrend(), INFLUENCE)
