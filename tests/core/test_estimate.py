"""The record of an estimate: intervals, tests, combinations, and its journey through JSON."""

import json

import numpy as np
import pytest
from scipy import stats

from causal_ddpm.core.errors import DataError, SyntheticDataError
from causal_ddpm.core.estimate import (
    EffectCurve,
    Estimate,
    influence_covariance,
    refuse_synthetic,
)


def _estimate(values=(1.0,), n=200, seed=0, correlation=0.0, **fields):
    rng = np.random.default_rng(seed)
    p = len(values)
    common = rng.normal(size=(n, 1))
    psi = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * rng.normal(size=(n, p))
    psi = psi - psi.mean(axis=0)
    defaults = {
        "values": np.array(values), "cov": influence_covariance(psi),
        "labels": tuple(f"theta{j}" for j in range(p)), "influence": psi,
        "row_ids": np.arange(n), "fingerprint": "abc", "estimand": "ATE",
        "population": "all units", "method": "AIPW", "n": n,
    }  # fmt: skip
    return Estimate(**(defaults | fields))


# -- covariance --------------------------------------------------------------------------------
def test_covariance_is_that_of_the_mean_of_the_influence_values():
    estimate = _estimate((1.0, 2.0), correlation=0.5)
    expected = np.cov(estimate.influence, rowvar=False) / estimate.n
    np.testing.assert_allclose(estimate.cov, expected, rtol=1e-12)


def test_clusters_are_summed_before_they_are_squared():
    psi = np.random.default_rng(1).normal(size=(30, 2))
    clusters = np.repeat([0, 3, 7], 10)  # codes need not be consecutive
    sums = np.array([psi[clusters == g].sum(axis=0) for g in (0, 3, 7)])
    expected = sums.T @ sums / 30**2 * 3 / 2
    np.testing.assert_allclose(influence_covariance(psi, clusters), expected)


def test_number_of_independent_units_can_be_given():
    psi = np.random.default_rng(2).normal(size=(10, 1))
    expected = psi.T @ psi / 100 * 50 / 49
    np.testing.assert_allclose(influence_covariance(psi, n_independent=50.0), expected)


# -- reading -----------------------------------------------------------------------------------
def test_a_single_entry_reads_as_numbers():
    estimate = _estimate((2.5,))
    low, high = estimate.interval()
    assert float(estimate) == estimate.value == 2.5
    assert isinstance(estimate.std_error, float)
    assert isinstance(low, float)
    assert high - low == pytest.approx(2 * stats.norm.ppf(0.975) * estimate.std_error)


def test_several_entries_read_as_arrays():
    estimate = _estimate((1.0, 2.0, 3.0))
    assert len(estimate) == 3
    assert estimate.value.shape == estimate.std_error.shape == (3,)
    with pytest.raises(DataError, match="the estimate has 3 entries"):
        float(estimate)


def test_interval_level_and_degrees_of_freedom():
    estimate = _estimate(df=6.0, level=0.8)
    low, high = estimate.interval()
    assert high - low == pytest.approx(2 * stats.t.ppf(0.9, 6) * estimate.std_error)
    low, high = estimate.interval(0.99)
    assert high - low == pytest.approx(2 * stats.t.ppf(0.995, 6) * estimate.std_error)
    for level in (0.0, 1.0, 95):
        with pytest.raises(DataError, match="the confidence level is"):
            estimate.interval(level)


def test_bootstrap_intervals_are_percentiles():
    draws = np.random.default_rng(3).gamma(2.0, size=(999, 2))
    estimate = _estimate((2.0, 2.0), bootstrap=draws)
    low, high = estimate.interval(0.9)
    np.testing.assert_allclose([low, high], np.quantile(draws, [0.05, 0.95], axis=0))


