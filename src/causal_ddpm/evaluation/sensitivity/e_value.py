"""E-values (VanderWeele and Ding 2017, Annals of Internal Medicine 167).

The E-value of a risk ratio r >= 1 is the smallest strength, on the risk-ratio scale, that a hidden
confounder must have with treatment and with outcome, given the confounders, to explain r away:

    E(r) = r + sqrt(r (r - 1)),        E(r) = E(1 / r) for r < 1

and of a confidence interval that of its limit next to the null, 1 when it holds the null.

**Risk ratio** of a binary outcome: r = theta_1 / theta_0 with the doubly robust means of Y(1) and
Y(0) (:mod:`causal_ddpm.estimators.scores`); the standard error of log r follows from their
influence values, phi_1 / theta_1 - phi_0 / theta_0.

**Standardised mean difference** of any other outcome: d = theta / s, s^2 the pooled variance
within arms, and r ~ exp(.91 d) with limits exp(.91 (d +- z se_d)) (Chinn 2000; VanderWeele 2017).
A null other than no effect divides r by exp(.91 null / s).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.estimators import scores
from causal_ddpm.estimators.inference import Sampling
from causal_ddpm.nuisance.crossfit import Nuisances

LOG_RATIO_PER_SD = 0.91
"""Logarithm of the risk ratio that corresponds to one standard deviation."""


@dataclass(frozen=True)
class EValue:
    """E-value of an estimate and of its interval.

    Parameters
    ----------
    ratio, ratio_low, ratio_high : float
        Risk ratio (exact or approximate) with its confidence limits.
    value, value_of_interval : float
        E-values of the ratio and of the limit next to the null.
    scale : str
        "risk ratio" or "standardised mean difference".
    """

    ratio: float
    ratio_low: float
    ratio_high: float
    value: float
    value_of_interval: float
    scale: str

    def quantities(self) -> dict[str, float]:
        """Ratio, limits and both E-values."""
        return {
            "risk ratio": self.ratio,
            "risk ratio, low": self.ratio_low,
            "risk ratio, high": self.ratio_high,
            "E-value": self.value,
            "E-value of the interval": self.value_of_interval,
        }

    def sentence(self) -> str:
        """How strong a hidden confounder would have to be."""
        about = "" if self.scale == "risk ratio" else " (from the standardised difference)"
        text = (
            f"E-value: to explain away a risk ratio of {self.ratio:.3g}{about}, a hidden "
            "confounder would have to be associated with both treatment and outcome by risk ratios "
            f"of {self.value:.3g} each, given the confounders; "
        )
        if self.value_of_interval == 1.0:
            return text + "the interval needs none: it already holds the null."
        return text + f"for the interval to reach the null, {self.value_of_interval:.3g}."

    def to_frame(self) -> pd.DataFrame:
        """One row with all fields."""
        return pd.DataFrame([self.to_dict()])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return asdict(self)


def e_value_of_ratio(
    ratio: float, low: float | None = None, high: float | None = None, scale: str = "risk ratio"
) -> EValue:
    """E-value of a risk ratio with its confidence limits.

    Raises
    ------
    DataError
        If a ratio is not positive, or the limits do not enclose it.
    """
    low, high = ratio if low is None else low, ratio if high is None else high
    if not 0 < low <= ratio <= high < math.inf:
        raise DataError(
            f"the risk ratio is {ratio:.6g} with limits {low:.6g} and {high:.6g}",
            "positive numbers in ascending order",
        )
    near = low if ratio >= 1 else 1 / high
    return EValue(ratio, low, high, _e_value(ratio), _e_value(near) if near > 1 else 1.0, scale)


def e_value_of_difference(
    d: float,
    std_error: float,
    level: float = 0.95,
    null: float = 0.0,
    critical: float | None = None,
) -> EValue:
    """E-value of a standardised mean difference d with its standard error.

    ``critical`` replaces the normal quantile of the interval; ``null`` is in the units of d.
    """
    z = float(stats.norm.ppf((1 + level) / 2)) if critical is None else critical
    ratio, low, high = (
        math.exp(LOG_RATIO_PER_SD * (d - null + k * std_error)) for k in (0.0, -z, z)
    )
    return e_value_of_ratio(ratio, low, high, "standardised mean difference")


def e_value(
    estimate: Estimate, data: CausalData, nuisances: Nuisances | None, null: float = 0.0
) -> EValue:
    """E-value of an average effect.

    Parameters
    ----------
    estimate : Estimate
        An average effect with one entry.
    data : CausalData
    nuisances : Nuisances or None
        Needed for a binary outcome.
    null : float
        Effect to explain the estimate down to; of a binary outcome only 0.

    Raises
    ------
    DataError
        For a binary outcome without nuisances or with another null.
    """
    if data.outcome_schema.kind == "binary":
        if nuisances is None or null != 0.0:
            raise DataError(
                "a risk ratio needs the mean outcome of both arms, and a null of no effect",
                "nuisances, and null=0",
                "Pass nuisances=fit_nuisances(data).",
            )
        return _risk_ratio(estimate, data, nuisances)
    s = _pooled_sd(data)
    low, high = estimate.interval()
    critical = (high - low) / 2 / estimate.std_error
    return e_value_of_difference(
        estimate.value / s, estimate.std_error / s, estimate.level, null / s, critical
    )


def _e_value(ratio: float) -> float:
    r = max(ratio, 1 / ratio)
    return r + math.sqrt(r * (r - 1))


def _pooled_sd(data: CausalData) -> float:
    """Standard deviation within arms, weighted."""
    d, w, y = data.treatment, data.weights, data.outcome
    means = np.array([np.average(y[d == a], weights=w[d == a]) for a in (0, 1)])
    s = math.sqrt(np.average((y - means[d]) ** 2, weights=w))
    if s == 0.0:
        raise DataError("the outcome does not vary within the arms", "an outcome that varies")
    return s


def _risk_ratio(estimate: Estimate, data: CausalData, nuisances: Nuisances) -> EValue:
    means, phi = corrected_means(data, nuisances, group_of(estimate))
    if means.min() <= 0.0:
        raise DataError(
            f"the corrected mean outcomes of the arms are {means[0]:.3g} and {means[1]:.3g}",
            "two risks above zero",
        )
    sampling = Sampling.of(data)
    influence = sampling.influence((phi[:, 1] / means[1] - phi[:, 0] / means[0])[:, None])
    se = math.sqrt(float(sampling.covariance(influence)[0, 0]))
    q = (1 + estimate.level) / 2
    z = float(stats.norm.ppf(q) if sampling.df is None else stats.t.ppf(q, sampling.df))
    log_ratio = math.log(means[1] / means[0])
    ratio, low, high = (math.exp(log_ratio + k * se) for k in (0.0, -z, z))
    return e_value_of_ratio(ratio, low, high)


def group_of(estimate: Estimate) -> str:
    """The units an average effect is about, as a key of ``scores.TARGETS``."""
    return {"ATE": "all", "ATT": "treated", "ATU": "untreated"}[estimate.estimand]


def corrected_means(
    data: CausalData, nuisances: Nuisances, group: str
) -> tuple[scores.Array, scores.Array]:
    """Doubly robust means of Y(0) and Y(1) among a group, (2,), and influence values, (n, 2)."""
    d, w, y = data.treatment, data.weights, data.outcome
    target = scores.TARGETS[group]
    omega = target.weights(d, nuisances.propensity, scores.clip_bound(d, w))
    g = target.members(d)
    means, phi = np.empty(2), np.empty((data.n, 2))
    for a in (0, 1):
        mu = nuisances.mean[:, a]
        psi_b = g * mu + (d == a) * omega * (y - mu)
        means[a], phi[:, a] = scores.solve(scores.LinearScore(psi_b, g), w)
    return means, phi
