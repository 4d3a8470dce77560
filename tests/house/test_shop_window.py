"""The public names: each resolves, none costs anything before it is used."""

import ast
import importlib
import re
import subprocess
import sys

import pytest

import causal_ddpm

NAMES = [name for name in causal_ddpm.__all__ if name != "__version__"]
HEAVY = ("torch", "sklearn", "lightgbm", "matplotlib", "pandas", "numpy", "scipy", "statsmodels")


def test_importing_the_package_loads_nothing_heavy():
    code = f"import sys, causal_ddpm; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_plain_descriptions_load_no_torch_and_no_learners():
    code = (
        "import sys; from causal_ddpm import ATE, QTE, CausalData, DataError;"
        "print([m for m in ('torch', 'sklearn', 'lightgbm', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_public_name_resolves_to_its_home(name):
    value = getattr(causal_ddpm, name)
    home = importlib.import_module(causal_ddpm._HOME_OF[name])
    assert value is getattr(home, name)


@pytest.mark.parametrize("name", NAMES)
def test_public_name_is_documented(name):
    assert (getattr(causal_ddpm, name).__doc__ or "").strip()


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'causal_ddpm' has no attribute 'CausalDta'"):
        _ = causal_ddpm.CausalDta


def test_dir_lists_the_public_names():
    assert dir(causal_ddpm) == sorted(["__version__", *NAMES])


def test_type_checkers_see_the_same_table(root):
    tree = ast.parse((root / "src/causal_ddpm/__init__.py").read_text(encoding="utf-8"))
    block = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = {
        alias.name: statement.module
        for statement in block.body
        for alias in statement.names
        if alias.asname == alias.name
    }
    assert seen == causal_ddpm._HOME_OF


def test_version_is_the_same_everywhere(root):
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.M).group(1) == causal_ddpm.__version__
    assert f"## [{causal_ddpm.__version__}]" in changelog
