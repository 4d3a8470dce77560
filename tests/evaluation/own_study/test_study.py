"""The study on a twin: who covers, resumption, and verdicts that follow from the numbers."""

import json

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError, OverlapError
from causal_ddpm.core.estimand import ATT, QTE
from causal_ddpm.evaluation.own_study.estimators import SHIPPED, difference_in_means
from causal_ddpm.evaluation.own_study.study import cost_in_words, draws_of, study_own, twin_of
from causal_ddpm.report.displays import OwnStudyDisplay
from causal_ddpm.report.own_study import page, shown

QUICK = ["difference", "lin", "ipw"]


@pytest.fixture(scope="module")
def study(twin, tmp_path_factory):
    """A linear twin: 100 draws of quick estimators, 40 of AIPW."""
    return study_own(
        twin, [*QUICK, "aipw"], effect=1.0, draws={**dict.fromkeys(QUICK, 100), "aipw": 40},
        n=400, folder=tmp_path_factory.mktemp("ledger"), random_state=2,
    )  # fmt: skip


def _of(study, name):
    return study.table.set_index("estimator").loc[name]


def test_adjustment_covers_on_a_linear_twin_and_the_difference_in_means_does_not(study):
    for name, least in (("lin", 0.89), ("aipw", 0.86)):
        row = _of(study, name)
        assert row["coverage"] >= least
        assert row["intervals"] == "hold"
        assert abs(row["bias"]) < 3 * row["bias_error"] + 0.01
        assert 0.8 < row["se_ratio"] < 1.2
    naive = _of(study, "difference")
    assert naive["coverage"] < 0.5
    assert naive["intervals"] == "too narrow"
    assert naive["bias"] > 0.2


