"""Effects of a binary instrument: intention to treat, complier share, LATE.

Symbols, row by row: outcome Y, treatment D, instrument Z in {0, 1}, covariates x,

    m_z = E[Y | x, Z = z],   r_z = P(D = 1 | x, Z = z),   p_z = P(Z = z | x),
    omega = Z / max(p_1, c) + (1 - Z) / max(p_0, c),   c as in :mod:`causal_ddpm.estimators.scores`.

The effects of Z on Y and on D are two average effects with the score of the ATE,

    psi_Y = m_1 - m_0 + Z omega (Y - m_1) - (1 - Z) omega (Y - m_0),      ITT   = E psi_Y
    psi_D = r_1 - r_0 + Z omega (D - r_1) - (1 - Z) omega (D - r_0),      share = E psi_D

and the LATE is their ratio: the root of psi = psi_Y - theta psi_D (Tan 2006; Froelich 2007;
Chernozhukov et al. 2018, eq. 5.6), with influence (psi_Y - theta psi_D) / share. For a covariate
g(x) the mean among compliers is E[g psi_D] / E[psi_D] (Abadie 2003; the same share weights it).

**Weak instruments.** The ratio is not normal where the share t_D = share / se is small. The
Anderson-Rubin set at a level with critical value q holds its level whatever the share,

    {theta : (ITT - theta share)^2 <= q^2 (V_YY - 2 theta V_YD + theta^2 V_DD)}

(Anderson and Rubin 1949; Fieller 1954): an interval where t_D^2 > q^2; otherwise everything but a
gap, or the whole line, which says that the data do not bound the LATE. The LATE is refused where
t_D^2 <= q^2 at its level. A warning is due below F = t_D^2 = 104.7, above which the usual 95 %
interval can be trusted whatever the correlations (Lee, McCrary, Moreira and Porter 2022, sec. 2);
below 10 the sentence is stronger (Staiger and Stock 1997).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from causal_ddpm.core.confidence_set import ConfidenceSet, quadratic_set
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, NotIdentifiedError, WeakInstrumentWarning
from causal_ddpm.core.estimand import LATE, Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.instrument import require_instrument, under_instrument
from causal_ddpm.estimators import scores
from causal_ddpm.estimators.inference import Note, Result, Sampling, build_estimate
from causal_ddpm.estimators.overlap import Comparison, check_overlap
from causal_ddpm.estimators.scores import Array, LinearScore
from causal_ddpm.nuisance.instrument import InstrumentNuisances

TRUSTED_F = 104.7
WEAK_F = 10.0

ENTRIES: tuple[str, ...] = ("ITT", "complier share")


def anderson_rubin(itt: Estimate, level: float | None = None) -> ConfidenceSet:
    """Confidence set of the LATE that holds its level however weak the instrument is.

    Parameters
    ----------
    itt : Estimate
        Of the estimand :class:`~causal_ddpm.core.estimand.ITT`.
    level : float, optional
        Confidence level; the estimate's own by default.

    Raises
    ------
    DataError
        If the estimate has other entries.
    """
    if itt.labels != ENTRIES:
        raise DataError(
            f"the estimate has the entries {list(itt.labels)}", f"those of ITT(): {list(ENTRIES)}"
        )
    level = itt.level if level is None else level
    df = None if itt.df is None else float(np.min(itt.df))
    return fieller_set(itt.values, itt.cov, _critical(level, df), level)


def fieller_set(values: Array, cov: Array, q: float, level: float) -> ConfidenceSet:
    """Ratios theta with (a - theta b)^2 <= q^2 Var(a - theta b).

    Parameters
    ----------
    values : ndarray, shape (2,)
        Numerator a and denominator b.
    cov : ndarray, shape (2, 2)
        Their covariance.
    q : float
        Critical value.
    level : float
        The level that q belongs to.
    """
    square = values[1] ** 2 - q**2 * cov[1, 1]
    mixed = values[0] * values[1] - q**2 * cov[0, 1]
    constant = values[0] ** 2 - q**2 * cov[0, 0]
    return quadratic_set(float(square), float(mixed), float(constant), level)


def check_instrument_overlap(
    estimand: Estimand, data: CausalData, propensity: Array, sampling: Sampling
) -> tuple[list[Comparison], list[Note]]:
    """Whether rows with either value of the instrument resemble each other.

    Raises
    ------
    OverlapError
    """
    z = require_instrument(data, f"the {estimand.name}")
    words = tuple(f"{data.instrument_name} = {value}" for value in (0, 1))
    return check_overlap(estimand, z, propensity, sampling, words)


@dataclass(frozen=True)
class InstrumentEffect:
    """Estimator of the LATE and of the intention to treat.

    Parameters
    ----------
    estimand : LATE or ITT
    """

    estimand: Estimand

    def estimate(
        self, data: CausalData, nuisances: InstrumentNuisances, level: float = 0.95
    ) -> Estimate:
        """Score the rows of ``data`` with out-of-fold nuisances.

        Raises
        ------
        DataError
            If there is no binary instrument, or fewer than five clusters.
        OverlapError
            If rows with the instrument at 0 and at 1 are not comparable.
        NotIdentifiedError
            For the LATE, where the complier share cannot be told from zero at ``level``.
        """
        sampling = Sampling.of(data)
        Sampling.of(under_instrument(data))
        found, notes = check_instrument_overlap(self.estimand, data, nuisances.propensity, sampling)
        psi_y, psi_d = instrument_scores(data, nuisances)
        stage, phi = first_stage(psi_y, psi_d, sampling, level)
        z, name = require_instrument(data, "a LATE"), str(data.instrument_name)
        details: dict[str, Any] = {
            "clip_bound": scores.clip_bound(z, data.weights),
            "overlap": [k.to_dict() for k in found],
            **stage.to_dict(),
        }
        labels, values = ENTRIES, stage.values
        if isinstance(self.estimand, LATE):
            stage.refuse_no_first_stage(name)
            notes = [*notes, *stage.notes(name)]
            theta, late = scores.solve(LinearScore(psi_y, psi_d), data.weights)
            labels, values, phi = ("LATE",), np.array([theta]), late[:, None]
            details["complier_means"] = complier_means(data, psi_d)
        why = instrument_assumptions(data, self.estimand)
        result = Result(labels, values, phi, notes, details, assumptions=why)
        return build_estimate(result, data, nuisances, self.estimand, sampling, level)


def instrument_scores(data: CausalData, nuisances: InstrumentNuisances) -> tuple[Array, Array]:
    """psi_Y and psi_D of every row, shape (n,) each; see the module page."""
    z = require_instrument(data, "the scores of an instrument")
    c = scores.clip_bound(z, data.weights)
    omega = scores.ate_weights(z, nuisances.propensity, c)
    d = data.treatment.astype(float)
    return (
        scores.ate_score(data.outcome, z, nuisances.outcome, omega).psi_b,
        scores.ate_score(d, z, nuisances.take_up, omega).psi_b,
    )


def complier_means(data: CausalData, psi_d: Array) -> dict[str, dict[str, float]]:
    """Mean of each numeric or yes/no confounder among compliers and among all rows.

    Rows in which the confounder is missing are left out of both.
    """
    found = {}
    for column, g in zip(data.covariates.columns, data.covariates.values.T, strict=True):
        seen = np.isfinite(g) & (data.weights > 0)
        w = data.weights[seen]
        if column.kind != "categorical" and abs(w @ psi_d[seen]) > 0:
            found[column.name] = {
                "compliers": float((w * psi_d[seen]) @ g[seen] / (w @ psi_d[seen])),
                "all": float(np.average(g[seen], weights=w)),
            }
    return found


@dataclass(frozen=True, eq=False)
class FirstStage:
    """How strongly the instrument moves the treatment, and what that bounds.

    Parameters
    ----------
    values, cov : ndarray, shapes (2,) and (2, 2)
        ITT and complier share, and their covariance.
    q : float
        Critical value at the level.
    anderson_rubin : ConfidenceSet
    """

    values: Array
    cov: Array
    q: float
    anderson_rubin: ConfidenceSet

    @property
    def t(self) -> float:
        """t statistic of the complier share; infinite where it is known exactly."""
        se = float(np.sqrt(self.cov[1, 1]))
        return float(self.values[1] / se) if se > 0 else float(np.copysign(np.inf, self.values[1]))

    def refuse_no_first_stage(self, instrument: str) -> None:
        """Refuse a ratio whose denominator may be zero.

        Raises
        ------
        NotIdentifiedError
        """
        if abs(self.t) <= self.q or self.values[1] == 0:
            level = self.anderson_rubin.level
            raise NotIdentifiedError(
                f"The LATE is not identified: the instrument '{instrument}' moves "
                f"{self.values[1]:.1%} of the units (t = {self.t:.2f}), a share that cannot be "
                f"told from zero; the {level:.0%} Anderson-Rubin set is {self.anderson_rubin}. "
                "Expected an instrument that moves the treatment; ask for ITT() to see its effects."
            )

    def notes(self, instrument: str) -> list[Note]:
        """Warnings about a weak instrument, and about one that works against the treatment."""
        notes, f = [], self.t**2
        trusted = f"the {self.anderson_rubin.level:.0%} Anderson-Rubin set is {self.anderson_rubin}"
        if f < WEAK_F:
            notes.append(
                f"Weak instrument: first-stage F = {f:.1f}, below {WEAK_F:.0f}; do not use the "
                f"usual interval, {trusted}."
            )
        elif f < TRUSTED_F:
            notes.append(
                f"First-stage F = {f:.1f}: below {TRUSTED_F:g} the usual interval may cover less "
                f"than it says where the treatment is strongly confounded; {trusted}."
            )
        if self.values[1] < 0:
            notes.append(
                f"The instrument '{instrument}' keeps units from the treatment: compliers are "
                "those who are treated only where it is 0."
            )
        return [Note(WeakInstrumentWarning, text) for text in notes]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        se = np.sqrt(np.diag(self.cov))
        return {
            "itt": float(self.values[0]),
            "itt_std_error": float(se[0]),
            "complier_share": float(self.values[1]),
            "complier_share_std_error": float(se[1]),
            "first_stage_t": self.t if np.isfinite(self.t) else None,
            "anderson_rubin": self.anderson_rubin.to_dict(),
        }


def first_stage(
    psi_y: Array, psi_d: Array, sampling: Sampling, level: float
) -> tuple[FirstStage, Array]:
    """Both effects of the instrument, and their centred influence values (n, 2)."""
    psi, w = np.column_stack([psi_y, psi_d]), sampling.weights
    values = w @ psi / w.sum()
    phi = psi - values
    cov = sampling.covariance(sampling.influence(phi))
    q = _critical(level, sampling.df)
    return FirstStage(values, cov, q, fieller_set(values, cov, q, level)), phi


def instrument_assumptions(data: CausalData, estimand: Estimand) -> tuple[str, ...]:
    """What carries an effect of the instrument, and what makes a LATE of it."""
    names, z = ", ".join(data.confounder_names), data.instrument_name
    who = "rows" if data.clusters is None else f"clusters of {data.clusters_name}"
    shared = (
        f"As good as random: among units with equal {names}, the value of {z} does not depend on "
        "the potential outcomes or on who would take the treatment.",
        f"Overlap: every unit could have had {z} = 0 or {z} = 1.",
        "Stable units: a unit's outcome does not depend on the treatment of others, and there is "
        "one version of the treatment.",
        f"The {who} are independent draws from the population.",
    )
    if not isinstance(estimand, LATE):
        return shared
    return (
        *shared,
        f"Exclusion: {z} touches the outcome only through the treatment.",
        f"Monotonicity: {z} moves nobody against its direction (no defiers).",
        f"Relevance: {z} moves some units.",
    )


def _critical(level: float, df: float | None) -> float:
    q = (1 + level) / 2
    return float(stats.norm.ppf(q) if df is None else stats.t.ppf(q, df))
