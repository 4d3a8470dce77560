"""The commands do what they promise."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from causal_ddpm import ATE, ATT, CausalData, PotentialOutcomeModel, __version__, estimate_effects
from causal_ddpm.cli import demo
from causal_ddpm.cli.read import file_kind, read_table
from causal_ddpm.core.errors import DataError, MissingDependencyError

QUICK = ["--folds", "2", "--location", "none"]
ROLES = [
    "--treatment", "ai_adoption", "--outcome", "productivity",
    "--confounders", "industry_size, rd_intensity,education",
]  # fmt: skip
COLUMNS = [
    "firm_id", "industry", "ai_adoption", "productivity", "industry_size", "rd_intensity",
    "education",
]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["a.csv", "a.CSV", "a.csv.gz", "a.Csv.GZ", "a.parquet", "a.PARQUET", "a.feather"]
)
def test_every_format_gives_the_same_table(tmp_path, frame, name):
    path = tmp_path / name
    writers = {
        "csv": lambda: frame.to_csv(
            path, index=False, compression="gzip" if "gz" in name.lower() else None
        ),
        "parquet": lambda: frame.to_parquet(path),
        "feather": lambda: frame.to_feather(path),
    }
    writers[file_kind(path)]()
    found = read_table(path)
    pd.testing.assert_frame_equal(found, frame, check_dtype=False)


def test_a_byte_order_mark_and_quoted_names_are_read(tmp_path):
    path = tmp_path / "excel.csv"
    path.write_text('"a, b",c\n1,2\n', encoding="utf-8-sig")
    assert list(read_table(path).columns) == ["a, b", "c"]


@pytest.fixture(scope="module")
def estimated(tmp_path_factory):
    """One whole run as a user starts it."""
    folder = tmp_path_factory.mktemp("estimated")
    program = [sys.executable, "-c", "from causal_ddpm.cli.main import main; main()"]

    def call(*arguments):
        return subprocess.run(
            [*program, *map(str, arguments)],
            capture_output=True, text=True, timeout=300, check=False, cwd=folder,
        )  # fmt: skip

    made = call("simulate", "ai-adoption", "--n", 200, "--out", "firms.csv", "--random-state", 5)
    assert made.returncode == 0, made.stderr
    outputs = [
        "--json",
        "out.json",
        "--report",
        "out.html",
        "--unit",
        "thousand dollars",
        "--joint",
    ]
    done = call("estimate", "firms.csv", *ROLES, *QUICK, *outputs, "--random-state", 2)
    return folder, done


def test_the_run_succeeds_and_prints_a_table(estimated):
    _, done = estimated
    assert done.returncode == 0, done.stderr
    for text in ("SIMULATED DATA", "ATE", "ATT", "Naive difference", "Truth", "95 % interval"):
        assert text in done.stdout
    assert "Wrote out.html" in done.stdout
    assert "Not identified: the share of all units" in done.stdout
    assert "Traceback" not in done.stderr
    assert "Small sample" in done.stderr or "Weak overlap" in done.stderr or done.stderr == ""


def test_the_json_holds_what_the_library_computes(estimated):
    folder, _ = estimated
    content = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    data = CausalData(
        pd.read_csv(folder / "firms.csv"), "ai_adoption", "productivity",
        ["industry_size", "rd_intensity", "education"],
    )  # fmt: skip
    assert content["provenance"]["data_hash"] == data.fingerprint
    model = PotentialOutcomeModel(location="none")
    with pytest.warns() if content["warnings"] else _nothing():
        expected = estimate_effects(
            data, [ATE(), ATT()], outcome_model=model, n_folds=2, random_state=2
        )
    for found, estimate in zip(content["estimates"], expected, strict=True):
        assert found["value"] == pytest.approx(estimate.value, rel=1e-12)
        assert found["std_error"] == pytest.approx(estimate.std_error, rel=1e-12)
        assert found["ci_low"] < found["value"] < found["ci_high"]
        assert (found["level"], found["n"]) == (0.95, 200)
    assert content["simulated"]["seed"] == 5


def _nothing():
    from contextlib import nullcontext

    return nullcontext()


def test_the_report_announces_the_simulation_and_no_draft_is_left(estimated):
    folder, _ = estimated
    page = (folder / "out.html").read_text(encoding="utf-8")
    assert "Simulated data." in page
    assert "productivity (thousand dollars)" in page
    names = sorted(p.name for p in folder.iterdir())
    assert names == ["firms.csv", "firms.csv.truth.json", "out.html", "out.json"]


def test_simulated_files_have_the_promised_columns_and_truth(command, tmp_path):
    path = tmp_path / "firms.csv"
    code, out, _ = command("simulate", "ai-adoption", "--n", 250, "--out", path)
    assert code == 0
    assert "simulated" in out
    frame = pd.read_csv(path)
    assert list(frame.columns) == COLUMNS
    assert len(frame) == 250
    truth = json.loads((tmp_path / "firms.csv.truth.json").read_text(encoding="utf-8"))
    assert truth["provenance"] == "simulated"
    assert {"ATE", "ATT"} <= set(truth["population"]) & set(truth["sample"])
    first = path.read_bytes()
    command("simulate", "ai-adoption", "--n", 250, "--out", path)
    assert path.read_bytes() == first
    command("simulate", "ai-adoption", "--n", 250, "--out", path, "--random-state", 1)
    assert path.read_bytes() != first


def test_a_simulated_panel_of_adoption_dates_is_written_with_its_truth(command, tmp_path):
    path = tmp_path / "panel.csv"
    code, out, _ = command("simulate", "ai-adoption-panel", "--n", 30, "--out", path)
    assert code == 0
    assert "480 simulated rows" in out
    assert len(pd.read_csv(path)) == 480
    assert "ATT" in json.loads((tmp_path / "panel.csv.truth.json").read_text("utf-8"))["sample"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ai-adoption", "--out", "nowhere/firms.csv"], "does not exist"),
        (["ai-adoption", "--n", "0", "--out", "firms.csv"], "--n"),
        (["something-else", "--out", "firms.csv"], "something-else"),
    ],
)
def test_bad_simulations_get_a_sentence(command, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    code, _, err = command("simulate", *arguments)
    assert code == 2
    assert sentence in err
    assert list(tmp_path.iterdir()) == []


def test_help_teaches_and_version_tells(command):
    code, out, _ = command("--version")
    assert (code, out.strip()) == (0, f"causal-ddpm {__version__}")
    for arguments in ([], ["--help"]):
        code, out, _ = command(*arguments)
        assert code == 0
        assert "causal-ddpm demo" in out
    code, out, _ = command("estimate", "--help")
    assert code == 0
    assert "--confounders" in out
    assert "Exit codes" in out


def test_the_progress_bar_stays_silent_without_a_terminal(command, capsys):
    from causal_ddpm.cli.progress import progress_bar
    from causal_ddpm.core.progress import silent

    with progress_bar() as report:
        assert report is silent


def test_the_progress_bar_moves_on_a_terminal(capsys, monkeypatch):
    from causal_ddpm.cli.progress import progress_bar

    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar() as report:
        report("outcome model", 0.5)
    assert "outcome model" in capsys.readouterr().err
    with progress_bar(quiet=True) as report:
        report("outcome model", 0.5)
    assert capsys.readouterr().err == ""


def test_the_demo_reproduces_the_published_numbers():
    pytest.importorskip("causaldata")
    (value, std_error), naive = demo.published_numbers(*demo.load())
    assert value == pytest.approx(1794.34, abs=0.01)
    assert std_error == pytest.approx(671.00, abs=0.01)
    assert naive == pytest.approx(-8497.52, abs=0.01)


def test_the_demo_refuses_other_data_under_the_same_name():
    pytest.importorskip("causaldata")
    experiment, survey = demo.load()
    changed = experiment.assign(re78=experiment["re78"] * np.where(experiment["treat"] == 1, 2, 1))
    with pytest.raises(DataError, match=r"the published 1794\.34"):
        demo.published_numbers(changed, survey)


def test_the_demo_without_its_data_says_how_to_install_them(command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "causaldata", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingDependencyError):
        demo.load()
    code, _, err = command("demo")
    assert code == 2
    assert "pip install 'causal-ddpm[data]'" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_demo_runs_from_data_to_report(command, tmp_path, monkeypatch):
    pytest.importorskip("causaldata")
    monkeypatch.chdir(tmp_path)
    code, out, _ = command("demo")
    assert code == 0
    for text in ("1,794 (SE 671)", "8,498", "Diffusion ATT"):
        assert text in out
    page = (tmp_path / "results" / "demo" / "report.html").read_text(encoding="utf-8")
    assert "Experimental benchmark" in page
