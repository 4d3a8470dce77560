"""Rows on disk: one Parquet part each, complete under its name or absent."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from causal_ddpm.evaluation.code_version import digest

_STALE_SECONDS = 3600.0


def part_path(folder: Path, task_id: str, code_version: str) -> Path:
    """Where the finished row of a task lives."""
    return folder / f"{task_id}-{digest(code_version, 12)}.parquet"


def failed_path(path: Path) -> Path:
    """Where the record of a failure lives, beside the part that a success would write."""
    return path.with_suffix(".failed.parquet")


def write_row(row: Mapping[str, Any], path: Path) -> None:
    """Write a row through a temporary file that takes the part's name when it is complete."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as sink:
            pq.write_table(pa.Table.from_pylist([dict(row)]), sink)
            sink.flush()
            os.fsync(sink.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_row(path: Path) -> dict[str, Any]:
    """The row of a part."""
    row: dict[str, Any] = pq.ParquetFile(path).read().to_pylist()[0]
    return row


def finished(
    folder: Path, task_ids: Sequence[str], code_version: str, any_version: bool
) -> dict[str, Path]:
    """Part of each task that has a finished row.

    Parameters
    ----------
    folder : Path
        Folder of the study.
    task_ids : sequence of str
        Tasks to look for.
    code_version : str
        The version whose rows come first.
    any_version : bool
        Take the newest row of another version where this version has none.
    """
    found = {p for p in folder.glob("*.parquet") if not p.name.endswith(".failed.parquet")}
    usable: dict[str, Path] = {}
    if any_version:
        oldest_first = sorted(found, key=lambda p: (p.stat().st_mtime_ns, p.name))
        usable = {path.name.split("-")[0]: path for path in oldest_first}
    own = {task_id: part_path(folder, task_id, code_version) for task_id in task_ids}
    usable |= {task_id: path for task_id, path in own.items() if path in found}
    return {task_id: usable[task_id] for task_id in task_ids if task_id in usable}


def sweep_temporary_files(folder: Path) -> None:
    """Remove what killed runs left behind, old enough to belong to no run under way."""
    for path in folder.glob("*.tmp"):
        if time.time() - path.stat().st_mtime > _STALE_SECONDS:
            path.unlink(missing_ok=True)
