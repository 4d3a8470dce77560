"""The one place where work is handed to other processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from causal_ddpm.core.errors import DataError


def run_jobs(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], n_jobs: int = 1
) -> Iterator[Any]:
    """Results of ``function(*job)``, in the order of ``jobs``.

    Parameters
    ----------
    function : callable
        A pure function of its arguments; it must be importable by name.
    jobs : sequence of tuple
        One tuple of arguments a call.
    n_jobs : int
        Worker processes (joblib's reading: -1 means all cores). Each worker uses one thread, so
        the results do not depend on ``n_jobs``.

    Raises
    ------
    DataError
        For zero workers.
    """
    if n_jobs == 0:
        raise DataError("n_jobs is 0", "1 or more worker processes, or -1 for one a core")
    if n_jobs == 1 or len(jobs) <= 1:
        return _one_after_another(function, jobs)
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(backend="loky", inner_max_num_threads=1):
        pool = Parallel(n_jobs=n_jobs, return_as="generator", max_nbytes="1M")
        return iter(pool(delayed(function)(*job) for job in jobs))


def _one_after_another(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]]
) -> Iterator[Any]:
    """The jobs in this process, each on one thread like a worker's."""
    from threadpoolctl import threadpool_limits

    for job in jobs:
        with threadpool_limits(limits=1):
            result = function(*job)
        yield result
