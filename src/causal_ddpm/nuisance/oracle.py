"""Nuisance models that know the truth: estimators are tested with them in milliseconds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.discrete import RowLaw
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.protocols import Array, OutcomePredictions
from causal_ddpm.core.random import Seed
from causal_ddpm.nuisance.propensity import both_arms


@dataclass(frozen=True, eq=False)
class OracleOutcomeModel:
    """E[Y(a) | x], and the law of Y(a) given x, from known functions.

    Parameters
    ----------
    mean_functions : sequence of callables
        One an arm, in the order of codes; each takes the covariate values (n, p) and returns
        means, shape (n,).
    law_functions : sequence of callables, optional
        Likewise, each returning a RowLaw of n rows.
    """

    mean_functions: Sequence[Callable[[Array], Array]]
    law_functions: Sequence[Callable[[Array], RowLaw]] | None = None

    def cross_fit(
        self,
        data: CausalData,
        fold_ids: NDArray[np.int64],
        random_state: Seed = None,
        n_jobs: int = 1,
        progress: Progress = silent,
    ) -> OutcomePredictions:
        """The truth at every row; folds, seed and workers play no part."""
        x = data.covariates.values
        mean = np.column_stack([np.broadcast_to(f(x), (data.n,)) for f in self.mean_functions])
        laws = None
        if self.law_functions is not None:
            laws = tuple(law(x) for law in self.law_functions)
        progress("outcome (oracle)", 1.0)
        return OutcomePredictions(mean.astype(float), laws, {"method": "oracle"})


@dataclass(frozen=True, eq=False)
class OraclePropensityModel:
    """The propensity from a known function of the covariate values (n, p).

    Parameters
    ----------
    probability : callable
        Returns P(A = 1 | x), shape (n,), or P(A = a | x) of every arm, shape (n, A).
    """

    probability: Callable[[Array], Array]

    def cross_fit(
        self,
        data: CausalData,
        fold_ids: NDArray[np.int64],
        random_state: Seed = None,
        n_jobs: int = 1,
    ) -> tuple[Array, Mapping[str, Any]]:
        """The truth at every row, shape (n, A)."""
        p = np.asarray(self.probability(data.covariates.values), dtype=float)
        e = p if p.ndim == 2 else both_arms(np.broadcast_to(p, (data.n,)))
        return e, {"method": "oracle"}
