"""What a recorded number is valid for: the version and the source of the code that made it."""

from __future__ import annotations

import functools
import hashlib
import inspect
import marshal
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import causal_ddpm


def default_code_version(task: Callable[..., Any]) -> str:
    """Version of the package and of one function that uses it."""
    return f"{package_version()}+task.{digest(task_source(task), 8)}"


def package_version() -> str:
    """Version of this package and a hash of all its source files: changes with any edit."""
    root = Path(causal_ddpm.__path__[0])
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    try:
        version = metadata.version("causal-ddpm")
    except metadata.PackageNotFoundError:
        version = "uninstalled"
    return f"causal-ddpm {version}+source.{digest.hexdigest()[:12]}"


def task_source(task: Callable[..., Any]) -> str:
    """Source of the task, so that an edited task does not reuse old rows."""
    inner = task.func if isinstance(task, functools.partial) else task
    bound = repr((task.args, task.keywords)) if isinstance(task, functools.partial) else ""
    function = inspect.unwrap(inner) if inspect.isroutine(inner) else type(inner).__call__
    try:
        return inspect.getsource(function) + bound
    except OSError:
        return marshal.dumps(function.__code__).hex() + bound


def digest(text: str, length: int) -> str:
    """First ``length`` hexadecimal digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]
