"""The reference, written from docstrings, and the links from pages to it.

``docs/api.md`` is kept by hand: headings ``## Group``, under them headings that name modules, under
those lists of public names. For each group a page ``docs/reference/GROUP.rst`` is made: the
docstring of each module (its formulas), then every public name that has this home, with its
members. A public name in code font anywhere on the site links to its entry.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from causal_ddpm import _HOMES as HOMES

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent.parent
HOME_OF = {name: home for home, names in HOMES.items() for name in names}
CONFORMANCE = "causal_ddpm.testing"
"""Public by its module: every check of it is listed."""


def write_pages(app: Sphinx) -> None:
    """Write one page for each group of ``docs/api.md``; pages that did not change stay."""
    folder = DOCS / "reference"
    folder.mkdir(exist_ok=True)
    pages = {f"{slug}.rst": text for slug, text in reference_pages().items()}
    for old in set(folder.glob("*.rst")) - {folder / name for name in pages}:
        old.unlink()
    for name, text in pages.items():
        target = folder / name
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


def reference_pages() -> dict[str, str]:
    """Name and text of the page of each group, in the order of ``docs/api.md``."""
    pages, seen, index = {}, set[str](), (DOCS / "api.md").read_text(encoding="utf-8")
    for group in re.split(r"^## ", index, flags=re.M)[1:]:
        title, _, body = group.partition("\n")
        intro, *sections = re.split(r"^### ", body, flags=re.M)
        headings = "\n".join(section.partition("\n")[0] for section in sections)
        modules = [m for m in dict.fromkeys(re.findall(r"`([\w.]+)`", headings)) if m not in seen]
        seen.update(modules)
        slug = re.sub(r"[^a-z]+", "-", title.lower()).strip("-")
        parts = [_heading(title, "="), intro.strip(), *map(_module, modules)]
        pages[slug] = "\n\n".join(parts) + "\n"
    return pages


def _module(module: str) -> str:
    """The section of a module: its docstring, then its public names."""
    parts = [_heading(f"``{module}``", "-"), f".. automodule:: {module}"]
    if module == CONFORMANCE:
        return "\n\n".join([parts[0], f"{parts[1]}\n   :members:"])
    for name in HOMES.get(module, []):
        kind = "autofunction" if name[0].islower() else "autoclass"
        members = "\n   :members:" if kind == "autoclass" else ""
        parts.append(f".. {kind}:: {module}.{name}{members}")
    return "\n\n".join(parts)


def _heading(title: str, line: str) -> str:
    return f"{title}\n{line * len(title)}"


def mark_formulas(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Mark the indented blocks of a docstring as literal: they are formulas."""
    marked: list[str] = []
    above = ""
    for before, line in zip(["", *lines], lines, strict=False):
        indented = line.startswith(" ")
        starts = indented and not before.strip() and above and _is_prose(above)
        if starts:
            marked += ["::", ""]
        if line.strip():
            above = line
        marked.append(line)
    lines[:] = marked


def _is_prose(line: str) -> bool:
    """Whether an indented block below ``line`` belongs to no list and no directive."""
    return not re.match(r"\s|[-*] |\d+\. |\.\. |\[\d+\]", line) and not line.endswith("::")


def link_names(app: Sphinx, doctree: nodes.document) -> None:
    """Make public names in code font links to the reference."""
    from docutils import nodes
    from sphinx.addnodes import pending_xref

    for literal in list(doctree.findall(nodes.literal)):
        found = re.fullmatch(r"([A-Za-z]\w*)(\(.*\))?", literal.astext())
        name = found[1] if found else ""
        plain = name.islower() and "_" not in name and not literal.astext().endswith(")")
        if name not in HOME_OF or plain or _is_linked(literal):
            continue
        link = pending_xref(
            "", refdomain="py", reftype="obj", reftarget=f"{HOME_OF[name]}.{name}",
            refdoc=app.env.docname, refexplicit=True, refwarn=False,
        )  # fmt: skip
        literal.replace_self(link)
        link += literal


def leave_out(
    app: Sphinx, what: str, name: str, thing: object, skip: bool, options: object
) -> bool | None:
    """Leave out the methods that scikit-learn adds to its estimators."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def _is_linked(node: nodes.Node) -> bool:
    parent = node.parent
    while parent is not None:
        if parent.tagname in ("reference", "pending_xref", "title"):
            return True
        parent = parent.parent
    return False


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", mark_formulas, priority=400)
    app.connect("autodoc-skip-member", leave_out)
    app.connect("doctree-read", link_names)
    return {"parallel_read_safe": True}
