"""Bad input gets one sentence and exit code 2 (3 without overlap), quickly, and leaves nothing."""

import gzip
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest

NO_MODELS = ("torch", "sklearn", "lightgbm", "matplotlib", "scipy.stats")


def without(roles, option):
    at = roles.index(option)
    return [*roles[:at], *roles[at + 2 :]]


@pytest.fixture
def roles():
    return [
        "--treatment", "ai_adoption", "--outcome", "productivity",
        "--confounders", "industry_size,rd_intensity,education",
    ]  # fmt: skip


def test_missing_file(refused, tmp_path):
    assert "there is no file" in refused(tmp_path / "nowhere.csv")


def test_folder_instead_of_a_file(refused, tmp_path):
    folder = tmp_path / "table.csv"
    folder.mkdir()
    assert "is a folder" in refused(folder)


@pytest.mark.parametrize("name", ["empty.csv", "empty.parquet", "empty.feather"])
def test_empty_file(refused, tmp_path, name):
    path = tmp_path / name
    path.touch()
    assert "is empty" in refused(path)


def test_header_without_rows(refused, tmp_path, frame):
    path = tmp_path / "header.csv"
    frame.head(0).to_csv(path, index=False)
    assert "the data have no rows" in refused(path)


@pytest.mark.parametrize("name", ["firms.xlsx", "firms", "firms.gz"])
def test_unknown_extension(refused, tmp_path, name):
    path = tmp_path / name
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    assert "expected .csv, .csv.gz, .parquet or .feather" in refused(path)


@pytest.mark.parametrize("name", ["broken.parquet", "broken.feather", "broken.csv.gz"])
def test_damaged_file(refused, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"this is no such file" * 20)
    assert f"'{name}' cannot be read" in refused(path)


def test_csv_in_another_encoding(refused, tmp_path):
    path = tmp_path / "latin.csv"
    path.write_bytes("ai_adoption,productivity,größe\n1,2,é\n".encode("latin-1"))
    assert "CSV in UTF-8" in refused(path)


def test_ragged_csv(refused, tmp_path):
    path = tmp_path / "ragged.csv"
    path.write_text("a,b\n1,2\n1,2,3,4\n", encoding="utf-8")
    assert "cannot be read" in refused(path)


def test_other_separator(refused, tmp_path, frame):
    path = tmp_path / "semicolons.csv"
    frame.to_csv(path, index=False, sep=";")
    assert "separated by semicolons; expected commas" in refused(path)


@pytest.mark.parametrize("packed", [False, True])
def test_duplicate_column_names(refused, tmp_path, frame, packed):
    text = frame.rename(columns={"education": "rd_intensity"}).to_csv(index=False)
    path = tmp_path / ("twice.csv.gz" if packed else "twice.csv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert "the column name 'rd_intensity' occurs 2 times" in refused(path)


@pytest.mark.parametrize("option", ["--treatment", "--outcome", "--confounders"])
def test_unknown_column_with_the_closest_name(refused, firms, roles, option):
    changed = {
        "--treatment": "ai_adoptoin",
        "--outcome": "prodctivity",
        "--confounders": "educaton",
    }
    sentence = refused(firms, option, changed[option], roles=without(roles, option))
    assert f"there is no column '{changed[option]}'" in sentence
    assert "Did you mean '" in sentence


def test_an_outcome_that_is_not_of_its_kind(refused, firms):
    assert "outcome_kind is 'interval'" in refused(firms, "--outcome-kind", "interval")
    assert "expected whole numbers" in refused(firms, "--outcome-kind", "count")


def test_one_column_in_two_roles(refused, firms, roles):
    sentence = refused(
        firms, "--confounders", "productivity", roles=without(roles, "--confounders")
    )
    assert "more than one role" in sentence


def test_no_confounders(refused, firms, roles):
    assert "no confounders" in refused(
        firms, "--confounders", " , ", roles=without(roles, "--confounders")
    )


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (1, "the treatment is constant"),
        (np.arange(160) % 3, "the treatment takes the values 0, 1, 2"),
        (np.where(np.arange(160) % 2, "yes", "no"), "expected 0 (untreated) and 1 (treated)"),
        (np.where(np.arange(160) == 4, np.nan, np.arange(160) % 2), "treatment values are missing"),
        ((np.arange(160) < 9).astype(int), "there are only 9 treated rows"),
    ],
)
def test_bad_treatment(refused, csv, values, sentence):
    assert sentence in refused(csv(ai_adoption=values))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(np.nan, "missing or infinite"), (np.inf, "missing or infinite"), ("n/k", "e.g. 'n/k'")],
)
def test_bad_outcome(refused, csv, frame, value, sentence):
    values = frame["productivity"].astype(object)
    values.iloc[7] = value
    assert sentence in refused(csv(productivity=values))


def test_constant_outcome(refused, csv):
    assert "the outcome is constant" in refused(csv(productivity=1.5))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.nan, "every value is missing"),
        ([f"2024-01-{d % 28 + 1:02d} 10:{d % 60:02d}" for d in range(160)], "dates or times"),
        ([f"the firm number {i} said so" for i in range(160)], "distinct texts"),
        (np.where(np.arange(160) == 3, np.inf, 1.0), "infinite values"),
    ],
)
def test_bad_confounder(refused, csv, values, sentence):
    found = refused(csv(education=values))
    assert "'education'" in found
    assert sentence in found


