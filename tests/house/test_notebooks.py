"""Notebooks: each is its script and the output of running it, and its cells run."""

import json
import os
import re
import subprocess
import sys

import pytest


def _scripts(root):
    return sorted((root / "notebooks").glob("[0-9]*.py"))


def _cells_of_script(text):
    """Kinds and sources of the cells of a percent script."""
    cells = []
    for part in re.split(r"^# %%", text, flags=re.M)[1:]:
        heading, _, source = part.partition("\n")
        if "[markdown]" in heading:
            source = "\n".join(re.sub(r"^# ?", "", line) for line in source.splitlines())
            cells.append(("markdown", source.strip()))
        else:
            cells.append(("code", source.strip()))
    return cells


def _notebook(script):
    return json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))


def test_there_are_notebooks_and_each_has_a_script(root):
    scripts = {p.stem for p in _scripts(root)}
    assert scripts
    assert {p.stem for p in (root / "notebooks").glob("*.ipynb")} == scripts


def test_each_notebook_agrees_with_its_script(root):
    for script in _scripts(root):
        cells = _notebook(script)["cells"]
        found = [(cell["cell_type"], "".join(cell["source"]).strip()) for cell in cells]
        assert found == _cells_of_script(script.read_text(encoding="utf-8")), script.name


def test_each_notebook_was_run_from_top_to_bottom_without_an_error(root):
    for script in _scripts(root):
        code = [c for c in _notebook(script)["cells"] if c["cell_type"] == "code"]
        assert [c["execution_count"] for c in code] == list(range(1, len(code) + 1))
        outputs = [out for cell in code for out in cell["outputs"]]
        assert not [out for out in outputs if out["output_type"] == "error"]
        assert any("image/png" in out.get("data", {}) for out in outputs)


@pytest.mark.slow
def test_the_scripts_run(root):
    for script in _scripts(root):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", script.name], cwd=root / "notebooks",
            capture_output=True, text=True, check=False, env={**os.environ, "MPLBACKEND": "Agg"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
