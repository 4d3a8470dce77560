"""A Gaussian copula of a table of numbers: empirical marginal laws, correlated normal scores.

    z_j = Phi^-1((rank_j - 1/2) / m),     (z_1, ..., z_p) ~ N(0, R),     x_j = the z_j-quantile

Ties are broken at random before ranks become scores. That shrinks a correlation by the share of the
score's variance between the values of the column, for each of the two columns (exactly so where one
of them has no ties), which is undone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FittedCopula:
    """Sorted columns, and a root of the correlation matrix of their scores.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (m,)
    root : ndarray, shape (p, p)
        Rows of length one.
    """

    columns: dict[str, Array]
    root: Array

    def sample(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        """Draw n rows."""
        z = rng.standard_normal((n, len(self.columns))) @ self.root.T
        m = len(next(iter(self.columns.values())))
        place = np.minimum((ndtr(z) * m).astype(int), m - 1)
        drawn = {name: x[place[:, j]] for j, (name, x) in enumerate(self.columns.items())}
        return pd.DataFrame(drawn)


def fit_copula(train: pd.DataFrame, rng: np.random.Generator) -> FittedCopula:
    """Fit to a frame of numbers.

    Parameters
    ----------
    train : DataFrame, m rows
    rng : Generator
        Breaks ties.
    """
    m, names = len(train), list(train.columns)
    order = [np.lexsort((rng.random(m), train[name])) for name in names]
    scores = pd.DataFrame(
        {k: ndtri((o.argsort() + 0.5) / m) for k, o in zip(names, order, strict=True)}
    )
    between = [scores[k].groupby(train[k].to_numpy()).transform("mean").var() for k in names]
    share = np.array(between) / scores.var().to_numpy()
    latent = np.clip(scores.corr().to_numpy() / np.outer(share, share), -0.99, 0.99)
    np.fill_diagonal(latent, 1.0)
    values, vectors = np.linalg.eigh(latent)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    unit = root / np.linalg.norm(root, axis=1)[:, None]
    return FittedCopula({k: np.sort(train[k].to_numpy()) for k in names}, unit)