def test_dates_as_confounders(refused, tmp_path, frame):
    import pandas as pd

    path = tmp_path / "dates.parquet"
    frame.assign(education=pd.date_range("2020-01-01", periods=len(frame))).to_parquet(path)
    assert "holds dates or times" in refused(path)


@pytest.mark.parametrize("flip", [False, True])
def test_confounder_that_is_the_treatment(refused, csv, frame, flip):
    copy = 1 - frame["ai_adoption"] if flip else frame["ai_adoption"]
    assert "copy of the treatment" in refused(csv(education=copy))


def test_too_few_rows(refused, tmp_path, frame):
    path = tmp_path / "small.csv"
    frame.head(39).to_csv(path, index=False)
    assert "the data have 39 rows; expected at least 40" in refused(path)


def test_bad_weights_and_clusters(refused, csv, frame):
    negative = csv(weight=-1.0)
    assert "'weight'" in refused(negative, "--weights", "weight")
    few = csv(region=np.arange(len(frame)) % 3)
    assert "clusters" in refused(few, "--clusters", "region")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--level", "1.5"], "the confidence level is 1.5"),
        (["--folds", "1"], "folds"),
        (["--estimand", "latte"], "Did you mean 'late'"),
        (["--estimand", "late"], "instrument"),
        (
            ["--estimand", "arms", "--treatment-kind", "arms", "--report", "r.html"],
            "--report was asked",
        ),
        (["--location", "somewhere"], "somewhere"),
        (["--random-state", "-1"], "random-state"),
        (["--colour", "red"], "--colour"),
    ],
)
def test_bad_options(refused, firms, arguments, sentence):
    assert sentence in refused(firms, *arguments)


def test_missing_options_are_named(refused, firms, roles):
    assert "--outcome" in refused(firms, roles=without(roles, "--outcome"))


@pytest.mark.parametrize("option", ["--json", "--report"])
def test_missing_output_folder_is_refused_before_the_work(refused, firms, tmp_path, option):
    start = time.process_time()
    sentence = refused(firms, option, tmp_path / "nowhere" / "out.x")
    assert "does not exist" in sentence
    assert "mkdir -p" in sentence
    assert time.process_time() - start < 1


def test_outputs_that_would_overwrite_something_else(refused, firms, tmp_path):
    before = firms.read_bytes()
    assert "is the data file itself" in refused(firms, "--json", firms)
    both = tmp_path / "both"
    assert "two different files" in refused(firms, "--json", both, "--report", both)
    assert "is a folder" in refused(firms, "--json", tmp_path)
    assert firms.read_bytes() == before


def test_nothing_is_written_or_overwritten_by_a_refusal(refused, csv, tmp_path):
    path, report = csv(productivity=np.nan), tmp_path / "report.html"
    report.write_text("the old one", encoding="utf-8")
    before = sorted(p.name for p in tmp_path.iterdir())
    refused(path, "--json", tmp_path / "out.json", "--report", report)
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert report.read_text(encoding="utf-8") == "the old one"


def test_a_broken_truth_file(refused, firms):
    firms.with_name("firms.csv.truth.json").write_text("[", encoding="utf-8")
    assert "truth file" in refused(firms)


def test_without_overlap_the_exit_code_is_3_and_no_file_appears(refused, csv, tmp_path, frame):
    perfect = csv(education=frame["ai_adoption"] * 10 + np.linspace(0, 1, len(frame)))
    report = tmp_path / "report.html"
    assert "No overlap" in refused(
        perfect, "--report", report, "--folds", "2", "--location", "none", code=3
    )
    assert not report.exists()


def test_the_program_refuses_in_about_a_second_without_loading_models(csv, roles):
    """The whole program as a user starts it; CPU seconds, for the machine may be busy."""
    code = (
        "import sys\n"
        "from causal_ddpm.cli.main import run\n"
        "code = run(sys.argv[1:])\n"
        f"print([name for name in {NO_MODELS!r} if name in sys.modules])\n"
        "sys.exit(code)\n"
    )
    path, before = csv(productivity=np.nan), os.times()
    done = subprocess.run(
        [sys.executable, "-c", code, "estimate", str(path), *roles],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout.strip() == "[]"
    assert re.fullmatch(r"causal-ddpm: column 'productivity': .*\n", done.stderr)
    assert os.times().children_user - before.children_user < 3


def test_a_traceback_only_with_debug(command, tmp_path, roles):
    code, _, err = command("--debug", "estimate", tmp_path / "nowhere.csv", *roles)
    assert code == 2
    assert "Traceback" in err
    code, _, err = command("estimate", tmp_path / "nowhere.csv", *roles, "--debug")
    assert "Traceback" in err


def test_an_unexpected_failure_is_told_in_a_sentence(command, firms, roles, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("nothing\nleft")

    monkeypatch.setattr("causal_ddpm.cli.estimate.read_table", broken)
    code, _, err = command("estimate", firms, *roles)
    assert code == 1
    assert err.startswith("causal-ddpm: Unexpected failure (ZeroDivisionError: nothing left)")
    assert len(err.splitlines()) == 1
