"""The page on panels: its examples run as they stand, its names are public, its links lead on."""

import ast
import os
import re
import subprocess
import sys

import pytest

import causal_ddpm


def _page(root):
    return (root / "docs/panels.md").read_text(encoding="utf-8")


def _code(root):
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", _page(root), re.M | re.S))


def test_its_imports_are_public_names(root):
    named = {
        alias.name
        for node in ast.walk(ast.parse(_code(root)))
        if isinstance(node, ast.ImportFrom) and node.module == "causal_ddpm"
        for alias in node.names
    }
    assert {"PanelData", "PanelDiffusion"} <= named <= set(causal_ddpm.__all__)


def test_its_links_lead_somewhere(root):
    targets = re.findall(r"\[[^\]]*\]\(([^)#]+)\)", _page(root))
    assert targets
    assert all((root / "docs" / target).exists() for target in targets if "://" not in target)


@pytest.mark.slow
def test_its_examples_run(root, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _code(root)], capture_output=True, text=True,
        timeout=1500, check=False, cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if "MissingDependencyError" in done.stderr or "ModuleNotFoundError" in done.stderr:
        pytest.skip("needs the extra 'data'")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "california.html").stat().st_size > 0
