"""Data sets whose effects are known, and the list that every method answers: fixed beforehand.

    IHDP              10 replications of 672 rows, the usual 75 scored
    ACIC 2016         settings 1-5, random parts of 2 000 of 4 802 rows, 1 000 others scored
    ACIC 2017         8 of 16 settings (half of the 2^4 factorial of errors, magnitude, noise and
                      confounding), a part of 4 302 rows each
    LaLonde, PSID     RealCause: generated outcomes on the rows of the job training, thousands
    LaLonde, CPS      the same with controls of the CPS
    Twins             RealCause: mortality, 0 or 1
    LaLonde, real     the treated of the experiment and real controls of the PSID or CPS: no effect
                      of a row is known, the mean effect on the treated is the experiment's
    laboratory        two designs of this package, 1 000 rows; no part of the standing where others
                      are there, since they are ours

A part of a data set depends on the number of the draw only: every method sees the same rows. Files
are read from a folder with ``ihdp/``, ``acic2016/``, ...: ``shared/data`` beside the project, or
the one named by :func:`use_folder`. Rows in the ledger stay valid until this file changes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import (
    LALONDE_BENCHMARK,
    LALONDE_CONFOUNDERS,
    SHARED,
    Array,
    Sample,
    lalonde,
)
from numpy.typing import NDArray

MAX_ROWS, TEST_ROWS, FEW_TREATED = 2000, 1000, 50
LABORATORY = "laboratory"
_FOLDER = "CAUSAL_DDPM_BENCHMARK_DATA"
_PSID_NAMES = {"education": "educ", "hispanic": "hisp", "married": "marr"}


@dataclass(frozen=True)
class Family:
    """Data sets of one kind; a family counts once in the standing.

    Parameters
    ----------
    name : str
    draws, quick_draws : dict
        Number of draws of each data set, in the whole study and in its quick part.
    file : str, optional
        A file it needs, inside the folder; None where a package brings the data.
    """

    name: str
    draws: dict[str, int]
    quick_draws: dict[str, int]
    file: str | None

    def there(self) -> bool:
        """Whether its data can be read."""
        return self.file is None or (folder() / self.file).exists()


_ACIC_2017 = (1, 4, 6, 7, 18, 19, 21, 24)
FAMILIES = (
    Family("IHDP", {"ihdp": 10}, {"ihdp": 3}, "ihdp/ihdp_npci_reps001-030.npz"),
    Family(
        "ACIC 2016",
        {f"acic2016-{s}": 1 if s in (2, 3) else 2 for s in range(1, 6)},
        {"acic2016-1": 1, "acic2016-4": 1},
        "acic2016/x.parquet",
    ),
    Family(
        "ACIC 2017",
        {f"acic2017-{s}": 1 for s in _ACIC_2017},
        {f"acic2017-{s}": 1 for s in (4, 21)},
        "acic2017/x.parquet",
    ),
    Family(
        "LaLonde, PSID",
        {"lalonde_psid": 3},
        {"lalonde_psid": 1},
        "realcause/lalonde_psid_covariates.parquet",
    ),
    Family(
        "LaLonde, CPS",
        {"lalonde_cps": 3},
        {"lalonde_cps": 1},
        "realcause/lalonde_cps_covariates.parquet",
    ),
    Family("Twins", {"twins": 2}, {"twins": 1}, "realcause/twins_covariates.parquet"),
    Family(
        "LaLonde, real PSID", {"real_psid": 3}, {"real_psid": 1},
        "lalonde/lalonde_all_samples.parquet",
    ),
    Family("LaLonde, real CPS", {"real_cps": 3}, {"real_cps": 1}, None),
    Family(LABORATORY, {"gauss": 2, "bimodal": 2}, {"gauss": 1, "bimodal": 1}, None),
)  # fmt: skip


def folder() -> Path:
    """Folder of the files."""
    return Path(os.environ.get(_FOLDER, SHARED / "data"))


def use_folder(path: Path) -> None:
    """Read from another folder, in this process and in the workers it starts."""
    os.environ[_FOLDER] = str(path.resolve())


@dataclass(frozen=True, eq=False)
class Known:
    """Training rows, rows to predict (none where no effect of a row is known), and the truth.

    Parameters
    ----------
    sample : Sample
    ate, att : float
        Mean effect of all, and of the treated, training rows; nan where it is not known.
    """

    sample: Sample
    ate: float
    att: float


def known(dataset: str, draw: int) -> Known:
    """Draw number ``draw`` of a data set by its name in the list."""
    if dataset == "ihdp":
        return _ihdp(draw)
    if dataset.startswith("acic"):
        kind, setting = dataset.split("-")
        return (_acic2016 if kind == "acic2016" else _acic2017)(int(setting), draw)
    if dataset.startswith("real_"):
        return _real_lalonde(dataset.removeprefix("real_"), draw)
    if dataset in ("gauss", "bimodal"):
        return _laboratory(dataset, draw)
    return _realcause(dataset, draw)


# -- one reader a family --------------------------------------------------------------------
def _ihdp(draw: int) -> Known:
    whole = np.load(folder() / "ihdp/ihdp_npci_reps001-030.npz")
    split = np.load(folder() / "ihdp/ihdp_npci_1-100.test_reps001-030.npz")
    rows, scored = (
        np.column_stack([part[name][:, draw] for name in ("mu0", "mu1", "yf")])
        for part in (whole, split)
    )
    distance = np.abs(rows[:, None, :] - scored[None, :, :]).max(axis=2)
    test = distance.argmin(axis=0)
    train = np.setdiff1d(np.arange(len(rows)), test)
    X = pd.DataFrame(whole["x"], columns=[f"x{j}" for j in range(whole["x"].shape[1])])
    d, y = whole["t"][:, draw].astype(np.int64), whole["yf"][:, draw]
    return _split(X, d, y, rows[:, 1] - rows[:, 0], train, test)


def _acic2016(setting: int, draw: int) -> Known:
    """Effects are conditional means; settings 2 and 3 have the same effect on every row."""
    X = pd.read_parquet(folder() / "acic2016/x.parquet")
    outcomes = pd.read_parquet(folder() / "acic2016/zymu_settings01-05.parquet")
    rows = outcomes[outcomes["setting"] == setting]
    d = rows["z"].to_numpy(dtype=np.int64)
    y = np.where(d == 1, rows["y1"], rows["y0"])
    return _part(X, d, y, (rows["mu1"] - rows["mu0"]).to_numpy(), draw)


def _acic2017(setting: int, draw: int) -> Known:
    X = pd.read_parquet(folder() / "acic2017/x.parquet")
    outcomes = pd.read_parquet(folder() / "acic2017/sims_settings01-08_17-24.parquet")
    rows = outcomes[outcomes["setting"] == setting]
    d = rows["z"].to_numpy(dtype=np.int64)
    return _part(X, d, rows["y"].to_numpy(), rows["tau"].to_numpy(), draw)


def _realcause(name: str, draw: int) -> Known:
    """The effect of a row is the difference of two noisy outcomes."""
    X = pd.read_parquet(folder() / f"realcause/{name}_covariates.parquet")
    last = "04" if name == "twins" else "09"
    outcomes = pd.read_parquet(folder() / f"realcause/{name}_outcomes_samples00-{last}.parquet")
    rows = outcomes[outcomes["sample"] == draw].sort_values("unit")
    if "unit" in X:
        X = X.sort_values("unit").drop(columns="unit").reset_index(drop=True)
    unit = 1000.0 if name.startswith("lalonde") else 1.0
    d = rows["t"].to_numpy(dtype=np.int64)
    y0, y1 = rows["y0"].to_numpy() / unit, rows["y1"].to_numpy() / unit
    return _part(X, d, np.where(d == 1, y1, y0), y1 - y0, draw)


def _real_lalonde(controls: str, draw: int) -> Known:
    """All treated of the experiment and a random part of the controls, thousands of dollars."""
    frame = lalonde()
    treated, others = frame[frame["treat"] == 1], frame[frame["treat"] == 0]
    if controls == "psid":
        everyone = pd.read_parquet(folder() / "lalonde/lalonde_all_samples.parquet")
        psid = everyone[everyone["sample"] == "psid1"].rename(columns=_PSID_NAMES)
        others = psid[frame.columns].astype(float)
    order = np.random.default_rng(draw).permutation(len(others))[: MAX_ROWS - len(treated)]
    rows = pd.concat([treated, others.iloc[order]], ignore_index=True)
    X = rows[LALONDE_CONFOUNDERS]
    d, y = rows["treat"].to_numpy(dtype=np.int64), rows["re78"].to_numpy() / 1000
    return Known(Sample(X, d, y, X.iloc[:0], np.empty(0)), np.nan, LALONDE_BENCHMARK / 1000)


def _laboratory(name: str, draw: int) -> Known:
    from causal_ddpm.dgp import catalog

    found = catalog.design_by_name(name).draw(2 * TEST_ROWS, 5000 + draw)
    X = found.frame.drop(columns=["d", "y"])
    d, y = found.frame["d"].to_numpy(dtype=np.int64), found.frame["y"].to_numpy()
    effect = found.mean[:, 1] - found.mean[:, 0]
    train, test = np.split(np.arange(len(X)), 2)
    return _split(X, d, y, effect, train, test)


def _part(X: pd.DataFrame, d: NDArray[np.int64], y: Array, effect: Array, draw: int) -> Known:
    """A random part of the rows to train, another to score.

    Where fewer than ``FEW_TREATED`` treated rows would train, two thirds of all treated rows do.
    """
    order = np.random.default_rng(draw).permutation(len(X))
    n_train = min(MAX_ROWS, len(X) * 2 // 3)
    if d[order[:n_train]].sum() >= FEW_TREATED:
        return _split(X, d, y, effect, order[:n_train], order[n_train : n_train + TEST_ROWS])
    treated, others = order[d[order] == 1], order[d[order] == 0]
    kept = len(treated) * 2 // 3
    order = np.concatenate([treated[:kept], others, treated[kept:]])
    test = np.concatenate([order[n_train : n_train + TEST_ROWS], treated[kept:]])
    return _split(X, d, y, effect, order[:n_train], test)


def _split(
    X: pd.DataFrame,
    d: NDArray[np.int64],
    y: Array,
    effect: Array,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
) -> Known:
    sample = Sample(
        X.iloc[train].reset_index(drop=True), d[train], y[train],
        X.iloc[test].reset_index(drop=True), effect[test],
    )  # fmt: skip
    seen = effect[train]
    return Known(sample, float(seen.mean()), float(seen[d[train] == 1].mean()))
