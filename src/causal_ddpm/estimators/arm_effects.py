"""Means under several arms, and contrasts of any two of them.

With arms a, propensities e_a(x) = P(D = a | x) and outcome means mu_a(x) = E[Y | x, D = a]:

    all units     psi_b = mu_a + 1{D = a} omega (Y - mu_a),           psi_a = 1
                  omega = 1 / max(e_a, c)
                  (Robins, Rotnitzky and Zhao 1994; Cattaneo 2010)
    units in t    psi_b = 1{D = t} mu_a + 1{D = a} omega (Y - mu_a),  psi_a = 1{D = t}
                  omega = (1 - r) / max(r, c),  r = e_a / (e_a + e_t)
                  (Hahn 1998; Farrell 2015); for a = t the mean of Y in arm t

Each mean compares two sides only, the rows of arm a with all others or with those of arm t, where r
is the probability of arm a on the two sides together. So the bound c and the rules of overlap are
those of a binary treatment (:mod:`causal_ddpm.estimators.overlap`), arm by arm:
c = min(.02, .1 x share of the smaller side); and so is the line that the outcome model is put on
first (:mod:`causal_ddpm.estimators.calibration`; not with ``calibrated=False``). Contrasts are
differences of the means, with their joint influence; for a binary treatment they are ATE, ATT and
ATU to the last digits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import ArmContrast, ArmMeans
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.estimators.calibration import calibrated_means
from causal_ddpm.estimators.inference import Note, Result, Sampling, arm_words, build_estimate
from causal_ddpm.estimators.overlap import (
    Comparison,
    compare,
    overlap_notes,
    refuse_no_overlap,
    separation,
)
from causal_ddpm.estimators.scores import (
    Arms,
    Array,
    LinearScore,
    ate_weights,
    atu_weights,
    centred,
    clip_bound,
    influence_at,
    solve,
)
from causal_ddpm.nuisance.crossfit import Nuisances

OWN, OTHER, NEITHER = 1, 0, -1


@dataclass(frozen=True, eq=False)
class Sides:
    """Arm a on one side, the units it stands in for on the other.

    Parameters
    ----------
    arm : int
        Code of a.
    meant : int or None
        Code of t; None where all units are meant.
    d : ndarray of int, shape (n,)
        OWN for rows of a, OTHER for those it stands in for, NEITHER for the rest.
    e : ndarray, shape (n, 2)
        Probability of (OTHER, OWN) on the two sides together.
    c : float
        The bound on propensities.
    """

    arm: int
    meant: int | None
    d: Arms
    e: Array
    c: float

    @classmethod
    def of(cls, arm: int, meant: int | None, d: Arms, e: Array, w: Array) -> Sides:
        """Sides of treatments d (n,) with propensities e (n, A) and row weights w (n,)."""
        own = e[:, arm]
        if meant is None:
            side = np.where(d == arm, OWN, OTHER)
            pair = np.column_stack([1 - own, own])
        else:
            side = np.select([d == arm, d == meant], [OWN, OTHER], NEITHER)
            pair = e[:, [meant, arm]] / (own + e[:, meant])[:, None]
        both = side != NEITHER
        return cls(arm, meant, side, pair, clip_bound(side[both], w[both]))

    def weights(self, c: float) -> Array:
        """omega under the bound c for rows of arm a, shape (n,)."""
        weigh = ate_weights if self.meant is None else atu_weights
        return weigh(self.d, self.e, c)

    def score(self, y: Array, mu_a: Array, c: float) -> LinearScore:
        """Score of the mean under arm a; mu_a has shape (n,)."""
        members = np.ones(len(y)) if self.meant is None else (self.d == OTHER).astype(float)
        own = (self.d == OWN) * self.weights(c)
        return LinearScore(members * mu_a + own * (y - mu_a), members)

    def solve(self, y: Array, mu_a: Array, sampling: Sampling, c: float) -> tuple[float, Array]:
        """Calibrated estimate of the mean under arm a, and its influence values (n,)."""
        w, both = sampling.weights, np.column_stack([mu_a, mu_a])
        found = calibrated_means(y, self.d, both, self.e, sampling, c, (OWN,))
        mean = found.mean[:, OWN]
        theta, _ = solve(self.score(y, mean, c), w)
        wide = mean + (y - mean) * found.inflation
        return theta, centred(influence_at(theta, self.score(wide, mean, c), w), w)

    def compare(self, sampling: Sampling) -> tuple[float, Comparison]:
        """Area under the ROC curve of the two sides, and how well one stands in for the other."""
        both = self.d != NEITHER
        pair = replace(sampling, weights=np.where(both, sampling.weights, 0.0))
        auc = separation(self.d[both], self.e[both])
        return auc, compare(OWN, self.d, self.e, pair, self.weights(self.c), self.c)


def sides_of(estimand: ArmMeans | ArmContrast, data: CausalData, e: Array) -> dict[int, Sides]:
    """Sides by the code of the arm; an arm stands in for itself without any."""
    schema = data.treatment_schema
    meant = estimand.meant(schema)
    return {
        a: Sides.of(a, meant, data.treatment, e, data.weights)
        for a in estimand.asked(schema)
        if a != meant
    }


def check_arm_overlap(
    estimand: ArmMeans | ArmContrast, data: CausalData, e: Array, sampling: Sampling
) -> tuple[dict[str, Comparison], list[Note]]:
    """Compare each arm asked for with the units it stands in for; propensities e (n, A).

    Raises
    ------
    OverlapError
        By the rules of :mod:`causal_ddpm.estimators.overlap`.
    """
    words, comparisons, notes = arm_words(data), {}, []
    for a, sides in sides_of(estimand, data, e).items():
        auc, comparison = sides.compare(sampling)
        named = ("other" if sides.meant is None else words[sides.meant], words[a])
        refuse_no_overlap(estimand.name, auc, [comparison], named)
        notes += overlap_notes(estimand.name, [comparison], named)
        comparisons[str(data.arms[a])] = comparison
    return comparisons, notes


def measured(comparison: Comparison) -> dict[str, Any]:
    """What a comparison measured, JSON-ready; on its two sides the arm is always the second."""
    return {name: value for name, value in comparison.to_dict().items() if name != "arm"}


@dataclass(frozen=True)
class ArmEffect:
    """Estimator of arm means and of contrasts of two arms.

    Parameters
    ----------
    estimand : ArmMeans or ArmContrast
    """

    estimand: ArmMeans | ArmContrast

    def estimate(self, data: CausalData, nuisances: Nuisances, level: float = 0.95) -> Estimate:
        """Score the rows of ``data`` with out-of-fold nuisances.

        Raises
        ------
        OverlapError
            If no row of an arm can stand in for the units meant.
        DataError
            If the treatment has other arms, or with fewer than five clusters.
        """
        schema = data.treatment_schema
        self.estimand.check_treatment(schema)
        sampling, e = Sampling.of(data), nuisances.propensity
        comparisons, notes = check_arm_overlap(self.estimand, data, e, sampling)
        sides = sides_of(self.estimand, data, e)
        values, phi = self._solve(data, nuisances, sides, sampling, 1.0)
        details: dict[str, Any] = {
            "clip_bounds": {str(data.arms[a]): side.c for a, side in sides.items()},
            "n_clipped": sum(k.n_clipped for k in comparisons.values()),
            "values_half_bound": self._solve(data, nuisances, sides, sampling, 0.5)[0].tolist(),
            "values_double_bound": self._solve(data, nuisances, sides, sampling, 2.0)[0].tolist(),
            "overlap": {label: measured(k) for label, k in comparisons.items()},
        }
        result = Result(self.estimand.labels(schema), values, phi, notes, details)
        return build_estimate(result, data, nuisances, self.estimand, sampling, level)

    def _solve(
        self,
        data: CausalData,
        nuisances: Nuisances,
        sides: dict[int, Sides],
        sampling: Sampling,
        factor: float,
    ) -> tuple[Array, Array]:
        """Estimates (p,) and influence values (n, p) under bounds ``factor`` times the usual."""
        y, solved = data.outcome, []
        for a in self.estimand.asked(data.treatment_schema):
            if a in sides:
                side, mu_a = sides[a], nuisances.mean[:, a]
                if self.estimand.calibrated:
                    solved.append(side.solve(y, mu_a, sampling, factor * side.c))
                else:
                    score = side.score(y, mu_a, factor * side.c)
                    solved.append(solve(score, data.weights))
            else:
                own = (data.treatment == a).astype(float)
                solved.append(solve(LinearScore(own * y, own), data.weights))
        values = np.array([theta for theta, _ in solved])
        phi = np.column_stack([influence for _, influence in solved])
        if isinstance(self.estimand, ArmContrast):
            return values[:1] - values[1:], phi[:, :1] - phi[:, 1:]
        return values, phi
