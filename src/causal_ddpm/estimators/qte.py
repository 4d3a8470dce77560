"""Distributions of the two potential outcomes and quantile effects, corrected doubly robustly.

The corrected distribution function of :mod:`causal_ddpm.estimators.scores` is averaged on a grid,
rearranged and inverted. Inference is by **multiplier bootstrap**: every row (or cluster) gets an
Exp(1) weight xi_i (a row that counts w identical rows gets the sum of w such draws, Gamma(w)), the
*same* for both arms, and

    F*_a(y) = sum_i w_i xi_i psi_b,i(y; a) / sum_i w_i xi_i g_i

is rearranged and inverted in the same way (Belloni, Chernozhukov, Fernandez-Val and Hansen 2017,
section 3). Nuisances are held fixed. Pointwise intervals are percentiles of the draws, uniform
bands studentise them.

A quantile has the influence -(phi_i(q) - F(q)) / f(q). No bandwidth is chosen for the density f:
1/f(q) is the ratio of the bootstrap standard deviation of the quantile to that of F(q), so that
the influence values and the bootstrap agree on the standard error.

In the tails of a distribution function hardly a row of the arm remains, and the estimated standard
error tends to zero faster than the error itself. It is therefore never taken below 1.5 / n_a, n_a
the effective number of rows of the arm: where no row is left, twice that is the 3 / n_a of the rule
of three. Measured with oracle nuisances, the 95 % uniform bands of both curves covered .63 to .79
at n = 300 without this floor, .93 to .97 with it (n = 1000: .95 and .98), and were no wider.

**Atoms.** A value with more than 5 % of the outcome's mass stands on the grid with its two
observed neighbours, and no mass is placed between them; an outcome with at most 50 values puts
mass on those values only. Nothing is placed outside the observed range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import QTE, PotentialDistributions
from causal_ddpm.core.estimate import EffectCurve, Estimate
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.estimators import scores
from causal_ddpm.estimators.inference import Note, Result, Sampling, build_estimate
from causal_ddpm.estimators.overlap import check_overlap
from causal_ddpm.estimators.scores import Array
from causal_ddpm.nuisance.crossfit import Nuisances

N_BOOTSTRAP = 999
QUANTILE_GRID = 401
ATOM_SHARE = 0.05
FEW_VALUES = 50
TAIL_ROWS = 1.5
_CHUNK = 2048


@dataclass(frozen=True, eq=False)
class OutcomeGrid:
    """Outcome values on which distribution functions are computed.

    Parameters
    ----------
    points : ndarray, shape (G,)
        Ascending observed values, from the smallest to the largest.
    jumps : ndarray of bool, shape (G - 1,)
        True where no mass lies strictly between two points.
    """

    points: Array
    jumps: NDArray[np.bool_]


def outcome_grid(y: Array, w: Array, n_points: int) -> OutcomeGrid:
    """Grid over the weighted quantiles of y, with atoms and their neighbours."""
    support, codes = np.unique(y[w > 0], return_inverse=True)
    mass = np.bincount(codes, weights=w[w > 0]) / w.sum()
    if len(support) <= FEW_VALUES:
        return OutcomeGrid(support, np.ones(len(support) - 1, dtype=bool))
    levels = np.linspace(0.0, 1.0, n_points)
    spread = np.searchsorted(np.cumsum(mass), levels * (1 - 1e-12), side="left")
    atoms = np.flatnonzero(mass > ATOM_SHARE)
    kept = np.concatenate([[0, len(support) - 1], spread, atoms - 1, atoms, atoms + 1])
    kept = np.unique(np.clip(kept, 0, len(support) - 1))
    is_atom = mass[kept] > ATOM_SHARE
    return OutcomeGrid(support[kept], is_atom[:-1] | is_atom[1:])


@dataclass(frozen=True, eq=False)
class CorrectedLaw:
    """Doubly robust distribution functions of both arms with their bootstrap.

    Parameters
    ----------
    grid : OutcomeGrid
    cdf : ndarray, shape (2, G)
        Rearranged estimates.
    draws : ndarray, shape (2, B, G)
        Rearranged bootstrap draws.
    """

    grid: OutcomeGrid
    cdf: Array
    draws: Array

    def quantiles(self, arm: int, levels: Array) -> tuple[Array, Array]:
        """Quantiles (p,) of one arm and their bootstrap draws (B, p)."""
        points, jumps = self.grid.points, self.grid.jumps
        both = np.vstack([self.cdf[arm], self.draws[arm]])
        q = scores.inverted(both, levels, points, jumps)
        return q[0], q[1:]


def multipliers(
    sampling: Sampling, n_draws: int, random_state: Seed
) -> Iterator[tuple[slice, Array]]:
    """Row slices with their bootstrap weights w_i xi_i, shape (B, rows)."""
    w, clusters = sampling.weights, sampling.clusters
    by_cluster = None
    if clusters is not None:
        rng = stream(random_state, "multipliers", "clusters")
        by_cluster = rng.exponential(size=(n_draws, int(clusters.max()) + 1))
    for k, start in enumerate(range(0, len(w), _CHUNK)):
        rows = slice(start, start + _CHUNK)
        rng = stream(random_state, "multipliers", k)
        if by_cluster is not None and clusters is not None:
            yield rows, by_cluster[:, clusters[rows]] * w[rows]
        elif sampling.independent_copies:
            yield rows, rng.standard_gamma(w[rows], size=(n_draws, len(w[rows])))
        else:
            yield rows, rng.exponential(size=(n_draws, len(w[rows]))) * w[rows]


@dataclass(frozen=True, eq=False)
class _Arm:
    """What the distribution of one potential outcome is computed from; g and omega as in scores."""

    y: Array
    g: Array
    omega: Array
    nuisances: Nuisances
    arm: int

    def psi(self, grid: Array, rows: slice = slice(None)) -> Array:
        """psi_b(grid; a) of some rows, shape (rows, G)."""
        assert self.nuisances.laws is not None
        cdf = self.nuisances.laws[self.arm].rows(rows).cdf(grid)
        return scores.cdf_scores(self.y[rows], self.g[rows], cdf, self.omega[rows], grid)

    def phi(self, grid: Array, w: Array) -> Array:
        """Centred influence of F_a(grid), (psi_b - F psi_a) / J, shape (n, G)."""
        psi = self.psi(grid)
        cdf = w @ psi / (w @ self.g)
        return (psi - cdf * self.g[:, None]) * (w.sum() / (w @ self.g))

    def effective_n(self, w: Array) -> float:
        """Effective number of rows that carry the distribution."""
        return scores.effective_sample_size((w * self.omega)[self.omega > 0])


def corrected_law(
    arms: Sequence[_Arm], sampling: Sampling, grid: OutcomeGrid, n_draws: int, random_state: Seed
) -> CorrectedLaw:
    """Average psi over rows, once plainly and once for each set of multipliers."""
    g, w = arms[0].g, sampling.weights
    total = np.zeros((2, len(grid.points)))
    boot = np.zeros((2, n_draws, len(grid.points)))
    mass = np.zeros(n_draws)
    for rows, xi in multipliers(sampling, n_draws, random_state):
        mass += xi @ g[rows]
        for a, arm in enumerate(arms):
            psi = arm.psi(grid.points, rows)
            total[a] += w[rows] @ psi
            boot[a] += xi @ psi
    cdf = scores.rearranged(total / (w @ g))
    return CorrectedLaw(grid, cdf, scores.rearranged(boot / mass[:, None]))


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
        sampling, arms, notes, details = _prepare(self.estimand, data, nuisances)
        grid = outcome_grid(data.outcome, data.weights, QUANTILE_GRID)
        law = corrected_law(arms, sampling, grid, self.n_bootstrap, self.random_state)
        u = np.asarray(self.estimand.levels)
        (q0, draws0), (q1, draws1) = law.quantiles(0, u), law.quantiles(1, u)
        phi = _quantile_phi(arms[1], sampling, q1, draws1) - _quantile_phi(
            arms[0], sampling, q0, draws0
        )
        draws = draws1 - draws0
        details |= {
            "levels": u.tolist(),
            "quantiles_untreated": q0.tolist(),
            "quantiles_treated": q1.tolist(),
            "n_bootstrap": self.n_bootstrap,
        }
        labels = tuple(f"QTE({x:g})" for x in u)
        cov = np.atleast_2d(np.cov(draws, rowvar=False))
        result = Result(labels, q1 - q0, phi, notes, details, draws, cov)
        return build_estimate(result, data, nuisances, self.estimand, sampling, level)


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
        sampling, arms, notes, details = _prepare(self.estimand, data, nuisances)
        grid = outcome_grid(data.outcome, data.weights, self.estimand.n_points)
        law = corrected_law(arms, sampling, grid, self.n_bootstrap, self.random_state)
        points = grid.points
        phi = np.hstack([arm.phi(points, data.weights) for arm in arms])
        details |= {"grid": points.tolist(), "jumps": grid.jumps.tolist()}
        details["n_bootstrap"] = self.n_bootstrap
        labels = tuple(f"F{a}({y:g})" for a in (0, 1) for y in points)
        draws = np.hstack([law.draws[0], law.draws[1]])
        floor = np.repeat([TAIL_ROWS / arm.effective_n(data.weights) for arm in arms], len(points))
        cov = _with_floor(sampling.covariance(sampling.influence(phi)), floor)
        result = Result(labels, law.cdf.ravel(), phi, notes, details, draws, cov)
        return build_estimate(result, data, nuisances, self.estimand, sampling, level)


def distribution_curves(estimate: Estimate, level: float | None = None) -> tuple[EffectCurve, ...]:
    """The curves of Y(0) and Y(1) with bands that hold for both whole curves at once.

    Parameters
    ----------
    estimate : Estimate
        Result for :class:`~causal_ddpm.core.estimand.PotentialDistributions`.
    level : float, optional
        Confidence level; the estimate's own by default.

    Returns
    -------
    tuple of EffectCurve
        One an arm, untreated first; bands lie in [0, 1] and ascend.
    """
    grid = np.asarray(estimate.details["grid"])
    low, high = estimate.interval(level, simultaneous=True)
    curves = []
    for arm in (0, 1):
        part = slice(arm * len(grid), (arm + 1) * len(grid))
        selector = np.eye(len(estimate))[part]
        labels = estimate.labels[part]
        lower, upper = (np.sort(np.clip(x[part], 0.0, 1.0)) for x in (low, high))
        entries = estimate.contrast(selector, labels)
        curves.append(EffectCurve(grid, entries, lower, upper, uniform=True))
    return tuple(curves)


def _prepare(
    estimand: QTE | PotentialDistributions, data: CausalData, nuisances: Nuisances
) -> tuple[Sampling, tuple[_Arm, ...], list[Note], dict[str, Any]]:
    if nuisances.laws is None:
        raise DataError(
            f"the outcome model ({nuisances.method}) learned means only",
            f"a model of the whole law of the outcome for the {estimand.name}",
            "Use PotentialOutcomeModel(), the default outcome model.",
        )
    estimand.check_treatment(data.treatment_schema)
    sampling = Sampling.of(data)
    d, e = data.treatment, nuisances.propensity
    comparisons, notes = check_overlap(estimand, d, e, sampling)
    target, c = scores.TARGETS[estimand.group], scores.clip_bound(d, data.weights)
    omega, g = target.weights(d, e, c), target.members(d)
    arms = tuple(_Arm(data.outcome, g, omega * (d == a), nuisances, a) for a in (0, 1))
    details: dict[str, Any] = {
        "clip_bound": c,
        "n_clipped": sum(k.n_clipped for k in comparisons),
        "overlap": [k.to_dict() for k in comparisons],
    }
    return sampling, arms, notes, details


def _with_floor(cov: Array, floor: Array) -> Array:
    """A covariance whose standard deviations are at least ``floor``."""
    return cov + np.diag(np.maximum(floor**2 - np.diag(cov), 0.0))


def _quantile_phi(arm: _Arm, sampling: Sampling, q: Array, draws: Array) -> Array:
    """Centred influence of the quantiles q (p,) of one arm, shape (n, p)."""
    phi = arm.phi(q, sampling.weights)
    sd_cdf = np.sqrt(np.diag(sampling.covariance(sampling.influence(phi))))
    sd_quantile = draws.std(axis=0, ddof=1)
    return -phi * sd_quantile / np.where(sd_cdf > 0, sd_cdf, 1.0)
