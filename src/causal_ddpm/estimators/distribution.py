"""Distribution functions of both potential outcomes, their difference, and shares below a line.

    F_a(y) = P(Y(a) <= y),    F1(y) - F0(y),    P(Y(1) < c) - P(Y(0) < c)

are means of indicators, so that each is an AIPW estimate with the score psi_b(y; a) of
:mod:`causal_ddpm.estimators.scores` (Chernozhukov, Fernandez-Val and Melly 2013; Belloni et al.
2017) and its influence is exact, phi = (psi_b - F psi_a) / J. P(Y < c) is F at the largest number
below c.

On a grid that the data choose, the functions are rearranged over the whole grid; at points that
the user gives, over these points. Standard errors have the floor of
:mod:`causal_ddpm.estimators.corrected_law`, that of a difference for each of its arms.

Intervals and bands of differences and shares rest on the joint normal law of the influence values:
percentiles of a bootstrap know nothing of tails without a row, and covered one point less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import CDFDifference, PotentialDistributions, ShareBelow
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import Seed
from causal_ddpm.estimators.corrected_law import (
    N_BOOTSTRAP,
    Scored,
    outcome_grid,
    score_laws,
    with_floor,
)
from causal_ddpm.estimators.inference import Result, build_estimate
from causal_ddpm.estimators.scores import Array, rearranged, sorted_cdf
from causal_ddpm.nuisance.crossfit import Nuisances

DIFFERENCE_GRID = 97


@dataclass(frozen=True)
class DistributionEffect:
    """Estimator of the distribution functions of Y(0) and Y(1).

    Parameters
    ----------
    estimand : PotentialDistributions
    random_state : int, SeedSequence or None
        Seed of the bootstrap multipliers.
    n_bootstrap : int
        Number of bootstrap draws.
    """

    estimand: PotentialDistributions
    random_state: Seed = 0
    n_bootstrap: int = N_BOOTSTRAP

    def estimate(self, data: CausalData, nuisances: Nuisances, level: float = 0.95) -> Estimate:
        """F0 on the grid, then F1; :func:`distribution_curves` splits them.

        Raises
        ------
        DataError
            If the outcome model learned means only, or with fewer than five clusters.
        OverlapError
            If no row can speak to the estimand.
        """
        scored = score_laws(self.estimand, data, nuisances)
        grid = outcome_grid(data.outcome, data.weights, self.estimand.n_points)
        law = scored.law(grid, self.n_bootstrap, self.random_state)
        points = grid.points
        phi, cov = influence_of_both(scored, points)
        details = scored.details | {"grid": points.tolist(), "jumps": grid.jumps.tolist()}
        details["n_bootstrap"] = self.n_bootstrap
        labels = tuple(f"F{a}({y:g})" for a in (0, 1) for y in points)
        draws = np.hstack([law.draws[0], law.draws[1]])
        result = Result(labels, law.cdf.ravel(), phi, scored.notes, details, draws, cov)
        return build_estimate(result, data, nuisances, self.estimand, scored.sampling, level)


@dataclass(frozen=True)
class DistributionDifference:
    """Estimator of F1 - F0 on a grid.

    Parameters
    ----------
    estimand : CDFDifference
    """

    estimand: CDFDifference

    def estimate(self, data: CausalData, nuisances: Nuisances, level: float = 0.95) -> Estimate:
        """F1 - F0 at each point; :func:`causal_ddpm.estimators.curves.effect_curve` has its band.

        Raises
        ------
        DataError
            If the outcome model learned means only, or with fewer than five clusters.
        OverlapError
            If no row can speak to the estimand.
        """
        scored = score_laws(self.estimand, data, nuisances)
        if self.estimand.points is None:
            points = outcome_grid(data.outcome, data.weights, DIFFERENCE_GRID).points
            f0, f1 = rearranged(scored.plain(points))
        else:
            points = np.asarray(self.estimand.points)
            f0, f1 = sorted_cdf(scored.plain(points))
        phi, cov = influence_of_both(scored, points)
        eye = np.eye(len(points))
        minus = np.vstack([-eye, eye])
        details = scored.details | {
            "grid": points.tolist(),
            "cdf_untreated": f0.tolist(),
            "cdf_treated": f1.tolist(),
        }
        labels = self.estimand.labels_at(points.tolist())
        cov = minus.T @ cov @ minus
        result = Result(labels, f1 - f0, phi @ minus, scored.notes, details, cov=cov)
        return build_estimate(result, data, nuisances, self.estimand, scored.sampling, level)


@dataclass(frozen=True)
class ShareEffect:
    """Estimator of shares below lines.

    Parameters
    ----------
    estimand : ShareBelow
    """

    estimand: ShareBelow

    def estimate(self, data: CausalData, nuisances: Nuisances, level: float = 0.95) -> Estimate:
        """Differences of the shares, then the shares under treatment and without.

        Raises
        ------
        DataError
            If the outcome model learned means only, or with fewer than five clusters.
        OverlapError
            If no row can speak to the estimand.
        """
        scored = score_laws(self.estimand, data, nuisances)
        just_below = np.nextafter(np.asarray(self.estimand.thresholds), -np.inf)
        shares = np.clip(scored.plain(just_below), 0.0, 1.0).ravel()
        phi, cov = influence_of_both(scored, just_below)
        eye, nil = np.eye(len(just_below)), np.zeros((len(just_below),) * 2)
        # columns of (effect, treated, untreated), rows of (untreated, treated)
        entries = np.block([[-eye, nil, eye], [eye, eye, nil]])
        details = scored.details | {"thresholds": list(self.estimand.thresholds)}
        result = Result(
            self.estimand.labels, shares @ entries, phi @ entries, scored.notes, details,
            cov=entries.T @ cov @ entries,
        )  # fmt: skip
        return build_estimate(result, data, nuisances, self.estimand, scored.sampling, level)


def influence_of_both(scored: Scored, points: Array) -> tuple[Array, Array]:
    """Influence of (F0, F1) at points, shape (n, 2 G), and its covariance with the floor."""
    w, sampling = scored.weights, scored.sampling
    phi = np.hstack([arm.phi(points, w) for arm in scored.arms])
    floor = np.repeat([arm.tail_floor(w) for arm in scored.arms], len(points))
    return phi, with_floor(sampling.covariance(sampling.influence(phi)), floor)
