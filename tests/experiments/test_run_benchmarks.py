"""The benchmarks as a user runs them, on the laboratory alone and with two quick methods."""

import importlib.util
import sys

import numpy as np
import pandas as pd
import pytest

MINE = (
    "common", "datasets", "effect_methods", "ours", "peers", "semisynthetic",
    "semisynthetic_study", "standings", "study_page",
)  # fmt: skip


@pytest.fixture
def script(root, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(root / "experiments")
    path = root / "experiments/run_benchmarks.py"
    spec = importlib.util.spec_from_file_location("run_benchmarks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("CAUSAL_DDPM_BENCHMARK_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setattr(module.semisynthetic_study, "_peers_version", lambda: "test")
    monkeypatch.setattr(module, "LIBRARIES", {})
    yield module
    sys.path.remove(str(root / "benchmarks"))
    for name in MINE:
        sys.modules.pop(name, None)


@pytest.fixture
def two_methods(script, monkeypatch):
    """Least squares, and ours as least squares whose predictions are off by a tenth."""
    least_squares = script.semisynthetic_study.METHODS["ols_t"]

    def ours(sample, seed):
        found = least_squares(sample, seed)
        cate = None if not len(sample.X_test) else sample.cate_test + 0.1
        return type(found)(found.ate, found.att, cate)

    found = {"ours": ours, "ols_t": least_squares}
    monkeypatch.setattr(script.semisynthetic_study, "METHODS", found)


def test_without_the_folder_it_says_so_and_runs_the_laboratory(
    script, two_methods, tmp_path, capsys, monkeypatch
):
    ihdp, *_, laboratory = script.semisynthetic.FAMILIES
    monkeypatch.setattr(script.semisynthetic, "FAMILIES", (ihdp, laboratory))
    out = tmp_path / "out"
    words = ["--quick", "--n-jobs", "1", "--out", str(out), "--studies", str(tmp_path / "s")]
    assert script.main(words) == 0
    said = capsys.readouterr().out
    assert "Not there, and left out: IHDP (ihdp/ihdp_npci_reps001-030.npz)" in " ".join(
        said.split()
    )
    assert "sqrt(PEHE): place 1 of 2 by mean rank over laboratory" in said
    rows = pd.read_csv(out / "rows.csv")
    assert set(rows["dataset"]) == {"gauss", "bimodal"}
    ours = rows[rows["method"] == "ours"]
    np.testing.assert_allclose(ours["sqrt_pehe"], 0.1)
    assert (rows["ate_error"] == (rows["ate"] - rows["ate_truth"]).abs()).all()
    for name in ("report.html", "sqrt_pehe.png", "ranks_sqrt_pehe.csv", "losses_ate_error.csv"):
        assert (out / name).stat().st_size > 0


def test_a_folder_that_is_not_there_is_one_sentence(script, tmp_path, capsys):
    assert script.main(["--data", str(tmp_path / "none")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_missing_library_names_its_extra(script, monkeypatch, capsys):
    monkeypatch.setattr(script, "LIBRARIES", {"no_such_library": "baselines"})
    assert script.main(["--quick"]) == 2
    assert "causal-ddpm[baselines]" in capsys.readouterr().err


def test_without_rows_there_is_no_table(script, tmp_path, capsys):
    words = ["--finished", "--studies", str(tmp_path), "--out", str(tmp_path / "out")]
    assert script.main(words) == 2
    assert "no row of this package is finished" in capsys.readouterr().err


def test_quick_is_a_part_of_full(script):
    plan = script.semisynthetic_study.plan
    quick, full = ({tuple(s.items()) for s in plan(quick=q)} for q in (True, False))
    assert quick < full
    families = script.semisynthetic.FAMILIES
    assert all(set(f.quick_draws) <= set(f.draws) for f in families)


def test_the_real_treated_are_in_every_part(script, monkeypatch):
    pytest.importorskip("causaldata")
    found = script.semisynthetic.known("real_cps", 0)
    other = script.semisynthetic.known("real_cps", 1)
    assert found.sample.treatment.sum() == 185
    assert len(found.sample.X) == 2000
    assert np.isnan(found.ate)
    assert found.att == pytest.approx(1.79434)
    assert not found.sample.X.equals(other.sample.X)


def test_a_mean_without_a_truth_has_no_error(script):
    study = script.semisynthetic_study
    effect = study.peers.normal_effect(1.0, 0.5)
    known = study.Known(
        study.known("gauss", 0).sample, ate=float("nan"), att=1.5
    )  # fmt: skip
    row = study.errors(study.Answers(effect, effect, None), known)
    assert np.isnan(row["ate_error"])
    assert np.isnan(row["ate_covers"])
    assert row["att_error"] == pytest.approx(0.5)
    assert row["att_covers"] == 1.0
    assert np.isnan(row["sqrt_pehe"])
