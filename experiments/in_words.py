"""What experiments do at their ends: a folder for results, and refusals in a sentence."""

import sys
from collections.abc import Callable
from pathlib import Path

from causal_ddpm.core.errors import CausalDDPMError, DataError


def told(run: Callable[[], int | None]) -> int:
    """The exit code of a run; what it refuses is one sentence on stderr."""
    try:
        return run() or 0
    except CausalDDPMError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def results_folder(folder: Path) -> Path:
    """The folder, made with those above it.

    Raises
    ------
    DataError
        If it is a file, or may not be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"the folder '{folder}' cannot be made ({error.strerror})",
            "the name of a folder you may write to", "Give one with --out.",
        ) from error  # fmt: skip
    return folder
