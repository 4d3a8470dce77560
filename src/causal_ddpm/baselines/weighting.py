"""Inverse probability weighting with normalised weights and a logistic propensity (statsmodels).

With e = e(x), sampling weights w and weights of the arms

    ATE   w_1 = w d / e            w_0 = w (1 - d) / (1 - e)
    ATT   w_1 = w d                w_0 = w (1 - d) e / (1 - e)
    ATU   w_1 = w d (1 - e) / e    w_0 = w (1 - d)

the estimate is m_1 - m_0, m_a = sum w_a y / sum w_a (Hajek). The propensity is estimated: with its
score s = w (d - e) z, z = (1, x), Hessian H = mean(w e (1 - e) z z') and dw_a the derivative of
w_a in the log odds,

    phi = w_1 (y - m_1) / mean(w_1) - w_0 (y - m_0) / mean(w_0) + G' H^-1 s,
    G = mean((dw_1 (y - m_1) / mean(w_1) - dw_0 (y - m_0) / mean(w_0)) z)

(Lunceford and Davidian 2004); its mean square is the variance, summed within clusters first.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from causal_ddpm.baselines.base import listening, load
from causal_ddpm.baselines.cross_section import (
    MEANS,
    Array,
    CrossSectionBaseline,
    Scope,
    account,
    independent_features,
    label_of,
    variance_of_mean,
)
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import OverlapError
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import Seed
from causal_ddpm.core.reported import reported_estimate

_CERTAIN = 1e-6
"""A mean of e (1 - e) below this: the logistic fit has diverged, nobody is comparable."""
HEAVY = 0.05
"""A row that carries more than this share of its arm deserves a word."""


class IPW(CrossSectionBaseline):
    """Weighted means of the arms, each row by the inverse of its propensity."""

    name: ClassVar[str] = "ipw"
    title: ClassVar[str] = "IPW, logistic propensity"
    assumes: ClassVar[str] = "no confounders beyond those named; a logistic propensity; overlap"
    library: ClassVar[str] = "statsmodels"
    extra: ClassVar[str] = "classics"
    scope: ClassVar[Scope] = Scope(MEANS, weights=True, clusters=True)

    def _answer(
        self, data: CausalData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        z = np.column_stack([np.ones(data.n), independent_features(data)[0]])
        e = self._propensity(data, z)
        w1, w0, slope1, slope0 = arm_weights(estimand, data, e)
        y = data.outcome
        m1, m0 = w1 @ y / w1.sum(), w0 @ y / w0.sum()
        part1, part0 = (y - m1) / w1.mean(), (y - m0) / w0.mean()
        hessian = (z * (data.weights * e * (1 - e))[:, None]).T @ z / data.n
        gradient = (slope1 * part1 - slope0 * part0) @ z / data.n
        score = z * (data.weights * (data.treatment - e))[:, None]
        with listening(self.library):
            phi = w1 * part1 - w0 * part0 + score @ np.linalg.solve(hessian, gradient)
        details, notes = self._diagnostics(data, w1, w0)
        g = data.clusters
        return reported_estimate(
            account(self, data, estimand, details, notes), m1 - m0,
            np.sqrt(variance_of_mean(data, phi)), [label_of(estimand)], level=level,
            df=None if g is None else float(len(np.unique(g)) - 1),
        )  # fmt: skip

    def _propensity(self, data: CausalData, z: Array) -> Array:
        api = load("statsmodels.api", self.extra)
        with listening(self.library):
            family = api.families.Binomial()
            model = api.GLM(data.treatment, z, family=family, freq_weights=data.weights)
            e = np.asarray(model.fit().predict(z))
        if np.mean(e * (1 - e)) < _CERTAIN:
            raise OverlapError(
                "All propensities are zero or one: the confounders tell the groups apart. "
                "Expected rows of both groups at comparable values of the confounders."
            )
        return e

    @staticmethod
    def _diagnostics(data: CausalData, w1: Array, w0: Array) -> tuple[dict[str, Any], list[str]]:
        """Effective rows and the heaviest row of each arm."""
        details: dict[str, Any] = {}
        notes = []
        for word, w in (("treated", w1), ("untreated", w0)):
            heaviest = float(w.max() / w.sum())
            details[f"effective_{word}"] = float(w.sum() ** 2 / (w @ w))
            details[f"heaviest_{word}"] = heaviest
            if heaviest > HEAVY:
                notes.append(
                    f"One {word} row carries {heaviest:.0%} of the weight of its arm: overlap is "
                    "weak and the interval is hardly to be trusted."
                )
        return details, notes


def arm_weights(
    estimand: Estimand, data: CausalData, e: Array
) -> tuple[Array, Array, Array, Array]:
    """w_1 and w_0, and their derivatives in the log odds, each (n,)."""
    d, w = data.treatment.astype(float), data.weights
    if estimand.group == "treated":
        w0 = w * (1 - d) * e / (1 - e)
        return w * d, w0, np.zeros_like(e), w0
    if estimand.group == "untreated":
        w1 = w * d * (1 - e) / e
        return w1, w * (1 - d), -w1, np.zeros_like(e)
    w1, w0 = w * d / e, w * (1 - d) / (1 - e)
    return w1, w0, -w1 * (1 - e), w0 * e
