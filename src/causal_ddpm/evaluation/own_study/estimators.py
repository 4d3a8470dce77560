"""Estimators that a study on a twin compares, and how others join them.

An estimator has a ``name`` and ``estimate(data, estimand, random_state)``, which returns an
:class:`~causal_ddpm.core.estimate.Estimate`, or anything with ``value``, ``std_error`` and
``interval(level)``. A plain function with these arguments will do, too. Shipped:

    difference   difference in means, HC2 standard error
    ols          y on the treatment and the confounders, HC2
    lin          y on the treatment, the confounders and their products (Lin 2013); for the
                 population, so the spread of the confounders enters the standard error
    ipw          inverse probability weighting with normalised weights (Hajek), a logistic
                 propensity whose estimation enters the standard error
    aipw         cross-fitted AIPW with ridge and logistic regression
    diffusion    cross-fitted AIPW with the diffusion law: the default of estimate_effects

All but the last two are closed forms on the confounders as the encoder reads them (medians and
indicators for missing cells, one column a level), without folds.

References
----------
Lin (2013), Agnostic notes on regression adjustments to experimental data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import Seed
from causal_ddpm.estimators.inference import Sampling
from causal_ddpm.evaluation.diagnostics import naive_difference
from causal_ddpm.evaluation.own_study.names import TITLES, check_different, check_shipped
from causal_ddpm.nuisance.encoding import Encoder
from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel, LearnerPropensityModel
from causal_ddpm.nuisance.logistic import fit_logistic

Array = NDArray[np.float64]
Estimation = Callable[[CausalData, Estimand, Seed], Any]

_INVERSE_PENALTY = 1.0
_LEAST_LEVERAGE_LEFT = 1e-3


@runtime_checkable
class EffectEstimator(Protocol):
    """Anything that estimates an effect with an interval."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def estimate(self, data: CausalData, estimand: Estimand, random_state: Seed) -> Any:
        """An estimate with ``value``, ``std_error`` and ``interval(level)``."""
        ...


@dataclass(frozen=True)
class NamedEstimator:
    """A function under a name.

    Parameters
    ----------
    name : str
    function : callable
        ``(data, estimand, random_state) -> estimate``.
    title : str
        What tables and sentences call it.
    seconds : callable, optional
        CPU seconds it takes on n rows of p confounders, ``(n, p) -> seconds``, where known.
    slow : bool
        Whether it gets fewer draws.
    """

    name: str
    function: Estimation
    title: str = ""
    seconds: Callable[[int, int], float] | None = None
    slow: bool = False

    def estimate(self, data: CausalData, estimand: Estimand, random_state: Seed) -> Any:
        """Call the function."""
        return self.function(data, estimand, random_state)


def difference_in_means(data: CausalData, estimand: Estimand, random_state: Seed) -> Estimate:
    """Mean of the treated minus mean of the untreated, whatever the confounders."""
    naive = naive_difference(data)
    d, y = data.treatment, data.outcome
    share = np.where(d == 1, d.mean(), d.mean() - 1)
    phi = (y - np.where(d == 1, naive.mean_treated, naive.mean_untreated)) / share
    return _record(data, estimand, naive.value, phi, "difference in means", naive.std_error**2)


def ols(data: CausalData, estimand: Estimand, random_state: Seed) -> Estimate:
    """The coefficient of the treatment beside the confounders, HC2."""
    z, d = _features(data), data.treatment.astype(float)
    coef, phi = _least_squares(np.column_stack([np.ones(data.n), d, z]), data.outcome)
    return _record(data, estimand, coef[1], phi[:, 1], "OLS with confounders, HC2")


def lin(data: CausalData, estimand: Estimand, random_state: Seed) -> Estimate:
    """Regression with all products of treatment and centred confounders (Lin 2013), HC2.

    With g the indicator of the estimand's group, z centred at its mean in the group and delta the
    coefficients of the products, psi is that of the treatment's coefficient plus
    g z'delta / mean(g).
    """
    g = _group(data, estimand)
    z = _features(data)
    z = z - g @ z / g.sum()
    d = data.treatment.astype(float)
    design = np.column_stack([np.ones(data.n), d, z, d[:, None] * z])
    coef, phi = _least_squares(design, data.outcome)
    delta = coef[2 + z.shape[1] :]
    psi = phi[:, 1] + g / g.mean() * (z @ delta)
    return _record(data, estimand, coef[1], psi, "regression adjustment (Lin), HC2")


def ipw(data: CausalData, estimand: Estimand, random_state: Seed) -> Estimate:
    """Normalised inverse probability weighting with a logistic propensity e.

    With weights w_1, w_0 of the estimand, m_a = sum w_a y / sum w_a and s the logistic score,

        psi = w_1 (y - m_1) / mean(w_1) - w_0 (y - m_0) / mean(w_0) + G' H^-1 s,

    G the derivative of the mean of the first two terms in the coefficients, H the Hessian.
    """
    x, d, y = _features(data), data.treatment, data.outcome
    e = fit_logistic(x, d, None, _INVERSE_PENALTY).predict(x)
    z = np.column_stack([np.ones(data.n), x])
    w1, w0, slope1, slope0 = _weights(estimand, d, e)
    m1, m0 = w1 @ y / w1.sum(), w0 @ y / w0.sum()
    part1, part0 = (y - m1) / w1.mean(), (y - m0) / w0.mean()
    gradient = (slope1 * part1 - slope0 * part0) @ z / data.n
    ridge = np.diag([0.0, *[1 / (_INVERSE_PENALTY * data.n)] * x.shape[1]])
    hessian = (z * (e * (1 - e))[:, None]).T @ z / data.n + ridge
    psi = w1 * part1 - w0 * part0 + (z * (d - e)[:, None]) @ np.linalg.solve(hessian, gradient)
    return _record(data, estimand, m1 - m0, psi, "IPW (Hajek), logistic propensity")


