"""The how-tos run as they stand, from top to bottom, in a folder of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

QUICK = ("howto/own_outcome_model", "howto/own_design", "which_estimator", "factorial")
LONG = (
    "howto/own_backbone", "howto/coverage_table", "howto/csv_to_report", "howto/million_rows",
    "howto/own_panel", "index", "did_experiment", "understanding_the_dgp",
)  # fmt: skip
FEWER = {"1_000_000": "20_000"}
"""What is made smaller here: the rows of the page on 10^6 rows."""


def _blocks(root, page):
    text = (root / "docs" / f"{page}.md").read_text(encoding="utf-8")
    for written, run in FEWER.items():
        text = text.replace(written, run)
    return re.findall(r"^```(python|bash)\n(.*?)^```$", text, re.M | re.S)


def _run(root, page, folder):
    (folder / "benchmarks").symlink_to(root / "benchmarks")
    where = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    session = {"__name__": page}
    for language, block in _blocks(root, page):
        if not page.startswith("howto/") and language == "bash":
            continue  # commands about files of the reader's own
        if language == "python":
            sys.modules[page] = sys.modules["__main__"]  # dataclasses look their module up
            exec(compile(block, f"{page}.md", "exec"), session)
        else:
            subprocess.run(f"set -e\n{block}", shell=True, check=True, cwd=folder, env=where)


def test_every_how_to_is_run(root):
    pages = {f"howto/{p.stem}" for p in (root / "docs/howto").glob("*.md")}
    assert pages == {page for page in QUICK + LONG if page.startswith("howto/")}


@pytest.mark.parametrize("page", QUICK)
def test_a_quick_how_to_runs(root, page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _run(root, page, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", LONG)
def test_a_long_how_to_runs(root, page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _run(root, page, tmp_path)
