"""The ledger of studies: Monte Carlo, coverage, placebos and benchmarks.

A task is a pure function of a specification and a seed,

    row = task(spec, seed),     seed = SeedSequence(random_state, spawn_key = (name, spec)),

so a row depends neither on the other specifications of the study, nor on their order, nor on the
process that computes it. Each finished row is written at once, by the worker, to its own Parquet
part (a temporary file, then ``os.replace``), named

    sha256(spec, seed) - sha256(code version) [.failed] .parquet

Resuming after a kill, retrying what failed, and the same table on any engine and any ``n_jobs``
follow. A part whose code version differs from today's is ignored unless ``any_version=True``.
"""

from __future__ import annotations

import itertools
import json
import math
import numbers
import os
import re
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from causal_ddpm.core.errors import CausalDDPMWarning, DataError
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import seed_sequence
from causal_ddpm.evaluation import parts
from causal_ddpm.evaluation.code_version import default_code_version, digest

Scalar = str | int | float | bool | None
Spec = dict[str, Scalar]
Task = Callable[[Spec, np.random.SeedSequence], Mapping[str, Any]]

TIMINGS = ("cpu_seconds", "wall_seconds")
"""The only columns of a table that may differ between two runs of the same study."""

_BOOKKEEPING = ("status", "error", *TIMINGS, "code_version")
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class StudyWarning(CausalDDPMWarning):
    """Some tasks of a study failed; their rows hold the error and are retried on the next run."""


@dataclass(frozen=True)
class StudyStatus:
    """How far a study has come.

    Parameters
    ----------
    n_tasks, n_done, n_failed : int
        Tasks in all, rows finished, and tasks whose last attempt failed.
    mean_cpu_seconds : float
        CPU seconds a finished row has cost on average; nan when there is none.
    """

    n_tasks: int
    n_done: int
    n_failed: int
    mean_cpu_seconds: float

    @property
    def n_pending(self) -> int:
        """Tasks that the next run will attempt, failed ones included."""
        return self.n_tasks - self.n_done

    @property
    def remaining_cpu_seconds(self) -> float:
        """Expected CPU seconds of the pending tasks, at the average cost so far."""
        return self.n_pending * self.mean_cpu_seconds if self.n_pending else 0.0


