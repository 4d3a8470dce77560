"""Wall time, CPU time and peak memory of a command and everything it starts (Linux)."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_EVERY_SECONDS = 0.2


@dataclass(frozen=True)
class Cost:
    """What a command cost.

    Parameters
    ----------
    wall_seconds, cpu_seconds : float
        CPU time includes all finished children.
    peak_gb : float
        Largest sum of resident memory over the process tree, sampled five times a second; pages
        that processes share count once for each.
    output : str
        What it printed.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_gb: float
    output: str


def measured(command: Sequence[str]) -> Cost:
    """Run a command to its end.

    Raises
    ------
    RuntimeError
        If it fails; its last words are in the message.
    """
    before, start, peak = os.times(), time.perf_counter(), 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        while True:
            try:
                output, _ = process.communicate(timeout=_EVERY_SECONDS)
                break
            except subprocess.TimeoutExpired:
                peak = max(peak, tree_memory(process.pid))
    if process.returncode:
        raise RuntimeError(
            f"{' '.join(command)} ended with {process.returncode}:\n{output[-2000:]}"
        )
    after = os.times()
    cpu = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return Cost(time.perf_counter() - start, cpu, peak / 2**30, output)


def tree_memory(root: int) -> int:
    """Resident bytes of a process and its descendants."""
    parents = dict(filter(None, map(_parent, Path("/proc").glob("[0-9]*"))))
    tree = {root}
    while grown := {p for p, parent in parents.items() if parent in tree} - tree:
        tree |= grown
    return sum(map(_resident, tree))


def _parent(folder: Path) -> tuple[int, int] | None:
    try:
        return int(folder.name), int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return None


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0
