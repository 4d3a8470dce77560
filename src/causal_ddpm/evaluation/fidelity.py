"""How far generated outcomes can be told from real ones.

The real rows (x_i, d_i, y_i) are set beside rows (x_i, d_i, y~_i) with y~_i drawn from the law of
Y(d_i) given x_i: the same covariates, the same arm, so that whatever tells the two apart is the
outcome's law.

- **Classifier two-sample test** (Lopez-Paz and Oquab 2017): the area under the ROC curve (AUC) of
  boosted trees, held out by rows (a row and its copy stay in one fold). With indistinguishable rows
  its mean is one half and its standard error about sqrt((2 n + 1) / (12 n^2)) (Mann-Whitney); the
  statistic is z = (AUC - 1/2) / error.
- **Marginals** by arm: mean, sd and quantiles of y and of y~, and the Kolmogorov-Smirnov distance.

The law has usually been fitted to these very rows, so both say at best that it *describes* them;
rows that it has not seen (``holdout``) are the fair test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.random import Seed, integer_seed, seed_sequence, stream
from causal_ddpm.core.rows import treatment_column
from causal_ddpm.nuisance.augmented import Law
from causal_ddpm.nuisance.boosting import TreeSettings, fit_trees

Array = NDArray[np.float64]

N_FOLDS = 5
DISTINCT = 2.6
"""z beyond which rows count as distinguishable (one in a hundred by chance)."""

_TREES = TreeSettings(n_trees=100, learning_rate=0.05, leaves=8, min_leaf=20, loss="binary")
_LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, eq=False)
class Fidelity:
    """Real outcomes against draws from a law under the same covariates and arm.

    Parameters
    ----------
    auc, auc_error : float
        Area under the ROC curve of the classifier, and its standard error if there is nothing to
        tell apart.
    marginals : DataFrame
        One row an arm and quantity: ``arm``, ``quantity``, ``real``, ``generated``.
    held_out : bool
        Whether the law has not seen the rows.
    """

    auc: float
    auc_error: float
    marginals: pd.DataFrame
    held_out: bool

    @property
    def z(self) -> float:
        """(AUC - 1/2) / error."""
        return (self.auc - 0.5) / self.auc_error

    def sentence(self) -> str:
        """The verdict in words."""
        verdict = (
            "a classifier tells generated outcomes from real ones"
            if self.z > DISTINCT
            else "a classifier cannot tell generated outcomes from real ones"
        )
        where = "rows that the law has not seen" if self.held_out else "the rows the law learnt"
        return f"On {where} {verdict} (AUC {self.auc:.3f}, {self.auc_error:.3f} by chance)."


def fidelity_of(
    law: Law, data: CausalData, held_out: bool = False, random_state: Seed = 0
) -> Fidelity:
    """Compare outcomes with draws from the law under each row's own arm.

    Parameters
    ----------
    law : Law
    data : CausalData
    held_out : bool
        Whether the law has not seen these rows; only said, not checked.
    random_state : int, SeedSequence or None
    """
    root = seed_sequence(random_state)
    drawn = own_arm_draws(law, data, seed_sequence(root, "draws"))
    x = np.column_stack([data.covariates.values, data.treatment])
    rows = [np.column_stack([x, y]) for y in (data.outcome, drawn)]
    auc, error = tell_apart(rows[0], rows[1], root)
    return Fidelity(auc, error, _marginals(data, drawn), held_out)


def own_arm_draws(law: Law, data: CausalData, random_state: Seed) -> Array:
    """One draw of Y(d_i) given x_i for each row, shape (n,)."""
    root, drawn = seed_sequence(random_state), np.empty(data.n)
    for arm, label in enumerate(data.arms):
        rows = data.treatment == arm
        own = law.sample(data.covariates.rows(rows), label, 1, seed_sequence(root, "own", arm))
        drawn[rows] = np.asarray(own, dtype=float)[:, 0]
    return drawn


def tell_apart(real: Array, fake: Array, random_state: Seed) -> tuple[float, float]:
    """Held-out AUC of boosted trees that tell two tables apart, and its error under chance.

    Parameters
    ----------
    real, fake : ndarray, shape (n, p)
        As many rows in each; row i of both is held out in the same fold.
    random_state : int, SeedSequence or None
    """
    root, n = seed_sequence(random_state), len(real)
    folds = stream(root, "classifier folds").permutation(n) % N_FOLDS
    score_real, score_fake = np.empty(n), np.empty(n)
    for k in range(N_FOLDS):
        train, test = folds != k, folds == k
        labels = np.repeat([1.0, 0.0], train.sum())
        rows = np.vstack([real[train], fake[train]])
        trees = fit_trees(rows, labels, None, _TREES, integer_seed(root, "classifier", k))
        score_real[test], score_fake[test] = trees.predict(real[test]), trees.predict(fake[test])
    return _auc(score_real, score_fake), float(np.sqrt((2 * n + 1) / 12) / n)


def _auc(positive: Array, negative: Array) -> float:
    """Share of pairs in the right order, ties counted half."""
    ranks = stats.rankdata(np.concatenate([positive, negative]))
    n1, n0 = len(positive), len(negative)
    return float((ranks[:n1].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def _marginals(data: CausalData, drawn: Array) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    labels = treatment_column(data, np.arange(len(data.arms)))
    for arm, label in enumerate(labels):
        own = data.treatment == arm
        y, made = data.outcome[own], drawn[own]
        values = {"mean": (y.mean(), made.mean()), "sd": (y.std(), made.std())}
        for u in _LEVELS:
            values[f"quantile {u:g}"] = (np.quantile(y, u), np.quantile(made, u))
        values["KS distance"] = (0.0, float(stats.ks_2samp(y, made).statistic))
        rows += [
            {"arm": label, "quantity": name, "real": float(a), "generated": float(b)}
            for name, (a, b) in values.items()
        ]
    return pd.DataFrame(rows)
