"""A draw as a file, with its truth beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.files import check_writable, draft_of
from causal_ddpm.core.truth import truth_path

SUFFIXES = (".csv", ".parquet")


def check_draw_path(path: str | Path, replace: bool = False) -> Path:
    """The path, if a draw may be written there.

    Raises
    ------
    DataError
        If it is neither CSV nor Parquet, cannot be written, or would replace the file or the truth
        beside it unasked.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise DataError(f"'{target.name}' is no name of a table", f"one that ends in {_or()}")
    for file in (target, truth_path(target)):
        check_writable(file)
        if file.exists() and not replace:
            raise DataError(f"the file '{file}' exists", "a new name", "Add --force to replace it.")
    return target


def write_draw(draw: Any, path: str | Path, replace: bool = False) -> tuple[Path, Path]:
    """Write the frame of a draw, and its truth to ``FILE.truth.json``.

    Parameters
    ----------
    draw : Any
        A record with ``frame`` and ``truth``.
    path : str or Path
        Ends in .csv or .parquet.
    replace : bool
        Whether existing files may be replaced.

    Returns
    -------
    tuple of Path
        The table and the truth; each is complete or not there.

    Raises
    ------
    DataError
        As :func:`check_draw_path`.
    """
    target = check_draw_path(path, replace)
    truth = json.dumps(draw.truth.to_dict(), indent=2) + "\n"
    with draft_of(truth_path(target)) as beside, draft_of(target) as draft:
        beside.write_text(truth, encoding="utf-8")
        _write(draw.frame, draft, target.suffix.lower())
    return target, truth_path(target)


def _write(frame: pd.DataFrame, path: Path, suffix: str) -> None:
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)


def _or() -> str:
    return " or ".join(SUFFIXES)
