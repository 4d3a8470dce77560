"""Average effects (ATE, ATT, ATU) by cross-fitted AIPW.

The score and the weights of each estimand are those of :mod:`causal_ddpm.estimators.scores`; the
three differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import ATE, ATT, ATU, Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.estimators import scores
from causal_ddpm.estimators.inference import Result, Sampling, build_estimate
from causal_ddpm.estimators.overlap import check_overlap
from causal_ddpm.estimators.scores import Arms, Array, LinearScore
from causal_ddpm.nuisance.crossfit import Nuisances

Scoring = Callable[[Array, Arms, Array, Array], LinearScore]

SCORES: dict[type[Estimand], Scoring] = {
    ATE: scores.ate_score,
    ATT: scores.att_score,
    ATU: scores.atu_score,
}


@dataclass(frozen=True)
class MeanEffect:
    """Estimator of an average effect.

    Parameters
    ----------
    estimand : ATE, ATT or ATU
    """

    estimand: Estimand

    def estimate(self, data: CausalData, nuisances: Nuisances, level: float = 0.95) -> Estimate:
        """Score the rows of ``data`` with out-of-fold nuisances.

        Raises
        ------
        OverlapError
            If no row can speak to the estimand.
        DataError
            With fewer than five clusters.
        """
        self.estimand.check_treatment(data.treatment_schema)
        sampling = Sampling.of(data)
        comparisons, notes = check_overlap(
            self.estimand, data.treatment, nuisances.propensity, sampling
        )
        c = scores.clip_bound(data.treatment, data.weights)
        theta, phi = self._solve(data, nuisances, c)
        details: dict[str, Any] = {
            "clip_bound": c,
            "n_clipped": sum(k.n_clipped for k in comparisons),
            "value_half_bound": self._solve(data, nuisances, c / 2)[0],
            "value_double_bound": self._solve(data, nuisances, 2 * c)[0],
            "overlap": [k.to_dict() for k in comparisons],
        }
        result = Result((self.estimand.name,), np.array([theta]), phi[:, None], notes, details)
        return build_estimate(result, data, nuisances, self.estimand, sampling, level)

    def _solve(self, data: CausalData, nuisances: Nuisances, c: float) -> tuple[float, Array]:
        """Estimate and influence values under the bound c."""
        d, e = data.treatment, nuisances.propensity
        omega = scores.TARGETS[self.estimand.group].weights(d, e, c)
        score = SCORES[type(self.estimand)](data.outcome, d, nuisances.mean, omega)
        return scores.solve(score, data.weights)
