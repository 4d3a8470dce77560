"""The example of the page on twins runs as it stands."""

import re
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_example_runs(root, tmp_path):
    text = (root / "docs/own_study.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True, text=True, timeout=3600, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Lowest RMSE" in done.stdout
