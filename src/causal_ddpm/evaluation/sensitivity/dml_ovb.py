"""Omitted-variable bias of the doubly robust estimates of average effects.

After Chernozhukov, Cinelli, Newey, Sharma and Syrgkanis (2022), "Long story short". An average
effect is theta = E[m(W, g)] with g(d, x) = E[Y | D = d, x], and its Riesz representer alpha
satisfies E[m(W, h)] = E[alpha h] for every h. With the weights omega_a(x) of
:mod:`causal_ddpm.estimators.scores` for arm a, g(d) = 1 for the units meant and p = E g(D),

    alpha = (D omega_1 - (1 - D) omega_0) / p,    m(W, alpha) = g(D) (omega_1 + omega_0) / p^2
    sigma^2 = E[(Y - g)^2],     nu^2 = E[2 m(W, alpha) - alpha^2]     (doubly robust second moment)

Omitted variables that explain the share R_Y of the residual variation of Y, and the share R_D of
the variation of the long alpha, move the estimate by at most

    |B| = |rho| C_Y C_D S,   S^2 = sigma^2 nu^2,   C_Y^2 = R_Y,   C_D^2 = R_D / (1 - R_D)

where rho, at most 1, is the correlation of what they add to g and to alpha (theorem 2). The bounds
theta -+ |B| have the influence functions phi_theta -+ |rho| C_Y C_D phi_S with

    phi_S = (sigma^2 phi_nu + nu^2 phi_sigma) / (2 S)
    phi_sigma = (Y - g)^2 - sigma^2
    phi_nu = 2 m(W, alpha) - alpha^2 - nu^2 - 2 nu^2 (g(D) - p) / p

(theorem 4; the last term is the estimation of p). Confidence bounds use the quantile
(1 + level) / 2 on either side: they cover the whole set of effects that the strengths allow, and at
strength zero they are the interval of the estimate.

The robustness value RV is the R_Y = R_D at which the bound reaches the null, RV_a that at which the
confidence bound does. Where weak overlap makes nu^2 negative, E[alpha^2] takes its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.estimators import scores
from causal_ddpm.estimators.inference import Sampling
from causal_ddpm.evaluation.sensitivity.e_value import group_of
from causal_ddpm.evaluation.sensitivity.robustness import robustness_value, share_in_words
from causal_ddpm.nuisance.crossfit import Nuisances

Array = NDArray[np.float64]
_ALMOST_ALL = 1 - 1e-9


@dataclass(frozen=True, eq=False)
class BiasScale:
    """S with its influence values, and what it is made of.

    Parameters
    ----------
    s : float
        S = sqrt(sigma^2 nu^2), in units of the outcome.
    influence : ndarray, shape (n,)
        Influence of each row on S, weighted like those of an estimate.
    sigma2, nu2 : float
    plug_in : bool
        Whether E[alpha^2] had to take the place of the doubly robust nu^2.
    """

    s: float
    influence: Array
    sigma2: float
    nu2: float
    plug_in: bool


@dataclass(frozen=True, eq=False)
class DMLOVB:
    """Bounds on an average effect under omitted variables of given strengths.

    Parameters
    ----------
    estimate : float
    r2_outcome, r2_treatment, rho : float
        The strengths R_Y, R_D and the correlation of the scenario.
    lower, upper : float
        Bounds on the effect.
    ci_low, ci_high : float
        Confidence bounds.
    rv, rv_alpha : float
        Robustness values of estimate and interval.
    level, null : float
    scale : BiasScale
    bounds : callable
        (R_Y, R_D) to lower, upper, ci_low and ci_high, for other strengths.
    """

    estimate: float
    r2_outcome: float
    r2_treatment: float
    rho: float
    lower: float
    upper: float
    ci_low: float
    ci_high: float
    rv: float
    rv_alpha: float
    level: float
    null: float
    scale: BiasScale
    bounds: Callable[[float, float], tuple[float, float, float, float]] = field(repr=False)

    def adjusted(self, r2_treatment: ArrayLike, r2_outcome: ArrayLike) -> Array:
        """Estimates after the worst bias of omitted variables of given strengths."""
        r_d, r_y = np.asarray(r2_treatment, dtype=float), np.asarray(r2_outcome, dtype=float)
        bias = abs(self.rho) * self.scale.s * np.sqrt(r_y * r_d / (1 - r_d))
        return self.estimate - math.copysign(1.0, self.estimate - self.null) * bias

    def quantities(self) -> dict[str, float]:
        """Bounds, confidence bounds and robustness values."""
        return {
            "estimate": self.estimate,
            "lower bound": self.lower,
            "upper bound": self.upper,
            "lower confidence bound": self.ci_low,
            "upper confidence bound": self.ci_high,
            "robustness value": self.rv,
            "robustness value of the interval": self.rv_alpha,
        }

    def sentence(self) -> str:
        """What omitted variables would have to explain."""
        return (
            "Doubly robust estimate: omitted variables would have to explain "
            f"{share_in_words(self.rv)} of what is left of both the outcome and the treatment "
            f"weights to bring {self.estimate:.4g} to {self.null:g}, "
            f"{share_in_words(self.rv_alpha)} for its {self.level:.0%} interval to reach it; with "
            f"{share_in_words(self.r2_outcome)} of the outcome and "
            f"{share_in_words(self.r2_treatment)} of the treatment the effect lies between "
            f"{self.lower:.4g} and {self.upper:.4g} "
            f"(confidence bounds {self.ci_low:.4g} and {self.ci_high:.4g})."
        )

    def to_frame(self) -> pd.DataFrame:
        """One row with the scenario and its bounds."""
        return pd.DataFrame([self.to_dict()])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        names = (
            "estimate", "r2_outcome", "r2_treatment", "rho", "lower", "upper", "ci_low", "ci_high",
            "rv", "rv_alpha",
        )  # fmt: skip
        extra = {"sigma2": self.scale.sigma2, "nu2": self.scale.nu2, "plug_in": self.scale.plug_in}
        return {**{name: getattr(self, name) for name in names}, **extra}


def dml_ovb(
    estimate: Estimate,
    data: CausalData,
    nuisances: Nuisances,
    r2_outcome: float = 0.03,
    r2_treatment: float = 0.03,
    rho: float = 1.0,
    null: float = 0.0,
) -> DMLOVB:
    """Bounds on an average effect and its robustness values.

    Parameters
    ----------
    estimate : Estimate
        ATE, ATT or ATU of these data.
    data : CausalData
    nuisances : Nuisances
        Those that the estimate was made with.
    r2_outcome, r2_treatment : float
        Strengths R_Y and R_D of the scenario, in [0, 1).
    rho : float
        In [-1, 1]; 1 is the worst case.
    null : float
    """
    sampling = Sampling.of(data)
    scale = bias_scale(data, nuisances, group_of(estimate))
    theta, phi = float(estimate.values[0]), estimate.influence[:, 0]
    low, high = estimate.interval()
    critical = (high - low) / 2 / float(estimate.std_error)

    def bounds(r_y: float, r_d: float) -> tuple[float, float, float, float]:
        strength = abs(rho) * math.sqrt(r_y * r_d / (1 - r_d))
        ends = []
        for sign in (-1.0, 1.0):
            influence = (phi + sign * strength * scale.influence)[:, None]
            se = math.sqrt(float(sampling.covariance(influence)[0, 0]))
            bound = theta + sign * strength * scale.s
            ends.append((bound, bound + sign * critical * se))
        return ends[0][0], ends[1][0], ends[0][1], ends[1][1]

    def distance(v: float) -> float:
        """From the null to the confidence bound on the side of the null."""
        _, _, low, high = bounds(v, v)
        return low - null if theta > null else null - high

    rv_alpha = 0.0
    if distance(0.0) > 0:
        reached = distance(_ALMOST_ALL) < 0
        rv_alpha = float(brentq(distance, 0.0, _ALMOST_ALL)) if reached else 1.0
    return DMLOVB(
        theta, r2_outcome, r2_treatment, rho, *bounds(r2_outcome, r2_treatment),
        rv=robustness_value(abs(theta - null) / (abs(rho) * scale.s)) if rho != 0 else 1.0,
        rv_alpha=rv_alpha, level=estimate.level, null=null, scale=scale, bounds=bounds,
    )  # fmt: skip


def bias_scale(data: CausalData, nuisances: Nuisances, group: str) -> BiasScale:
    """S of the module page for the units of ``group``.

    Raises
    ------
    DataError
        If the outcome model leaves no residuals.
    """
    d, y, w = data.treatment, data.outcome, data.weights
    target, c = scores.TARGETS[group], scores.clip_bound(d, w)
    omega_0, omega_1 = (target.weights(np.full(data.n, a), nuisances.propensity, c) for a in (0, 1))
    g = target.members(d)
    p = float(w @ g / w.sum())
    alpha = np.where(d == 1, omega_1, -omega_0) / p
    residual = y - nuisances.mean[np.arange(data.n), d]
    sigma2 = float(w @ residual**2 / w.sum())
    moment = 2 * g * (omega_1 + omega_0) / p**2 - alpha**2
    plug_in = bool(w @ moment <= 0)
    if plug_in:
        moment = alpha**2
    nu2 = float(w @ moment / w.sum())
    s = math.sqrt(sigma2 * nu2)
    if s <= 1e-10 * float(np.abs(y).max()):
        raise DataError(
            "the outcome model leaves no residuals", "an outcome that varies around its mean"
        )
    phi_nu = moment - nu2 - 2 * nu2 * (g - p) / p
    phi = (sigma2 * phi_nu + nu2 * (residual**2 - sigma2)) / (2 * s)
    return BiasScale(s, Sampling.of(data).influence(phi[:, None])[:, 0], sigma2, nu2, plug_in)
