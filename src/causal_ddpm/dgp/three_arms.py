"""A confounded design with three arms whose means are known.

Covariates x ~ N(0, I_5), arms 0 "control", 1 "letter" and 2 "visit":

    l_0 = 0,   l_1 = .6 x0 - .4 x1,   l_2 = .5 x2 - .5 x0 + .4 sin(x0 x1) - .2,   e_a = softmax(l)_a
    m_0 = sin(1.5 x0) + .4 x1^2 + .5 x3
    m_1 = m_0 + .5 + .5 x1
    m_2 = m_0 + 1 - .3 x0 + .6 1{x2 > 0}
    Y(a) | x ~ N(m_a, s_a^2),   s_a = .5 + .2 |x3| + .2 a
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ArmContrast, ArmMeans, Estimand
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.treatment import Treatment
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.draw import Draw, checked_size, seed_number
from causal_ddpm.dgp.population import normal_points

Array = NDArray[np.float64]

ARMS = ("control", "letter", "visit")
N_COVARIATES = 5
_SCHEMA = Treatment("arms", ("arm",), ARMS)
_EQUATIONS = (
    "x0, ..., x4 ~ N(0, 1), independent",
    "l = (0, .6 x0 - .4 x1, .5 x2 - .5 x0 + .4 sin(x0 x1) - .2), P(A = a | x) = softmax(l)_a",
    "m_0 = sin(1.5 x0) + .4 x1^2 + .5 x3",
    "m_1 = m_0 + .5 + .5 x1, m_2 = m_0 + 1 - .3 x0 + .6 1{x2 > 0}",
    "Y(a) ~ N(m_a, (.5 + .2 |x3| + .2 a)^2)",
)


@dataclass(frozen=True)
class ThreeArms:
    """The design of this module."""

    name: str = "three-arms"

    def draw(self, n: int, seed: Seed = 0) -> Draw:
        """Draw n rows; the same seed gives the same rows."""
        rng = stream(seed, "design", self.name)
        x = rng.standard_normal((checked_size(n), N_COVARIATES))
        e, mean = self.propensity(x), means(x)
        arm = (rng.random((n, 1)) > np.cumsum(e, axis=1)[:, :-1]).sum(axis=1)
        outcomes = mean + spreads(x) * rng.standard_normal((n, len(ARMS)))
        names = [f"x{j}" for j in range(N_COVARIATES)]
        frame = pd.DataFrame(x, columns=names).assign(
            arm=np.asarray(ARMS)[arm], y=outcomes[np.arange(n), arm]
        )
        data = CausalData(frame, "arm", "y", names, treatment_kind="arms", control=ARMS[0])
        sample: dict[str, float] = {}
        for question in questions():
            codes, labels = question.asked(_SCHEMA), question.labels(_SCHEMA)
            sample |= _named(question, labels, outcomes.mean(axis=0)[list(codes)])
        known = self.truth()
        truth = Truth(
            design=self.name, population=known.population, sample=sample,
            efficiency_sd=known.efficiency_sd, equations=_EQUATIONS, seed=seed_number(seed),
        )  # fmt: skip
        return Draw(frame, data, truth, outcomes, mean, e)

    def truth(self) -> Truth:
        """Population means, contrasts and their efficiency bounds, by integration over x."""
        return _population_truth(self)

    def truth_of(self, estimand: Estimand) -> dict[str, float]:
        """Population values of an estimand by the labels of its estimate.

        Raises
        ------
        DataError
            If the design does not know them.
        """
        if not isinstance(estimand, ArmMeans | ArmContrast):
            raise DataError(
                f"no truth of the {estimand.name} is known here", "arm means, contrasts"
            )
        estimand.check_treatment(_SCHEMA)
        x = normal_points(N_COVARIATES)
        t = estimand.meant(_SCHEMA)
        g = np.ones(len(x)) if t is None else self.propensity(x)[:, t]
        values = g @ means(x) / g.sum()
        return _named(estimand, estimand.labels(_SCHEMA), values[list(estimand.asked(_SCHEMA))])

    def mean(self, x: ArrayLike, arm: int) -> Array:
        """E[Y(arm) | x], shape (n,)."""
        return means(np.asarray(x, dtype=float))[:, arm]

    def propensity(self, x: ArrayLike) -> Array:
        """P(A = a | x), shape (n, 3)."""
        z = np.asarray(x, dtype=float)
        letter = 0.6 * z[:, 0] - 0.4 * z[:, 1]
        visit = 0.5 * z[:, 2] - 0.5 * z[:, 0] + 0.4 * np.sin(z[:, 0] * z[:, 1]) - 0.2
        e: Array = softmax(np.column_stack([np.zeros(len(z)), letter, visit]), axis=1)
        return e


def means(x: Array) -> Array:
    """m_a at each x, shape (n, 3)."""
    control = np.sin(1.5 * x[:, 0]) + 0.4 * x[:, 1] ** 2 + 0.5 * x[:, 3]
    letter = control + 0.5 + 0.5 * x[:, 1]
    visit = control + 1 - 0.3 * x[:, 0] + 0.6 * (x[:, 2] > 0)
    return np.column_stack([control, letter, visit])


def spreads(x: Array) -> Array:
    """s_a at each x, shape (n, 3)."""
    return 0.5 + 0.2 * np.abs(x[:, [3]]) + 0.2 * np.arange(len(ARMS))


def questions() -> tuple[ArmMeans | ArmContrast, ...]:
    """What the truth record answers: all means, and each pair of arms."""
    pairs = (("letter", "control"), ("visit", "control"), ("visit", "letter"))
    return (ArmMeans(), *(ArmContrast(arm, control) for arm, control in pairs))


def _named(
    estimand: ArmMeans | ArmContrast, labels: tuple[str, ...], values: Array
) -> dict[str, float]:
    found = values[:1] - values[1:] if isinstance(estimand, ArmContrast) else values
    return dict(zip(labels, map(float, found), strict=True))


THREE_ARMS = ThreeArms()


@cache
def _population_truth(design: ThreeArms) -> Truth:
    x = normal_points(N_COVARIATES)
    mean, noise = means(x), spreads(x) ** 2 / design.propensity(x)
    population: dict[str, float] = {}
    bounds: dict[str, float] = {}
    for question in questions():
        truth, codes = design.truth_of(question), list(question.asked(_SCHEMA))
        population |= truth
        if isinstance(question, ArmContrast):
            effect = mean[:, codes[0]] - mean[:, codes[1]]
            variances = [noise[:, codes].sum(axis=1) + (effect - effect.mean()) ** 2]
        else:
            variances = list((noise + (mean - mean.mean(axis=0)) ** 2).T)
        bounds |= {
            label: float(np.sqrt(v.mean())) for label, v in zip(truth, variances, strict=True)
        }
    return Truth(design.name, population, efficiency_sd=bounds, equations=_EQUATIONS)
