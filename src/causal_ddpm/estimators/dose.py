r"""Dose-response curves: local regression of doubly robust outcomes, with robust bias correction.

Symbols, row by row: outcome Y, dose A, confounders x, row weight w (E_n: weighted means),
mu(x, a) = E[Y | x, A = a] and f(a | x), the density of A given x, both out of fold, and

    m(a) = E_n mu(x_j, a)        f(a) = E_n f(a | x_j)        r = min(f(A) / f(A | x), 20)

**Score.** The doubly robust outcome

    xi = r (Y - mu(x, A)) + m(A)

has E[xi | A = a] = theta(a) = E[Y(a)] if mu or f(a | x) is right (Kennedy, Ma, McHugh and Small
2017, section 3.1), and its regression on A is the curve.

**Estimate.** theta(a) is not estimable at the rate root-n; a local linear fit with the bandwidth h
of least mean squared error has a bias as large as its standard error, and its interval is about
something else than theta(a). The bias is estimated by a fit of one order more at the same bandwidth
and taken off, which is that fit (Calonico, Cattaneo and Farrell 2018, remark 7): so

    theta(a)    local quadratic, at the bandwidth of the local linear fit
    theta'(a)   local cubic slope, at the bandwidth of the local quadratic slope

(:mod:`causal_ddpm.estimators.local_polynomial`). h is never smaller than what holds 30 rows.

**Influence.** The estimate is T = sum_k w_k l_k xi_k. With the nuisances held fixed its derivative
in the weight of row i is, W = sum w,

    phi_i = W l_i (xi_i - fit_i) / (1 - h_ii)
            + sum_k w_k l_k (mu(x_i, A_k) - m(A_k))
            + sum_k w_k l_k (Y_k - mu_k) (f(A_k | x_i) - f(A_k)) / f(A_k | x_k)

the last two because m and f are themselves averages over the rows. h_ii is the leverage of the row
(jackknife, HC3). Intervals are T -/+ z se for theta(a) itself; se follows from phi, so weights,
clusters, contrasts between doses and differences of estimates are those of any other estimate.

**Band.** The Gaussian multiplier bootstrap of the curve, sum_i e_i phi_i with e_i ~ N(0, 1), is,
given the data, exactly normal with the covariance of phi: ``Estimate.interval(simultaneous=True)``
draws the largest studentised deviation over the grid from that law (Chernozhukov, Chetverikov and
Kato 2014; for this curve Takatsu and Westling 2022).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import OverlapError, OverlapWarning, SmallSampleWarning
from causal_ddpm.core.estimand import DoseResponse
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.estimators.inference import Note, Result, Sampling, build_estimate
from causal_ddpm.estimators.local_polynomial import (
    LocalFit,
    central_quantiles,
    local_fit,
    reaching,
    rule_of_thumb,
)
from causal_ddpm.estimators.scores import Array, effective_sample_size
from causal_ddpm.nuisance.dose import DoseNuisances

MAX_RATIO = 20.0
"""Bound of f(A) / f(A | x), the weight of a residual."""

MIN_LOCAL_ROWS = 30
"""A bandwidth holds at least as many rows."""

MIN_EFFECTIVE_N = 10.0
FEW_EFFECTIVE = 25.0
LARGE_SHARE = 0.2
FAIR_MASS = (0.7, 1.4)
FEW_LOCAL_ROWS = 50
LEAST_SLACK = 0.2
"""Smallest 1 - h_ii, so that a row which fits itself does not divide by zero."""

HEAP_SHARE = 0.05


@dataclass(frozen=True, eq=False)
class PseudoOutcomes:
    """The doubly robust outcomes and what they are made of.

    Parameters
    ----------
    xi : ndarray, shape (n,)
    ratio : ndarray, shape (n,)
        r.
    clipped : ndarray of bool, shape (n,)
        Where r is its bound.
    at_dose : ndarray, shape (n, G)
        Row k interpolates values at the nodes to A_k, by a cubic spline.
    at_density : ndarray, shape (n, G)
        The same at the dose at which f was read.
    mean, density : ndarray, shape (G,)
        m and f at the nodes.
    """

    xi: Array
    ratio: Array
    clipped: Array
    at_dose: Array
    at_density: Array
    mean: Array
    density: Array


def pseudo_outcomes(data: CausalData, nuisances: DoseNuisances) -> PseudoOutcomes:
    """xi of every row; see the module page."""
    w, nodes = data.weights, nuisances.nodes
    mu, f = nuisances.mean, nuisances.density
    dose = data.treatment if f.dose is None else np.clip(f.dose, nodes[0], nodes[-1])
    interpolate = CubicSpline(nodes, np.eye(len(nodes)))
    at_dose, at_density = interpolate(data.treatment), interpolate(dose)
    mean, density = w @ mu.grid / w.sum(), w @ f.grid / w.sum()
    marginal = np.maximum(at_density @ density, 0.0)
    clipped = marginal >= MAX_RATIO * f.own
    ratio = np.where(clipped, MAX_RATIO, marginal / np.where(clipped, 1.0, f.own))
    xi = ratio * (data.outcome - mu.own) + at_dose @ mean
    return PseudoOutcomes(xi, ratio, clipped, at_dose, at_density, mean, density)


@dataclass(frozen=True)
class Neighbourhood:
    """What carries the estimate at one dose.

    Parameters
    ----------
    dose, bandwidth : float
    n_rows : int
        Rows within the bandwidth.
    effective_n : float
        (sum u)^2 / sum u^2 of their weights u = w K r.
    largest_share : float
        The largest single weight over their sum.
    mass : float
        Mean of r near the dose, weighted by w K; one with the true densities.
    """

    dose: float
    bandwidth: float
    n_rows: int
    effective_n: float
    largest_share: float
    mass: float


@dataclass(frozen=True)
class DoseCurve:
    """Estimator of a dose-response curve or its slope.

    Parameters
    ----------
    estimand : DoseResponse
    """

    estimand: DoseResponse

    def estimate(self, data: CausalData, nuisances: DoseNuisances, level: float = 0.95) -> Estimate:
        """The curve at the doses of the estimand.

        Raises
        ------
        DataError
            If a dose lies outside the observed range.
        OverlapError
            If the rows near a dose count as fewer than ten.
        """
        self.estimand.check_treatment(data.treatment_schema)
        sampling = Sampling.of(data)
        doses, order = doses_of(self.estimand, data), self.estimand.order + 2
        pseudo = pseudo_outcomes(data, nuisances)
        bandwidths = self._bandwidths(data, sampling, pseudo.xi, doses)
        fit = local_fit(
            data.treatment, pseudo.xi, data.weights, doses, bandwidths, order, self.estimand.order
        )
        phi = influence(data, nuisances, pseudo, fit, sampling)
        near = neighbourhoods(doses, bandwidths, fit.kernel, pseudo.ratio, sampling)
        refuse_no_overlap(near)
        details: dict[str, Any] = {
            "grid": doses.tolist(),
            "derivative": self.estimand.derivative,
            "bandwidths": bandwidths.tolist(),
            "order": order,
            "n_clipped": int(sampling.counts @ pseudo.clipped),
            "overlap": [asdict(k) for k in near],
        }
        result = Result(
            labels=tuple(self.estimand.label(dose) for dose in doses),
            values=fit.weights @ (data.weights * pseudo.xi),
            phi=phi,
            notes=[*overlap_notes(near, pseudo, sampling), *heap_notes(data)],
            details=details,
            assumptions=assumptions_of(data),
        )
        return build_estimate(result, data, nuisances, self.estimand, sampling, level)

    def _bandwidths(self, data: CausalData, sampling: Sampling, xi: Array, doses: Array) -> Array:
        """h at each dose: by the rule of thumb, and wide enough for rows and values."""
        derivative, dose = self.estimand.order, data.treatment
        counted = data.weights * effective_sample_size(data.weights, sampling.counts)
        counted = counted / data.weights.sum()
        h = rule_of_thumb(dose, xi, counted, derivative + 1, derivative)
        values = np.unique(dose[data.weights > 0])
        rows = reaching(dose, sampling.counts, doses, MIN_LOCAL_ROWS)
        distinct = reaching(values, np.ones(len(values)), doses, derivative + 5)
        return np.maximum(h, 1.01 * np.maximum(rows, distinct))


def doses_of(estimand: DoseResponse, data: CausalData) -> Array:
    """The doses asked for, or evenly spaced ones between the 5 % and the 95 % quantile."""
    if estimand.doses is not None:
        return np.asarray(estimand.doses)
    low, high = central_quantiles(data.treatment, data.weights)
    return np.unique(np.linspace(low, high, estimand.n_points))


def influence(
    data: CausalData,
    nuisances: DoseNuisances,
    pseudo: PseudoOutcomes,
    fit: LocalFit,
    sampling: Sampling,
    jackknife: bool = True,
) -> Array:
    """phi, shape (n, p); see the module page."""
    w = data.weights
    own = fit.weights * (pseudo.xi - fit.fitted)
    if jackknife:
        per_row = np.divide(w, sampling.counts, out=np.zeros_like(w), where=sampling.counts > 0)
        own = own / np.maximum(1.0 - per_row * fit.leverage, LEAST_SLACK)
    weighted = fit.weights * w
    residual = np.where(pseudo.clipped, 0.0, data.outcome - nuisances.mean.own)
    score = residual / np.where(pseudo.clipped, 1.0, nuisances.density.own)
    averages = (weighted @ pseudo.at_dose) @ (nuisances.mean.grid - pseudo.mean).T
    averages += ((weighted * score) @ pseudo.at_density) @ (
        nuisances.density.grid - pseudo.density
    ).T
    return np.asarray((own * w.sum() + averages).T)


def neighbourhoods(
    doses: Array, bandwidths: Array, kernel: Array, ratio: Array, sampling: Sampling
) -> list[Neighbourhood]:
    """Diagnostics of overlap, one a dose."""
    w, counts, found = sampling.weights, sampling.counts, []
    for dose, h, k in zip(doses, bandwidths, kernel, strict=True):
        u = w * k * ratio
        per_row = np.divide(u, counts, out=np.zeros_like(u), where=counts > 0)
        total = max(float(u.sum()), np.finfo(float).tiny)
        found.append(
            Neighbourhood(
                dose=float(dose),
                bandwidth=float(h),
                n_rows=int(counts @ (k > 0)),
                effective_n=effective_sample_size(u, counts),
                largest_share=float(per_row.max()) / total,
                mass=float(u.sum() / (w @ k)),
            )
        )
    return found


def refuse_no_overlap(near: list[Neighbourhood]) -> None:
    """Refuse a dose that no rows can speak of.

    Raises
    ------
    OverlapError
    """
    for k in near:
        if k.effective_n < MIN_EFFECTIVE_N:
            raise OverlapError(
                f"No overlap at the dose {k.dose:g}: the {k.n_rows:,} rows within "
                f"{k.bandwidth:.3g} of it count as {k.effective_n:.1f} comparable ones; expected "
                f"at least {MIN_EFFECTIVE_N:g}. Leave the dose out, or drop confounders that "
                "decide the dose."
            )


def overlap_notes(
    near: list[Neighbourhood], pseudo: PseudoOutcomes, sampling: Sampling
) -> list[Note]:
    """Warnings about doses with weak overlap and about doses with few rows."""
    notes, low = [], FAIR_MASS
    reasons = {
        f"rows count as fewer than {FEW_EFFECTIVE:g} comparable ones": [
            k.dose for k in near if k.effective_n < FEW_EFFECTIVE
        ],
        f"one row carries more than {LARGE_SHARE:.0%} of the weight": [
            k.dose for k in near if k.largest_share > LARGE_SHARE
        ],
        f"weights average outside {low[0]:g} to {low[1]:g} instead of 1": [
            k.dose for k in near if not low[0] <= k.mass <= low[1]
        ],
    }
    weak = [f"near {_listed(doses)} {why}" for why, doses in reasons.items() if doses]
    clipped = int(sampling.counts @ pseudo.clipped)
    if clipped >= 0.01 * sampling.n_rows:
        weak.append(f"the weights of {clipped:,} rows were bounded at {MAX_RATIO:g}")
    if weak:
        text = f"Weak overlap for the dose-response curve: {'; '.join(weak)}."
        notes.append(Note(OverlapWarning, text))
    few = [k.dose for k in near if k.n_rows < FEW_LOCAL_ROWS]
    if few:
        text = f"Few doses: fewer than {FEW_LOCAL_ROWS} rows lie near {_listed(few)}."
        notes.append(Note(SmallSampleWarning, text))
    return notes


def heap_notes(data: CausalData) -> list[Note]:
    """A warning about a value that many rows share."""
    values, codes = np.unique(data.treatment, return_inverse=True)
    share = np.bincount(codes, weights=data.weights) / data.weights.sum()
    top = int(share.argmax())
    if share[top] <= HEAP_SHARE:
        return []
    text = (
        f"Heaped doses: {share[top]:.0%} of the rows have the dose {values[top]:g}. The curve is "
        "smooth across it; if that dose is a state of its own (such as none), compare it as an arm."
    )
    return [Note(SmallSampleWarning, text)]


def assumptions_of(data: CausalData) -> tuple[str, ...]:
    """What carries the curve, in plain sentences."""
    names = ", ".join(data.confounder_names)
    who = "rows" if data.clusters is None else f"clusters of {data.clusters_name}"
    return (
        f"Unconfoundedness: among units with equal {names}, the dose that a unit gets does not "
        "depend on its potential outcomes.",
        "Overlap: every unit could have got every dose near those asked for.",
        "Smoothness: the mean outcome has three continuous derivatives in the dose (its slope: "
        "four).",
        "Stable units: a unit's outcome does not depend on the doses of others, and there is one "
        "version of each dose.",
        "The confounders were determined before the dose.",
        f"The {who} are independent draws from the population.",
    )


def _listed(doses: list[float]) -> str:
    shown = ", ".join(f"{dose:g}" for dose in doses[:6])
    more = f" and {len(doses) - 6} more" if len(doses) > 6 else ""
    return f"the dose{'s' if len(doses) > 1 else ''} {shown}{more}"
