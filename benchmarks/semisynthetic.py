"""Semi-synthetic data sets with a known effect on every row: ACIC 2017, RealCause, and the others.

Where a file has more than ``MAX_ROWS`` rows, a random part of it trains and another part is scored;
the part depends on the draw only, so that every method sees the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from datasets import Array, Sample, ihdp, require_shared
from numpy.typing import NDArray

MAX_ROWS, TEST_ROWS, FEW_TREATED = 2000, 1000, 50


@dataclass(frozen=True, eq=False)
class Known:
    """Training rows, rows to predict, and the true effects of the training rows.

    Parameters
    ----------
    sample : Sample
    effect : ndarray, shape (n,)
        True effect of each training row; in RealCause the difference of two noisy outcomes.
    """

    sample: Sample
    effect: Array

    @property
    def ate(self) -> float:
        """Mean effect of the training rows."""
        return float(self.effect.mean())

    @property
    def att(self) -> float:
        """Mean effect of the treated training rows."""
        return float(self.effect[self.sample.treatment == 1].mean())


def _known(X: pd.DataFrame, d: NDArray[np.int64], y: Array, effect: Array, seed: int) -> Known:
    """A random part of the rows to train, another to score.

    Where fewer than ``FEW_TREATED`` treated rows would train, two thirds of all treated rows do.
    """
    order = np.random.default_rng(seed).permutation(len(X))
    n_train = min(MAX_ROWS, len(X) * 2 // 3)
    if d[order[:n_train]].sum() < FEW_TREATED:
        treated, others = order[d[order] == 1], order[d[order] == 0]
        kept = len(treated) * 2 // 3
        order = np.concatenate([treated[:kept], others, treated[kept:]])
        train = order[:n_train]
        test = np.concatenate([order[n_train : n_train + TEST_ROWS], treated[kept:]])
    else:
        train, test = order[:n_train], order[n_train : n_train + TEST_ROWS]
    sample = Sample(
        X.iloc[train].reset_index(drop=True), d[train].astype(np.int64), y[train],
        X.iloc[test].reset_index(drop=True), effect[test],
    )  # fmt: skip
    return Known(sample, effect[train])


def acic2016(setting: int, seed: int) -> Known:
    """4 802 rows with 58 covariates; effects are conditional means."""
    X = pd.read_parquet(require_shared("data", "acic2016", "x.parquet"))
    outcomes = pd.read_parquet(require_shared("data", "acic2016", "zymu_settings01-05.parquet"))
    rows = outcomes[outcomes["setting"] == setting].reset_index(drop=True)
    d = rows["z"].to_numpy()
    y = np.where(d == 1, rows["y1"], rows["y0"])
    return _known(X, d, y, (rows["mu1"] - rows["mu0"]).to_numpy(), seed)


def acic2017(setting: int, seed: int) -> Known:
    """4 302 rows with 58 covariates."""
    X = pd.read_parquet(require_shared("data", "acic2017", "x.parquet"))
    outcomes = pd.read_parquet(
        require_shared("data", "acic2017", "sims_settings01-08_17-24.parquet")
    )
    rows = outcomes[outcomes["setting"] == setting].reset_index(drop=True)
    return _known(X, rows["z"].to_numpy(), rows["y"].to_numpy(), rows["tau"].to_numpy(), seed)


def realcause(name: str, draw: int, seed: int) -> Known:
    """Generated outcomes of ``lalonde_psid``, ``lalonde_cps`` (thousands) or ``twins`` (0/1)."""
    X = pd.read_parquet(require_shared("data", "realcause", f"{name}_covariates.parquet"))
    last = "04" if name == "twins" else "09"
    outcomes = pd.read_parquet(
        require_shared("data", "realcause", f"{name}_outcomes_samples00-{last}.parquet")
    )
    rows = outcomes[outcomes["sample"] == draw].sort_values("unit").reset_index(drop=True)
    X = X.sort_values("unit").drop(columns="unit") if "unit" in X else X
    unit = 1000.0 if name.startswith("lalonde") else 1.0
    d = rows["t"].to_numpy()
    y0, y1 = rows["y0"].to_numpy() / unit, rows["y1"].to_numpy() / unit
    return _known(X.reset_index(drop=True), d, np.where(d == 1, y1, y0), y1 - y0, seed)


def ihdp_known(replication: int) -> Known:
    """IHDP as in :func:`datasets.ihdp`; the effects of the training rows come from the file."""
    sample = ihdp(replication)
    whole = np.load(require_shared("data", "ihdp", "ihdp_npci_reps001-030.npz"))
    r = replication - 1
    effect = (whole["mu1"] - whole["mu0"])[:, r]
    rows = [int(np.flatnonzero(np.isclose(whole["yf"][:, r], y))[0]) for y in sample.outcome]
    return Known(sample, effect[rows])


def known(dataset: str, draw: int) -> Known:
    """Draw number ``draw`` of a data set by its name in the tables."""
    if dataset == "ihdp":
        return ihdp_known(draw + 1)
    if dataset.startswith("acic2016-"):
        return acic2016(int(dataset.split("-")[1]), draw)
    if dataset.startswith("acic2017-"):
        return acic2017(int(dataset.split("-")[1]), draw)
    return realcause(dataset, draw, draw)
