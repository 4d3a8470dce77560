"""The ledger: one row a task, atomic parts, resume after a kill, the same table on any engine."""

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import stream
from causal_ddpm.evaluation.code_version import package_version
from causal_ddpm.evaluation.studies import (
    TIMINGS,
    Study,
    StudyWarning,
    grid,
    one_thread,
)

SPECS = grid(design=["a", "b"], draw=range(4))


def mean_of_draw(spec, seed):
    x = stream(seed, "x").standard_normal(50) + (spec["design"] == "b")
    return {"mean": x.mean(), "n": len(x), "positive": bool(x.mean() > 0)}


def untimed(table):
    return table.drop(columns=list(TIMINGS))


def test_rows_do_not_depend_on_n_jobs_or_engine(tmp_path):
    tables = [
        untimed(Study("s", mean_of_draw, SPECS, tmp_path / "one").run(n_jobs=1)),
        untimed(Study("s", mean_of_draw, SPECS, tmp_path / "two").run(n_jobs=2)),
    ]
    with joblib.parallel_config("threading"):
        study = Study("s", mean_of_draw, SPECS, tmp_path / "threads")
        tables.append(untimed(study.run(n_jobs=2, engine=None)))
    for other in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], other)
    assert tables[0]["mean"].nunique() == len(SPECS)
    assert list(zip(tables[0]["design"], tables[0]["draw"], strict=True)) == [
        (s["design"], s["draw"]) for s in SPECS
    ]


def test_a_row_depends_only_on_its_own_specification_and_the_root_seed(tmp_path):
    whole = Study("s", mean_of_draw, SPECS, tmp_path / "a").run()
    part = Study("s", mean_of_draw, SPECS[::-1][:3], tmp_path / "b").run()
    for _, row in part.iterrows():
        match = whole[(whole["design"] == row["design"]) & (whole["draw"] == row["draw"])]
        assert match["mean"].item() == row["mean"]
    other = Study("s", mean_of_draw, SPECS, tmp_path / "c", random_state=1).run()
    assert not np.isin(other["mean"], whole["mean"]).any()


def counted(spec, seed, log):
    with open(log, "a") as f:
        f.write(f"{spec['draw']}\n")
    return {"value": spec["draw"] ** 2}


def test_finished_rows_are_not_computed_again(tmp_path):
    task = functools.partial(counted, log=str(tmp_path / "log"))
    Study("s", task, grid(draw=range(3)), tmp_path).run()
    table = Study("s", task, grid(draw=range(5)), tmp_path).run()
    assert (tmp_path / "log").read_text().split() == ["0", "1", "2", "3", "4"]
    assert table["value"].tolist() == [0, 1, 4, 9, 16]


KILLED = """
import sys, time
from causal_ddpm.core.random import stream
from causal_ddpm.evaluation.code_version import package_version
from causal_ddpm.evaluation.studies import Study, grid

def task(spec, seed):
    time.sleep(0.1)
    return {"value": stream(seed, "x").standard_normal()}

if __name__ == "__main__":
    study = Study("s", task, grid(draw=range(12)), sys.argv[1], code_version="fixed")
    table = study.run(n_jobs=int(sys.argv[2]))
    print(table[["draw", "value"]].to_csv(index=False))
"""


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_killed_study_resumes_to_the_identical_table(tmp_path, n_jobs):
    script = tmp_path / "script.py"
    script.write_text(KILLED)
    source = str(Path(sys.modules["causal_ddpm"].__path__[0]).parent)
    env = {**os.environ, "PYTHONPATH": source}

    def command(folder):
        return [sys.executable, str(script), str(tmp_path / folder), str(n_jobs)]

    process = subprocess.Popen(
        command("killed"), env=env, stdout=subprocess.DEVNULL, start_new_session=True
    )
    parts = tmp_path / "killed" / "s"
    while len(list(parts.glob("*.parquet"))) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    survived = {p: p.stat().st_mtime_ns for p in parts.glob("*.parquet")}
    assert 3 <= len(survived) < 12

    outputs = [
        subprocess.run(command(f), env=env, check=True, capture_output=True, text=True).stdout
        for f in ("killed", "whole")
    ]
    assert outputs[0] == outputs[1]
    assert len(outputs[0].strip().splitlines()) == 13
    assert all(p.stat().st_mtime_ns == t for p, t in survived.items())


def fails_until_told(spec, seed, flag):
    if spec["draw"] == 1 and not Path(flag).exists():
        raise ValueError("no luck with draw 1")
    return {"value": float(stream(seed).random())}


def test_failed_task_is_reported_recorded_and_retried(tmp_path):
    task = functools.partial(fails_until_told, flag=str(tmp_path / "flag"))
    study = Study("s", task, grid(draw=range(3)), tmp_path)
    with pytest.warns(StudyWarning, match=r"1 of 3 tasks .* no luck with draw 1"):
        table = study.run(n_jobs=2)
    assert table["status"].tolist() == ["ok", "failed", "ok"]
    assert "ValueError: no luck with draw 1" in table["error"][1]
    assert "fails_until_told" in table["error"][1]
    assert np.isnan(table["value"][1])
    assert (study.status().n_done, study.status().n_failed, study.status().n_pending) == (2, 1, 1)

    (tmp_path / "flag").touch()
    healed = study.run()
    assert healed["status"].tolist() == ["ok"] * 3
    assert healed["value"][0] == table["value"][0]
    assert not list(study.folder.glob("*.failed.parquet"))
    assert study.status().n_pending == 0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"x": [1, 2]}, "'x' holds a list"),
        ({"draw": 1}, "'draw', which is taken"),
        ({"status": "fine"}, "'status', which is taken"),
        (3.0, "returned a float"),
    ],
)
def test_unusable_rows_are_failures(tmp_path, row, message):
    study = Study("s", lambda spec, seed: row, grid(draw=[0]), tmp_path)
    with pytest.warns(StudyWarning, match=message):
        table = study.run()
    assert message in table["error"][0]


