"""The example of the page on scores and laws of factorial experiments runs as it stands."""

import re
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_example_runs(root, tmp_path):
    text = (root / "docs/factorial_law.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, timeout=600, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert not done.returncode, done.stderr
