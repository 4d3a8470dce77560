"""Keep files, functions and classes short enough to be read in one go.

Lines of a file count all of it; lines of a function or class body do not count its signature and
its docstring. A longer one is listed below with its own limit and the reason, and an entry that is
no longer needed is an error too.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("src", "tests", "scripts", "benchmarks", "experiments")
LIMITS = {"file": 450, "function": 60, "class": 250}

# "path" or "path::name" -> (limit, reason)
EXCEPTIONS: dict[str, tuple[int, str]] = {}


@dataclass(frozen=True)
class Size:
    """Lines of one file, function or class; ``key`` is the path or ``path::qualified.name``."""

    key: str
    kind: str
    lines: int


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    """Lines from the first statement after the docstring to the last one."""
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return 0 if not body else (body[-1].end_lineno or 0) - first_line(body[0]) + 1


def first_line(node: ast.stmt) -> int:
    """First line of a statement, its decorators included."""
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)])


def definitions(node: ast.AST, key: str, separator: str = "::") -> Iterator[Size]:
    """Sizes of all functions and classes below a node, nested ones included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            kind = "class" if isinstance(child, ast.ClassDef) else "function"
            name = f"{key}{separator}{child.name}"
            yield Size(name, kind, body_lines(child))
            yield from definitions(child, name, ".")
        else:
            yield from definitions(child, key, separator)


def measure(source: str, key: str) -> list[Size]:
    """Sizes of a file and of everything defined in it."""
    return [Size(key, "file", len(source.splitlines())), *definitions(ast.parse(source), key)]


def complaints(
    sizes: list[Size], exceptions: dict[str, tuple[int, str]] = EXCEPTIONS
) -> Iterator[str]:
    """One sentence for each size over its limit and each exception that is not needed."""
    known = {size.key: size for size in sizes}
    for size in sizes:
        limit = exceptions.get(size.key, (LIMITS[size.kind], ""))[0]
        if size.lines > limit:
            yield f"{size.key}: {size.kind} of {size.lines} lines, at most {limit} allowed"
    for key in exceptions:
        if key not in known:
            yield f"{key}: listed as an exception, but there is no such file or definition"
        elif known[key].lines <= LIMITS[known[key].kind]:
            yield f"{key}: listed as an exception, but short enough without it"


def main() -> int:
    """Exit status: 1 when something is too long."""
    paths = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    sizes: list[Size] = []
    for path in paths:
        sizes += measure(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
    found = list(complaints(sizes))
    print("\n".join(found) if found else f"{len(paths)} files within the size limits.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
