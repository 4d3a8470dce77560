"""Data files from disk: what is read, and what is refused in one sentence.

Everything here needs pandas only: a bad file is refused before any model library is imported.
"""

import csv
import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causal_ddpm.core.errors import DataError

if TYPE_CHECKING:
    from causal_ddpm.core.truth import Truth

FORMATS = ".csv, .csv.gz, .parquet or .feather"
_READERS = {".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet", ".feather": "feather"}
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def read_table(path: Path) -> Any:
    """Read a data file into a pandas frame.

    Parameters
    ----------
    path : Path
        A CSV (plain or gzip-compressed), Parquet or Feather file; the extension decides, in upper
        or lower case.

    Raises
    ------
    DataError
        If the file is missing, empty, of another kind, unreadable, or names a column twice.
    """
    kind = file_kind(path)
    if not path.exists():
        raise DataError(
            f"there is no file '{path}'", "an existing data file", "Check the spelling and folder."
        )
    if path.is_dir():
        raise DataError(f"'{path}' is a folder", "a data file")
    if path.stat().st_size == 0:
        raise DataError(f"the file '{path}' is empty", "a table with a header and rows")
    if kind == "csv":
        _check_header(path)
    return _guarded(path, _reader(kind, path))


def truth_beside(file: Path) -> "Truth | None":
    """What a simulator left beside the data, if one did."""
    from causal_ddpm.core.truth import truth_path
    from causal_ddpm.evaluation.provenance import read_truth

    path = truth_path(file)
    return read_truth(path) if path.exists() else None


def file_kind(path: Path) -> str:
    """``csv``, ``parquet`` or ``feather``, from the extension.

    Raises
    ------
    DataError
        If the extension is none of the known ones.
    """
    name = path.name.lower()
    for ending, kind in _READERS.items():
        if name.endswith(ending):
            return kind
    raise DataError(
        f"the file '{path.name}' ends in '{path.suffix or 'nothing'}'",
        FORMATS,
        "Save the table in one of these formats.",
    )


def _reader(kind: str, path: Path) -> Callable[[], Any]:
    import pandas as pd

    if kind == "csv":
        return lambda: pd.read_csv(path, encoding="utf-8-sig", low_memory=False)
    return lambda: (pd.read_parquet if kind == "parquet" else pd.read_feather)(path)


def _guarded(path: Path, read: Callable[[], Any]) -> Any:
    """Run a reader; what it cannot read becomes one sentence."""
    try:
        return read()
    except ImportError as error:
        raise DataError(f"'{path.name}' needs a library that is missing ({error})") from error
    except (
        OSError,
        EOFError,
        ValueError,
    ) as error:  # parser, encoding, Arrow and gzip errors alike
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"the file '{path.name}' cannot be read ({reason.rstrip('.')})",
            f"a valid {FORMATS} file",
            "Open it where it was made and save it again (CSV in UTF-8).",
        ) from error


def _check_header(path: Path) -> None:
    """Refuse duplicate names (pandas would rename them) and other separators than commas."""
    names = _guarded(path, lambda: _header(path))
    if not any(name.strip() for name in names):
        raise DataError(
            f"the first line of '{path.name}' is blank", "column names, separated by commas"
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"the column name '{twice[0]}' occurs {names.count(twice[0])} times in '{path.name}'",
            "unique column names",
            "Rename or drop the duplicates.",
        )
    used = next((word for mark, word in _SEPARATORS.items() if mark in names[0]), None)
    if len(names) == 1 and used:
        raise DataError(
            f"the columns of '{path.name}' are separated by {used}",
            "commas",
            "Save it as a comma-separated file.",
        )


def _header(path: Path) -> list[str]:
    opener: Callable[..., Any] = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
        return next(csv.reader(stream), [""])
