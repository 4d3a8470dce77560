"""The average effect in the overlap (ATO).

With e(x) = P(D = 1 | x), the *tilting function* h(e) = e (1 - e) and tau(x) = mu_1(x) - mu_0(x),

    ATO = E[h(e(X)) tau(X)] / E[h(e(X))]

(Crump, Hotz, Imbens and Mitnik 2009; Li, Morgan and Zaslavsky 2018). It is the average, among all
h-weighted ones, that a sample can tell most about when the noise is homoskedastic.

**Score.** The propensity is estimated, and h depends on it. The influence function of E[h tau] is
that of a mean under known weights h plus the derivative h'(e) = 1 - 2e times the influence D - e of
the propensity (Hirano, Imbens and Ridder 2003; Li and Li 2019), likewise for E[h]:

    psi_b = h tau + D (1 - e)(Y - mu_1) - (1 - D) e (Y - mu_0) + (1 - 2e)(D - e) tau
    psi_a = h + (1 - 2e)(D - e)

As D is 0 or 1, h + (1 - 2e)(D - e) = (D - e)^2, and with m(x) = E[Y | x] = mu_0 + e tau

    psi_b - theta psi_a = (D - e) (Y - m - theta (D - e)),

Robinson's (1988) residual-on-residual score: the coefficient of the partially linear model is the
ATO, whether or not that model holds. Small errors of e, mu_0 and mu_1 do not move its mean to first
order. Nothing is divided by a propensity and nothing is clipped.

**Overlap.** With h = 1/4 everywhere each row tells as much as in a fair experiment, so 4 sum h rows
of such an experiment are at hand, as the propensities have it; 4 sum (D - e)^2 as the treatments
turned out. n_overlap is the smaller one. Refusal: n_overlap < 20, or the treatments show less than
half of what the propensities promise. Warning: n_overlap below 100, or one row with more than 10 %
of an arm's weight |D - e|.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import OverlapError, OverlapWarning
from causal_ddpm.core.estimand import ATO, Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.estimators.inference import ARM_WORDS, Note, Result, Sampling, build_estimate
from causal_ddpm.estimators.overlap import LARGE_SHARE
from causal_ddpm.estimators.scores import (
    Arms,
    Array,
    LinearScore,
    effective_sample_size,
    solve,
)
from causal_ddpm.nuisance.crossfit import Nuisances

MIN_OVERLAP_ROWS = 20.0
FEW_OVERLAP_ROWS = 100.0
MIN_SHOWN = 0.5


def ato_score(y: Array, d: Arms, mu: Array, e: Array) -> LinearScore:
    """Score of the ATO; mu and e have shape (n, 2)."""
    mu0, mu1, e1 = mu[:, 0], mu[:, 1], e[:, 1]
    tau = mu1 - mu0
    psi_a = e1 * (1 - e1) + (1 - 2 * e1) * (d - e1)
    residual = d * (1 - e1) * (y - mu1) - (1 - d) * e1 * (y - mu0)
    return LinearScore(psi_a * tau + residual, psi_a)


@dataclass(frozen=True)
class InOverlap:
    """How much the rows can say about the overlap; see the module page.

    Parameters
    ----------
    n_overlap : float
        Rows of a fair experiment that say as much.
    shown : float
        4 sum (D - e)^2 as a share of 4 sum h; about one for right propensities.
    share : float
        4 x weighted mean of h: one where every treatment was a toss-up.
    effective_n, largest_share : tuple of float
        Untreated first: equally weighted rows that say as much, and the largest weight of a row.
    """

    n_overlap: float
    shown: float
    share: float
    effective_n: tuple[float, ...]
    largest_share: tuple[float, ...]

    @classmethod
    def of(cls, d: Arms, e: Array, sampling: Sampling) -> InOverlap:
        """Measure treatments d (n,) and propensities e (n, 2)."""
        w, counts, e1 = sampling.weights, sampling.counts, e[:, 1]
        h, omega = e1 * (1 - e1), w * np.abs(d - e1)
        per_row = omega / np.maximum(counts, 1.0)
        arms = [np.where(d == a, omega, 0.0) for a in (0, 1)]
        largest = [per_row[d == a].max() / max(arms[a].sum(), 1e-300) for a in (0, 1)]
        promised, turned_out = 4 * float(counts @ h), 4 * float(counts @ (d - e1) ** 2)
        return cls(
            n_overlap=min(promised, turned_out),
            shown=turned_out / max(promised, 1e-300),
            share=4 * float(w @ h / w.sum()),
            effective_n=tuple(effective_sample_size(arm, counts) for arm in arms),
            largest_share=tuple(map(float, largest)),
        )


def check_units_in_overlap(
    estimand: Estimand, data: CausalData, e: Array, sampling: Sampling
) -> tuple[InOverlap, list[Note]]:
    """Refuse where hardly any unit could have gone either way, and warn where few could.

    Raises
    ------
    OverlapError
        By the rules of the module page.
    """
    found = InOverlap.of(data.treatment, e, sampling)
    told = f"the {sampling.n_rows:,} rows say as much as {found.n_overlap:.1f} of a fair experiment"
    if found.n_overlap < MIN_OVERLAP_ROWS or found.shown < MIN_SHOWN:
        raise OverlapError(
            f"No overlap for the {estimand.name}: {told}, {found.shown:.0%} of what their "
            f"propensities promise; expected at least {MIN_OVERLAP_ROWS:.0f} and {MIN_SHOWN:.0%}. "
            "The confounders all but decide the treatment: drop those that do, or look for units "
            "whose treatment was open."
        )
    reasons = [told] if found.n_overlap < FEW_OVERLAP_ROWS else []
    reasons += [
        f"one {word} row carries {share:.0%} of the weight"
        for word, share in zip(ARM_WORDS, found.largest_share, strict=True)
        if share > LARGE_SHARE
    ]
    text = f"Weak overlap for the {estimand.name}: {'; '.join(reasons)}."
    return found, [Note(OverlapWarning, text)] if reasons else []


@dataclass(frozen=True)
class OverlapWeightedEffect:
    """Estimator of the ATO."""

    estimand: ATO

    def estimate(self, data: CausalData, nuisances: Nuisances, level: float = 0.95) -> Estimate:
        """Score the rows of ``data`` with out-of-fold nuisances.

        Raises
        ------
        OverlapError
            If hardly any unit could have gone either way.
        DataError
            With fewer than five clusters.
        """
        self.estimand.check_treatment(data.treatment_schema)
        sampling = Sampling.of(data)
        e = nuisances.propensity
        found, notes = check_units_in_overlap(self.estimand, data, e, sampling)
        score = ato_score(data.outcome, data.treatment, nuisances.mean, e)
        theta, phi = solve(score, data.weights)
        result = Result(
            (self.estimand.name,), np.array([theta]), phi[:, None], notes, asdict(found)
        )
        return build_estimate(result, data, nuisances, self.estimand, sampling, level)
