"""Files that are either complete or not there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from causal_ddpm.core.errors import DataError


def check_writable(path: str | Path) -> Path:
    """The path, if a file can be written there.

    Raises
    ------
    DataError
        If the folder does not exist or cannot be written to, or the path is a folder itself.
    """
    target = Path(path)
    folder = target.parent
    if target.is_dir():
        raise DataError(f"'{target}' is a folder", "the name of a file to write")
    if not folder.is_dir():
        raise DataError(
            f"the folder '{folder}' for '{target.name}' does not exist",
            "an existing folder",
            f"Create it first: mkdir -p '{folder}'.",
        )
    if not os.access(folder, os.W_OK):
        raise DataError(f"the folder '{folder}' cannot be written to", "a folder you may write to")
    return target


def check_folder(path: str | Path) -> Path:
    """The path, if it is a folder one may write to, or could be made one.

    Raises
    ------
    DataError
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise DataError(f"'{folder}' is a file", "the name of a folder")
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise DataError(f"the folder '{folder}' cannot be written to", "a folder you may write to")
    return folder if folder.is_dir() else check_writable(folder)


@contextmanager
def draft_of(path: str | Path) -> Iterator[Path]:
    """A fresh file beside ``path`` that takes its place when the block ends without an error.

    A reader sees the old file or the whole new one, never a part; a symbolic link at ``path`` is
    replaced, not followed.

    Raises
    ------
    DataError
        As :func:`check_writable`.
    """
    target = check_writable(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        draft.chmod(0o666 & ~_umask())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write UTF-8 text so that a reader sees the old file or the whole new one, never a part.

    Raises
    ------
    DataError
        As :func:`check_writable`.
    """
    with draft_of(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")
    return Path(path)


def _umask() -> int:
    """The process's file mode mask (reading it means setting it, so it is put back at once)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
