"""The order of the pages, as Sphinx wants it: lists that a code host would show as code.

``contents.md`` beside this file is added to the landing page; `OTHERS` in it stands for the pages
of ``docs/`` that it does not name. Pages that stand above others get the list of those.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from reference import DOCS, reference_pages

if TYPE_CHECKING:
    from sphinx.application import Sphinx

CONTENTS = Path(__file__).with_name("contents.md")


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Append to a page the list of pages below it."""
    if page == app.config.root_doc:
        app.env.note_dependency(str(CONTENTS))
        source[0] += "\n" + landing(CONTENTS.read_text(encoding="utf-8"))
    below = {
        "docs/api": [f"reference/{name}" for name in reference_pages()],
        "docs/designs/index": ["*"],
        "benchmarks/README": ["results/*"],
    }
    if page in below:
        source[0] += "\n" + toctree(below[page])


def landing(contents: str) -> str:
    """``contents.md`` with the pages that it does not name."""
    named = set(re.findall(r"^(\w+)$", contents, re.M)) | {"index"}
    others = sorted({path.stem for path in DOCS.glob("*.md")} - named)
    return contents.replace("OTHERS\n", "".join(f"{name}\n" for name in others))


def toctree(pages: list[str]) -> str:
    """A list of pages for Sphinx, shown in the sidebar only."""
    return "\n".join(["```{toctree}", ":hidden:", ":glob:", "", *pages, "```", ""])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", add_contents)
    return {"parallel_read_safe": True}
