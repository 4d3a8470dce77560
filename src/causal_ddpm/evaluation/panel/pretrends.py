r"""Whether groups move together before treatment, and whether a test could tell if they did not.

b (K,) are the event-study coefficients before treatment, with mean zero under parallel trends, and
Sigma their estimated covariance with nu degrees of freedom. The joint test is Hotelling's,

    wald = b' Sigma^-1 b,      wald (nu - K + 1) / (nu K) ~ F(K, nu - K + 1),

chi^2_K / K for nu infinite; nu is that of the coefficient with the fewest treated clusters behind
it (:mod:`causal_ddpm.evaluation.panel.event_times`). The chi^2 law would reject far too often: in
simulated panels with 10 treated of 40 units and K = 5, 22 % of the time instead of 5 %. The test
takes as many coefficients, nearest to treatment first, as keep K <= nu / 2.

A test that finds nothing says little unless it could have found something (Roth 2022). Under a
linear difference in trends of slope s, coefficient k is off by s v_k (v_k = k + 1 where everything
is measured from event time -1), and the law of wald has the noncentrality

    lambda = s^2 v' Sigma^-1 v,      power(s) = P(wald > c),      c the critical value

The slope detected with power p follows from lambda. It would bias the average effect w' b_post by

    s w' v_post                                                  whether or not the test is passed
    s w' v_post + w' Sigma_post,pre Sigma^-1 s v (r - 1)         among panels that pass it

with r = P(chi^2_{K+2}(lambda) <= c) / P(chi^2_K(lambda) <= c), since a normal vector x of mean m
and covariance Sigma has E[x 1{x' Sigma^-1 x <= c}] = m P(chi^2_{K+2}(lambda) <= c).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.stats import chi2, f, ncf, ncx2

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.evaluation.panel.event_times import REFERENCE, EventTimes, event_times

Array = NDArray[np.float64]

POWERS = (0.5, 0.8)
RANK = 1e-10
"""Eigenvalues of Sigma below this share of the largest count as zero."""


@dataclass(frozen=True)
class UnnoticedTrend:
    """A linear difference in trends that the test finds with a given probability.

    Parameters
    ----------
    power : float
    slope : float
        Per period, in units of the outcome.
    bias : float
        What it does to the average effect.
    bias_if_passed : float
        The same on average over panels in which the test finds nothing.
    """

    power: float
    slope: float
    bias: float
    bias_if_passed: float


@dataclass(frozen=True)
class WaldLaw:
    """The law of the joint statistic.

    Parameters
    ----------
    K : int
    nu : float
        Degrees of freedom of the covariance, infinite for a known one.
    """

    K: int
    nu: float = np.inf

    @property
    def _factor(self) -> float:
        """(nu - K + 1) / (nu K)."""
        return 1 / self.K if np.isinf(self.nu) else (self.nu - self.K + 1) / (self.nu * self.K)

    def exceeds(self, wald: float, noncentrality: float = 0.0) -> float:
        """P(statistic > wald)."""
        lam, rest = max(noncentrality, 1e-9), self.nu - self.K + 1
        if np.isinf(self.nu):
            return float(ncx2.sf(wald, self.K, lam))
        return float(ncf.sf(wald * self._factor, self.K, rest, lam))

    def critical(self, level: float) -> float:
        """The value exceeded with probability 1 - level if there is no difference."""
        if np.isinf(self.nu):
            return float(chi2.ppf(level, self.K))
        return float(f.ppf(level, self.K, self.nu - self.K + 1) / self._factor)

    def noncentrality(self, power: float, level: float) -> float:
        """lambda at which the test has a power."""
        c = self.critical(level)
        return float(brentq(lambda lam: self.exceeds(c, lam) - power, 1e-6, 1e4))


@dataclass(frozen=True)
class PretrendTest:
    """The joint test of the coefficients before treatment, and its power.

    Parameters
    ----------
    wald, p_value : float
    n_coefficients : int
        K.
    df : float
        nu.
    first : int
        Earliest event time tested.
    largest : float
        Largest coefficient tested, in absolute value.
    largest_at : int
        Its event time.
    average : float
        The average effect that a trend would bias.
    level : float
        The test is made at 1 - level.
    trends : tuple of UnnoticedTrend
    left_out : str
        Event times that were left out, in words.
    """

    wald: float
    p_value: float
    n_coefficients: int
    df: float
    first: int
    largest: float
    largest_at: int
    average: float
    level: float
    trends: tuple[UnnoticedTrend, ...]
    left_out: str = ""

    @property
    def passed(self) -> bool:
        """Whether the test finds no difference."""
        return self.p_value >= 1 - self.level

    def frame(self) -> pd.DataFrame:
        """One row a power: power, slope, bias, bias_if_passed, share (of the average effect)."""
        table = pd.DataFrame([asdict(trend) for trend in self.trends])
        return table.assign(share=table["bias"].abs() / abs(self.average))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields, with the words; infinite degrees of freedom are None."""
        df = self.df if np.isfinite(self.df) else None
        return {**asdict(self), "df": df, "passed": self.passed, "words": self.words}

    @property
    def words(self) -> str:
        """The test, what it could have missed, and what that would do to the effect."""
        half = self.trends[0]
        share = abs(half.bias / self.average)
        others = [f"{t.slope:.3g} and {abs(t.bias):.3g} at {t.power:.0%}" for t in self.trends[1:]]
        more = f" ({'; '.join(others)})" if others else ""
        text = (
            f"{self._verdict()} A linear difference in trends of {half.slope:.3g} per period would "
            f"be noticed {half.power:.0%} of the time, and would by itself move the average effect "
            f"({self.average:.3g}) by {abs(half.bias):.3g}, {share:.0%} of it{more}."
        )
        if not self.passed:
            text += " Parallel trends are in doubt: read the bounds, not the point estimate."
        elif share >= 0.5:
            text += " The test is too weak to support parallel trends on its own."
        return text + self.left_out

    def _verdict(self) -> str:
        one = self.n_coefficients == 1
        which = "coefficient" if one else f"{self.n_coefficients} coefficients"
        verdict = "finds no difference in trends" if self.passed else "FINDS a difference in trends"
        return (
            f"The {'' if one else 'joint '}test of the {which} before treatment (from event time "
            f"{self.first} on) {verdict}: p = {self.p_value:.2g}; the largest is "
            f"{self.largest:.3g} at event time {self.largest_at}."
        )


