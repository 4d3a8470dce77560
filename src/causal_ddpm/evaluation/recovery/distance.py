"""How far generated rows are from rows of the true process, without asking what they mean.

W1        Wasserstein distance of one column, in its standard deviations (for a category, half
the sum of absolute differences of shares)
energy    2 E|X - Y| - E|X - X'| - E|Y - Y'| of standardised rows (Szekely and Rizzo 2013)
C2ST      area under the ROC curve of boosted trees that tell n generated from n fresh rows,
held out (Lopez-Paz and Oquab 2017); with nothing to tell it is 1/2, with standard
error sqrt((2 n + 1) / (12 n^2)) (Mann-Whitney), and 2.6 of those are allowed
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import cdist

from causal_ddpm.core.random import Seed, integer_seed, stream
from causal_ddpm.evaluation.fidelity import DISTINCT, N_FOLDS
from causal_ddpm.evaluation.recovery.known import Encoding
from causal_ddpm.evaluation.recovery.reading import allowance, signed_allowance
from causal_ddpm.evaluation.recovery.report import Finding, Section
from causal_ddpm.nuisance.boosting import TreeSettings, fit_trees

Array = NDArray[np.float64]

_ENERGY_ROWS = 1000
_TREES = TreeSettings(n_trees=80, learning_rate=0.06, leaves=8, min_leaf=20, loss="binary")


def distance_section(
    generated: pd.DataFrame,
    many: pd.DataFrame,
    replicates: tuple[pd.DataFrame, ...],
    outcome: str,
    random_state: Seed,
) -> Section:
    """Distances between rows.

    Parameters
    ----------
    generated, many : DataFrame
        Generated rows, and many rows of the true process, with the same columns.
    replicates : tuple of DataFrame
        Fresh draws of n rows.
    outcome : str
        The column that is told apart from the others.
    random_state : int, SeedSequence or None
    """
    n = min(len(replicates[0]), len(generated), len(many))
    table = column_distances(generated, many)
    fresh = [column_distances(rows, many) for rows in replicates]
    others = [c for c in table.index if c != outcome]
    worst = str(table[others].idxmax()) if others else outcome
    energies = energy_distances([generated.head(n), *replicates], many)
    auc = separability(generated.head(n), many.head(n), outcome, random_state)
    limit = DISTINCT * float(np.sqrt((2 * n + 1) / 12) / n)
    findings = [
        _distance(f"the Wasserstein distance of {outcome}, in its standard deviations,",
                  float(table[outcome]), [float(t[outcome]) for t in fresh]),
        _distance(f"the largest Wasserstein distance of another column (of {worst}), likewise,",
                  float(table[others].max()), [float(t[others].max()) for t in fresh]),
        Finding("the energy distance of whole rows", energies[0], max(energies[0], 0.0),
                allowance=signed_allowance(energies[1:])),
        Finding("the area under the ROC curve of a classifier that tells generated from true rows",
                auc, max(auc - 0.5, 0.0), 0.5, limit),
    ]  # fmt: skip
    return Section(
        "distance", "Distance of rows",
        "Generated rows against rows of the true process: column by column, whole rows, and "
        "whether a classifier tells them apart.",
        tuple(findings),
        curves={"columns": pd.DataFrame({"column": table.index, "distance": table.to_numpy()})},
    )  # fmt: skip


def column_distances(rows: pd.DataFrame, many: pd.DataFrame) -> pd.Series:
    """W1 of every column of ``many`` in its standard deviations, or of its shares."""
    out = {}
    for name in many.columns:
        true, made = many[name].dropna(), rows[name].dropna()
        if pd.api.types.is_numeric_dtype(true):
            gap = stats.wasserstein_distance(made.to_numpy(float), true.to_numpy(float))
            out[str(name)] = float(gap / max(float(true.std()), 1e-12))
        else:
            shares = [s.value_counts(normalize=True) for s in (made, true)]
            out[str(name)] = float(shares[0].sub(shares[1], fill_value=0).abs().sum() / 2)
    return pd.Series(out)


def energy_distances(samples: list[pd.DataFrame], many: pd.DataFrame) -> list[float]:
    """Energy distance of each sample from the first rows of ``many``, standardised."""
    encoding = Encoding.of(many, tuple(many.columns))
    reference = encoding.matrix(many.head(_ENERGY_ROWS))
    centre, sd = np.nanmean(reference, axis=0), np.nanstd(reference, axis=0)
    sd = np.where(sd > 0, sd, 1.0)

    def scaled(x: Array) -> Array:
        return np.nan_to_num((x - centre) / sd)

    y = scaled(reference)
    within_y = cdist(y, y).sum() / (len(y) * (len(y) - 1))
    found = []
    for rows in samples:
        x = scaled(encoding.matrix(rows.head(_ENERGY_ROWS)))
        within = cdist(x, x).sum() / (len(x) * (len(x) - 1))
        found.append(float(2 * cdist(x, y).mean() - within - within_y))
    return found


def separability(rows: pd.DataFrame, true: pd.DataFrame, outcome: str, random_state: Seed) -> float:
    """Held-out AUC of boosted trees that tell two samples apart.

    Rows that agree in all columns but the outcome stay in one fold: a generator that repeats
    covariates of its training rows would otherwise be given away by a copy in another fold.
    """
    from sklearn.metrics import roc_auc_score

    encoding = Encoding.of(true, tuple(true.columns))
    x = np.vstack([encoding.matrix(rows), encoding.matrix(true)])
    label = np.repeat([1.0, 0.0], [len(rows), len(true)])
    unit = _units(pd.concat([rows, true]).drop(columns=outcome))
    folds = (stream(random_state, "classifier folds").permutation(unit.max() + 1) % N_FOLDS)[unit]
    score = np.empty(len(x))
    for k in range(N_FOLDS):
        rest, seed = folds != k, integer_seed(random_state, "classifier", k)
        score[~rest] = fit_trees(x[rest], label[rest], None, _TREES, seed).predict(x[~rest])
    return float(roc_auc_score(label, score))


def _units(columns: pd.DataFrame) -> NDArray[np.int64]:
    """One number for rows that agree; one a row where most rows agree with another anyway."""
    if columns.shape[1] == 0:
        return np.arange(len(columns), dtype=np.int64)
    groups = columns.groupby(list(columns.columns), sort=False, dropna=False).ngroup().to_numpy()
    many = groups.max() + 1 > len(groups) / 4
    return np.asarray(groups if many else np.arange(len(groups)), dtype=np.int64)


def _distance(quantity: str, value: float, fresh: list[float]) -> Finding:
    error = max(value, 0.0)
    return Finding(quantity, value, error, allowance=allowance(fresh))
