"""Distribution functions of both potential outcomes, their difference, and shares below a line.

    F_a(y) = P(Y(a) <= y),    F1(y) - F0(y),    P(Y(1) < c) - P(Y(0) < c)

are means of indicators, so that each is an AIPW estimate with the score psi_b(y; a) of
:mod:`causal_ddpm.estimators.scores` (Chernozhukov, Fernandez-Val and Melly 2013; Belloni et al.
2017) and its influence is exact, phi = (psi_b - F psi_a) / J. P(Y < c) is F at the largest number
below c.

On a grid that the data choose, the functions are rearranged over the whole grid; at points that
the user gives, over these points. Standard errors have the floor of
:mod:`causal_ddpm.estimators.corrected_law`, that of a difference for each of its arms.
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
    averages,
    outcome_grid,
    score_laws,
    with_floor,
)
from causal_ddpm.estimators.inference import Result, build_estimate
from causal_ddpm.estimators.scores import Array, rearranged, sorted_cdf
from causal_ddpm.nuisance.crossfit import Nuisances


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
    """Estimator of F1 - F0 on a grid, and of shares below a line.

    Parameters
    ----------
    estimand : CDFDifference or ShareBelow
    """

    estimand: CDFDifference | ShareBelow
    random_state: Seed = 0
    n_bootstrap: int = N_BOOTSTRAP
    mode: str = "normal"

    def estimate(self, data: CausalData, nuisances: Nuisances, level: float = 0.95) -> Estimate:
        """docs."""
        scored = score_laws(self.estimand, data, nuisances)
        shares = isinstance(self.estimand, ShareBelow)
        closed = shares or self.estimand.points is not None
        if shares:
            points = np.nextafter(np.asarray(self.estimand.thresholds), -np.inf)
        elif closed:
            points = np.asarray(self.estimand.points)
        else:
            points = outcome_grid(data.outcome, data.weights, 97).points

        def psi(arm, rows):
            return arm.psi(points, rows)

        plain, draws = averages(
            scored.arms, scored.sampling, psi, self.n_bootstrap, self.random_state
        )
        proper = (lambda x: np.clip(x, 0, 1)) if shares else sorted_cdf if closed else rearranged
        plain, draws = proper(plain), proper(draws)
        phi, cov = influence_of_both(scored, points)
        eye = np.eye(len(points))
        difference = np.hstack([-eye, eye])
        matrix = (
            np.vstack([difference, np.hstack([0 * eye, eye]), np.hstack([eye, 0 * eye])])
            if shares
            else difference
        )
        values = matrix @ plain.ravel()
        labels = self.estimand.labels if shares else self.estimand.labels_at(points)
        details = scored.details | {"grid": points.tolist()}
        b = np.hstack([draws[0], draws[1]]) @ matrix.T
        result = Result(
            labels,
            values,
            phi @ matrix.T,
            scored.notes,
            details,
            b if self.mode == "bootstrap" else None,
            matrix @ cov @ matrix.T,
        )
        return build_estimate(result, data, nuisances, self.estimand, scored.sampling, level)


def influence_of_both(scored: Scored, points: Array) -> tuple[Array, Array]:
    """Influence of (F0, F1) at points, shape (n, 2 G), and its covariance with the floor."""
    w, sampling = scored.weights, scored.sampling
    phi = np.hstack([arm.phi(points, w) for arm in scored.arms])
    floor = np.repeat([arm.tail_floor(w) for arm in scored.arms], len(points))
    return phi, with_floor(sampling.covariance(sampling.influence(phi)), floor)
