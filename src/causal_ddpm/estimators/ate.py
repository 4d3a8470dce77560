"""Average effects (ATE, ATT, ATU, trimmed ATE) by cross-fitted AIPW or TMLE.

The score and the weights of each estimand are those of :mod:`causal_ddpm.estimators.scores`; the
estimands differ in nothing else. The outcome models are calibrated first
(:mod:`causal_ddpm.estimators.calibration`); with ``targeted=True`` the same score is taken at
targeted means instead (:mod:`causal_ddpm.estimators.targeting`), with ``calibrated=False`` at the
means as they were learnt.

**Trimming.** The trimmed ATE is the ATE of the rows with low < e < high, e the out-of-fold
propensity: the others get weight zero in the score, its standard error, the rules of overlap and
the counts. The interval is for the population of such units, with the bounds (and the propensity
that they are applied to) taken as given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import OverlapError
from causal_ddpm.core.estimand import ATE, ATT, ATU, Estimand, TrimmedATE
from causal_ddpm.core.estimand.trimming import in_words
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.estimators import scores
from causal_ddpm.estimators.calibration import calibrated_means
from causal_ddpm.estimators.inference import Note, Result, Sampling, build_estimate
from causal_ddpm.estimators.overlap import MIN_EFFECTIVE_N, Comparison, check_overlap
from causal_ddpm.estimators.scores import Arms, Array, LinearScore
from causal_ddpm.estimators.targeting import targeted_means
from causal_ddpm.nuisance.crossfit import Nuisances

Scoring = Callable[[Array, Arms, Array, Array], LinearScore]

SCORES: dict[type[Estimand], Scoring] = {
    ATE: scores.ate_score,
    ATT: scores.att_score,
    ATU: scores.atu_score,
    TrimmedATE: scores.ate_score,
}


@dataclass(frozen=True)
class MeanEffect:
    """Estimator of an average effect.

    Parameters
    ----------
    estimand : ATE, ATT, ATU or TrimmedATE
    """

    estimand: ATE | ATT | ATU | TrimmedATE

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
        sampling, e = Sampling.of(data), nuisances.propensity
        comparisons, notes = check_mean_overlap(self.estimand, data, e, sampling)
        population = None
        if isinstance(self.estimand, TrimmedATE):
            sampling, population = trimmed(self.estimand, e, sampling)
        c = scores.clip_bound(data.treatment, sampling.weights)
        theta, phi, moves = self._solve(data, nuisances, sampling, c)
        details: dict[str, Any] = {
            "clip_bound": c,
            "n_clipped": sum(k.n_clipped for k in comparisons),
            "value_half_bound": self._solve(data, nuisances, sampling, c / 2)[0],
            "value_double_bound": self._solve(data, nuisances, sampling, 2 * c)[0],
            "overlap": [k.to_dict() for k in comparisons],
            **moves,
        }
        if isinstance(self.estimand, TrimmedATE):
            details["bounds"] = list(self.estimand.bounds(e[:, 1], data.weights))
        method = None
        if self.estimand.targeted:
            method = nuisances.method.replace("AIPW", "TMLE")
        result = Result(
            (self.estimand.name,), np.array([theta]), phi[:, None], notes, details,
            population=population, method=method,
        )  # fmt: skip
        return build_estimate(result, data, nuisances, self.estimand, sampling, level)

    def _solve(
        self, data: CausalData, nuisances: Nuisances, sampling: Sampling, c: float
    ) -> tuple[float, Array, dict[str, Any]]:
        """Estimate, influence values and how the means were moved, under the bound c."""
        y, d, e, mu = data.outcome, data.treatment, nuisances.propensity, nuisances.mean
        target, w = scores.TARGETS[self.estimand.group], sampling.weights
        omega, score = target.weights(d, e, c), SCORES[type(self.estimand)]
        if self.estimand.targeted:
            mu, epsilons = targeted_means(y, d, mu, omega, w, target.stand_ins)
            return *scores.solve(score(y, d, mu, omega), w), {"epsilon": epsilons}
        if not self.estimand.calibrated:
            return *scores.solve(score(y, d, mu, omega), w), {}
        found = calibrated_means(y, d, mu, e, sampling, c, target.stand_ins)
        theta, _ = scores.solve(score(y, d, found.mean, omega), w)
        phi = scores.influence_at(theta, score(found.inflated(y, d), d, found.mean, omega), w)
        return (
            theta,
            scores.centred(phi, w),
            {"calibration": {str(a): list(line) for a, line in found.lines.items()}},
        )


def trimmed(estimand: TrimmedATE, e: Array, sampling: Sampling) -> tuple[Sampling, str]:
    """The sampling design with weight zero outside the bounds, and who is left, in words.

    Parameters
    ----------
    estimand : TrimmedATE
    e : ndarray, shape (n, 2)
        Propensities.
    sampling : Sampling
        Of all rows.
    """
    low, high = estimand.bounds(e[:, 1], sampling.weights)
    kept = sampling.within((e[:, 1] > low) & (e[:, 1] < high))
    words = f"{in_words(low, high)}: {kept.n_rows:,} of {sampling.n_rows:,} rows"
    return kept, words


def check_mean_overlap(
    estimand: Estimand, data: CausalData, e: Array, sampling: Sampling
) -> tuple[list[Comparison], list[Note]]:
    """The rules of overlap, for the rows that an estimand is about.

    Raises
    ------
    OverlapError
        Also where trimming leaves too few rows of an arm.
    """
    d = data.treatment
    if not isinstance(estimand, TrimmedATE):
        return check_overlap(estimand, d, e, sampling)
    kept, words = trimmed(estimand, e, sampling)
    rows = kept.weights > 0
    counts = [int(kept.counts @ (d == arm)) for arm in (0, 1)]
    if min(counts) < MIN_EFFECTIVE_N:
        raise OverlapError(
            f"No overlap for the {estimand.name}: {words}, {counts[1]:,} of them treated and "
            f"{counts[0]:,} untreated; expected at least {MIN_EFFECTIVE_N:.0f} of each. Widen the "
            "bounds, or ask for the ATO, which leaves nobody out."
        )
    return check_overlap(estimand, d[rows], e[rows], kept.rows(rows))
