"""The policy experiment: its data are the published ones, its refusals say what to do, it runs."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError


@pytest.fixture
def policies(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "experiments"))
    import policy_data

    return policy_data


@pytest.fixture
def basque(tmp_path):
    """A file with the columns of the Basque data; region 17 falls behind from 1970 on."""
    rng = np.random.default_rng(0)
    years, n = np.arange(1955, 1985), 14
    y = 3 + np.cumsum(rng.normal(0.1, 0.05, (n, len(years))), axis=1)
    y[1, years >= 1970] -= 0.08 * np.arange((years >= 1970).sum())
    frame = pd.DataFrame({
        "regionno": np.repeat([1, 17, *range(2, n)], len(years)), "year": np.tile(years, n),
        "gdpcap": y.ravel(),
    })  # fmt: skip
    frame.to_csv(tmp_path / "basque.csv", index=False)
    return tmp_path / "basque.csv"


def run(root, *words, cwd):
    return subprocess.run(
        [sys.executable, "-W", "ignore", str(root / "experiments" / "run_policy.py"), *words],
        capture_output=True, text=True, check=False, cwd=cwd, timeout=1500,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_packages_give_the_published_panels(policies):
    pytest.importorskip("moderndid")
    pytest.importorskip("synthdid")
    wage, _ = policies.load(policies.POLICIES["minimum_wage"], None)
    smoking, source = policies.load(policies.POLICIES["smoking_tax"], None)
    assert wage.shape == (500, 5)
    assert len(np.unique(wage.clusters)) == 29
    assert [int((wage.first == g).sum()) for g in wage.cohorts] == [20, 40, 131]
    assert smoking.shape == (39, 31)
    assert source == "synthdid.load_california_prop99()"


def test_a_file_of_the_user_is_read_by_the_names_that_circulate(policies, basque):
    panel, source = policies.load(policies.POLICIES["basque"], basque)
    assert source == "basque.csv"
    assert panel.shape == (13, 30)
    assert panel.units[~panel.is_control].tolist() == [17]
    assert panel.periods[panel.cohorts[0]] == 1970
    assert (panel.treated_name, panel.outcome_name) == ("terrorism", "GDP per head")


def test_refusals_say_what_to_bring(policies, basque):
    with pytest.raises(DataError, match="--data FILE"):
        policies.load(policies.POLICIES["german_reunification"], None)
    frame = pd.read_csv(basque)
    with pytest.raises(DataError, match="no column for the outcome"):
        policies.panel_of(policies.POLICIES["basque"], frame.drop(columns="gdpcap"))
    dated = frame.assign(year=frame["year"].astype(str) + "-01")
    with pytest.raises(DataError, match="column 'year' holds '1955-01'; expected years"):
        policies.panel_of(policies.POLICIES["basque"], dated)
    with pytest.raises(DataError, match="no unit in column 'regionno'"):
        policies.panel_of(policies.POLICIES["basque"], frame[frame["regionno"] != 17])


def test_data_that_are_not_the_published_ones_are_refused(policies):
    with pytest.raises(DataError, match="as published"):
        policies._assert("ATT of 2004 in 2004", -0.0123, -0.0105)


def test_placebo_groups_tell_what_a_perfect_fit_is_worth(policies):
    pytest.importorskip("diff_diff")
    from policy_cohorts import _placebo_errors, _synthetic_control

    rng = np.random.default_rng(1)
    controls = rng.normal(0, 1, (60, 1)) + rng.normal(0, 0.1, (60, 5)).cumsum(axis=1)
    _, fit = _synthetic_control(controls[:5].mean(axis=0), controls[5:], 1)
    synthetic, parallel = _placebo_errors(controls, 1, 5, 0)
    assert fit < 1e-3
    assert 0 < parallel < synthetic


def test_the_wrong_region_is_refused(policies, capsys):
    import run_policy

    assert run_policy.main(["--policy", "smoking_tax", "--region", "Texas"]) == 2
    assert "the region is 'Texas'; expected 'California'" in capsys.readouterr().err


def test_results_that_cannot_be_written_are_refused_before_the_work(policies, tmp_path, capsys):
    import run_policy

    (tmp_path / "file").touch()
    assert run_policy.main(["--policy", "smoking_tax", "--out", str(tmp_path / "file")]) == 2
    assert "cannot be made (File exists); expected the name of a folder" in capsys.readouterr().err


@pytest.mark.slow
def test_it_goes_from_a_file_to_the_report(root, basque, tmp_path):
    pytest.importorskip("diff_diff")
    done = run(root, "--policy", "basque", "--data", str(basque), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "What did terrorism do to GDP per head" in done.stdout
    assert "Beware" in done.stdout
    folder = tmp_path / "results" / "basque"
    record = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
    assert record["panel"]["units"] == 13
    assert "What did terrorism do to GDP per head?" in (folder / "report.html").read_text("utf-8")
    assert {p.suffix for p in folder.iterdir()} == {".csv", ".png", ".html", ".json"}


@pytest.mark.slow
def test_the_minimum_wage_is_told_cohort_by_cohort(root, tmp_path):
    pytest.importorskip("moderndid")
    pytest.importorskip("diff_diff")
    done = run(root, "--policy", "minimum_wage", "--region", "US", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    frame = pd.read_csv(tmp_path / "results" / "minimum_wage" / "cohorts.csv")
    assert frame["n_before"].tolist() == [1, 3, 4]
    np.testing.assert_allclose(frame["callaway_santanna"], [-0.0797, -0.0229, -0.0261], atol=1e-4)
    assert "synthetic control follows" in done.stdout
    assert "teaching extract" in done.stdout
