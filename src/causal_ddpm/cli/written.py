"""Files that a command was asked for: all are made before the first is written."""

from collections.abc import Callable
from pathlib import Path

from causal_ddpm.core.files import write_text


def write_asked(*asked: tuple[Path | None, Callable[[], str]]) -> None:
    """Write each text whose path was given.

    Parameters
    ----------
    *asked : (path or None, callable)
        The callable makes the text; it is called for paths only.
    """
    drafts = [(path, make()) for path, make in asked if path is not None]
    for path, text in drafts:
        write_text(path, text)
