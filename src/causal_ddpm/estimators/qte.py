"""Quantile treatment effects, corrected doubly robustly.

The corrected distribution functions (:mod:`causal_ddpm.estimators.corrected_law`) and their
bootstrap draws are inverted (Chernozhukov, Fernandez-Val and Melly 2013; Belloni, Chernozhukov,
Fernandez-Val and Hansen 2017),

    QTE(u) = F1^{-1}(u) - F0^{-1}(u).

Pointwise intervals are percentiles of the draws, uniform bands studentise them.

A quantile has the influence -(phi_i(q) - F(q)) / f(q). No bandwidth is chosen for the density f:
1/f(q) is the ratio of the bootstrap standard deviation of the quantile to that of F(q), so that
the influence values and the bootstrap agree on the standard error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import QTE
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import Seed
from causal_ddpm.estimators.corrected_law import (
    FINE_GRID,
    N_BOOTSTRAP,
    ArmScore,
    outcome_grid,
    score_laws,
)
from causal_ddpm.estimators.inference import Result, Sampling, build_estimate
from causal_ddpm.estimators.scores import Array
from causal_ddpm.nuisance.crossfit import Nuisances


@dataclass(frozen=True)
class QuantileEffect:
    """Estimator of quantile treatment effects.

    Parameters
    ----------
    estimand : QTE
    random_state : int, SeedSequence or None
        Seed of the bootstrap multipliers.
    n_bootstrap : int
        Number of bootstrap draws.
    """

    estimand: QTE
    random_state: Seed = 0
    n_bootstrap: int = N_BOOTSTRAP

    def estimate(self, data: CausalData, nuisances: Nuisances, level: float = 0.95) -> Estimate:
        """Differences of the corrected marginal quantiles.

        Raises
        ------
        DataError
            If the outcome model learned means only, or with fewer than five clusters.
        OverlapError
            If no row can speak to the estimand.
        """
        scored = score_laws(self.estimand, data, nuisances)
        sampling, arms = scored.sampling, scored.arms
        grid = outcome_grid(data.outcome, data.weights, FINE_GRID)
        law = scored.law(grid, self.n_bootstrap, self.random_state)
        u = np.asarray(self.estimand.levels)
        (q0, draws0), (q1, draws1) = law.quantiles(0, u), law.quantiles(1, u)
        phi = _quantile_phi(arms[1], sampling, q1, draws1) - _quantile_phi(
            arms[0], sampling, q0, draws0
        )
        draws = draws1 - draws0
        details = scored.details | {
            "levels": u.tolist(),
            "quantiles_untreated": q0.tolist(),
            "quantiles_treated": q1.tolist(),
            "n_bootstrap": self.n_bootstrap,
        }
        cov = np.atleast_2d(np.cov(draws, rowvar=False))
        result = Result(self.estimand.labels, q1 - q0, phi, scored.notes, details, draws, cov)
        return build_estimate(result, data, nuisances, self.estimand, sampling, level)


def _quantile_phi(arm: ArmScore, sampling: Sampling, q: Array, draws: Array) -> Array:
    """Centred influence of the quantiles q (p,) of one arm, shape (n, p)."""
    phi = arm.phi(q, sampling.weights)
    sd_cdf = np.sqrt(np.diag(sampling.covariance(sampling.influence(phi))))
    sd_quantile = draws.std(axis=0, ddof=1)
    return -phi * sd_quantile / np.where(sd_cdf > 0, sd_cdf, 1.0)