@pytest.mark.parametrize(("correlation", "p"), [(0.0, 2), (0.0, 5), (0.9, 5)])
def test_simultaneous_intervals_cover_all_entries_at_once(correlation, p):
    estimate = _estimate(tuple(np.zeros(p)), n=5_000, correlation=correlation)
    low, high = estimate.interval(0.95, simultaneous=True)
    critical = ((high - low) / 2 / estimate.std_error)[0]
    if correlation == 0.0:
        assert critical == pytest.approx(stats.norm.ppf((1 + 0.95 ** (1 / p)) / 2), abs=0.04)
    assert stats.norm.ppf(0.975) - 0.02 < critical < stats.norm.ppf(1 - 0.025 / p)
    draws = np.random.default_rng(4).multivariate_normal(np.zeros(p), estimate.cov, size=20_000)
    assert (np.abs(draws) <= high).all(axis=1).mean() == pytest.approx(0.95, abs=0.01)


def test_simultaneous_bootstrap_band_holds_that_share_of_the_draws():
    draws = np.random.default_rng(5).normal(size=(2_000, 4)) @ np.diag([1, 2, 3, 4])
    estimate = _estimate((0.0,) * 4, bootstrap=draws, cov=np.cov(draws, rowvar=False))
    low, high = estimate.interval(0.9, simultaneous=True)
    assert ((draws >= low) & (draws <= high)).all(axis=1).mean() == pytest.approx(0.9, abs=1e-3)


def test_simultaneous_intervals_pass_over_entries_that_are_known_exactly():
    estimate = _estimate((0.0, 5.0), cov=np.diag([0.04, 0.0]))
    low, high = estimate.interval(simultaneous=True)
    assert low[1] == high[1] == 5.0
    assert high[0] == pytest.approx(0.2 * stats.norm.ppf(0.975), rel=0.02)
    exact = _estimate((5.0,), cov=np.zeros((1, 1)))
    assert exact.interval(simultaneous=True) == (5.0, 5.0)


def test_tests_of_a_null():
    estimate = _estimate((0.2,))
    table = estimate.test(0.1)
    z = 0.1 / estimate.std_error
    assert table.loc["theta0", "statistic"] == pytest.approx(z)
    assert table.loc["theta0", "p_value"] == pytest.approx(2 * stats.norm.sf(z))
    table = _estimate((0.2,), df=4.0).test()
    z = 0.2 / estimate.std_error
    assert table.loc["theta0", "p_value"] == pytest.approx(2 * stats.t.sf(z, 4))


# -- combining ---------------------------------------------------------------------------------
def test_contrasts_are_linear():
    draws = np.random.default_rng(6).normal(size=(50, 3))
    estimate = _estimate((1.0, 2.0, 4.0), correlation=0.3, bootstrap=draws)
    c = np.array([[1, -1, 0], [0, 0.5, 0.5]])
    found = estimate.contrast(c, labels=["gap", "mean"])
    np.testing.assert_allclose(found.values, [-1.0, 3.0])
    np.testing.assert_allclose(found.cov, c @ estimate.cov @ c.T)
    np.testing.assert_allclose(influence_covariance(found.influence), found.cov)
    np.testing.assert_allclose(found.bootstrap, draws @ c.T)
    assert found.labels == ("gap", "mean")
    assert estimate.contrast([1, 1, 1]).labels == ("contrast 1",)
    with pytest.raises(DataError, match=r"the contrast has 2 columns; expected 3"):
        estimate.contrast([1, 1])


def test_differences_on_the_same_rows_use_the_joint_influence():
    a, b = _estimate((3.0,), seed=1), _estimate((1.0,), seed=2)
    gap, total = a - b, a + b
    assert (gap.value, total.value) == (2.0, 4.0)
    psi = a.influence - b.influence
    assert gap.std_error == pytest.approx(psi.std(ddof=1) / np.sqrt(200))
    assert gap.labels == ("theta0 - theta0",)
    assert (a - a).std_error == 0.0


def test_differences_respect_clusters():
    clusters = np.arange(200) % 10
    a = _estimate((3.0,), seed=1, clusters=clusters, n_independent=10.0, df=9.0)
    b = _estimate((1.0,), seed=2, clusters=clusters, n_independent=10.0, df=9.0)
    expected = influence_covariance(a.influence - b.influence, clusters)
    np.testing.assert_allclose((a - b).cov, expected)
    assert (a - b).df == 9.0


