"""``staggered``: cohorts that adopt at different times, with effects that differ and grow.

With g_i the first treated period of unit i (0: never) and k = t - g_i event time,

    P(g_i = 0) = P(g_i = 6) = P(g_i = 11) = P(g_i = 16) = 1/4,   t = 0, ..., 19
    Y_it(0) = a_i + d_t + e_it
    Y_it    = Y_it(0) + 1{g_i > 0, k >= 0} b_g (1 + .3 k),   b_6 = 2, b_11 = 1, b_16 = .5
    a_i ~ N(.5 1{g_i > 0}, 1),   d_t = d_t-1 + N(0, .3^2),   d_-1 = 0
    e_it = .5 e_i,t-1 + sqrt(.75) N(0, 1),   e_i0 ~ N(0, 1)

Early adopters gain most and ever more, so a regression with two-way fixed effects, which compares
late adopters with early ones, is far from the ATT (105.3 / 27 = 3.9 in the population).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.draw import seed_number
from causal_ddpm.dgp.panel_draw import (
    NEVER,
    Array,
    Cohorts,
    NoiseLaw,
    PanelDraw,
    PanelParts,
    average_effects,
    drawn_cohorts,
    panel_draw,
)

N_PERIODS = 20

FIRST_EFFECT = MappingProxyType({NEVER: 0.0, 6: 2.0, 11: 1.0, 16: 0.5})
"""b_g by cohort g."""

GROWTH = 0.3
"""How much of b_g is added with every period of treatment."""

LEVEL = 0.5
"""How much higher the unit effects of the ever-treated are."""

STEP_SD = 0.3
"""Standard deviation of the steps of d_t."""

EQUATIONS = (
    "units i, periods t = 0, ..., 19; cohort g_i is the first treated period, 0 for never treated",
    "P(g_i = 0) = P(g_i = 6) = P(g_i = 11) = P(g_i = 16) = 1/4; event time k = t - g_i",
    "Y_it(0) = a_i + d_t + e_it",
    "tau_it = b_g (1 + .3 k) for k >= 0, b_6 = 2, b_11 = 1, b_16 = .5",
    "Y_it = Y_it(0) + 1{g_i > 0, k >= 0} tau_it",
    "a_i ~ N(.5 1{g_i > 0}, 1); d_t a random walk from 0 with steps N(0, .3^2)",
    "e_it = .5 e_i,t-1 + sqrt(.75) N(0, 1), e_i0 ~ N(0, 1)",
)


@dataclass(frozen=True)
class StaggeredAdoption:
    """The design of this module.

    Parameters
    ----------
    name : str
    n_units : int
        Units of a draw that names no number.
    """

    name: str = "staggered"
    n_units: int = 150

    def draw(self, n: int | None = None, seed: Seed = 0) -> PanelDraw:
        """Draw n units over all periods; the same seed gives the same panel."""
        rng = stream(seed, "design", self.name)
        n, cohorts = self.n_units if n is None else n, tuple(FIRST_EFFECT)
        cohort = drawn_cohorts(n, cohorts, (1 / len(cohorts),) * len(cohorts), rng)
        steps = STEP_SD * rng.standard_normal(N_PERIODS)
        parts = PanelParts(
            cohort=cohort,
            effect=self.effect_of(cohort),
            unit_effect=rng.standard_normal(n) + LEVEL * (cohort != NEVER),
            period_effect=np.cumsum(steps),
            structure=np.zeros((n, N_PERIODS)),
            noise=self.noise_law().sample(rng, n, N_PERIODS),
            covariates={},
        )
        return panel_draw(parts, self.noise_law(), self.truth(), seed_number(seed))

    def effect_of(self, cohort: Cohorts) -> Array:
        """tau_it of units in these cohorts (n,), 0 before treatment, shape (n, N_PERIODS)."""
        k = np.arange(N_PERIODS) - cohort[:, None]
        b = np.array([FIRST_EFFECT[int(g)] for g in cohort])
        return np.where(k >= 0, b[:, None] * (1 + GROWTH * k), 0.0)

    def noise_law(self) -> NoiseLaw:
        """The law of e_it."""
        return NoiseLaw(1.0, autocorrelation=0.5)

    def truth(self) -> Truth:
        """Population effects: ATT, by cohort, by event time."""
        cohort = np.array(list(FIRST_EFFECT))
        population = average_effects(self.effect_of(cohort), cohort, np.ones(len(cohort)))
        return Truth(self.name, population, equations=EQUATIONS)


STAGGERED = StaggeredAdoption()
