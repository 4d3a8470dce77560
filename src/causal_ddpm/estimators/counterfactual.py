"""Effects on units: curves over the coupling of the two potential outcomes, inside bounds.

    H(delta) = E[P(Y(1) - Y(0) <= delta | x)]

is the share of units whose own effect is at most delta (delta = 0: who do not gain). It needs the
joint law of (Y(0), Y(1)) given x, which **no data identify**: each unit is seen in one world only.
What can be said is a curve and bounds.

**The curve.** Both worlds share the noise eps, the treated world adds its own eta
(:mod:`causal_ddpm.nuisance.law`): a Gaussian copula with correlation rho among units of equal x,

    rho = 1 / sqrt(1 + lambda^2),      lambda = 0: ranks are kept,      infinity: independence,

and rho < 0 (no lambda): who is high in one world is low in the other. The mean effect is the same
at every rho; :mod:`causal_ddpm.estimators.coupling` averages the out-of-fold laws without sampling.

**The bounds** hold whatever the coupling: :mod:`causal_ddpm.estimators.makarov`, with standard
errors. The curve is a plug-in of the laws: no interval comes with it, since its uncertainty is the
choice of rho, and where the laws are off it may leave the bounds, which are corrected.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from causal_ddpm.core.data import CausalData, require_data
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import Estimand, Group
from causal_ddpm.core.estimate import Estimate, refuse_synthetic
from causal_ddpm.estimators import makarov, scores
from causal_ddpm.estimators.coupling import coupled_effects
from causal_ddpm.estimators.inference import CATEGORIES, Note, Result, Sampling, build_estimate
from causal_ddpm.estimators.overlap import check_overlap
from causal_ddpm.estimators.scores import Array
from causal_ddpm.nuisance.crossfit import Nuisances, check_nuisances

N_EFFECTS = 81
N_CORRELATIONS = 21
NOT_IDENTIFIED = (
    "Not identified: no data tell how Y(0) and Y(1) go together in units with equal confounders. "
    "Each point of the curve is the answer under one assumed correlation; only the bounds rest on "
    "the data."
)


@dataclass(frozen=True)
class UnitEffects(Estimand):
    """The distribution of Y(1) - Y(0) itself; see :func:`joint_effects`."""

    name = "share of units with a small effect"
    among: Group = "all"

    @property
    def group(self) -> Group:
        """Whose effects."""
        return self.among


@dataclass(frozen=True, eq=False)
class JointEffects:
    """Effects on units under every coupling, and bounds that hold under all of them.

    Parameters
    ----------
    correlation : ndarray, shape (R,)
        rho, ascending in [-1, 1].
    share : ndarray, shape (R,)
        P(Y(1) - Y(0) <= threshold) at each rho.
    quantiles : ndarray, shape (R, p)
        Quantiles of Y(1) - Y(0) at each rho, in units of the outcome.
    sd : ndarray, shape (R,)
        Standard deviation of Y(1) - Y(0) at each rho.
    threshold : float
    levels : ndarray, shape (p,)
    share_bounds : Estimate
        Lower and upper bound of the share, with influence functions.
    quantile_bounds : ndarray, shape (2, p)
        Lower and upper bounds of the quantiles.
    quantile_limits : ndarray, shape (2, p)
        One-sided confidence limits of the quantiles, each at ``level``; infinite where the data
        cannot tell.
    level : float
        Confidence level of the limits.
    """

    correlation: Array
    share: Array
    quantiles: Array
    sd: Array
    threshold: float
    levels: Array
    share_bounds: Estimate
    quantile_bounds: Array
    quantile_limits: Array
    level: float

    @property
    def treatment_strength(self) -> Array:
        """lambda at each rho: infinite at rho = 0, nan below, where no lambda leads."""
        rho = self.correlation
        with np.errstate(divide="ignore"):
            strength = np.sqrt(1 / rho**2 - 1)
        return np.where(rho < 0, np.nan, strength)

    def share_limits(self, level: float | None = None) -> tuple[float, float]:
        """One-sided confidence limits of the share, each at ``level``.

        With that probability the share is at least the first; with that probability it is at most
        the second; both hold with at least 2 level - 1, whatever the coupling.
        """
        limits = _limits(self.share_bounds, self.level if level is None else level)
        return float(limits[0][0]), float(limits[1][0])

    def frame(self) -> pd.DataFrame:
        """One row a rho: correlation, treatment_strength, share, sd, one column a quantile.

        Nothing in it is identified; see :meth:`bounds` for what is.
        """
        columns = {
            "correlation": self.correlation,
            "treatment_strength": self.treatment_strength,
            "share": self.share,
            "sd": self.sd,
        }
        named = {f"q{u:g}": self.quantiles[:, j] for j, u in enumerate(self.levels)}
        return pd.DataFrame(columns | named)

    def bounds(self) -> pd.DataFrame:
        """What holds under every coupling: quantity, lower, upper, lower_limit, upper_limit."""
        rows = [("share", *self.share_bounds.values, *self.share_limits())]
        rows += [
            (f"q{u:g}", *self.quantile_bounds[:, j], *self.quantile_limits[:, j])
            for j, u in enumerate(self.levels)
        ]
        return pd.DataFrame(
            rows, columns=["quantity", "lower", "upper", "lower_limit", "upper_limit"]
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: ``None`` stands for what is infinite or does not exist."""
        bounds = self.share_bounds
        return {
            "identified": False,
            "note": NOT_IDENTIFIED,
            "threshold": self.threshold,
            "level": self.level,
            "population": bounds.population,
            "n": bounds.n,
            "method": bounds.method,
            "curve": _records(self.frame()),
            "bounds": _records(self.bounds()),
            "bounds_std_error": np.sqrt(np.diag(bounds.cov)).tolist(),
            "warnings": list(bounds.warnings),
        }

    def __repr__(self) -> str:
        estimate, digits = self.share_bounds, "{:.4g}".format
        curve = self.frame().iloc[:: max(1, len(self.correlation) // 10)]
        formatted = curve.to_string(index=False, float_format=digits, na_rep="-")
        return "\n".join([
            f"Effects on units ({estimate.population}), n = {estimate.n:,}; share with "
            f"Y(1) - Y(0) <= {self.threshold:g}",
            NOT_IDENTIFIED,
            formatted,
            f"Bounds under every coupling, one-sided {self.level:.0%} limits:",
            self.bounds().to_string(index=False, float_format=digits),
        ])  # fmt: skip


def joint_effects(
    data: CausalData,
    nuisances: Nuisances,
    *,
    correlations: Sequence[float] | ArrayLike | None = None,
    threshold: float = 0.0,
    levels: Sequence[float] | ArrayLike = (0.1, 0.5, 0.9),
    among: Group = "all",
    level: float = 0.95,
) -> JointEffects:
    """Share of units with a small effect and quantiles of the effect, over the coupling.

    Parameters
    ----------
    data : CausalData
    nuisances : Nuisances
        Of :func:`~causal_ddpm.nuisance.crossfit.fit_nuisances` for these data, with laws.
    correlations : sequence of float, optional
        rho in [-1, 1]; 21 equally spaced values by default.
    threshold : float
        Effect delta, in units of the outcome. At 0 an outcome with an atom counts units that stay
        on it as well; a slightly smaller number asks for losers only.
    levels : sequence of float
        Levels of the quantiles of the effect.
    among : {"all", "treated", "untreated"}
        Whose effects.
    level : float
        Confidence level of the one-sided limits.

    Raises
    ------
    DataError
        If the nuisances belong to other data or have no laws, or for numbers out of range.
    OverlapError
        If no row can speak to the question.

    Warns
    -----
    OverlapWarning, SmallSampleWarning
        Also kept in ``JointEffects.share_bounds.warnings``.
    """
    rho, u = _checked(data, nuisances, correlations, levels)
    _check_numbers(threshold, level, among)
    question = _Question.of(data, nuisances, UnitEffects(among), level)
    w = question.sampling.weights * question.rows.g
    deltas = makarov.effect_grid(question.rows, w, N_EFFECTS)
    share_bounds, cdf_bounds = question.bounds(np.array([threshold])), question.bounds(deltas)
    for text, kind in zip(
        share_bounds.warnings, share_bounds.details["warning_categories"], strict=True
    ):
        warnings.warn(text, CATEGORIES[kind], stacklevel=2)
    effects = np.unique(np.append(deltas, threshold))
    curve = coupled_effects(question.rows.laws, w, rho, effects)
    middle, outer = cdf_bounds.values.reshape(2, -1), _limits(cdf_bounds, level)
    return JointEffects(
        correlation=rho,
        share=curve.cdf[:, np.searchsorted(effects, threshold)],
        quantiles=np.array([np.interp(u, row, effects) for row in curve.cdf]),
        sd=curve.sd,
        threshold=float(threshold),
        levels=u,
        share_bounds=share_bounds,
        quantile_bounds=makarov.quantile_bounds(deltas, middle[0], middle[1], u),
        quantile_limits=makarov.quantile_limits(deltas, outer[0], outer[1], u),
        level=float(level),
    )


@dataclass(frozen=True, eq=False)
class _Question:
    """Whose effects, with everything their bounds are computed from."""

    data: CausalData
    nuisances: Nuisances
    estimand: UnitEffects
    level: float
    sampling: Sampling
    rows: makarov.Rows
    notes: list[Note]

    @classmethod
    def of(
        cls, data: CausalData, nuisances: Nuisances, estimand: UnitEffects, level: float
    ) -> _Question:
        assert nuisances.laws is not None
        estimand.check_treatment(data.treatment_schema)
        sampling, d, e = Sampling.of(data), data.treatment, nuisances.propensity
        _, notes = check_overlap(estimand, d, e, sampling)
        target = scores.TARGETS[estimand.group]
        omega = target.weights(d, e, scores.clip_bound(d, data.weights))
        arms = omega * (d == 0), omega * (d == 1)
        laws = nuisances.laws[0], nuisances.laws[1]
        rows = makarov.Rows(data.outcome, target.members(d), arms, laws)
        return cls(data, nuisances, estimand, level, sampling, rows, notes)

    def bounds(self, deltas: Array) -> Estimate:
        """Lower bounds of H at the deltas, then upper bounds, in [0, 1]."""
        psi = np.concatenate(list(makarov.bound_scores(self.rows, deltas)), axis=1)
        w, g = self.sampling.weights, self.rows.g
        theta = w @ psi / (w @ g)
        phi = (psi - theta * g[:, None]) * (w.sum() / (w @ g))
        labels = tuple(f"{side} bound at {x:g}" for side in ("lower", "upper") for x in deltas)
        result = Result(labels, np.clip(theta, 0.0, 1.0), phi, self.notes, {})
        return build_estimate(
            result, self.data, self.nuisances, self.estimand, self.sampling, self.level
        )


def _limits(bounds: Estimate, level: float) -> Array:
    """One-sided limits of lower and upper bounds, shape (2, G)."""
    z = stats.norm.ppf(level) if bounds.df is None else stats.t.ppf(level, bounds.df)
    reach = float(z) * np.sqrt(np.diag(bounds.cov)).reshape(2, -1)
    values = bounds.values.reshape(2, -1)
    return np.clip(values + np.array([[-1.0], [1.0]]) * reach, 0.0, 1.0)


def _checked(
    data: CausalData,
    nuisances: Nuisances,
    correlations: Sequence[float] | ArrayLike | None,
    levels: Sequence[float] | ArrayLike,
) -> tuple[Array, Array]:
    """Correlations, ascending, and levels of the quantiles."""
    require_data(data)
    refuse_synthetic(data.n_synthetic)
    data.outcome_schema.check_order(data.outcome_name)
    check_nuisances(data, nuisances)
    nuisances.known_laws()
    grid = np.linspace(-1, 1, N_CORRELATIONS) if correlations is None else correlations
    rho = np.unique(np.asarray(grid, dtype=float))
    if not rho.size or not (np.abs(rho) <= 1).all():
        raise DataError(f"the correlations are {rho.tolist()}", "numbers between -1 and 1")
    u = np.atleast_1d(np.asarray(levels, dtype=float))
    if not u.size or not ((u > 0) & (u < 1)).all():
        raise DataError(f"quantile levels are {u.tolist()}", "numbers strictly between 0 and 1")
    return rho, u


def _check_numbers(threshold: float, level: float, among: str) -> None:
    if not np.isfinite(threshold):
        raise DataError(f"the threshold is {threshold}", "a finite effect, such as 0")
    if not 0.5 <= level < 1.0:
        raise DataError(f"the confidence level is {level}", "a number from 0.5 to below 1")
    if among not in scores.TARGETS:
        raise DataError(f"among is {among!r}", " or ".join(map(repr, scores.TARGETS)))


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table with None for numbers that are not finite."""
    return [
        {str(k): None if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}
        for row in table.to_dict("records")
    ]