def test_errors_and_verdict_follow_from_the_rows(study):
    rows = study.rows[study.rows["estimator"] == "lin"]
    error = rows["value"] - 1.0
    row = _of(study, "lin")
    assert row["bias"] == pytest.approx(error.mean())
    assert row["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    spread = (error**2).std() / (2 * row["rmse"] * 10)
    assert row["rmse_error"] == pytest.approx(spread)
    inside = (rows["ci_low"] <= 1.0) & (rows["ci_high"] >= 1.0)
    assert row["coverage"] == pytest.approx(inside.mean())
    told = " ".join(study.verdict())
    assert "In the twin the ATE is 1 (effect 1, overlap 1)" in told
    assert "difference in means is biased by" in told
    assert "intervals of difference in means cover" in told
    assert "too narrow" in told
    assert study.table["rmse_ratio"].is_monotonic_increasing
    full = study.table[study.table["draws"] == 100]
    best = full.loc[full["rmse"].idxmin()]
    assert (best["rmse_ratio"], best["versus_best"]) == (1, 0)
    assert f"Lowest RMSE: {best['title']}" in told
    ours, theirs = (
        study.rows[study.rows["estimator"] == e].set_index("draw")["value"].sub(1).pow(2)
        for e in ("aipw", best["estimator"])
    )
    ratio = np.sqrt(ours.mean() / theirs[ours.index].mean())
    assert _of(study, "aipw")["rmse_ratio"] == pytest.approx(ratio)
    assert _of(study, "difference")["versus_best"] > 5


def test_no_estimator_beats_the_bound_by_more_than_luck(study):
    for name in ("lin", "ipw", "aipw"):
        row = _of(study, name)
        assert row["sd"] > 0.8 * study.best_std_error


def test_the_record_can_be_written(study):
    back = json.loads(json.dumps(study.to_dict()))
    assert back["truth"]["population"]["ATE"] == pytest.approx(1.0)
    assert [e["estimator"] for e in back["estimators"]] == list(study.table["estimator"])
    text = page(study, "causal-ddpm study own x.csv")
    assert text.startswith("# Estimators of the ATE on data like yours")
    assert "| difference in means |" in text
    assert list(shown(study)["Estimator"]) == list(study.table["title"])
    assert "rmse" in repr(study)


def test_the_display_shows_the_table(study):
    from matplotlib.figure import Figure

    display = OwnStudyDisplay.of(study)
    frame = display.frame()
    np.testing.assert_array_equal(frame["bias"], study.table["bias"])
    ax = display.plot(Figure().subplots())
    texts = [t.get_text() for t in ax.texts]
    assert sum("draws" in t for t in texts) == len(frame)
    assert [t.get_text() for t in ax.get_yticklabels()] == [*study.table["title"]]


def test_rows_are_kept_and_do_not_depend_on_the_other_estimators(twin, tmp_path):
    calls = []

    def counted(data, estimand, random_state):
        calls.append(data.fingerprint)
        return difference_in_means(data, estimand, random_state)

    shared = dict(effect=0.0, draws=3, n=120, folder=tmp_path)
    first = study_own(twin, [counted], **shared)
    again = study_own(twin, [counted], **shared)
    assert len(calls) == len(set(calls)) == 3
    pd.testing.assert_frame_equal(first.rows, again.rows)
    beside = study_own(twin, ["difference", "lin"], **shared)
    own = beside.rows[beside.rows["estimator"] == "difference"]
    np.testing.assert_array_equal(own["value"], first.rows["value"])


@pytest.mark.slow
def test_workers_change_nothing(twin, tmp_path):
    shared = dict(effect=0.0, draws=3, n=120)
    one = study_own(twin, QUICK, folder=tmp_path / "1", **shared)
    two = study_own(twin, QUICK, folder=tmp_path / "2", n_jobs=2, **shared)
    np.testing.assert_array_equal(one.rows["value"], two.rows["value"])


def test_estimands_have_truths_of_their_own(twin, tmp_path):
    found = study_own(
        twin, ["lin"], effect="1 + (age > 40)", estimand=ATT(), draws=40, n=400, folder=tmp_path
    )
    truth = twin.with_truth("1 + (age > 40)").truth().population
    assert found.truth.population["ATT"] == pytest.approx(truth["ATT"])
    assert truth["ATT"] != pytest.approx(truth["ATE"], abs=1e-3)
    assert found.table["intervals"].iloc[0] == "hold"


def test_refusals_and_failures_are_counted_and_said(twin, tmp_path):
    def picky(data, estimand, random_state):
        if data.outcome[0] > 2.5:
            raise OverlapError("No overlap here.")
        return difference_in_means(data, estimand, random_state)

    def broken(data, estimand, random_state):
        raise ValueError("out of order")

    found = study_own(twin, [picky, broken], effect=0.0, draws=12, n=100, folder=tmp_path)
    row = found.table.iloc[0]
    assert row["refused"] + row["draws"] == 12
    assert 0 < row["refused"] < 12
    told = " ".join(found.verdict())
    assert f"picky refused {row['refused']} of 12 draws" in told
    assert "broken failed on 12 of 12 draws: ValueError: out of order" in told
    with pytest.raises(DataError, match="out of order"):
        study_own(twin, [broken], effect=0.0, draws=2, n=100, folder=tmp_path)


def test_data_get_a_twin_that_is_kept(people_data, light, tmp_path, monkeypatch):
    first = study_own(people_data, ["ols"], settings=light.quick(), draws=2, folder=tmp_path)
    assert (first.n, first.effect, first.overlap) == (people_data.n, "0", 1.0)
    from causal_ddpm.evaluation.twin.design import TwinDesign

    monkeypatch.setattr(TwinDesign, "fit", None)  # not learnt again
    again = twin_of(people_data, tmp_path, light.quick())
    assert again.name == "twin of 1,500 rows"


def test_slow_estimators_get_fewer_draws_and_the_cost_is_said():
    chosen = list(SHIPPED.values())
    plan = draws_of(chosen, 100)
    assert plan["ols"] == 100
    assert plan["diffusion"] == 20
    assert draws_of(chosen, 10)["diffusion"] == 10
    assert draws_of(chosen, 500)["diffusion"] == 100
    told = cost_in_words(chosen, plan, 500, 8, 2)
    assert "Draws of 500 rows: difference 100" in told
    assert "of CPU time in all" in told


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"estimand": QTE([0.5])}, "knows no 'QTE'"),
        ({"draws": 1}, "1 draws were asked for"),
        ({"draws": {"lin": 3}}, "draws are named for 'lin'"),
        ({"n": 5}, "draws of 5 rows"),
        ({"overlap": -2}, "the overlap is -2"),
        ({"effect": "ages"}, "names 'ages'"),
    ],
)
def test_plans_that_cannot_be_are_refused_before_anything_is_drawn(
    twin, tmp_path, change, sentence
):
    with pytest.raises(DataError, match=sentence):
        study_own(twin, ["ols"], folder=tmp_path, **change)
    assert not list(tmp_path.iterdir())
