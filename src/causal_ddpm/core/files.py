"""Files that are either complete or not there."""

import os
import tempfile
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


def write_text(path: str | Path, text: str) -> Path:
    """Write UTF-8 text so that a reader sees the old file or the whole new one, never a part.

    Raises
    ------
    DataError
        As :func:`check_writable`.
    """
    target = check_writable(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        draft.chmod(0o666 & ~_umask())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def _umask() -> int:
    """The process's file mode mask (reading it means setting it, so it is put back at once)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
