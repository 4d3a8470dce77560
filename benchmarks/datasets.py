"""Data sets of the benchmarks, each with what is known about the truth.

Files that cannot be shipped are read from the optional folder ``shared/`` beside the project; a
benchmark that needs one and does not find it says so and stops.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SHARED = Path(__file__).resolve().parents[2] / "shared"
Array = NDArray[np.float64]

LALONDE_BENCHMARK = 1794.34
LALONDE_CONFOUNDERS = ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]


@dataclass(frozen=True, eq=False)
class Sample:
    """Training rows, and rows with a known effect to predict.

    Parameters
    ----------
    X, X_test : DataFrame
        Confounders; text columns are categories.
    treatment, outcome : ndarray, shape (n,)
        Of the training rows.
    cate_test : ndarray, shape (n_test,)
        True conditional effect of the test rows.
    """

    X: pd.DataFrame
    treatment: NDArray[np.int64]
    outcome: Array
    X_test: pd.DataFrame
    cate_test: Array

    def one_hot(self) -> tuple[Array, Array]:
        """Training and test confounders as numbers, for libraries that know no categories."""
        both = pd.get_dummies(pd.concat([self.X, self.X_test]), dtype=float).to_numpy(dtype=float)
        return both[: len(self.X)], both[len(self.X) :]

    def frame(self) -> pd.DataFrame:
        """Confounders, ``treatment`` and ``outcome`` of the training rows."""
        return self.X.assign(treatment=self.treatment, outcome=self.outcome)


def require_shared(*parts: str) -> Path:
    """Path of a file in the optional folder.

    Raises
    ------
    SystemExit
        With a sentence, if the file is not there.
    """
    path = SHARED.joinpath(*parts)
    if not path.exists():
        raise SystemExit(f"Skipped: this benchmark reads {path}, which is not there.")
    return path


def require(*names: str) -> None:
    """Stop with a sentence now, not in a worker, if a data set cannot be read."""
    for name in names:
        sample(name, 1)


# -- simulated ------------------------------------------------------------------------------
@lru_cache(maxsize=1)
def _designs() -> ModuleType:
    path = require_shared("peers", "designs.py")
    spec = importlib.util.spec_from_file_location("benchmark_designs", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"Skipped: {path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def simulated(kind: str, n: int, seed: int, n_test: int = 2000) -> Sample:
    """A fresh draw of the design ``gauss`` or ``bimodal``, and fresh rows to predict."""
    design = _designs().Synth(kind)
    train, test = design.draw(n, seed), design.draw(n_test, 1_000_000 + seed)
    return Sample(
        _numbered(train["x"]),
        train["t"].astype(np.int64),
        train["y"],
        _numbered(test["x"]),
        test["mu1"] - test["mu0"],
    )


@lru_cache(maxsize=4)
def simulated_truth(kind: str) -> tuple[float, float]:
    """ATE of a simulated design, and sd of its efficient score (bound = sd / sqrt(n))."""
    truth = _designs().Synth(kind).truth(n=1_000_000)
    return float(truth["ate"]), float(truth["eff_sd"])


# -- semi-synthetic -------------------------------------------------------------------------
def acic(setting: int, split_seed: int = 0) -> Sample:
    """ACIC 2016: 4802 rows, 90 % to train and 10 % to score, one split for all methods."""
    X = pd.read_parquet(require_shared("data", "acic2016", "x.parquet"))
    outcomes = pd.read_parquet(require_shared("data", "acic2016", "zymu_settings01-05.parquet"))
    rows = outcomes[outcomes["setting"] == setting].reset_index(drop=True)
    order = np.random.default_rng(split_seed).permutation(len(X))
    train, test = np.split(order, [len(X) * 9 // 10])
    z = rows["z"].to_numpy()
    y = np.where(z == 1, rows["y1"], rows["y0"])
    cate = (rows["mu1"] - rows["mu0"]).to_numpy()
    return Sample(
        X.iloc[train].reset_index(drop=True),
        z[train].astype(np.int64),
        y[train],
        X.iloc[test].reset_index(drop=True),
        cate[test],
    )


def ihdp(replication: int) -> Sample:
    """IHDP: 672 rows to train, the usual 75 to score."""
    whole = np.load(require_shared("data", "ihdp", "ihdp_npci_reps001-030.npz"))
    split = np.load(require_shared("data", "ihdp", "ihdp_npci_1-100.test_reps001-030.npz"))
    r = replication - 1
    test = _matching_rows(_ihdp_outcomes(whole, r), _ihdp_outcomes(split, r))
    train = np.setdiff1d(np.arange(len(whole["x"])), test)
    X = _numbered(whole["x"])
    return Sample(
        X.iloc[train].reset_index(drop=True),
        whole["t"][train, r].astype(np.int64),
        whole["yf"][train, r],
        X.iloc[test].reset_index(drop=True),
        (whole["mu1"] - whole["mu0"])[test, r],
    )


def _ihdp_outcomes(source: Any, r: int) -> Array:
    return np.column_stack([source[name][:, r] for name in ("mu0", "mu1", "yf")])


def _matching_rows(rows: Array, wanted: Array) -> NDArray[np.int64]:
    """Positions of the wanted rows, each of which occurs exactly once."""
    distance = np.abs(rows[:, None, :] - wanted[None, :, :]).max(axis=2)
    if not ((distance < 1e-5).sum(axis=0) == 1).all():
        raise ValueError("the test rows of IHDP do not match the whole sample one to one")
    return distance.argmin(axis=0)


def sample(dataset: str, draw: int, n: int = 500) -> Sample:
    """Draw, replication or split number ``draw`` of a data set by its name in the tables."""
    if dataset.startswith("acic"):
        return acic(int(dataset.removeprefix("acic")), draw)
    if dataset == "ihdp":
        return ihdp(draw)
    return simulated(dataset, n, draw)


# -- real -----------------------------------------------------------------------------------
def lalonde() -> pd.DataFrame:
    """The treated of the job-training experiment with non-experimental CPS controls."""
    from causaldata import cps_mixtape, nsw_mixtape

    nsw, cps = nsw_mixtape.load_pandas().data, cps_mixtape.load_pandas().data
    experiment = nsw.groupby("treat")["re78"].mean()
    if abs(experiment[1] - experiment[0] - LALONDE_BENCHMARK) > 0.01:
        raise ValueError("nsw_mixtape does not give the published experimental benchmark")
    frame = pd.concat([nsw[nsw["treat"] == 1], cps[cps["treat"] == 0]], ignore_index=True)
    return frame[["treat", "re78", *LALONDE_CONFOUNDERS]].astype(float)


def _numbered(x: Array) -> pd.DataFrame:
    return pd.DataFrame(x, columns=[f"x{j}" for j in range(x.shape[1])])
