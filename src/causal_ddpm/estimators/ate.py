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

Weighting = Callable[[Arms, Array, float], Array]
Scoring = Callable[[Array, Arms, Array, Array], LinearScore]


@dataclass(frozen=True)
class MeanTarget:
    """What distinguishes one average effect from another.

    Parameters
    ----------
    weights : callable
        omega(d, e, c), shape (n,).
    score : callable
        psi(y, d, mu, omega).
    stand_ins : tuple of int
        Arms that stand in for the other one; see :mod:`causal_ddpm.estimators.overlap`.
    """

    weights: Weighting
    score: Scoring
    stand_ins: tuple[int, ...]


TARGETS: dict[type[Estimand], MeanTarget] = {
    ATE: MeanTarget(scores.ate_weights, scores.ate_score, (0, 1)),
    ATT: MeanTarget(scores.att_weights, scores.att_score, (0,)),
    ATU: MeanTarget(scores.atu_weights, scores.atu_score, (1,)),
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
        target = TARGETS[type(self.estimand)]
        sampling = Sampling.of(data)
        d, w, e = data.treatment, data.weights, nuisances.propensity
        c = scores.clip_bound(d, w)
        omega = target.weights(d, e, c)
        comparisons, notes = check_overlap(
            self.estimand.name, target.stand_ins, d=d, e=e, sampling=sampling, omega=omega, c=c
        )
        theta, phi = _solve_at(data, nuisances, target, c)
        details: dict[str, Any] = {
            "clip_bound": c,
            "n_clipped": sum(k.n_clipped for k in comparisons),
            "value_half_bound": _solve_at(data, nuisances, target, c / 2)[0],
            "value_double_bound": _solve_at(data, nuisances, target, 2 * c)[0],
            "overlap": [k.to_dict() for k in comparisons],
        }
        result = Result((self.estimand.name,), np.array([theta]), phi[:, None], notes, details)
        return build_estimate(result, data, nuisances, self.estimand, sampling, level)


def _solve_at(
    data: CausalData, nuisances: Nuisances, target: MeanTarget, c: float
) -> tuple[float, Array]:
    d, e = data.treatment, nuisances.propensity
    score = target.score(data.outcome, d, nuisances.mean, target.weights(d, e, c))
    return scores.solve(score, data.weights)
