"""Estimators by designs: what is asked of whom, what a verdict says, and what is written."""

import importlib.util
import sys

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import OverlapError


@pytest.fixture
def script(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "experiments")
    path = root / "experiments/run_synthetic.py"
    spec = importlib.util.spec_from_file_location("run_synthetic", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name in ("synthetic_cases", "study_page"):
        sys.modules.pop(name, None)


@pytest.fixture
def cases(script):
    return sys.modules["synthetic_cases"]


def test_every_estimator_is_known_and_quick_is_a_part_of_all(cases):
    assert {m for case in cases.CASES.values() for m in case.methods} == set(cases.METHODS)
    quick, default, twice = (
        {tuple(s.items()) for s in cases.plan(*words)} for words in ((True,), (False,), (False, 2))
    )
    assert quick < default < twice
    assert all(case.why for case in cases.CASES.values())


def test_each_is_judged_by_the_truth_of_its_question(cases):
    seed = np.random.SeedSequence(0)
    iv = {
        m: cases.row({"design": "instrument", "method": m, "draw": 0}, seed)
        for m in ("ols", "2sls")
    }
    truth = cases.CASES["instrument"].design.truth().population
    assert iv["ols"]["truth"] == truth["ATE"]
    assert iv["2sls"]["truth"] == truth["LATE"]
    panel = cases.row({"design": "staggered", "method": "bjs", "draw": 0}, seed)
    assert panel["estimand"] == "ATT"
    assert panel["ci_low"] <= panel["value"] <= panel["ci_high"]


def test_all_see_the_same_draw(cases):
    seeds = np.random.SeedSequence(0), np.random.SeedSequence(1)
    first, second = (
        cases.row({"design": "gauss", "method": "ols", "draw": 3}, seed) for seed in seeds
    )
    assert first == second


@pytest.fixture
def rows():
    """Forty draws: one unbiased with honest intervals, one biased, one with narrow intervals."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(40)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    found = []
    for method, bias, se in (("irm", 0.0, 1.0), ("ols", 2.0, 1.0), ("t-learner", 0.0, 0.2)):
        value = 1 + bias + noise
        found.append(pd.DataFrame({
            "design": "gauss", "method": method, "draw": range(40), "estimand": "ATE",
            "value": value, "truth": 1.0, "std_error": se, "ci_low": value - 1.96 * se,
            "ci_high": value + 1.96 * se, "status": "ok", "cpu_seconds": 0.1,
        }))  # fmt: skip
    return pd.concat(found, ignore_index=True)


def test_a_verdict_names_bias_and_narrow_intervals(script, rows):
    found = script.summary(rows).set_index("method")
    assert found["bias_matters"].to_dict() == {"irm": False, "ols": True, "t-learner": False}
    assert found["too_narrow"].to_dict() == {"irm": False, "ols": True, "t-learner": True}
    assert found.loc["ols", "bias"] == pytest.approx(2.0)
    assert found.loc["ols", "rmse_ratio"] == pytest.approx(np.sqrt(4 + 39 / 40) / np.sqrt(39 / 40))
    assert not found["imprecise"].any()
    said = script.verdict("gauss", script.summary(rows))
    copes, fails = said.split("Does not:")
    assert "DML, interactive (AIPW)" in copes
    assert "OLS with confounders (bias +2; covers" in fails
    assert "T-learner (covers" in fails


def test_few_draws_are_no_yardstick_and_are_named(script, rows):
    few = rows[rows["method"] != "ols"].copy()
    lucky = few["method"] == "irm"
    few = few[~lucky | (few["draw"] < 2)]
    few.loc[few["method"] == "irm", "value"] = [1.001, 0.999]
    found = script.summary(few).set_index("method")
    assert found.loc["t-learner", "rmse_ratio"] == pytest.approx(1.0)
    assert found.loc["irm", "rmse_ratio"] < 0.01
    assert "RMSE 0.001 in 2 draws" in script.verdict("gauss", script.summary(few))


def test_refusals_are_counted_and_left_out_of_the_rest(script, rows):
    numbers = ["value", "std_error", "ci_low", "ci_high"]
    rows.loc[(rows["method"] == "irm") & (rows["draw"] >= 30), numbers] = np.nan
    found = script.summary(rows).set_index("method")
    assert found["refused"].to_dict() == {"irm": 10, "ols": 0, "t-learner": 0}
    assert found["draws"].to_dict() == {"irm": 30, "ols": 40, "t-learner": 40}
    assert np.isfinite(found.loc["irm", ["bias", "coverage", "rmse"]].astype(float)).all()


def test_an_estimator_may_refuse(cases, monkeypatch):
    def refuses(data, estimand, seed):
        raise OverlapError("Nobody like them was treated.")

    monkeypatch.setitem(cases.METHODS, "ols", cases.Method("OLS", refuses))
    row = cases.row({"design": "gauss", "method": "ols", "draw": 0}, np.random.SeedSequence(0))
    assert row["refused"] == "Nobody like them was treated."
    assert "value" not in row


def test_three_draws_make_no_bias_by_accident(script, rows):
    few = rows[(rows["method"] == "irm") & (rows["draw"] < 3)].assign(value=[1.05, 1.10, 1.15])
    found = script.summary(few).iloc[0]
    assert found["bias"] / found["bias_error"] == pytest.approx(2 * np.sqrt(3))
    assert not found["bias_matters"]
    many = pd.concat([few.assign(draw=few["draw"] + 3 * k) for k in range(10)])
    assert script.summary(many).iloc[0]["bias_matters"]


def test_what_is_written(script, rows, tmp_path):
    script.write(rows, script.summary(rows), tmp_path / "out")
    out = tmp_path / "out"
    assert {p.name for p in out.iterdir()} == {
        "rows.csv", "summary.csv", "heat_map.png", "report.html",
    }  # fmt: skip
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "In theory: Everything that matters is seen" in page
    assert "<svg" in page


def test_from_the_command_line(script, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(script, "plan", lambda quick, times: [
        {"design": "gauss", "method": m, "draw": k} for m in ("ols", "difference") for k in (0, 1)
    ])  # fmt: skip
    words = ["--quick", "--out", str(tmp_path / "out"), "--studies", str(tmp_path / "ledger")]
    assert script.main(words) == 0
    first = capsys.readouterr().out
    assert "0 of 4 rows are there" in first
    assert "confounded, curved (gauss, n = 500)" in first
    assert script.main(words) == 0
    assert "4 of 4 rows are there; about 0 CPU-minutes to go" in capsys.readouterr().out


def test_no_draws_are_one_sentence(script, tmp_path, capsys):
    assert script.main(["--times", "0", "--out", str(tmp_path / "out")]) == 2
    assert "the study has no specifications" in capsys.readouterr().err
