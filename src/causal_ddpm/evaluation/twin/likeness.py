"""How like the data a twin is, before anything is set: what its rankings are worth.

As many rows as the data have are drawn from the twin as it was learnt, and set beside the data:

- **classifier two-sample test**: the area under the ROC curve (AUC) of boosted trees that tell the
  two apart on whole rows (confounders, treatment, outcome), held out; one half if they cannot;
- **columns**: mean and sd, and the Kolmogorov-Smirnov distance (for categories half the sum of the
  differences of shares), of missing cells the difference of shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.random import Seed
from causal_ddpm.core.rows import replaced
from causal_ddpm.evaluation.fidelity import tell_apart

Array = NDArray[np.float64]

ALIKE, UNLIKE = 0.6, 0.75
"""AUCs up to which a twin is close to the data, and from which it is not like them."""


@dataclass(frozen=True)
class ColumnLikeness:
    """One column of the data and of the twin."""

    column: str
    real_mean: float
    twin_mean: float
    real_sd: float
    twin_sd: float
    missing_gap: float
    distance: float


@dataclass(frozen=True)
class Likeness:
    """The comparison.

    Parameters
    ----------
    auc, auc_error : float
        Of the classifier, and its standard error where there is nothing to tell apart.
    columns : tuple of ColumnLikeness
    """

    auc: float
    auc_error: float
    columns: tuple[ColumnLikeness, ...]

    @property
    def close(self) -> bool:
        """Whether the classifier's AUC is at most .6, or no more than chance allows."""
        return self.auc <= max(ALIKE, 0.5 + 2.6 * self.auc_error)

    def frame(self) -> pd.DataFrame:
        """One row a column."""
        return pd.DataFrame([asdict(column) for column in self.columns])

    def sentence(self) -> str:
        """The verdict in words."""
        found = f"AUC {self.auc:.2f}; .50 is chance, with error {self.auc_error:.2f}"
        if self.close:
            return f"A classifier can hardly tell rows of the twin from yours ({found})."
        worst = max(self.columns, key=lambda column: column.distance)
        much = "easily tells" if self.auc >= UNLIKE else "can tell"
        return (
            f"A classifier {much} rows of the twin from yours ({found}): a ranking on it is only "
            f"as good as the twin. The column that differs most is '{worst.column}' (distance "
            f"{worst.distance:.2f})."
        )


def likeness_of(data: CausalData, drawn: CausalData, random_state: Seed) -> Likeness:
    """Compare two data sets of the same roles and, nearly, the same number of rows.

    Parameters
    ----------
    data : CausalData
        The real rows.
    drawn : CausalData
        Rows of the twin.
    random_state : int, SeedSequence or None
        Of the classifier.
    """
    real, made = (_rows(d) for d in (data, _under(drawn, data)))
    auc, error = tell_apart(real, made, random_state)
    return Likeness(auc, error, tuple(_columns(data, real, made)))


def _under(drawn: CausalData, data: CausalData) -> CausalData:
    return replaced(drawn, covariates=drawn.covariates.under(data.covariates.columns))


def _rows(data: CausalData) -> Array:
    return np.column_stack([data.covariates.values, data.treatment, data.outcome])


def _columns(data: CausalData, real: Array, made: Array) -> Iterator[ColumnLikeness]:
    names = (*data.covariates.names, data.treatment_name, data.outcome_name)
    categories = [c.kind == "categorical" for c in data.covariates.columns]
    for j, name in enumerate(names):
        a, b = (x[np.isfinite(x[:, j]), j] for x in (real, made))
        gap = float(np.isnan(made[:, j]).mean() - np.isnan(real[:, j]).mean())
        distance = _variation(a, b) if [*categories, False, False][j] else _distance(a, b)
        yield ColumnLikeness(
            name, float(a.mean()), float(b.mean()), float(a.std()), float(b.std()), gap, distance
        )


def _distance(a: Array, b: Array) -> float:
    return float(stats.ks_2samp(a, b, method="asymp").statistic)


def _variation(a: Array, b: Array) -> float:
    levels = np.unique(np.concatenate([a, b]))
    shares = [(x[:, None] == levels).mean(axis=0) for x in (a, b)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)
