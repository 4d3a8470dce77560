"""``causal-ddpm dgp recover`` prints verdicts and writes what it is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from causal_ddpm.cli.main import run


def test_recover_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, page = tmp_path / "found.json", tmp_path / "found.html"
    code = run(
        ["dgp", "recover", "linear", "--model", "bootstrap", "--rows", "150", "--json", str(out),
         "--report", str(page), "--quiet"]
    )  # fmt: skip
    assert code == 0
    said = capsys.readouterr().out
    assert "bootstrap on linear, learnt from 150 rows" in said
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["n"] == 150
    assert found["verdicts"].keys() >= {"coefficients", "mean", "noise", "effects", "distance"}
    assert "Recovery report" in page.read_text(encoding="utf-8")


def test_an_unknown_design_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dgp", "recover", "gaus", "--model", "bootstrap"]) == 2
    assert "Did you mean 'gauss'?" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_told_before_anything_is_fitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["dgp", "recover", "gauss", "--json", str(tmp_path / "no" / "x.json")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_panels_have_a_report_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from causal_ddpm.evaluation.recovery import did, historic

    small = historic.HistoricDID(0.0, n_units=12, n_periods=10, start=5)
    whole = did.recover_did

    def quick(design: object, seed: int, progress: object) -> did.DIDRecovery:
        assert design == historic.HistoricDID()
        return whole(small, seed, models=("recommended",), n_replicates=3)

    monkeypatch.setattr(did, "recover_did", quick)
    out = tmp_path / "found.json"
    assert run(["dgp", "recover", "did-historic", "--json", str(out), "--quiet"]) == 0
    assert "H: all units before treatment" in capsys.readouterr().out
    assert len(json.loads(out.read_text(encoding="utf-8"))["recoveries"]) == 2
    assert run(["dgp", "recover", "did", "--rows", "500"]) == 2
    assert "--rows is given for a difference-in-differences design" in capsys.readouterr().err
