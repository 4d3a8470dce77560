"""What commands do with their arguments before anything slow: lists of names, files to write."""

import csv
from pathlib import Path

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.files import check_writable


def column_names(text: str) -> list[str]:
    """Column names from a comma-separated list; quotes protect a comma inside a name."""
    found = next(csv.reader([text], skipinitialspace=True), [])
    return [name.strip() for name in found if name.strip()]


def checked_outputs(json: Path | None, report: Path | None, file: Path) -> list[Path]:
    """The files that are to be written, in this order.

    Raises
    ------
    DataError
        If both are the same, one is the data file, or one cannot be written.
    """
    paths = [path for path in (json, report) if path is not None]
    if len({path.resolve() for path in paths}) < len(paths):
        raise DataError(f"--json and --report both name '{json}'", "two different files")
    for path in paths:
        check_writable(path)
        if path.resolve() == file.resolve():
            raise DataError(f"the output '{path}' is the data file itself", "another file name")
    return paths


def check_level(level: float) -> None:
    """Refuse a confidence level outside (0, 1)."""
    if not 0 < level < 1:
        raise DataError(
            f"the confidence level is {level:g}", "a number between 0 and 1, such as 0.95"
        )