class Study:
    """A named set of pure tasks with a row on disk for each finished one.

    Parameters
    ----------
    name : str
        Folder of the study; letters, digits, ``-``, ``_`` and ``.``.
    task : callable
        ``task(spec, seed) -> mapping``: one flat row of scalars. ``seed`` is a
        ``numpy.random.SeedSequence`` of its own for each specification; pass it to
        :func:`causal_ddpm.core.random.stream`.
    specs : sequence of mapping
        One flat mapping of scalars a task, all different; see :func:`grid`. Their keys come back
        as columns.
    folder : path
        Where studies live.
    random_state : int
        Root seed.
    code_version : str, optional
        What a row is valid for. By default the version and source hash of this package and the
        source of ``task``; pass the versions of other libraries for tasks that do not use it.
    any_version : bool
        Accept finished rows that another code version has written (today's first, then the
        newest); the column ``code_version`` tells them apart.

    Raises
    ------
    DataError
        If the name, a specification or the seed cannot be used.
    """

    def __init__(
        self,
        name: str,
        task: Task,
        specs: Iterable[Mapping[str, Any]],
        folder: str | os.PathLike[str] = ".studies",
        random_state: int = 0,
        code_version: str | None = None,
        any_version: bool = False,
    ):
        if not re.fullmatch(r"[\w.-]*\w[\w.-]*", name):
            raise DataError(f"the study is named {name!r}", "letters, digits, '-', '_' and '.'")
        if random_state is None:
            raise DataError(
                "random_state is None", "an integer", "A study can only resume with a fixed seed."
            )
        self.name, self.task, self.any_version = name, task, any_version
        self.folder = Path(folder) / name
        self.specs = _checked_specs(specs)
        self.seeds = [seed_sequence(random_state, name, _canonical(spec)) for spec in self.specs]
        self.task_ids = [_task_id(*pair) for pair in zip(self.specs, self.seeds, strict=True)]
        self.code_version = code_version or default_code_version(task)

    # -- running ---------------------------------------------------------------------------
    def run(
        self, n_jobs: int = 1, engine: str | None = "loky", progress: Progress = silent
    ) -> pd.DataFrame:
        """Compute the rows that are not there yet; rows that failed before are tried again.

        Parameters
        ----------
        n_jobs : int
            Workers, each computing one task at a time on one thread.
        engine : str or None
            A joblib backend; None takes the one set by ``joblib.parallel_config`` around the call.
        progress : callable
            Called with a stage name and the share of tasks done, after each task.

        Returns
        -------
        DataFrame
            :meth:`collect`.

        Warns
        -----
        StudyWarning
            If any task failed in this run.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        parts.sweep_temporary_files(self.folder)
        finished = self._finished()
        pending = [k for k, task_id in enumerate(self.task_ids) if task_id not in finished]
        errors = []
        done = len(self.specs) - len(pending)
        progress(f"{self.name}: {done} of {len(self.specs)}", done / len(self.specs))
        for error in self._compute(pending, n_jobs, engine):
            done += 1
            errors += [error] if error else []
            progress(f"{self.name}: {done} of {len(self.specs)}", done / len(self.specs))
        if errors:
            warnings.warn(
                f"{len(errors)} of {len(pending)} tasks of study '{self.name}' failed and will be "
                f"retried on the next run; the first said: {errors[0]}",
                StudyWarning,
                stacklevel=2,
            )
        return self.collect()

    def _compute(
        self, pending: Sequence[int], n_jobs: int, engine: str | None
    ) -> Iterator[str | None]:
        """Error texts (None for success), in the order in which tasks finish."""
        calls = (
            joblib.delayed(_attempt)(
                self.task,
                self.specs[k],
                self.seeds[k],
                self._path(self.task_ids[k]),
                self.code_version,
            )
            for k in pending
        )
        with one_thread(), _engine(engine, n_jobs):
            yield from joblib.Parallel(return_as="generator_unordered", batch_size=1)(calls)

    # -- reading ---------------------------------------------------------------------------
    def collect(self) -> pd.DataFrame:
        """The rows on disk, in the order of the specifications, whatever order they were made in.

        Returns
        -------
        DataFrame
            Columns of the specification, of the task's rows, then ``status`` ("ok" or "failed"),
            ``error`` (text or None), ``cpu_seconds``, ``wall_seconds`` and ``code_version``. Tasks
            never attempted are absent; failed ones are present with missing results.
        """
        finished = self._finished()
        usable = {**self._failed(finished), **finished}
        rows = [parts.read_row(usable[t]) for t in self.task_ids if t in usable]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        columns = [c for c in columns if c not in _BOOKKEEPING] + list(_BOOKKEEPING)
        return pd.DataFrame(rows, columns=columns)

    def status(self) -> StudyStatus:
        """How many rows are done and failed, and what a row has cost."""
        finished = self._finished()
        costs = [parts.read_row(path)["cpu_seconds"] for path in finished.values()]
        mean_cost = float(np.mean(costs)) if costs else math.nan
        n_failed = len(self._failed(finished))
        return StudyStatus(len(self.specs), len(finished), n_failed, mean_cost)

    def _path(self, task_id: str) -> Path:
        return parts.part_path(self.folder, task_id, self.code_version)

    def _finished(self) -> dict[str, Path]:
        """Part of each task that has a usable one."""
        return parts.finished(self.folder, self.task_ids, self.code_version, self.any_version)

    def _failed(self, finished: Mapping[str, Path]) -> dict[str, Path]:
        """Record of the last failure of each task that has no finished row."""
        paths = {t: parts.failed_path(self._path(t)) for t in self.task_ids if t not in finished}
        return {task_id: path for task_id, path in paths.items() if path.exists()}

    def __repr__(self) -> str:
        s = self.status()
        counts = f"{s.n_done} of {s.n_tasks} rows done, {s.n_failed} failed"
        return f"Study('{self.name}': {counts}, in {self.folder})"


def grid(**axes: Iterable[Scalar]) -> list[Spec]:
    """All combinations of the axes, the last one varying fastest.

    >>> grid(design=["a", "b"], draw=range(2))[1]
    {'design': 'a', 'draw': 1}
    """
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for BLAS and OpenMP, in this process and in what it starts; restored after."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# -- one task, in a worker ------------------------------------------------------------------
def _attempt(
    task: Task, spec: Spec, seed: np.random.SeedSequence, path: Path, code_version: str
) -> str | None:
    """Run one task and write its row; returns the error text of a failure."""
    cpu, wall = _cpu_seconds(), time.perf_counter()
    error, result = None, {}
    try:
        with threadpool_limits(limits=1):
            result = _checked_row(task(dict(spec), seed), spec)
    except Exception as failure:  # any failure is recorded, reported and retried
        error = f"{type(failure).__name__}: {failure}\n{traceback.format_exc(limit=-3)}"
    row = {
        **spec,
        **result,
        "status": "failed" if error else "ok",
        "error": error,
        "cpu_seconds": _cpu_seconds() - cpu,
        "wall_seconds": time.perf_counter() - wall,
        "code_version": code_version,
    }
    parts.write_row(row, parts.failed_path(path) if error else path)
    if not error:
        parts.failed_path(path).unlink(missing_ok=True)
    return error.splitlines()[0] if error else None


def _cpu_seconds() -> float:
    """CPU time of this process and of the children it has waited for."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def _checked_row(row: Mapping[str, Any], spec: Spec) -> dict[str, Scalar]:
    if not isinstance(row, Mapping):
        raise DataError(f"the task returned a {type(row).__name__}", "a flat mapping of scalars")
    taken = [name for name in row if name in spec or name in _BOOKKEEPING]
    if taken:
        raise DataError(f"the task's row has the name '{taken[0]}', which is taken", "another name")
    return {str(name): _scalar(name, value) for name, value in row.items()}