def test_other_code_versions_are_ignored_unless_accepted(tmp_path):
    def study(version, value, **options):
        def task(spec, seed):
            return {"value": value}

        return Study("s", task, grid(draw=range(2)), tmp_path, code_version=version, **options)

    study("one", 1).run()
    assert len(study("two", 2).collect()) == 0
    assert study("two", 2, any_version=True).run()["value"].tolist() == [1, 1]
    assert study("two", 2).run()["value"].tolist() == [2, 2]
    assert study("one", 1).collect()["value"].tolist() == [1, 1]
    assert study("one", 1, any_version=True).collect()["code_version"].unique() == ["one"]
    assert study("three", 3, any_version=True).collect()["value"].tolist() == [2, 2]


def test_default_code_version_follows_package_and_task(tmp_path):
    first = Study("s", mean_of_draw, SPECS, tmp_path).code_version
    assert first.startswith(package_version())
    assert Study("s", mean_of_draw, SPECS[:1], tmp_path).code_version == first
    assert Study("s", counted, SPECS, tmp_path).code_version != first
    one, two = (functools.partial(counted, log=log) for log in ("a", "b"))
    assert (
        Study("s", one, SPECS, tmp_path).code_version
        != Study("s", two, SPECS, tmp_path).code_version
    )


def test_package_version_changes_with_any_source_file(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("x = 1")
    monkeypatch.setattr("causal_ddpm.__path__", [str(tmp_path)])
    before = package_version()
    assert package_version() == before
    (tmp_path / "a.py").write_text("x = 2")
    assert package_version() != before


def thread_settings(spec, seed):
    return {"variable": os.environ["OMP_NUM_THREADS"], "blas": _blas_threads()}


def _blas_threads():
    from threadpoolctl import threadpool_info

    return max((pool["num_threads"] for pool in threadpool_info()), default=1)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_tasks_run_on_one_thread(tmp_path, monkeypatch, n_jobs):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    table = Study("s", thread_settings, grid(draw=range(2)), tmp_path).run(n_jobs)
    assert table["variable"].tolist() == ["1", "1"]
    assert table["blas"].tolist() == [1, 1]


def test_one_thread_restores_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with one_thread():
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def burn(spec, seed):
    end = time.process_time() + spec["cpu"]
    while time.process_time() < end:
        pass
    time.sleep(0.1)
    return {}


def test_cpu_and_wall_seconds(tmp_path):
    study = Study("s", burn, [{"cpu": 0.2}], tmp_path)
    row = study.run().iloc[0]
    assert 0.2 <= row["cpu_seconds"] < 0.29
    assert row["wall_seconds"] >= row["cpu_seconds"] + 0.09
    more = Study("s", burn, [{"cpu": 0.2}, {"cpu": 0.3}], tmp_path)
    assert more.status().remaining_cpu_seconds == pytest.approx(row["cpu_seconds"])


def test_progress_counts_tasks(tmp_path):
    seen = []
    study = Study("s", mean_of_draw, SPECS[:4], tmp_path)
    study.run(progress=lambda stage, share: seen.append((stage, share)))
    assert seen == [(f"s: {k} of 4", k / 4) for k in range(5)]


def test_stale_temporary_files_are_swept_and_fresh_ones_kept(tmp_path):
    study = Study("s", mean_of_draw, SPECS[:1], tmp_path)
    study.folder.mkdir(parents=True)
    old, new = study.folder / "old.tmp", study.folder / "new.tmp"
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    study.run()
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "../up"}, "study is named"),
        ({"specs": []}, "no specifications"),
        ({"specs": [{"a": 1}, {"a": 1}]}, "occurs twice"),
        ({"specs": [{"a": [1]}]}, "'a' holds a list"),
        ({"specs": [{"error": 1}]}, "'error', which is taken"),
        ({"random_state": None}, "fixed seed"),
        ({"random_state": -1}, "non-negative integer"),
    ],
)
def test_refusals(tmp_path, arguments, message):
    settings = {"name": "s", "task": mean_of_draw, "specs": SPECS, "folder": tmp_path}
    with pytest.raises(DataError, match=message):
        Study(**{**settings, **arguments})


def test_numpy_scalars_and_missing_values_survive(tmp_path):
    def task(spec, seed):
        return {"a": np.float32(0.5), "b": np.int64(3), "c": None, "d": "text", "e": np.nan}

    row = Study("s", task, [{"k": np.int32(1)}], tmp_path).run().iloc[0]
    assert (row["k"], row["a"], row["b"], row["c"], row["d"]) == (1, 0.5, 3, None, "text")
    assert np.isnan(row["e"])
