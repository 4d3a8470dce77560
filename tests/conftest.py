"""What every test shares: one thread a process, no window, repeatable examples."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Before numpy and torch are imported: more threads only make the workers wait for each other.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# Examples are drawn from a fixed seed and never timed: a busy machine must not fail a test.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """Folder of the project."""
    return ROOT
