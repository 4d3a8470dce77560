"""The pages a newcomer reads: examples run as they stand, links lead somewhere."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import causal_ddpm
from causal_ddpm.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/index.md",
    "docs/api.md",
    "docs/inference.md",
    "docs/own_study.md",
    "docs/did_experiment.md",
    "docs/compare.md",
    "docs/which_estimator.md",
    "docs/theory.md",
    *(f"docs/howto/{page.name}" for page in sorted((ROOT / "docs/howto").glob("*.md"))),
)


def _blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def _public_imports(code):
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module == "causal_ddpm":
            yield from (alias.name for alias in node.names)


def test_readme_examples_use_public_names(root):
    blocks = _blocks(root / "README.md", "python")
    names = {name for code in blocks for name in _public_imports(code)}
    assert names
    assert names <= set(causal_ddpm.__all__)


def test_readme_commands_exist(root):
    """Every option of a ``causal-ddpm`` line of the README is one that the command knows."""
    lines = "\n".join(_blocks(root / "README.md", "bash")).replace("\\\n", " ").splitlines()
    commands = [line.split("#")[0].split() for line in lines if line.startswith("causal-ddpm ")]
    assert {words[1] for words in commands} >= {"estimate", "simulate"}
    for words in commands:
        command, rest = typer.main.get_command(app), words[1:]
        while hasattr(command, "commands"):
            command, rest = command.commands[rest[0]], rest[1:]
        options = {option for p in command.params for option in p.opts}
        missing = [w for w in rest if w.startswith("--") and w not in options]
        assert not missing, f"{command.name} has no {missing}"


def test_make_targets_in_the_pages_exist(root):
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(encoding="utf-8"), re.M))
    for page in PAGES:
        text = (root / page).read_text(encoding="utf-8")
        named = re.findall(r"(?:^|`)make ([a-z -]+?)(?:`| {2,}|\s*#|$)", text, re.M)
        used = {target for line in named for target in line.split()}
        assert used <= targets, f"{page}: no target {used - targets}"


@pytest.mark.parametrize("page", PAGES)
def test_local_links_lead_somewhere(root, page):
    text = (root / page).read_text(encoding="utf-8")
    targets = re.findall(r"(?<!!)\[[^\]]*\]\(([^)#]+)\)", text)
    local = [t for t in targets if "://" not in t]
    broken = [t for t in local if not ((root / page).parent / t).exists()]
    assert not broken


def test_the_api_page_lists_every_public_name_under_its_home(root):
    text = (root / "docs/api.md").read_text(encoding="utf-8")
    listed = {}
    for section in re.split(r"\n##+ ", text)[1:]:
        heading, body = section.split("\n", 1)
        for name in re.findall(r"`(\w+)`", body):
            listed.setdefault(name, set()).update(re.findall(r"`([\w.]+)`", heading))
    for name, home in causal_ddpm._HOME_OF.items():
        assert home in listed.get(name, set()), f"docs/api.md: {name} is not listed under {home}"


@pytest.mark.slow
def test_readme_runs_from_top_to_bottom(root, tmp_path, monkeypatch):
    """The simulation, every Python block in one session, and the command line, as pasted."""
    monkeypatch.chdir(tmp_path)
    scripts = Path(sys.executable).parent
    simulate, *others = [
        block for block in _blocks(root / "README.md", "bash") if block.startswith("causal-ddpm ")
    ]
    shell = {"PATH": f"{scripts}:/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    subprocess.run(simulate, shell=True, check=True, env=shell, cwd=tmp_path)
    session = {}
    for block in _blocks(root / "README.md", "python"):
        exec(compile(block, "README.md", "exec"), session)
    for commands in others:
        subprocess.run(f"set -e\n{commands}", shell=True, check=True, env=shell, cwd=tmp_path)
    assert 0 < session["ate_std"] < abs(session["ate"])
    for name in ("firms.model", "effects.json", "report.html", "bimodal.html", "trial.csv"):
        assert (tmp_path / name).stat().st_size > 0
