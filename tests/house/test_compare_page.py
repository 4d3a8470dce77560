"""The page on comparing methods: its example says what is printed, its table what is shipped."""

import re

import pytest

from causal_ddpm.core.estimand import ATE
from causal_ddpm.evaluation.compare import methods_for


def _page(root):
    return (root / "docs/compare.md").read_text(encoding="utf-8")


def test_example_prints_what_the_page_shows(root, capsys):
    pytest.importorskip("causaldata")
    page = _page(root)
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    (shown,) = re.findall(r"^```text\n(.*?)^```$", page, re.M | re.S)
    exec(compile(code, "compare.md", "exec"), {})
    printed = capsys.readouterr().out
    assert " ".join(printed.split()) == " ".join(shown.split())


def test_table_lists_every_method(root):
    listed = set(re.findall(r"`([a-z0-9-]+)`", "".join(
        line.split("|")[1] for line in _page(root).splitlines() if line.startswith("| `")
    )))  # fmt: skip
    assert listed == {method.name for method in methods_for(ATE())}
