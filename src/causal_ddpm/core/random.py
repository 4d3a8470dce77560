"""Random streams that depend on names, not on the order of calls.

A stream is addressed by a root seed and a path of names, e.g. ``stream(7, "stack", 3, "trees")``.
Two different paths give independent streams (``numpy.random.SeedSequence`` spawn keys), and a path
gives the same stream whichever worker asks for it, in whichever order: results do not depend on
``n_jobs``.
"""

from __future__ import annotations

import zlib
from typing import TypeGuard

import numpy as np

from causal_ddpm.core.errors import DataError

Seed = int | np.integer | np.random.SeedSequence | None


def _root(random_state: object) -> np.random.SeedSequence:
    if isinstance(random_state, np.random.SeedSequence):
        return random_state
    if random_state is None:
        return np.random.SeedSequence()
    if _is_whole(random_state) and random_state >= 0:
        return np.random.SeedSequence(int(random_state))
    raise DataError(
        f"random_state is {random_state!r}",
        "a non-negative integer, a numpy SeedSequence or None",
        "Pass for example random_state=0.",
    )


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def seed_sequence(random_state: Seed, *path: int | str) -> np.random.SeedSequence:
    """Seed sequence at ``path`` below ``random_state``.

    Parameters
    ----------
    random_state : int, SeedSequence or None
        Root seed. None draws fresh entropy from the operating system.
    *path : int or str
        Names of the stream, from coarse to fine.

    Raises
    ------
    DataError
        If ``random_state`` is not a non-negative integer, a SeedSequence or None.
    """
    root = _root(random_state)
    key = tuple(p if isinstance(p, int) else zlib.crc32(p.encode()) for p in path)
    return np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, *key))


def stream(random_state: Seed, *path: int | str) -> np.random.Generator:
    """NumPy generator at ``path`` below ``random_state``."""
    return np.random.default_rng(seed_sequence(random_state, *path))


def integer_seed(random_state: Seed, *path: int | str) -> int:
    """Integer in [0, 2**31) at ``path``, for libraries that want an integer seed."""
    return int(seed_sequence(random_state, *path).generate_state(1)[0] >> 1)
