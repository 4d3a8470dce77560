"""Bounds under the marginal sensitivity model (Tan 2006), sharp by quantile balancing.

Hidden confounders U may change the odds of treatment given x by at most the factor Lambda:

    1 / Lambda <= [e(x, u) / (1 - e(x, u))] / [e(x) / (1 - e(x))] <= Lambda.

Then Y(a) among units that took the other arm has, given x, the law of Y | x, D = a tilted by a
factor between 1 / Lambda and Lambda. With tau = Lambda / (1 + Lambda) and Q+, Q- the tau and
1 - tau quantiles of Y | x, D = a (Dorn and Guo 2022), its mean lies between rho- and rho+,

    H+- = Y / Lambda + (1 - 1 / Lambda) (Q+- +- (1 + Lambda) max(+-(Y - Q+-), 0)),
    rho+- = E[H+- | x, D = a] = mu_a / Lambda + (1 - 1 / Lambda) CVaR+-

CVaR+- the mean of Y beyond Q+-. Both come from the conditional law. The sum over units of the other
arm is estimated with the score (Dorn, Guo and Kallus 2021, "doubly valid, doubly sharp")

    T+-_a = 1{D != a} rho+- + 1{D = a} (e_{1-a} / max(e_a, c)) (H+- - rho+-)

    ATE   psi_b = (D Y + T_1) - ((1 - D) Y + T_0),   psi_a = 1   (upper: T_1+, T_0-)
    ATT   psi_b = D Y - T_0,                         psi_a = D
    ATU   psi_b = T_1 - (1 - D) Y,                   psi_a = 1 - D

Q minimises the mean of H+ and maximises that of H-, so an error in Q enters at second order and can
only widen the bounds; an error in rho is corrected by the weights. At Lambda = 1 the score is the
AIPW score. Confidence bounds use the quantile (1 + level) / 2 on either side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.discrete import RowLaw
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.estimators import scores
from causal_ddpm.estimators.inference import Sampling
from causal_ddpm.evaluation.sensitivity.e_value import group_of
from causal_ddpm.nuisance.crossfit import Nuisances

Array = NDArray[np.float64]
LAMBDAS = (1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0)
_LARGEST_LAMBDA = 100.0
_TAIL_NODES = 64


@dataclass(frozen=True, eq=False)
class MarginalBounds:
    """Bounds on an average effect over the largest odds ratio Lambda.

    Parameters
    ----------
    lambdas : ndarray, shape (L,)
    lower, upper : ndarray, shape (L,)
        Sharp bounds on the effect.
    ci_low, ci_high : ndarray, shape (L,)
        Their confidence bounds.
    lambda_limit, lambda_limit_interval : float
        Lambda at which the bound, and its confidence bound, reach the null.
    level, null : float
    """

    lambdas: Array
    lower: Array
    upper: Array
    ci_low: Array
    ci_high: Array
    lambda_limit: float
    lambda_limit_interval: float
    level: float
    null: float

    def quantities(self) -> dict[str, float]:
        """The Lambda that the conclusion withstands."""
        return {
            "Lambda at which the bound reaches the null": self.lambda_limit,
            "Lambda at which the confidence bound does": self.lambda_limit_interval,
        }

    def sentence(self) -> str:
        """How much hidden confounding the sign of the effect withstands."""
        limits = [
            f"more than {_LARGEST_LAMBDA:g}" if limit >= _LARGEST_LAMBDA else f"{limit:.3g}"
            for limit in (self.lambda_limit, self.lambda_limit_interval)
        ]
        text = (
            "Marginal sensitivity model: the bounds on the effect exclude "
            f"{self.null:g} as long as hidden confounders change the odds of treatment by a factor "
            f"below {limits[0]}; "
        )
        if self.lambda_limit_interval == 1.0:
            return text + "the interval holds it even without any."
        return text + f"with sampling error, below {limits[1]}."

    def to_frame(self) -> pd.DataFrame:
        """One row a Lambda: lambda, lower, upper, ci_low, ci_high."""
        return pd.DataFrame(
            {
                "lambda": self.lambdas,
                "lower": self.lower,
                "upper": self.upper,
                "ci_low": self.ci_low,
                "ci_high": self.ci_high,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {
            "lambda_limit": self.lambda_limit,
            "lambda_limit_interval": self.lambda_limit_interval,
            "bounds": self.to_frame().to_dict(orient="list"),
        }


@dataclass(frozen=True, eq=False)
class Bound:
    """One end of the bounds at one Lambda."""

    value: float
    confidence: float


def marginal_bounds(
    estimate: Estimate,
    data: CausalData,
    nuisances: Nuisances,
    lambdas: Sequence[float] = LAMBDAS,
    null: float = 0.0,
) -> MarginalBounds:
    """Bounds on an average effect under the marginal sensitivity model.

    Parameters
    ----------
    estimate : Estimate
        ATE, ATT or ATU of these data.
    data : CausalData
    nuisances : Nuisances
        With laws: the bounds need quantiles and tail means of the outcome given x.
    lambdas : sequence of float
        Each at least 1; 1 is added.
    null : float

    Raises
    ------
    DataError
        If a Lambda is below one or the nuisances hold means only.
    """
    grid = np.unique(np.array([1.0, *lambdas], dtype=float))
    if not np.isfinite(grid).all() or grid[0] < 1.0:
        raise DataError(f"the values of Lambda are {list(lambdas)}", "finite numbers of at least 1")
    nuisances.known_laws("bounds under the marginal sensitivity model")
    group, level = group_of(estimate), estimate.level
    low, high = estimate.interval()
    critical = (high - low) / 2 / float(estimate.std_error)

    def bound(strength: float, sign: int) -> Bound:
        return effect_bound(data, nuisances, group, strength, sign, critical)

    ends = [(bound(k, -1), bound(k, 1)) for k in grid]
    above = ends[0][0].value > null
    limits = []
    for name in ("value", "confidence"):

        def margin(log_k: float, name: str = name) -> float:
            end = getattr(bound(math.exp(log_k), -1 if above else 1), name)
            return (end - null) * (1 if above else -1)

        limits.append(_limit(margin))
    return MarginalBounds(
        grid,
        np.array([lower.value for lower, _ in ends]),
        np.array([upper.value for _, upper in ends]),
        np.array([lower.confidence for lower, _ in ends]),
        np.array([upper.confidence for _, upper in ends]),
        limits[0],
        limits[1],
        level,
        null,
    )


def effect_bound(
    data: CausalData,
    nuisances: Nuisances,
    group: str,
    strength: float,
    sign: int,
    critical: float,
) -> Bound:
    """The lower (sign -1) or upper (sign 1) bound at Lambda = ``strength``."""
    d, y = data.treatment, data.outcome
    terms = {
        "all": lambda: (
            d * y + _others(data, nuisances, group, 1, strength, sign)
            - (1 - d) * y - _others(data, nuisances, group, 0, strength, -sign)
        ),
        "treated": lambda: d * y - _others(data, nuisances, group, 0, strength, -sign),
        "untreated": lambda: _others(data, nuisances, group, 1, strength, sign) - (1 - d) * y,
    }  # fmt: skip
    score = scores.LinearScore(terms[group](), scores.TARGETS[group].members(d))
    theta, phi = scores.solve(score, data.weights)
    sampling = Sampling.of(data)
    se = math.sqrt(float(sampling.covariance(sampling.influence(phi[:, None]))[0, 0]))
    return Bound(theta, theta + sign * critical * se)


def _others(
    data: CausalData, nuisances: Nuisances, group: str, arm: int, strength: float, sign: int
) -> Array:
    """T of the module page: the extreme mean of Y(arm) over units that took the other arm."""
    d, y = data.treatment, data.outcome
    law = nuisances.known_laws()[arm]
    tau = strength / (1 + strength)
    q = law.quantile([tau if sign > 0 else 1 - tau])[:, 0]
    share = 1 / strength
    tail = q + sign * (1 + strength) * np.maximum(sign * (y - q), 0.0)
    h = share * y + (1 - share) * tail
    rho = share * nuisances.mean[:, arm] + (1 - share) * tail_mean(law, tau, sign)
    omega = scores.TARGETS[group].weights(
        d, nuisances.propensity, scores.clip_bound(d, data.weights)
    )
    odds = omega - 1 if group == "all" else omega
    return np.where(d == arm, odds * (h - rho), rho)


def tail_mean(law: RowLaw, tau: float, sign: int) -> Array:
    """Mean of Y above its tau quantile (sign 1) or below its 1 - tau one (-1), shape (n,)."""
    u = (1 - tau) * (np.arange(_TAIL_NODES) + 0.5) / _TAIL_NODES
    return np.asarray(law.quantile(1 - u if sign > 0 else u).mean(axis=1))


def _limit(margin: Callable[[float], float]) -> float:
    """The Lambda at which a margin falls to zero; 1 if there is none to begin with."""
    top = math.log(_LARGEST_LAMBDA)
    if margin(0.0) <= 0:
        return 1.0
    return (
        float(math.exp(brentq(margin, 0.0, top, rtol=1e-6))) if margin(top) < 0 else _LARGEST_LAMBDA
    )
