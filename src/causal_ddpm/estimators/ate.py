"""Average effects (ATE, ATT, ATU, trimmed ATE) by cross-fitted AIPW or TMLE.

The score and the weights of each estimand are those of :mod:`causal_ddpm.estimators.scores`; the
estimands differ in nothing else. With ``targeted=True`` the same score is taken at targeted means
(:mod:`causal_ddpm.estimators.targeting`).

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
        theta, phi, epsilons = self._solve(data, nuisances, sampling.weights, c)
        details: dict[str, Any] = {
            "clip_bound": c,
            "n_clipped": sum(k.n_clipped for k in comparisons),
            "value_half_bound": self._solve(data, nuisances, sampling.weights, c / 2)[0],
            "value_double_bound": self._solve(data, nuisances, sampling.weights, 2 * c)[0],
            "overlap": [k.to_dict() for k in comparisons],
        }
        if isinstance(self.estimand, TrimmedATE):
            details["bounds"] = list(self.estimand.bounds(e[:, 1], data.weights))
        method = None
        if self.estimand.targeted:
            details["epsilon"] = epsilons
            method = nuisances.method.replace("AIPW", "TMLE")
        result = Result(
            (self.estimand.name,), np.array([theta]), phi[:, None], notes, details,
            population=population, method=method,
        )  # fmt: skip
        return build_estimate(result, data, nuisances, self.estimand, sampling, level)

    def _solve(
        self, data: CausalData, nuisances: Nuisances, w: Array, c: float
    ) -> tuple[float, Array, dict[str, float]]:
        """Estimate, influence values and fluctuations under row weights w and the bound c."""
        d, e, mu = data.treatment, nuisances.propensity, nuisances.mean
        target = scores.TARGETS[self.estimand.group]
        omega = target.weights(d, e, c)
        epsilons: dict[str, float] = {}
        if self.estimand.targeted:
            mu, epsilons = targeted_means(data.outcome, d, mu, omega, w, target.stand_ins)
        theta, phi = scores.solve(SCORES[type(self.estimand)](data.outcome, d, mu, omega), w)
        return theta, phi, epsilons


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