# -- names --------------------------------------------------------------------------------
def _checked_specs(specs: Iterable[Mapping[str, Any]]) -> list[Spec]:
    out = [{str(name): _scalar(name, value) for name, value in spec.items()} for spec in specs]
    if not out:
        raise DataError("the study has no specifications", "at least one")
    taken = [name for spec in out for name in spec if name in _BOOKKEEPING]
    if taken:
        raise DataError(
            f"a specification has the name '{taken[0]}', which is taken", "another name"
        )
    if len({_canonical(spec) for spec in out}) < len(out):
        raise DataError(
            "a specification occurs twice", "different ones", "Add the number of the draw."
        )
    return out


def _scalar(name: Any, value: Any) -> Scalar:
    """Plain Python scalar (numpy scalars included)."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise DataError(
        f"'{name}' holds a {type(value).__name__}", "text, a number, true/false or None"
    )


def _canonical(spec: Spec) -> str:
    return json.dumps(spec, sort_keys=True)


def _task_id(spec: Spec, seed: np.random.SeedSequence) -> str:
    return digest(f"{_canonical(spec)}|{seed.entropy}|{seed.spawn_key}", 24)


def _engine(engine: str | None, n_jobs: int) -> Any:
    """joblib configuration; loky workers are started with one thread each."""
    if engine is None:
        return joblib.parallel_config(n_jobs=n_jobs)
    inner = {"inner_max_num_threads": 1} if engine == "loky" else {}
    return joblib.parallel_config(engine, n_jobs=n_jobs, **inner)
