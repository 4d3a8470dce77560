"""Generators of other libraries in the form that :func:`causal_ddpm.recover` asks for.

They return whole rows, and none is asked to set the treatment: their effects are read from the rows
they generate, as an analyst would.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from copula import FittedCopula, fit_copula
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed, integer_seed, stream
from causal_ddpm.evaluation.recovery.generator import FittedGenerator, Generator, Roles

DRIVER = Path(__file__).with_name("generators_driver.py")
EPOCHS = 300
POOL = 60_000
"""Rows that a peer generates at once; samples are drawn from them without replacement."""
MAX_LEVELS = 20
ONE_CORE = {"LOKY_MAX_CPU_COUNT": "1", "OMP_NUM_THREADS": "1"}
PATIENCE = 3600
"""Wall seconds after which a peer's process is ended, whatever it does."""


class FitTimeoutError(TimeoutError):
    """A fit that took more CPU time than it was given."""


# -- columns --------------------------------------------------------------------------------
def classes(frame: pd.DataFrame) -> tuple[str, ...]:
    """Columns that are classes: texts, truth values, whole numbers with few levels."""
    return tuple(name for name in frame if _is_class(frame[name]))


def _is_class(column: pd.Series) -> bool:
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return True
    whole = bool((column == column.round()).all())
    return whole and column.nunique() <= MAX_LEVELS