def aipw(data: CausalData, estimand: Estimand, random_state: Seed) -> Estimate:
    """Cross-fitted AIPW with ridge regressions by arm and a logistic propensity."""
    from sklearn.linear_model import LogisticRegression, RidgeCV

    from causal_ddpm.estimators.api import estimate_effects

    (found,) = estimate_effects(
        data, estimand, outcome_model=LearnerOutcomeModel(RidgeCV()),
        propensity_model=LearnerPropensityModel(LogisticRegression()), random_state=random_state,
    )  # fmt: skip
    return found


def diffusion(data: CausalData, estimand: Estimand, random_state: Seed) -> Estimate:
    """The default pipeline."""
    from causal_ddpm.estimators.api import estimate_effects

    (found,) = estimate_effects(data, estimand, random_state=random_state)
    return found


def _cost(fixed: float, per_row: float, n: int, p: int) -> float:
    return fixed + per_row * n * (1 + p / 20)


_QUICK: Mapping[str, tuple[Estimation, float, float]] = {
    "difference": (difference_in_means, 0.005, 0.0),
    "ols": (ols, 0.01, 1e-6),
    "lin": (lin, 0.01, 2e-6),
    "ipw": (ipw, 0.02, 1e-5),
    "aipw": (aipw, 0.15, 3e-5),
}
"""Functions, and the seconds that one call and one row of theirs cost."""

SHIPPED: Mapping[str, NamedEstimator] = {
    **{
        name: NamedEstimator(name, function, TITLES[name], partial(_cost, fixed, per_row))
        for name, (function, fixed, per_row) in _QUICK.items()
    },
    "diffusion": NamedEstimator(
        "diffusion", diffusion, TITLES["diffusion"], partial(_cost, 5.0, 6e-3), slow=True
    ),
}
"""Estimators by the names that the command line takes."""


def estimators_of(wanted: Sequence[Any] | None) -> tuple[NamedEstimator, ...]:
    """Names, estimators and functions as estimators; all that are shipped by default.

    Raises
    ------
    DataError
        For an unknown name, something that estimates nothing, or a name that occurs twice.
    """
    found = tuple(_one(item) for item in (SHIPPED if wanted is None else wanted))
    check_different([e.name for e in found])
    return found


def _one(item: Any) -> NamedEstimator:
    if isinstance(item, str):
        return SHIPPED[check_shipped(item)]
    if isinstance(item, NamedEstimator):
        return item
    if isinstance(item, EffectEstimator):
        return NamedEstimator(item.name, item.estimate)
    if callable(item) and hasattr(item, "__name__"):
        return NamedEstimator(item.__name__, item)
    raise DataError(
        f"an estimator is a {type(item).__name__}",
        f"one of {', '.join(SHIPPED)}, a function (data, estimand, random_state) -> estimate, or "
        "an object with a name and such a method 'estimate'",
    )


# -- inside --------------------------------------------------------------------------------
def _features(data: CausalData) -> Array:
    return Encoder().fit(data.covariates, None).transform(data.covariates)


def _group(data: CausalData, estimand: Estimand) -> Array:
    d = data.treatment.astype(float)
    return {"all": np.ones(data.n), "treated": d, "untreated": 1 - d}[str(estimand.group)]


def _least_squares(design: Array, y: Array) -> tuple[Array, Array]:
    """Coefficients (q,), and influences whose squares give the HC2 variances, (n, q).

    By the pseudo-inverse: levels of a category add up to the constant.
    """
    inverse = np.linalg.pinv(design)
    coef = inverse @ y
    leverage = np.einsum("ij,ji->i", design, inverse)
    residual = (y - design @ coef) / np.sqrt(np.maximum(1 - leverage, _LEAST_LEVERAGE_LEFT))
    return coef, len(y) * inverse.T * residual[:, None]


def _weights(
    estimand: Estimand, d: NDArray[np.int64], e: Array
) -> tuple[Array, Array, Array, Array]:
    """Weights of the treated and untreated, and their derivatives in the log odds, each (n,)."""
    treated, odds = d.astype(float), e / (1 - e)
    if estimand.group == "treated":
        w0 = (1 - treated) * odds
        return treated, w0, np.zeros_like(e), w0
    if estimand.group == "untreated":
        w1 = treated / odds
        return w1, 1 - treated, -w1, np.zeros_like(e)
    w1, w0 = treated / e, (1 - treated) / (1 - e)
    return w1, w0, -w1 * (1 - e), w0 * e


def _record(
    data: CausalData, estimand: Estimand, value: float, phi: Array, method: str,
    variance: float | None = None,
) -> Estimate:  # fmt: skip
    """An estimate from influence values (n,), with a variance of its own where one is given."""
    influence = (phi - phi.mean())[:, None]
    found = Sampling.of(data).covariance(influence)
    return Estimate(
        values=np.array([float(value)]),
        cov=found if variance is None else np.array([[variance]]),
        labels=(estimand.name,),
        influence=influence,
        row_ids=data.row_ids,
        fingerprint=data.fingerprint,
        estimand=estimand.name,
        population=estimand.population,
        method=method,
        n=data.n,
    )
