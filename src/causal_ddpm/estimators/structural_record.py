"""The record of a structural curve; :mod:`causal_ddpm.estimators.structural` says what it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from causal_ddpm.core.anderson_rubin import (
    projected_anderson_rubin_set,
    robust_anderson_rubin_set,
)
from causal_ddpm.core.confidence_set import ConfidenceSet
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.instrument_data import InstrumentData
from causal_ddpm.core.natural_splines import NaturalSplines
from causal_ddpm.estimators.curve_smoothing import smoothed
from causal_ddpm.estimators.inference import Note, Sampling
from causal_ddpm.estimators.scores import Array
from causal_ddpm.estimators.sieve_iv import SieveFit
from causal_ddpm.nuisance.encoding import Encoder
from causal_ddpm.nuisance.structural import StructuralNuisances

NO_INTERVAL = "no valid interval"
SIEVE_CAUTION = "where so few terms cannot follow the curve this interval is too narrow and misses"
"""With three or four terms for a hump 95 % intervals covered .96 and .98; where the instruments
told one or two terms only, .28 and .44 (``benchmarks/bench_structural_iv.py``)."""

NOT_CLUSTERED = "not available for clusters and several instruments"
CENTRE = (0.05, 0.95)
N_GRID = 50


@dataclass(frozen=True, eq=False)
class StructuralCurve:
    """A structural curve; made by :func:`structural_curve`.

    Parameters
    ----------
    data : InstrumentData
    nuisances : StructuralNuisances
    fits : tuple of SieveFit
        One a number of terms, ascending.
    fit : SieveFit
        The one that everything is read from but the slope of a line.
    first_stage_f : float
        Robust F of the optimal instrument of the dose, out of fold.
    level : float
    notes : tuple of Note
    """

    data: InstrumentData
    nuisances: StructuralNuisances
    fits: tuple[SieveFit, ...]
    fit: SieveFit
    first_stage_f: float
    level: float
    notes: tuple[Note, ...] = ()

    # -- the curve -------------------------------------------------------------------------
    def value(self, doses: ArrayLike) -> Array:
        """Mean outcome if everybody got each dose, shape (m,); no interval is valid for it.

        Made smooth by :mod:`causal_ddpm.estimators.curve_smoothing`: its differences are not
        quite those of :meth:`difference`, which stand beside an interval and are not pulled.
        """
        d, w = self._checked(doses), self.data.weights
        basis = self.fit.moments.basis
        centre = np.average(basis(self.data.dose), axis=0, weights=w)
        level = np.average(self.data.outcome, weights=w)
        return np.asarray(level + (basis(d) - centre) @ self._smooth_beta)

    @cached_property
    def _smooth_beta(self) -> Array:
        fit, data, sampling = self.fit, self.data, sampling_of(self.data)
        cov = sampling.covariance(sampling.influence(fit.phi))
        basis = fit.moments.basis
        return smoothed(fit.beta, cov, basis, data.dose, data.outcome, data.weights)

    @property
    def curve(self) -> pd.DataFrame:
        """Columns dose, value, interval over the central 90 % of the doses."""
        low, high = np.quantile(self.data.dose, CENTRE)
        d = np.linspace(low, high, N_GRID)
        return pd.DataFrame({"dose": d, "value": self.value(d), "interval": NO_INTERVAL})

    # -- linear functionals ----------------------------------------------------------------
    def functional(
        self, doses: ArrayLike, weights: ArrayLike, derivative: bool = False, label: str = ""
    ) -> Estimate:
        """sum_j weights_j g(doses_j), or of slopes g'(doses_j), with a sieve standard error.

        Parameters
        ----------
        doses, weights : array_like, shape (m,)
            Weights of values must sum to zero: levels of the curve have no valid interval.
        derivative : bool
        label : str
            Name of the entry.

        Raises
        ------
        DataError
            For doses out of range or weights that do not fit.
        """
        d, c = self._checked(doses), np.atleast_1d(np.asarray(weights, dtype=float))
        if c.shape != d.shape or not np.isfinite(c).all():
            raise DataError(f"the weights have shape {c.shape}", f"{d.shape}, finite numbers")
        if not derivative and abs(c.sum()) > 1e-9 * np.abs(c).sum():
            raise DataError(
                f"the weights sum to {c.sum():g}", "weights of values that sum to zero",
                "A level of the curve has no valid interval; ask for differences or slopes.",
            )  # fmt: skip
        basis = self.fit.moments.basis
        L = c @ (basis.slope(d) if derivative else basis(d))
        return self._estimate(L, self.fit.phi @ L, label or "functional")

    def difference(self, low: float, high: float) -> Estimate:
        """g(high) - g(low)."""
        return self.functional([high, low], [1.0, -1.0], label=f"g({high:g}) - g({low:g})")

    def average_slope(self, low: float | None = None, high: float | None = None) -> Estimate:
        """Mean of g'(D) over the rows whose dose lies within bounds; the central 90 % by default.

        The error of averaging over the rows is part of the standard error.
        """
        d, w = self.data.dose, self.data.weights
        ends = np.quantile(d, CENTRE)
        ends = np.array([ends[0] if low is None else low, ends[1] if high is None else high])
        self._checked(ends)
        inside = w * ((d >= ends[0]) & (d <= ends[1]))
        if not inside.any():
            raise DataError(f"no dose lies between {ends[0]:g} and {ends[1]:g}", "low below high")
        slopes = self.fit.moments.basis.slope(d)
        L = inside @ slopes / inside.sum()
        share = (inside > 0) * w.sum() / inside.sum()
        phi = self.fit.phi @ L + share * ((slopes - L) @ self.fit.beta)
        return self._estimate(L, phi, f"average slope, dose {ends[0]:.4g} to {ends[1]:.4g}")

    @property
    def one_term_more(self) -> StructuralCurve | None:
        """The same with one term more, which the instruments do not tell; None after the last.

        An answer that it would overturn rests on the number of terms.
        """
        longer = [fit for fit in self.fits if fit.n_terms == self.n_terms + 1]
        return replace(self, fit=longer[0]) if longer else None

    # -- however weak the instruments ------------------------------------------------------
    def anderson_rubin(
        self, low: float | None = None, high: float | None = None, level: float | None = None
    ) -> ConfidenceSet:
        """A set that holds its level however weak the instruments are.

        It is made of the instruments as they were given, less their mean given the covariates.

        Parameters
        ----------
        low, high : float, optional
            Of g(high) - g(low), by projection, in a curve of as many terms as ours and with splines
            of the instruments. Without them: of the slope of a linear curve.
        level : float, optional
            Confidence level; that of the analysis by default.

        Raises
        ------
        DataError
            For one end without the other, doses out of range, or clusters, unless it is the slope
            and there is one instrument: that set is robust to heteroskedasticity and clusters, the
            others hold for independent rows with homoskedastic errors.
        """
        level = self.level if level is None else level
        if (low is None) != (high is None):
            raise DataError("one end of a difference was given", "low and high, or neither")
        line = low is None
        m = self.fits[0].moments if line else self.fit.moments
        root = np.sqrt(m.weights / m.weights.mean())[:, None]
        z = instrument_functions(self.data, 1 if line else self.n_terms)
        z = (z - self.nuisances.expectations.given_covariates(z)) * root
        y, b = m.outcome * root[:, 0], m.regressors * root
        if line and z.shape[1] == 1:
            return robust_anderson_rubin_set(y, b[:, 0], z[:, 0], root, level, self.data.clusters)
        if self.data.clusters is not None:
            raise DataError(
                "the rows are clustered", "independent rows for this set",
                "The set of a slope with one instrument allows for clusters.",
            )  # fmt: skip
        combination = np.ones(1)
        if low is not None and high is not None:
            below, above = m.basis(self._checked([low, high]))
            combination = above - below
        return projected_anderson_rubin_set(y, b, z, root, combination, level)

    @cached_property
    def slope_set(self) -> ConfidenceSet | None:
        """:meth:`anderson_rubin` of a line's slope; None where clusters and instruments forbid."""
        if self.data.clusters is not None and len(self.data.instrument_names) > 1:
            return None
        return self.anderson_rubin()

    @property
    def slope_in_words(self) -> str:
        """:attr:`slope_set` in words."""
        return NOT_CLUSTERED if self.slope_set is None else str(self.slope_set)

    # -- what is said of it ----------------------------------------------------------------
    @property
    def warnings(self) -> tuple[str, ...]:
        """What to worry about."""
        return tuple(note.text for note in self.notes)

    @property
    def n_terms(self) -> int:
        """Terms of the curve."""
        return self.fit.n_terms

    @property
    def first_stage(self) -> pd.DataFrame:
        """Columns terms, weakest_f, chosen: one row a number of terms."""
        return pd.DataFrame(
            {
                "terms": [fit.n_terms for fit in self.fits],
                "weakest_f": [fit.strength for fit in self.fits],
                "chosen": [fit is self.fit for fit in self.fits],
            }
        )

    def summary(self, warnings: bool = True) -> str:
        """The answer in sentences, with or without what to worry about."""
        slope, z = self.average_slope(), ", ".join(self.data.instrument_names)
        low, high = slope.interval()
        lines = [
            f"Structural curve of {self.data.outcome_name} in {self.data.treatment_name}, "
            f"instruments {z}, n = {self.data.n:,}",
            f"  first-stage F {self.first_stage_f:.1f}; terms of the curve: {self.n_terms}, F "
            f"{self.fit.strength:.1f} in its weakest direction",
            f"  {slope.labels[0]}: {slope.value:.4g} (SE {slope.std_error:.3g}; "
            f"{self.level:.0%} CI {low:.4g} to {high:.4g})",
            f"  {SIEVE_CAUTION}",
            *_one_term_more_in_words(self),
            f"  slope of a line, {self.level:.0%} Anderson-Rubin set: {self.slope_in_words}",
            f"  the curve itself has {NO_INTERVAL}",
            *(f"  warning: {text}" for text in self.warnings if warnings),
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return _as_dict(self)

    def __repr__(self) -> str:
        return self.summary()

    # -- inside ----------------------------------------------------------------------------
    def _checked(self, doses: ArrayLike) -> Array:
        """Doses as an array; refuses those that nobody got."""
        d = np.atleast_1d(np.asarray(doses, dtype=float))
        ends = self.data.dose.min(), self.data.dose.max()
        if d.ndim != 1 or not np.isfinite(d).all() or d.min() < ends[0] or d.max() > ends[1]:
            raise DataError(
                f"the doses are {np.array2string(d, threshold=5, precision=4)}",
                f"numbers from {ends[0]:.4g} to {ends[1]:.4g}, the doses observed",
            )
        return d

    def _estimate(self, L: Array, phi: Array, label: str) -> Estimate:
        sampling = sampling_of(self.data)
        influence = sampling.influence(phi[:, None])
        return Estimate(
            values=np.array([L @ self.fit.beta]),
            cov=sampling.covariance(influence),
            labels=(label,),
            influence=influence,
            row_ids=self.data.row_ids,
            fingerprint=self.data.fingerprint,
            estimand="functional of a structural curve",
            population="everyone",
            method=self.nuisances.method,
            n=sampling.n_rows,
            level=self.level,
            df=sampling.df,
            clusters=sampling.clusters,
            n_independent=sampling.n_independent,
            assumptions=assumptions_of(self.data),
            warnings=self.warnings,
            details={
                "n_terms": self.n_terms,
                "first_stage_f": self.first_stage_f,
                "weakest_f": self.fit.strength,
                "warning_categories": [note.category.__name__ for note in self.notes],
            },
        )


def _as_dict(found: StructuralCurve) -> dict[str, Any]:
    longer = found.one_term_more
    return {
        "curve": found.curve.to_dict(orient="list"),
        "average_slope": _fields(found.average_slope()),
        "average_slope_one_term_more": longer and _fields(longer.average_slope()),
        "anderson_rubin": found.slope_set and found.slope_set.to_dict(),
        "first_stage_f": found.first_stage_f,
        "first_stage": found.first_stage.to_dict(orient="list"),
        "assumptions": list(assumptions_of(found.data)),
        "warnings": list(found.warnings),
        "method": found.nuisances.method,
        "n": found.data.n,
        "fingerprint": found.data.fingerprint,
    }  # fmt: skip


def _one_term_more_in_words(found: StructuralCurve) -> list[str]:
    longer = found.one_term_more
    if longer is None:
        return []
    slope, f = longer.average_slope(), longer.fit.strength
    return [f"  with one term more, F {f:.1f}: {slope.value:.4g} (SE {slope.std_error:.3g})"]


def _fields(found: Estimate) -> dict[str, Any]:
    low, high = found.interval()
    return {
        "label": found.labels[0], "value": found.value, "std_error": found.std_error,
        "ci_low": low, "ci_high": high, "level": found.level,
    }  # fmt: skip


def instrument_functions(data: InstrumentData, n_terms: int) -> Array:
    """Encoded instruments, or splines of them that can tell so many terms apart, shape (n, k)."""
    encoded = Encoder().fit(data.instruments, None).transform(data.instruments)
    if n_terms == 1:
        return encoded
    found = []
    for column in encoded.T:
        try:
            found.append(NaturalSplines.of(column, n_terms + 2)(column))
        except DataError:  # a column of few values, such as the indicator of a level
            found.append(column[:, None])
    return np.hstack(found)


def sampling_of(data: InstrumentData) -> Sampling:
    """How the rows were sampled."""
    return Sampling(data.weights, data.clusters, frequency=False)


def assumptions_of(data: InstrumentData) -> tuple[str, ...]:
    """What carries the curve, in plain sentences."""
    z, d = ", ".join(data.instrument_names), data.treatment_name
    given = f"among units with equal {', '.join(data.confounder_names)}" if (
        data.confounder_names
    ) else "without conditions"  # fmt: skip
    who = "rows" if data.clusters is None else f"clusters of {data.clusters_name}"
    return (
        f"Independence and exclusion: {given}, {z} is unrelated to what else moves "
        f"{data.outcome_name}, and moves it only through {d}.",
        f"Additivity: the effect of {d} is the same function for everyone, up to noise that {z} "
        "does not predict.",
        f"Relevance and completeness: {z} moves enough features of the law of {d} to tell curves "
        "apart; terms that it does not reach are left out, not estimated.",
        "The curve is smooth.",
        f"The {who} are independent draws from the population.",
    )