@dataclass(frozen=True, eq=False)
class Codes:
    """A frame with classes coded 0, 1, ... in sorted order, and the way back."""

    levels: Mapping[str, NDArray[Any]]
    dtypes: Mapping[str, Any]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Codes:
        """The levels that occur."""
        levels = {name: np.unique(frame[name].to_numpy()) for name in classes(frame)}
        return cls(levels, dict(frame.dtypes))

    def encode(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Numbers in every column."""
        codes = {k: np.searchsorted(v, frame[k].to_numpy()) for k, v in self.levels.items()}
        return frame.assign(**codes)

    def decode(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The inverse, with the types that were learnt from."""
        values = {k: v[frame[k].to_numpy().astype(int)] for k, v in self.levels.items()}
        rows = frame.assign(**values)
        whole = [k for k, t in self.dtypes.items() if pd.api.types.is_integer_dtype(t)]
        return rows.assign(**{k: rows[k].round() for k in whole}).astype(self.dtypes)


# -- generators in this process -------------------------------------------------------------
@dataclass(frozen=True)
class GaussianCopula:
    """Empirical marginal laws, joined by correlated normal scores; see :mod:`copula`."""

    name: str = "Gaussian copula"

    def fit(self, frame: pd.DataFrame, roles: Roles, random_state: Seed = None) -> CopulaRows:
        """Ranks and their correlation; classes in sorted order."""
        rows = frame.loc[:, list(roles.columns)]
        codes = Codes.of(rows)
        return CopulaRows(codes, fit_copula(codes.encode(rows), stream(random_state, "ties")))


@dataclass(frozen=True, eq=False)
class CopulaRows:
    """A fitted copula."""

    codes: Codes
    model: FittedCopula

    def sample(self, n: int, random_state: Seed = None) -> pd.DataFrame:
        """Whole rows."""
        return self.codes.decode(self.model.sample(n, stream(random_state, "copula")))


@dataclass(frozen=True)
class SplineFlow:
    """Neural spline flows of normal scores, causes before effects (zuko); see :mod:`table_flow`."""

    name: str = "spline flow"

    def fit(self, frame: pd.DataFrame, roles: Roles, random_state: Seed = None) -> FlowRows:
        """Train until held-out rows gain no more."""
        from table_flow import fit_flow

        rows = frame.loc[:, list(roles.columns)]
        codes = Codes.of(rows)
        seed = integer_seed(random_state, "flow")
        parts = (roles.covariates, *((c,) for c in roles.columns if c not in roles.covariates))
        blocks = tuple(block for block in parts if block)
        return FlowRows(codes, fit_flow(codes.encode(rows), blocks, tuple(codes.levels), seed))


@dataclass(frozen=True, eq=False)
class FlowRows:
    """A fitted flow."""

    codes: Codes
    model: Any

    def sample(self, n: int, random_state: Seed = None) -> pd.DataFrame:
        """Whole rows."""
        return self.codes.decode(self.model.sample(n, integer_seed(random_state, "flow")))


# -- generators in an environment of their own ----------------------------------------------
@dataclass(frozen=True)
class Peer:
    """CTGAN, TVAE or ARF, run by another Python.

    Parameters
    ----------
    name : {"CTGAN", "TVAE", "ARF"}
    python : str
        Python of the environment of ``requirements-generators.txt``.
    cpu_seconds : float
        Limit on the fit; generating is not limited.
    pool : int
        Rows that are generated once, from which samples are drawn.
    """

    name: str
    python: str
    cpu_seconds: float
    pool: int = POOL

    def fit(self, frame: pd.DataFrame, roles: Roles, random_state: Seed = None) -> Pool:
        """Fit and generate the pool.

        Raises
        ------
        FitTimeoutError
        RuntimeError
            With the last lines of the peer's message.
        """
        rows = frame.loc[:, list(roles.columns)]
        with tempfile.TemporaryDirectory() as folder:
            given, made = Path(folder, "train.csv"), Path(folder, "generated.csv")
            rows.to_csv(given, index=False)
            command = [
                self.python, str(DRIVER), self.name, str(given), str(made), "--discrete",
                ",".join(classes(rows)), "--rows", str(self.pool), "--epochs", str(EPOCHS),
                "--seed", str(integer_seed(random_state, self.name)),
                "--cpu-seconds", str(self.cpu_seconds),
            ]  # fmt: skip
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PATIENCE, check=False,
                env={**os.environ, **ONE_CORE},
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(
                    f"{self.name} ended with {done.returncode}:\n{done.stderr[-2000:]}"
                )
            cost = json.loads(done.stdout.strip().splitlines()[-1])
            if cost.get("timed_out"):
                raise FitTimeoutError(
                    f"{self.name} took more than {self.cpu_seconds:g} CPU-seconds"
                )
            drawn = pd.read_csv(made, dtype=_read_as(rows))
        return Pool(drawn.astype(rows.dtypes.to_dict()), cost["fit_seconds"])


def _read_as(rows: pd.DataFrame) -> dict[str, Any]:
    """Texts are read as texts, whatever they look like."""
    return {k: str for k in rows if not pd.api.types.is_numeric_dtype(rows[k])}


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows that a peer has generated.

    Parameters
    ----------
    rows : DataFrame
    fit_seconds : float
        CPU seconds of the fit in its own process.
    """

    rows: pd.DataFrame
    fit_seconds: float

    def sample(self, n: int, random_state: Seed = None) -> pd.DataFrame:
        """Rows of the pool, drawn without replacement.

        Raises
        ------
        DataError
            If more rows are asked for than there are.
        """
        if n > len(self.rows):
            raise DataError(f"{n:,} rows were asked for", f"at most {len(self.rows):,}")
        chosen = stream(random_state, "pool").permutation(len(self.rows))[:n]
        return self.rows.iloc[chosen].reset_index(drop=True)


# -- limits ---------------------------------------------------------------------------------
@contextmanager
def cpu_limit(seconds: float, what: str) -> Iterator[None]:
    """Raise in the main thread after so many seconds of this process's CPU time.

    Raises
    ------
    FitTimeoutError
    """

    def ring(number: int, frame: Any) -> None:
        raise FitTimeoutError(f"{what} took more than {seconds:g} CPU-seconds")

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


@dataclass(frozen=True)
class Limited:
    """A generator whose fit may take so much CPU time and no more.

    Parameters
    ----------
    generator : Generator
    cpu_seconds : float
    seconds : list of float
        Receives the CPU time of each fit, in the process that fitted.
    """

    generator: Generator
    cpu_seconds: float
    seconds: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The generator's."""
        return self.generator.name

    def fit(self, frame: pd.DataFrame, roles: Roles, random_state: Seed = None) -> FittedGenerator:
        """Fit within the limit.

        Raises
        ------
        FitTimeoutError
        """
        start = time.process_time()
        with cpu_limit(self.cpu_seconds, self.name):
            fitted = self.generator.fit(frame, roles, random_state)
        here = time.process_time() - start
        self.seconds.append(fitted.fit_seconds if isinstance(fitted, Pool) else here)
        return fitted
