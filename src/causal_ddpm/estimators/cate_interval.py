"""Intervals for conditional effects tau(x) = E[Y(1) - Y(0) | x], and what they cover.

**What is claimed.** With ten confounders and a few hundred rows no interval of useful width covers
tau(x) at every single x: a bump at one x that no learner can see would have to be allowed for. The
intervals here are made to cover *on average over x*,

    E_x P(tau(X) in C(X)) >= level,        C(x) = t(x) -+ z s(x),

the reading of Wahba (1983) and Nychka (1988) for smoothing splines. Of a hundred units about 95
intervals hold the truth; at the rim of the data fewer, in the middle more. ``cover="subgroups"``
asks for more: the same among units of one kind, such as the tenth with the largest x1.

**The error.** t_i is the out-of-fold effect of row i. Its expected squared error is a variance and
a squared bias. With the replicates t_ij of :mod:`causal_ddpm.nuisance.replicates`, each from one
fold less, and their mean t_i.,

    average     v_i = sum_j (t_ij - t_i.)^2 + (t_i. - t_i)^2
    subgroups   v_i = sum_j (t_ij - t_i)^2  = sum_j (t_ij - t_i.)^2 + (K - 1) (t_i. - t_i)^2

The first sum is on average at least the variance of an effect fitted on one fold less (Efron and
Stein 1981), which exceeds that of t_i; the sum for subgroups is at least that of t_i itself, where
t_i comes of the same stack (Boucheron, Lugosi and Massart 2013, theorem 3.1). What they have in
excess stands in for the bias, as does the squared shift t_i. - t_i that comes of less data. That
allowance is no theorem. Its worth is measured: ``benchmarks/results/unit_intervals.md``.

**Its dependence on x.** v_i has few degrees of freedom, so it is smoothed. With the standardised
features z_q(x),

    log s^2(x) = b_0 + sum_q b_q |z_q(x)|,     a gamma regression of v_i with a ridge penalty

whose strength lets the standard deviation of log s^2 be about .6 a priori, whatever the number of
features. s(x) exists for new x too.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.core.data import CausalData, read_covariates, require_data
from causal_ddpm.core.errors import DataError, NotCalibratedWarning
from causal_ddpm.core.estimate import refuse_synthetic
from causal_ddpm.core.random import Seed
from causal_ddpm.estimators.scores import Array
from causal_ddpm.nuisance.crossfit import Nuisances, check_nuisances
from causal_ddpm.nuisance.encoding import Encoder, FittedEncoder
from causal_ddpm.nuisance.replicates import EffectReplicates, fit_replicates

LEAST_ROWS = 250
"""Coverage was measured with this many rows and more."""

SHOWN_KINDS = ("continuous", "heavy_tailed")
"""Outcomes for which coverage was measured near its level."""

Cover = Literal["average", "subgroups"]

MOST_FOLDS = 5
"""With more folds a replicate lacks less of the sample and leaves less room for the bias."""

CLAIMS: dict[str, str] = {
    "average": "on average over x",
    "subgroups": "on average over x within large subgroups",
}
"""What intervals of each kind are made to cover."""


@dataclass(frozen=True, eq=False)
class ErrorScale:
    """s(x): the root of the expected squared error of an effect.

    Parameters
    ----------
    columns : tuple of Column
        The confounders.
    encoder : FittedEncoder
        From confounders to features z (n, q).
    intercept : float
        b_0.
    slopes : ndarray, shape (q,)
        b_q.
    """

    columns: tuple[Column, ...]
    encoder: FittedEncoder
    intercept: float
    slopes: Array

    def at(self, X: Any) -> Array:
        """s(x) of rows of a frame, of Covariates or of a numeric array, shape (n,)."""
        z = np.abs(self.encoder.transform(read_covariates(X, self.columns)))
        return np.asarray(np.exp((self.intercept + z @ self.slopes) / 2))


@dataclass(frozen=True, eq=False)
class ConditionalIntervals:
    """Conditional effects of the rows, with intervals that cover on average over x.

    Parameters
    ----------
    effect : ndarray, shape (n,)
        t_i, out of fold, in units of the outcome.
    error_scale : ndarray, shape (n,)
        s(x_i).
    level : float
        Of the intervals.
    cover : {"average", "subgroups"}
        What they are made to cover.
    row_ids : ndarray, shape (n,)
        Names of the rows.
    scale : ErrorScale
        s(x) for other rows.
    warnings : tuple of str
    """

    effect: Array
    error_scale: Array
    level: float
    cover: Cover
    row_ids: Any
    scale: ErrorScale
    warnings: tuple[str, ...] = ()

    @property
    def lower(self) -> Array:
        """Lower ends, shape (n,)."""
        return self.effect - _normal(self.level) * self.error_scale

    @property
    def upper(self) -> Array:
        """Upper ends, shape (n,)."""
        return self.effect + _normal(self.level) * self.error_scale

    def to_frame(self, level: float | None = None) -> pd.DataFrame:
        """One line a row: effect, error_scale, lower, upper; the index names the rows."""
        chosen = self.level if level is None else level
        return _frame(self.effect, self.error_scale, chosen, self.row_ids)

    def at(self, X: Any, effect: ArrayLike, level: float | None = None) -> pd.DataFrame:
        """The same table for new rows.

        Parameters
        ----------
        X : frame, Covariates or numeric array
            With the confounders.
        effect : array_like, shape (m,)
            tau(x) of a model that was fitted on all rows, such as ``law.cate(X)`` of the
            ``PotentialOutcomeLaw``. It has seen more rows than t_i, so s(x) is not too small.
        level : float, optional

        Raises
        ------
        DataError
            If X lacks a column, or effects and rows differ in number.
        """
        covariates = read_covariates(X, self.scale.columns)
        values = np.asarray(effect, dtype=float)
        if values.shape != (len(covariates),):
            raise DataError(
                f"the effects have shape {values.shape} for {len(covariates)} rows",
                "one effect a row",
            )
        chosen = self.level if level is None else level
        return _frame(values, self.scale.at(covariates), chosen, np.arange(len(values)))

    def __repr__(self) -> str:
        width = self.upper - self.lower
        return (
            f"Conditional effects of {len(self.effect):,} rows with {self.level:.0%} intervals "
            f"that cover {CLAIMS[self.cover]}; mean effect {self.effect.mean():.4g}, median width "
            f"{np.median(width):.4g} ({width.min():.4g} to {width.max():.4g})"
        )


def conditional_intervals(
    data: CausalData,
    nuisances: Nuisances,
    replicates: EffectReplicates | None = None,
    *,
    effect: ArrayLike | None = None,
    level: float = 0.95,
    cover: Cover = "average",
    random_state: Seed = 0,
    n_jobs: int = 1,
) -> ConditionalIntervals:
    """Intervals for tau(x_i) of each row; see the module page for what they cover.

    Parameters
    ----------
    data : CausalData
        With a binary treatment.
    nuisances : Nuisances
        Of :func:`~causal_ddpm.nuisance.crossfit.fit_nuisances` for these data.
    replicates : EffectReplicates, optional
        Of :func:`~causal_ddpm.nuisance.replicates.fit_replicates`, which is called when they are
        left out: ten fits of the location stack with five folds.
    effect : array_like, shape (n,), optional
        Other out-of-fold effects to put intervals around, for example recalibrated ones; by
        default the difference of the out-of-fold means.
    level : float
    cover : {"average", "subgroups"}
        Whether ``level`` is to hold on average over all units, or also within large subgroups of
        x: about a fifth wider.
    random_state, n_jobs
        Of the replicates.

    Raises
    ------
    DataError
        If nuisances or replicates belong to other data, the treatment is not binary, or a number
        is out of range.

    Warns
    -----
    NotCalibratedWarning
        For data of a kind for which coverage was not shown: few rows, many folds, clusters,
        outcomes that are not continuous.
    """
    require_data(data)
    refuse_synthetic(data.n_synthetic)
    _normal(level)
    if cover not in get_args(Cover):
        raise DataError(f"cover is {cover!r}", " or ".join(map(repr, get_args(Cover))))
    if replicates is None:
        replicates = fit_replicates(data, nuisances, random_state=random_state, n_jobs=n_jobs)
    check_nuisances(data, nuisances)
    if replicates.fingerprint != data.fingerprint:
        raise DataError(
            "the replicates belong to other data (their fingerprints differ)",
            "the rows, in the order, for which they were fitted",
        )
    own = nuisances.mean[:, 1] - nuisances.mean[:, 0] if effect is None else effect
    t = np.asarray(own, dtype=float)
    if t.shape != (data.n,) or not np.isfinite(t).all():
        raise DataError("the effects are not one finite number a row", f"shape ({data.n},)")
    weights = data.weights if data.has_weights else None
    v = squared_errors(replicates.effect, t, cover)
    scale = fit_error_scale(data.covariates, v, weights)
    notes = _notes(data, replicates.effect.shape[1] + 1)
    for note in notes:
        warnings.warn(note, NotCalibratedWarning, stacklevel=2)
    return ConditionalIntervals(
        effect=t,
        error_scale=scale.at(data.covariates),
        level=float(level),
        cover=cover,
        row_ids=data.row_ids,
        scale=scale,
        warnings=tuple(notes),
    )


def squared_errors(replicates: Array, effect: Array, cover: Cover = "average") -> Array:
    """v_i from replicates (n, K - 1) and effects (n,); see the module page."""
    middle = replicates.mean(axis=1)
    shifts = 1 if cover == "average" else replicates.shape[1]
    spread = ((replicates - middle[:, None]) ** 2).sum(axis=1)
    return np.asarray(spread + shifts * (middle - effect) ** 2)


def fit_error_scale(covariates: Covariates, v: Array, weights: Array | None = None) -> ErrorScale:
    """The gamma regression of v (n,) on the sizes of the features; see the module page."""
    from sklearn.linear_model import GammaRegressor

    encoder = Encoder().fit(covariates, weights)
    z = np.abs(encoder.transform(covariates))
    average = float(np.average(v, weights=weights))
    if not average > 0:
        raise DataError(
            "the effects of all replicates are equal",
            "an outcome that varies",
            "Without noise there is no interval to make.",
        )
    centre = np.average(z, axis=0, weights=weights)
    share = z.shape[1] / len(z)
    fitted = GammaRegressor(alpha=share, solver="newton-cholesky", max_iter=200)
    fitted.fit(z - centre, np.maximum(v / average, 1e-8), sample_weight=weights)
    slopes = np.asarray(fitted.coef_, dtype=float)
    intercept = float(fitted.intercept_) + np.log(average) - float(centre @ slopes)
    return ErrorScale(covariates.columns, encoder, intercept, slopes)


def _notes(data: CausalData, n_folds: int) -> list[str]:
    """Why coverage was not shown for data like these; empty where it was."""
    reasons, kind = [], data.outcome_schema.kind
    if data.n < LEAST_ROWS:
        reasons.append(f"{data.n:,} rows are fewer than the {LEAST_ROWS} it was measured with")
    if data.clusters is not None:
        reasons.append("rows in clusters were not studied")
    if n_folds > MOST_FOLDS:
        reasons.append(f"{n_folds} folds are more than the {MOST_FOLDS} it was measured with")
    if kind not in SHOWN_KINDS:
        reasons.append(
            f"the outcome is of kind '{kind}' (in a design with a binary outcome 95 % intervals "
            "covered .88 to .92 of the units: effects too weak to be seen are missed)"
        )
    opening = "Intervals of conditional effects are not calibrated for these data: "
    return [opening + "; ".join(reasons) + "."] if reasons else []


def _normal(level: float) -> float:
    """Two-sided critical value."""
    if not 0.0 < level < 1.0:
        raise DataError(f"the confidence level is {level}", "a number between 0 and 1, e.g. 0.95")
    return float(stats.norm.ppf((1 + level) / 2))


def _frame(effect: Array, scale: Array, level: float, rows: Any) -> pd.DataFrame:
    reach = _normal(level) * scale
    columns = {
        "effect": effect,
        "error_scale": scale,
        "lower": effect - reach,
        "upper": effect + reach,
    }
    return pd.DataFrame(columns, index=pd.Index(rows, name="row"))