def test_differences_on_other_rows_need_independence_to_be_said():
    a, b = _estimate((3.0,), seed=1), _estimate((1.0,), n=100, seed=2, fingerprint="xyz")
    with pytest.raises(DataError, match=r"rest on different rows; .*independent=True"):
        a - b
    gap = a.combine(b, -1, independent=True)
    assert gap.value == 2.0
    assert gap.std_error == pytest.approx(np.hypot(a.std_error, b.std_error))
    assert gap.n == 300


def test_differences_need_equal_lengths():
    with pytest.raises(DataError, match="have 1 and 2 entries"):
        _estimate() - _estimate((1.0, 2.0))


def test_combining_gathers_assumptions_and_warnings_once():
    a = _estimate(assumptions=("A", "B"), warnings=("careful",))
    b = _estimate(assumptions=("B", "C"), warnings=("careful", "weak"))
    assert (a - b).assumptions == ("A", "B", "C")
    assert (a + b).warnings == ("careful", "weak")


# -- writing -----------------------------------------------------------------------------------
def test_frame_has_the_columns_of_the_command_line():
    estimate = _estimate((1.0, 2.0))
    table = estimate.to_frame(0.9)
    assert list(table.columns) == [
        "estimand", "label", "value", "std_error", "ci_low", "ci_high", "level", "n", "method",
    ]  # fmt: skip
    low, high = estimate.interval(0.9)
    np.testing.assert_allclose(table["ci_low"], low)
    np.testing.assert_allclose(table["ci_high"], high)
    assert (table["level"] == 0.9).all()


def test_dictionary_survives_json():
    original = _estimate(
        (1.0, 2.0), clusters=np.arange(200) % 20, n_independent=20.0, df=19.0,
        bootstrap=np.random.default_rng(7).normal(size=(11, 2)), assumptions=("A",),
        warnings=("W",), details={"clip_bound": 0.02}, n_synthetic=3, level=0.9,
    )  # fmt: skip
    back = Estimate.from_dict(json.loads(json.dumps(original.to_dict())))
    for name, value in original.__dict__.items():
        found = getattr(back, name)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(found, value)
            assert found.dtype == value.dtype
        else:
            assert found == value
    assert original.to_dict()["schema_version"] == 1
    assert (original - back).std_error == pytest.approx([0, 0])


def test_dictionary_without_optional_parts_and_with_text_ids():
    original = _estimate(row_ids=np.array([f"u{i}" for i in range(200)]))
    back = Estimate.from_dict(json.loads(json.dumps(original.to_dict())))
    assert back.clusters is None
    assert back.bootstrap is None
    assert back.row_ids.tolist() == original.row_ids.tolist()
    assert back.interval() == original.interval()


def test_an_unknown_schema_is_refused():
    source = _estimate().to_dict()
    with pytest.raises(DataError, match=r"schema_version is 99; expected 1"):
        Estimate.from_dict(source | {"schema_version": 99})


def test_printing_shows_interval_and_warnings():
    estimate = _estimate((1.5,), warnings=("Weak <overlap>.",))
    text = repr(estimate)
    assert "ATE (all units), AIPW, n = 200" in text
    assert "95% CI" in text
    assert "warning: Weak <overlap>." in text
    html = estimate._repr_html_()
    assert "Weak &lt;overlap&gt;." in html
    assert "<table" in html


def test_curve_is_a_table():
    estimate = _estimate((0.1, 0.9))
    curve = EffectCurve(np.array([1.0, 2.0]), estimate, np.zeros(2), np.ones(2), uniform=True)
    table = curve.to_frame()
    assert list(table.columns) == ["grid", "value", "lower", "upper"]
    assert table["value"].tolist() == [0.1, 0.9]


def test_synthetic_rows_are_refused():
    refuse_synthetic(0)
    with pytest.raises(SyntheticDataError, match="1,500 rows are marked as synthetic"):
        refuse_synthetic(1_500)
