"""The documentation site: every page has its place, every public name its entry, and it builds."""

import importlib
import re
import subprocess
import sys

import pytest

import causal_ddpm


@pytest.fixture
def site(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "docs/_site"))
    return importlib.import_module("contents")


def test_every_page_has_its_place(root, site):
    contents = site.landing(site.CONTENTS.read_text(encoding="utf-8"))
    named = re.findall(r"^(?:\w[^\n<`]* <)?([\w./-]+)>?$", contents, re.M)
    assert len(named) == len(set(named))
    pages = [*root.glob("docs/*.md"), *root.glob("docs/howto/*.md")]
    written = {p.relative_to(root / "docs").with_suffix("").as_posix() for p in pages}
    written |= {f"../notebooks/{p.stem}" for p in root.glob("notebooks/[0-9]*.py")}
    assert written - {"index"} <= set(named)
    sources = [root / "docs" / f"{name}{end}" for name in named for end in (".md", ".ipynb")]
    assert sum(path.exists() for path in sources) == len(named)


def test_the_reference_holds_every_public_name(site):
    text = "\n".join(site.reference_pages().values())
    listed = re.findall(r"^\.\. auto(?:class|function):: [\w.]+\.(\w+)$", text, re.M)
    assert sorted(listed) == sorted(causal_ddpm._HOME_OF)


def test_formulas_of_docstrings_are_marked(site):
    reference = importlib.import_module("reference")
    lines = ["The mean is", "", "    m = a |b|", "", "and", "", "- an item", "", "  of a list"]
    reference.mark_formulas(None, "module", "m", None, None, lines)
    assert lines[1:5] == ["", "::", "", "    m = a |b|"]
    assert lines.count("::") == 1


@pytest.mark.slow
def test_the_site_builds_without_a_warning(root, tmp_path):
    pytest.importorskip("myst_nb")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", "docs",
         "-d", str(tmp_path / "doctrees"), ".", str(tmp_path / "site")],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    front = (tmp_path / "site/docs/index.html").read_text(encoding="utf-8")
    assert "reference/data.html" in front
    theory = (tmp_path / "site/docs/theory.html").read_text(encoding="utf-8")
    assert "reference/laws-of-outcomes.html#causal_ddpm.nuisance" in theory
