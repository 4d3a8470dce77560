"""The coverage study: numbers beside their truths, batches that do not matter, fair verdicts."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE, ATT, GATE
from causal_ddpm.core.random import seed_sequence
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.dgp.confounded import GAUSS, LINEAR
from causal_ddpm.estimators.effect_scores import EffectScores
from causal_ddpm.estimators.groups import effect_groups
from causal_ddpm.evaluation.coverage import fits, light, markdown, run, scores
from causal_ddpm.evaluation.coverage.cases import BATCHES, CASES, Case, cases_named
from causal_ddpm.evaluation.coverage.summary import headline, summarize

SEED = seed_sequence(0)
DRAW = GAUSS.draw(300, seed=1)
ORACLE = light.oracle("gauss", DRAW, SEED)
AVERAGES = cases_named(["ATE", "ATT", "arm means"])


def _entries(tmp_path, **options):
    settings = {"designs": ["linear"], "sizes": [120], "draws": 4, "cases": AVERAGES}
    return run.run_light(tmp_path, **(settings | options))


# -- cases ---------------------------------------------------------------------------------
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_has_a_truth_under_the_labels_of_its_estimate(case):
    assert case.batch in BATCHES
    name = case.designs[0]
    draw = design_by_name(name).draw(250, seed=5)
    make = next(iter(case.sources.values()))
    found = list(scores.score_draw(name, draw, make(name, draw, SEED), [case], SEED))
    labels = [label for _, label, _ in found]
    assert labels
    assert scores.REFUSED not in labels
    if case.entries is not None:
        assert set(case.entries) == set(labels) - {scores.BAND}
    assert all(np.isfinite(v) for _, _, numbers in found for v in numbers.values())
    for _, label, numbers in found:
        if label != scores.BAND:  # oracle nuisances: the truth is a few standard errors away
            assert abs(numbers["value"] - numbers["truth"]) < 5 * numbers["std_error"] + 1e-9


@pytest.mark.parametrize("source", list(light.SOURCES))
def test_groups_by_effect_are_compared_with_the_true_effects_of_their_rows(source):
    nuisances = light.SOURCES[source]("gauss", DRAW, SEED)
    found = scores.score_draw("gauss", DRAW, nuisances, cases_named(["GATE by effect"]), SEED)
    truths = [numbers["truth"] for _, label, numbers in found if label != scores.BAND]
    effect = DRAW.mean[:, 1] - DRAW.mean[:, 0]
    predicted = nuisances.mean[:, 1] - nuisances.mean[:, 0]
    scored = EffectScores.of(GATE(n_groups=4), DRAW.data, nuisances, calibrated=True)
    np.testing.assert_array_equal(scored.predicted, predicted)
    codes = effect_groups(predicted, nuisances.fold_ids, DRAW.data.weights, 4)
    np.testing.assert_allclose(truths, [effect[codes == g].mean() for g in range(4)])


def test_names_of_cases_are_unique_and_unknown_ones_refused():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert not any("," in name or ";" in name for name in names)
    with pytest.raises(DataError, match="no case 'LATTE'; expected ATE"):
        cases_named(["LATTE"])
    asked_by_row = Case("by row", lambda draw: ATE())
    with pytest.raises(DataError, match="'by row' has no truth"):
        asked_by_row.true_values("gauss", DRAW, None)


# -- nuisances -----------------------------------------------------------------------------
def test_oracle_nuisances_are_those_of_the_draw():
    np.testing.assert_array_equal(ORACLE.mean, DRAW.mean)
    grid = np.array([-1.0, 0.5])
    x = DRAW.data.covariates.values
    np.testing.assert_array_equal(ORACLE.cdf(1, grid), GAUSS.cdf(x, 1, grid))
    rows = ORACLE.laws[0].rows(slice(3, 7))
    assert len(rows) == 4
    np.testing.assert_array_equal(rows.cdf(grid), GAUSS.cdf(x[3:7], 0, grid))
    np.testing.assert_array_equal(rows.mean(), DRAW.mean[3:7, 0])


def test_light_nuisances_of_a_fold_do_not_see_its_outcomes():
    first = light.light("gauss", DRAW, SEED)
    own = first.fold_ids == 2
    y = DRAW.data.outcome + 10 * own
    moved = replace(DRAW, data=_with_outcome(DRAW, y))
    again = light.light("gauss", moved, SEED)
    np.testing.assert_array_equal(first.fold_ids, again.fold_ids)
    np.testing.assert_array_equal(first.mean[own], again.mean[own])
    assert not np.allclose(first.mean[~own], again.mean[~own])
    np.testing.assert_array_equal(first.propensity, again.propensity)
    grid = np.array([0.0, 1.0])
    np.testing.assert_array_equal(first.cdf(1, grid)[own], again.cdf(1, grid)[own])


def _with_outcome(draw, y):
    from causal_ddpm.core.data import CausalData

    names = list(draw.data.confounder_names)
    return CausalData(draw.frame.assign(y=y), "d", "y", names)


def test_closed_forms_are_ridge_and_logistic_regression():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 4))
    z = np.hstack([np.ones((200, 1)), x])
    y = x @ [1.0, -1.0, 0.5, 0.0] + rng.standard_normal(200)
    beta, sd = light.ridge(z, y)
    peer = Ridge(alpha=light.PENALTY).fit(x, y)
    np.testing.assert_allclose(beta, [peer.intercept_, *peer.coef_], atol=1e-6)
    assert sd == pytest.approx(1.0, abs=0.15)
    d = (rng.random(200) < 1 / (1 + np.exp(-y))).astype(float)
    logistic = LogisticRegression(C=1 / light.PENALTY, tol=1e-10).fit(x, d)
    np.testing.assert_allclose(
        light.logistic_ridge(z, d), [logistic.intercept_[0], *logistic.coef_[0]], atol=1e-5
    )


def test_of_many_covariates_those_that_matter_stay():
    draw = design_by_name("high-dimensional").draw(500, seed=3)
    x, d, y = draw.data.covariates.values, draw.data.treatment, draw.data.outcome
    kept = light.screened(x, d, y)
    assert {0, 1, 2, 3} <= set(kept)
    assert len(kept) < 30
    np.testing.assert_array_equal(light.screened(x[:, :10], d, y), np.arange(10))


# -- scores --------------------------------------------------------------------------------
def test_an_entry_is_the_estimate_beside_its_truth():
    textbook = Case("ATE", ATE(calibrated=False))
    ((case, label, numbers),) = scores.score_draw("gauss", DRAW, ORACLE, [textbook], SEED)
    (m0, m1), (e0, e1) = DRAW.mean.T, DRAW.propensity.T
    y, d = DRAW.data.outcome, DRAW.data.treatment
    psi = m1 - m0 + d / e1 * (y - m1) - (1 - d) / e0 * (y - m0)
    assert (case, label) == ("ATE", "ATE")
    assert numbers["value"] == pytest.approx(psi.mean(), abs=1e-10)
    assert numbers["std_error"] == pytest.approx(psi.std(ddof=1) / np.sqrt(300), rel=1e-10)
    assert numbers["truth"] == GAUSS.truth_of(ATE())["ATE"]
    assert numbers["high"] - numbers["low"] == pytest.approx(2 * 1.959964 * numbers["std_error"])


def test_what_is_refused_is_counted_and_not_left_out():
    e = DRAW.data.treatment * 0.9998 + 0.0001
    separated = replace(ORACLE, propensity=np.column_stack([1 - e, e]))
    found = list(scores.score_draw("gauss", DRAW, separated, cases_named(["ATE"]), SEED))
    assert found == [("ATE", scores.REFUSED, {"inside": 0.0})]
    good = list(scores.score_draw("gauss", DRAW, ORACLE, cases_named(["ATE"]), SEED))
    entries = [("oracle", r, good[0]) for r in range(3)] + [("oracle", 3, found[0])]
    rows = [{"design": "gauss", "n": 300, "scores": scores.as_text(entries)}]
    (row,) = summarize(scores.from_rows(rows)).itertuples()
    assert (row.n_draws, row.n_refused) == (3, 1)


def test_entries_do_not_depend_on_how_draws_are_batched(tmp_path, monkeypatch):
    cases = (*AVERAGES, *cases_named(["share below"]))
    whole = _entries(tmp_path / "a", cases=cases)
    monkeypatch.setattr(scores, "DRAWS_A_ROW", 3)
    parts = _entries(tmp_path / "b", cases=cases)
    order = ["method", "case", "label", "draw"]
    pd.testing.assert_frame_equal(
        whole.sort_values(order, ignore_index=True), parts.sort_values(order, ignore_index=True)
    )
    assert set(whole["method"]) == {"oracle", "light"}
    assert len(whole) == 2 * 4 * (1 + 1 + 2 + 3)
    fewer = _entries(tmp_path / "a", cases=cases, draws=2)  # another batch of the same draws
    kept = whole[whole["draw"] < 2].sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(fewer.sort_values(order, ignore_index=True), kept)


def test_fits_are_scored_once_and_from_their_own_draws(tmp_path, monkeypatch):
    read = []

    def read_fit(home, file, spec):
        read.append((home, file, spec))
        draw = fits.drawn_by(spec)
        return draw, light.oracle(spec["design"], draw, SEED)

    monkeypatch.setattr(fits, "read_fit", read_fit)
    fitted = pd.DataFrame({"design": "linear", "n": 120, "draw": [0, 1], "file": ["a", "b"]})
    study = scores.scores_study(fitted, tmp_path, AVERAGES)
    full = scores.from_rows(study.run().to_dict("records"))
    assert [file for _, file, _ in read] == ["a", "b"]
    assert read[0][0] == str(tmp_path / fits.STUDY)
    assert set(full["method"]) == {scores.FULL}
    oracle = _entries(tmp_path, draws=2).query("method == 'oracle'")
    keys = ["case", "label", "draw"]
    pd.testing.assert_series_equal(
        full.sort_values(keys)["value"].reset_index(drop=True),
        oracle.sort_values(keys)["value"].reset_index(drop=True),
    )
    study.run()
    assert len(read) == 2
    assert scores.scores_study(fitted.iloc[:0], tmp_path, AVERAGES) is None


# -- summary -------------------------------------------------------------------------------
def _made_up(inside, method="full", case="ATE", label="ATE", width=2.0, n=500):
    """R draws of which the first ones cover."""
    r = len(inside)
    value = np.where(inside, 0.1, 5.0) * np.resize([1, -1], r)
    frame = {"design": "gauss", "n": n, "method": method, "case": case, "label": label}
    half = width / 2
    return pd.DataFrame({"draw": range(r), "truth": 0.0, "value": value, "std_error": 0.5}).assign(
        low=value - half, high=value + half, inside=inside.astype(float), width=width, **frame
    )


@pytest.mark.parametrize(
    ("n_inside", "verdict"), [(95, "holds"), (91, "fails"), (92, "holds"), (100, "holds")]
)
def test_the_verdict_follows_the_rule(n_inside, verdict):
    (row,) = summarize(_made_up(np.arange(100) < n_inside)).itertuples()
    assert row.coverage == n_inside / 100
    assert row.verdict == verdict
    assert row.margin == pytest.approx((n_inside / 100 - 0.95) / np.sqrt(0.95 * 0.05 / 100))
    assert row.width_ratio == pytest.approx(
        2.0 / (2 * 1.959964 * GAUSS.truth().efficiency_sd["ATE"] / np.sqrt(500))
    )


def test_too_much_coverage_fails_too():
    (row,) = summarize(_made_up(np.ones(500, bool))).itertuples()
    assert row.verdict == "fails"


def test_few_draws_are_not_judged():
    rows = [_made_up(np.arange(49) < 30), _made_up(np.arange(60) < 58, label="ATT", case="ATT")]
    table = summarize(pd.concat(rows))
    assert list(table["verdict"]) == ["open", "holds"]
    assert headline(table)["judged"] == 1
    assert headline(table)["share_that_holds"] == 1.0


def test_bands_and_unknown_bounds_are_set_beside_the_oracle():
    rows = [
        _made_up(np.arange(50) < 48, "oracle", "QTE", "QTE(0.5)", width=2.0),
        _made_up(np.arange(50) < 47, "full", "QTE", "QTE(0.5)", width=3.0),
        _made_up(np.arange(50) < 40, "full", "QTE", scores.BAND, width=4.0),
    ]
    table = summarize(pd.concat(rows)).set_index(["method", "label"])
    assert table.loc[("full", "QTE(0.5)"), "width_ratio"] == pytest.approx(1.5)
    assert table.loc[("oracle", "QTE(0.5)"), "width_ratio"] == pytest.approx(1.0)
    band = table.loc[("full", scores.BAND)]
    assert (band["coverage"], band["verdict"], band["width"]) == (0.8, "fails", 4.0)
    assert np.isnan(band["sd"])
    found = headline(table.reset_index())
    assert found["cells"] == 1
    assert found["mean_coverage"] == pytest.approx(0.94)
    assert found["share_that_holds"] == pytest.approx(2 / 3)


def test_the_oracle_on_the_same_draws_stands_beside_the_others():
    """Draws 0 to 49 of the oracle are right but for one; the other method has draws 0 to 19."""
    oracle = _made_up(np.arange(50) != 7, "oracle")
    table = summarize(pd.concat([oracle, _made_up(np.arange(20) < 15, "full")]))
    found = table.set_index("method")["oracle_coverage"]
    assert found["full"] == pytest.approx(19 / 20)
    assert found["oracle"] == pytest.approx(49 / 50)
    more = _made_up(np.arange(60) < 55, "full")  # ten draws the oracle has not seen
    table = summarize(pd.concat([oracle, more])).set_index("method")
    assert np.isnan(table.loc["full", "oracle_coverage"])
    bands = [_made_up(np.ones(50) > 0, m, label=scores.BAND) for m in ("oracle", "full")]
    table = summarize(pd.concat([oracle, *bands])).set_index(["method", "label"])
    assert table.loc[("full", scores.BAND), "oracle_coverage"] == 1.0


def test_the_page_says_how_it_was_made_and_what_fails():
    rows = [_made_up(np.arange(50) < 48), _made_up(np.arange(50) < 30, "light", "ATT", "ATT")]
    text = markdown.page(summarize(pd.concat(rows)), "causal-ddpm study coverage --table x")
    assert "Command: `causal-ddpm study coverage --table x`" in text
    assert "Mean coverage of the 1 headline entries" in text
    failing = text.split("## Entries that fail")[1].split("##")[0]
    assert "| light | gauss | 500 | ATT: ATT | 50 |" in failing
    assert "ATE" not in failing
    assert "## full: gauss, 500 rows" in text


# -- running -------------------------------------------------------------------------------
def test_plans_name_designs_and_cells_that_exist(tmp_path):
    for design, sizes in run.FULL_CELLS.items():
        assert design_by_name(design).draw(60, 0).data.n == 60
        assert all(n >= 250 and draws >= 100 for n, draws in sizes.items())
    specs = run._full_specs(["gauss", "clustered"], 3)
    assert specs[0] == {"design": "gauss", "n": 500, "draw": 0}
    assert len(specs) == 3 * 3 + 3
    with pytest.raises(DataError, match="no design 'gaus'; expected gauss"):
        run.run_light(tmp_path, ["gaus"])
    with pytest.raises(DataError, match="no design 'linear'"):
        run.run_full(tmp_path, ["linear"])
    with pytest.raises(DataError, match=r"Run benchmarks/bench_coverage_peers.py first"):
        run.peers_entries(tmp_path)


def test_without_fits_there_is_nothing_to_score(tmp_path):
    for compute in ("scores", "nothing"):
        found = run.run_full(tmp_path, ["gauss"], 2, compute=compute)
        assert not len(found)
        assert not len(summarize(found))


def test_what_is_there_can_be_read_without_computing(tmp_path):
    assert not len(_entries(tmp_path, compute="nothing"))
    made = _entries(tmp_path, draws=2)
    assert _entries(tmp_path, draws=2, compute="nothing").equals(made)


def test_rows_of_other_libraries_are_read_by_design(tmp_path):
    from causal_ddpm.evaluation.studies import Study

    def peer(spec, seed):
        numbers = {"truth": 1.0, "value": 1.2, "std_error": 0.5, "low": 0.2, "high": 2.2}
        entry = ("ATE", "ATE", numbers)
        return {"scores": scores.as_text([("a library", spec["draw"], entry)])}

    specs = [{"design": d, "n": 500, "draw": r} for d in ("gauss", "bimodal") for r in (0, 1)]
    Study(run.PEERS, peer, specs, tmp_path, code_version="1").run(engine="threading")
    found = run.peers_entries(tmp_path, ["gauss"])
    assert list(found["design"]) == ["gauss"] * 2
    (row,) = summarize(found).itertuples()
    assert (row.method, row.coverage, row.bias) == ("a library", 1.0, pytest.approx(0.2))


def test_a_light_study_agrees_with_the_summary_by_hand(tmp_path):
    entries = _entries(tmp_path, draws=30, cases=cases_named(["ATT"]))
    table = summarize(entries).set_index("method")
    oracle = entries[entries["method"] == "oracle"]
    truth = LINEAR.truth_of(ATT())["ATT"]
    assert table.loc["oracle", "n_draws"] == 30
    assert table.loc["oracle", "bias"] == pytest.approx((oracle["value"] - truth).mean(), abs=1e-6)
    inside = (oracle["low"] <= truth) & (truth <= oracle["high"])
    assert table.loc["oracle", "coverage"] == pytest.approx(inside.mean())
    assert 0.8 <= table.loc["light", "coverage"] <= 1.0
    assert json.loads(scores.as_text([])) == []