def pretrend_test(
    study: Estimate,
    panel: PanelData | None = None,
    response: ArrayLike | None = None,
    level: float = 0.95,
    powers: tuple[float, ...] = POWERS,
) -> PretrendTest:
    """Test the coefficients before treatment jointly, and say what the test could have missed.

    Parameters
    ----------
    study : Estimate
        An event study with a joint covariance; labels are event times.
    panel : PanelData, optional
        For the degrees of freedom, and the weights of event times in the average effect; without
        it the covariance counts as known, and weights are equal.
    response : array_like, shape (len(study),), optional
        What a difference in trends of slope 1 adds to each coefficient, see
        :func:`~causal_ddpm.evaluation.panel.trend_response.trend_response`; k + 1 by default, right
        for studies measured from event time -1.
    level : float
    powers : tuple of float

    Raises
    ------
    DataError
        If a label is no event time, or the response has another length.
    NotIdentifiedError
        If no coefficient before treatment can be tested.
    """
    whole = event_times(study, panel)
    times = whole.trusted()
    nu = float(times.df[: times.n_pre].min())
    v = _response(study, times, response)
    K = times.n_pre
    root, b = _inverse_root(times.cov[:K, :K]), times.values[:K]
    law = WaldLaw(len(root), nu)
    wald = float(((root @ b) ** 2).sum())
    at = int(np.abs(b).argmax())
    return PretrendTest(
        wald, law.exceeds(wald), law.K, nu, int(times.times[0]), float(b[at]),
        int(times.times[at]), times.average, level,
        tuple(_trend(power, times, v, law, level) for power in powers), whole.left_out_words(),
    )  # fmt: skip


def power_of_slope(
    slope: float, response: Array, cov: Array, level: float = 0.95, nu: float = np.inf
) -> float:
    """Probability that the joint test notices a linear difference in trends.

    Parameters
    ----------
    slope : float
    response : ndarray, shape (K,)
        v of the coefficients before treatment.
    cov : ndarray, shape (K, K)
    level : float
    nu : float
    """
    root = _inverse_root(cov)
    law = WaldLaw(len(root), nu)
    return law.exceeds(law.critical(level), slope**2 * float(((root @ response) ** 2).sum()))


def _trend(power: float, times: EventTimes, v: Array, law: WaldLaw, level: float) -> UnnoticedTrend:
    """The slope found with this power, and what it does."""
    k, c, lam = times.n_pre, law.critical(level), law.noncentrality(power, level)
    root = _inverse_root(times.cov[:k, :k])
    slope = float(np.sqrt(lam / ((root @ v[:k]) ** 2).sum()))
    direct = slope * float(times.weights @ v[k:])
    r = ncx2.cdf(c, law.K + 2, lam) / ncx2.cdf(c, law.K, lam)
    onto_pre = times.weights @ times.cov[k:, :k] @ root.T @ root
    shift = float(onto_pre @ (slope * v[:k])) * (r - 1)
    return UnnoticedTrend(power, slope, direct, direct + shift)


def _response(study: Estimate, times: EventTimes, response: ArrayLike | None) -> Array:
    """v of the coefficients that are used."""
    if response is None:
        return (times.times - REFERENCE).astype(float)
    given = np.asarray(response, dtype=float)
    if given.shape != (len(study),):
        raise DataError(f"the response has shape {given.shape}", f"({len(study)},)")
    return given[times.place]


def _inverse_root(cov: Array) -> Array:
    """A with A' A the (pseudo-)inverse of a covariance, shape (rank, K)."""
    size, vectors = np.linalg.eigh(cov)
    kept = size > RANK * size.max()
    return (vectors[:, kept] / np.sqrt(size[kept])).T
