"""Diagnostics against formulas, statsmodels and published numbers."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import ATE, ATT, ATU, QTE
from causal_ddpm.dgp.ai_adoption import simulate
from causal_ddpm.dgp.confounded import GAUSS
from causal_ddpm.evaluation.diagnostics import balance, naive_difference, overlap_report
from causal_ddpm.nuisance.crossfit import Nuisances
from causal_ddpm.report.displays import OverlapDisplay


def _oracle(draw):
    folds = np.arange(draw.data.n) % 5
    return Nuisances(folds, draw.mean, draw.propensity, None, draw.data.fingerprint)


def _frame(n=80, seed=1):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "y": rng.normal(size=n), "d": np.arange(n) % 3 == 0, "x": rng.normal(size=n),
        "w": rng.integers(0, 5, n), "g": np.arange(n) % 17,
    })  # fmt: skip


def test_naive_difference_is_the_hc2_regression():
    frame = _frame()
    found = naive_difference(CausalData(frame, "d", "y", ["x"]))
    fit = sm.OLS(frame["y"], sm.add_constant(frame["d"].astype(float))).fit(cov_type="HC2")
    assert found.value == pytest.approx(fit.params["d"], rel=1e-10)
    assert found.std_error == pytest.approx(fit.bse["d"], rel=1e-10)
    assert (found.n_treated, found.n_untreated) == (27, 53)
    low, high = found.interval(0.9)
    expected = fit.conf_int(alpha=0.1).loc["d"]
    np.testing.assert_allclose([low, high], expected, rtol=1e-8)


def test_naive_difference_with_sampling_weights():
    frame = _frame()
    found = naive_difference(CausalData(frame, "d", "y", ["x"], weights="w"))
    x = sm.add_constant(frame["d"].astype(float))
    fit = sm.WLS(frame["y"], x, weights=frame["w"]).fit(cov_type="HC2")
    assert found.value == pytest.approx(fit.params["d"], rel=1e-10)
    assert found.std_error == pytest.approx(fit.bse["d"], rel=1e-10)


def test_naive_difference_with_frequency_weights_is_duplication():
    frame = _frame()
    data = CausalData(frame, "d", "y", ["x"], weights="w", weights_type="frequency")
    copies = frame.loc[np.repeat(frame.index, frame["w"])].reset_index(drop=True)
    weighted = naive_difference(data).to_dict()
    assert weighted == pytest.approx(
        naive_difference(CausalData(copies, "d", "y", ["x"])).to_dict()
    )


def test_naive_difference_with_clusters():
    frame = _frame()
    found = naive_difference(CausalData(frame, "d", "y", ["x"], clusters="g"))
    x = sm.add_constant(frame["d"].astype(float))
    fit = sm.OLS(frame["y"], x).fit(
        cov_type="cluster", cov_kwds={"groups": frame["g"], "use_correction": False}
    )
    assert found.std_error == pytest.approx(fit.bse["d"] * np.sqrt(17 / 16), rel=1e-10)
    assert found.df == 16


def test_published_numbers_of_the_job_training_experiment():
    sets = pytest.importorskip("causaldata", reason="needs the extra 'data' (causaldata)")
    nsw = sets.nsw_mixtape.load_pandas().data
    cps = sets.cps_mixtape.load_pandas().data
    confounders = ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
    experiment = naive_difference(CausalData(nsw, "treat", "re78", confounders))
    assert experiment.value == pytest.approx(1794.34, abs=0.005)
    assert experiment.std_error == pytest.approx(671.00, abs=0.005)
    pooled = pd.concat([nsw[nsw["treat"] == 1], cps[cps["treat"] == 0]], ignore_index=True)
    survey = naive_difference(CausalData(pooled, "treat", "re78", confounders))
    assert survey.value == pytest.approx(-8497.52, abs=0.005)
    assert (survey.n_treated, survey.n_untreated) == (185, 15_992)


@pytest.mark.parametrize(
    ("estimand", "reference"), [(ATE(), [0, 1]), (ATT(), [1]), (ATU(), [0])],
    ids=["ATE", "ATT", "ATU"],
)  # fmt: skip
def test_balance_equals_the_formula_and_the_weights_balance(estimand, reference):
    draw = GAUSS.draw(4_000, 2)
    record = balance(draw.data, _oracle(draw), estimand)
    assert record.estimand == estimand.name
    x, d = draw.frame["x0"].to_numpy(), draw.data.treatment
    e0, e1 = draw.propensity.T
    omega = {
        "ATE": np.where(d == 1, 1 / e1, 1 / e0),
        "ATT": np.where(d == 1, 1, e1 / e0),
        "ATU": np.where(d == 1, e0 / e1, 1),
    }[estimand.name]
    s = np.sqrt(np.mean([x[d == a].var() for a in reference]))
    means = [np.average(x[d == a], weights=omega[d == a]) for a in (0, 1)]
    row = record.frame().set_index("confounder").loc["x0"]
    assert row["difference_before"] == pytest.approx((x[d == 1].mean() - x[d == 0].mean()) / s)
    assert row["difference_after"] == pytest.approx((means[1] - means[0]) / s)
    assert row["variance_ratio_before"] == pytest.approx(x[d == 1].var() / x[d == 0].var())
    table = record.frame()
    assert table["before"].max() > 0.4
    assert table["after"].max() < 0.15


def test_balance_knows_levels_missing_values_and_truth_values():
    draw = simulate(2_000, 3)
    frame = draw.frame.assign(old=lambda t: t["firm_id"] % 3 == 0)
    frame.loc[::10, "education"] = np.nan
    names = ["industry", "education", "old"]
    data = CausalData(frame, "ai_adoption", "productivity", names)
    nuisances = Nuisances(np.arange(2_000) % 5, draw.mean, draw.propensity, None, data.fingerprint)
    table = balance(data, nuisances).frame().set_index("confounder")
    levels = ["finance", "information", "manufacturing", "retail", "services"]
    expected = [f"industry = {level}" for level in levels]
    assert list(table.index) == [*expected, "education", "education missing", "old"]
    d = frame["ai_adoption"] == 1
    share = [(frame.loc[rows, "industry"] == "retail").mean() for rows in (~d, d)]
    s = np.sqrt(sum(p * (1 - p) for p in share) / 2)
    difference = table.loc["industry = retail", "difference_before"]
    assert difference == pytest.approx((share[1] - share[0]) / s)
    seen = frame["education"].notna()
    up = frame.loc[seen & d, "education"], frame.loc[seen & ~d, "education"]
    s = np.sqrt((up[0].var(ddof=0) + up[1].var(ddof=0)) / 2)
    assert table.loc["education", "difference_before"] == pytest.approx(
        (up[0].mean() - up[1].mean()) / s
    )
    assert np.isfinite(table.loc["education", "variance_ratio_after"])
    assert np.isnan(table.loc["old", "variance_ratio_before"])


def test_balance_of_a_constant_and_of_an_arm_without_values():
    frame = _frame().assign(constant=1.0, half=lambda t: t["x"].where(t["d"]))
    data = CausalData(frame, "d", "y", ["constant", "half"])
    flat = np.full((80, 2), 0.5)
    nuisances = Nuisances(np.arange(80) % 5, flat, flat, None, data.fingerprint)
    table = balance(data, nuisances, QTE()).frame().set_index("confounder")
    assert table.loc["constant", "before"] == 0
    assert np.isnan(table.loc["half", "before"])
    assert table.loc["half missing", "before"] == np.inf


def test_overlap_reports_histogram_and_comparisons():
    draw = GAUSS.draw(3_000, 4)
    found = overlap_report(draw.data, _oracle(draw), n_bins=10)
    d, e = draw.data.treatment, draw.propensity[:, 1]
    table = found.frame()
    assert table[["untreated", "treated"]].sum().tolist() == pytest.approx([1, 1])
    assert table.loc[3, "treated"] == pytest.approx(((e >= 0.3) & (e < 0.4))[d == 1].mean())
    weights = found.weights_frame().set_index(["estimand", "arm"])
    assert list(weights.index) == [("ATE", 0), ("ATE", 1), ("ATT", 0), ("ATU", 1)]
    odds = (e / (1 - e))[d == 0]
    row = weights.loc[("ATT", 0)]
    assert row["effective_n"] == pytest.approx(odds.sum() ** 2 / (odds**2).sum())
    assert row["largest_share"] == pytest.approx(odds.max() / odds.sum())
    assert row["mass"] == pytest.approx(odds.sum() / d.sum())
    assert row["share_clipped"] == 0
    pairs = (e[d == 1][:, None] > e[d == 0]) + 0.5 * (e[d == 1][:, None] == e[d == 0])
    assert found.auc == pytest.approx(pairs.mean())
    assert found.to_dict()["comparisons"]["ATT"][0]["n_rows"] == (d == 0).sum()
    low, high = found.optimal_bounds
    assert found.n_within == ((e > low) & (e < high)).sum() < 3_000
    assert "Overlap of 3,000 rows" in str(found)
    assert f"ATT: {(d == 0).sum():,} untreated rows count as" in str(found)
    np.testing.assert_array_equal(OverlapDisplay.of(found).shares, found.shares)
