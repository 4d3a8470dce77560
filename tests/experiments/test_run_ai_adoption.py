"""The AI-adoption study: what is simulated says so, bad files get a sentence, it runs."""

import importlib.util
import shutil
import sys
from argparse import Namespace

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.dgp import ai_adoption, ai_adoption_panel

MODULES = ("data", "parts", "firms", "dates", "real")


@pytest.fixture
def script(root, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(root / "experiments")
    monkeypatch.chdir(tmp_path)
    file = root / "experiments/run_ai_adoption.py"
    spec = importlib.util.spec_from_file_location("run_ai_adoption", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name in MODULES:
        sys.modules.pop(f"ai_adoption_{name}", None)


@pytest.fixture
def firms(tmp_path):
    path = tmp_path / "firms.csv"
    ai_adoption.write(path, 150, seed=1)
    return path


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--data", "mine.csv"], "there is no file 'mine.csv'"),
        (["--data", "firms.csv", "--treatment", "uses_ai"], "has no column 'uses_ai'"),
        (["--data", "firms.csv", "--confounders", "size"], "has no column 'size'"),
        (["--data", "firms.csv", "--treatment", "education"], "education"),
        (["--data", "firms.csv", "--outcome", "industry"], "industry"),
        (["--data", "firms.csv", "--network", "links.csv"], "there is no file 'links.csv'"),
        (["--data", "firms.csv", "--network", "one.csv"], "two columns that name linked firms"),
        (["--parts", "panel", "--panel", "firms.csv"], "has no column 'quarter'"),
        (["--parts", "wages"], "some of firms, panel"),
        (["--parts", "metr", "--real", "nowhere"], "there is no folder 'nowhere'"),
        (["--out", "firms.csv"], "the folder 'firms.csv' cannot be made (File exists)"),
        (["--data", "firms.csv", "--groups", "size"], "--groups names 'size'"),
    ],
)
def test_bad_input_gets_a_sentence(script, firms, capsys, words, sentence):
    pd.DataFrame({"from": [1, 2]}).to_csv("one.csv", index=False)
    assert script.main(words) == 2
    told = capsys.readouterr()
    assert sentence in told.err
    assert "Traceback" not in told.err


def test_only_the_default_files_are_simulated(script):
    rows = script.files.table(script.files.FIRMS, None)
    assert rows.truth is not None
    assert "SIMULATED" in rows.source.name
    assert rows.source.unit == script.files.SIMULATED_UNIT
    truth = script.files.Path(f"{script.files.FIRMS}.truth.json")
    assert truth.is_file()
    truth.unlink()  # now they are firms of the user
    assert script.files.table(script.files.FIRMS, None).truth is None


def test_a_panel_is_simulated_beside_simulated_firms_only(script, firms, capsys, monkeypatch):
    args = script.options().parse_args(["--data", str(firms), "--parts", "firms,panel"])
    firms.with_name("firms.csv.truth.json").unlink()
    assert len(script.planned(args, ["firms", "panel"])) == 1
    assert "give one with --panel" in capsys.readouterr().out
    assert not script.files.PANEL.exists()


def test_real_data_that_are_missing_are_said_to_be(script, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    words = ["--parts", "metr,eu", "--real", str(tmp_path / "empty")]
    assert script.main(words) == 2
    told = capsys.readouterr()
    assert "no metr_ai_rct_2025.csv in" in told.out
    assert "there is nothing to study" in told.err


def test_links_between_firms_become_a_network(script, firms):
    pd.DataFrame({"buyer": [1, 2, 3], "seller": [2, 3, 4]}).to_csv("links.csv", index=False)
    rows = script.files.table(firms, None)
    found = script.files.network(script.files.Path("links.csv"), rows, Namespace(id="firm_id"))
    assert found.degree[:5].tolist() == [1, 2, 2, 1, 0]


def test_the_trial_is_read_as_published(script, tmp_path):
    """log minutes on AI and the log forecast, 246 issues: +.167, which is +18.2 %."""
    import ai_adoption_real as real

    file = script.REAL / real.FILES["metr"]
    if not file.is_file():
        pytest.skip("the trial's data are not there")
    rows = real.trial(pd.read_csv(file))
    x = np.column_stack([np.ones(len(rows)), rows["ai_allowed"], rows["log_forecast"]])
    slope = np.linalg.lstsq(x, rows["log_minutes"], rcond=None)[0][1]
    assert len(rows) == 246
    assert np.expm1(slope) == pytest.approx(0.182, abs=5e-4)


def test_states_adopt_when_their_mean_share_crosses_the_line(script):
    import ai_adoption_real as real

    periods = [f"2023{k:02d}" for k in range(19, 27)]
    share = {"AA": [4, 4, 9, 12, 12, 12, 12, 12], "BB": [4.0] * 8, "CC": [np.nan] * 8}
    rows = pd.DataFrame([
        {"State": s, "period": p, "ai__yes": v, "rev__increased": 30.0, "rev__decreased": 20.0}
        for s, values in share.items() for p, v in zip(periods, values, strict=True)
    ])  # fmt: skip
    panel, kept = real.state_panel(rows)
    assert kept == 2
    assert set(panel["State"]) == {"AA", "BB"}
    first = panel.groupby("State")["adopted"].first()
    assert first["AA"] == 5  # the mean of surveys 2 to 5 is 9.25, of 1 to 4 it is 7.25
    assert np.isnan(first.get("BB", np.nan))
    assert (panel["revenue_balance"] == 10).all()


def test_a_quick_run_on_a_panel_says_simulated_everywhere(script, tmp_path, capsys):
    pytest.importorskip("diff_diff")
    ai_adoption_panel.write("panel.csv", 60, seed=3)
    assert script.main(["--quick", "--parts", "panel", "--panel", "panel.csv"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "SIMULATED DATA" in out
    assert "Nothing here is evidence on AI" in out
    folder = tmp_path / "results" / "ai_adoption"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "SIMULATED DATA: What has productivity gained" in page
    assert "Simulated data." in page
    assert pd.read_csv(folder / "panel_methods.csv")["simulated"].all()
    names = {p.name for p in folder.iterdir()}
    assert {"panel_effects.csv", "panel_event_study.png", "panel_path.png"} <= names


@pytest.mark.slow
def test_from_a_missing_file_to_the_page(script, tmp_path, capsys):
    pytest.importorskip("doubleml")
    words = ["--quick", "--data", str(script.files.FIRMS), "--parts", "firms"]
    assert script.main(words) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "The rows are SIMULATED: the true ATE is 4.951" in out
    assert "refutation checks" in out or "NOT as it should be" in out
    effects = pd.read_csv(tmp_path / "results/ai_adoption/firms_effects.csv")
    wanted = {"ATE", "ATT", "GATE(industry = retail)", "BLP(slope)", "BLP(education)"}
    assert wanted <= set(effects["label"])
    shutil.rmtree(tmp_path / "data")
