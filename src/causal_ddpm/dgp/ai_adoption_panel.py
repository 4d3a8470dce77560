"""``ai-adoption-panel``: simulated firms that adopt AI in different quarters.

With g_i the first quarter in which firm i uses AI (0: never) and k = t - g_i event time,

    P(g_i = 0) = .4,   P(g_i = 6) = P(g_i = 9) = P(g_i = 12) = .2,   t = 0, ..., 15
    Y_it(0) = 80 + a_i + d_t + e_it            value added per worker, thousand dollars
    Y_it    = Y_it(0) + 1{g_i > 0, k >= 0} b_g (1 - .7^(k + 1)),   b_6 = 9, b_9 = 6, b_12 = 3
    a_i ~ N(m_g, 8^2),   m_0 = -3, m_6 = 5, m_9 = 2, m_12 = 0
    d_t = d_t-1 + N(.4, .5^2),   d_-1 = 0
    e_it = .5 e_i,t-1 + sqrt(.75) 3 N(0, 1),   e_i0 ~ N(0, 3^2)

More productive firms adopt, and adopt earlier, so users and others differ by far more than the
effect; productivity grows for everyone, so before and after differ too. Untreated trends are
parallel. Early adopters gain most and what AI does builds up, so a regression with two-way fixed
effects, which compares late adopters with early ones, is not centred on the ATT.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.draw import seed_number
from causal_ddpm.dgp.draw_file import write_draw
from causal_ddpm.dgp.panel_draw import (
    NEVER,
    Array,
    Cohorts,
    NoiseLaw,
    PanelDraw,
    PanelParts,
    average_effects,
    build_up,
    drawn_cohorts,
    panel_draw,
)

N_PERIODS = 16

FIRST_YEAR = 2021
"""Period 0 is the first quarter of this year in files."""

LONG_RUN = MappingProxyType({NEVER: 0.0, 6: 9.0, 9: 6.0, 12: 3.0})
"""b_g by cohort g."""

PROBABILITY = MappingProxyType({NEVER: 0.4, 6: 0.2, 9: 0.2, 12: 0.2})
"""P(g_i = g)."""

LEVEL = MappingProxyType({NEVER: -3.0, 6: 5.0, 9: 2.0, 12: 0.0})
"""m_g by cohort g."""

REMAINING = 0.7
"""Share of what is missing of b_g that is still missing one quarter later."""

COLUMNS = ("firm_id", "quarter", "productivity", "uses_ai", "adoption_quarter")
"""Columns of a file; the adoption quarter is empty for firms that never adopt."""

EQUATIONS = (
    "firms i, quarters t = 0, ..., 15; cohort g_i is the first quarter with AI, 0 for never",
    "P(g_i = 0) = .4, P(g_i = 6) = P(g_i = 9) = P(g_i = 12) = .2; event time k = t - g_i",
    "Y_it(0) = 80 + a_i + d_t + e_it: value added per worker, thousand dollars",
    "tau_it = b_g (1 - .7^(k + 1)) for k >= 0, b_6 = 9, b_9 = 6, b_12 = 3",
    "Y_it = Y_it(0) + 1{g_i > 0, k >= 0} tau_it",
    "a_i ~ N(m_g, 8^2), m_0 = -3, m_6 = 5, m_9 = 2, m_12 = 0; "
    "d_t a random walk from 0 with steps N(.4, .5^2)",
    "e_it = .5 e_i,t-1 + sqrt(.75) 3 N(0, 1), e_i0 ~ N(0, 3^2)",
)


@dataclass(frozen=True)
class AIAdoptionPanel:
    """The design of this module.

    Parameters
    ----------
    name : str
    n_units : int
        Firms of a draw that names no number.
    """

    name: str = "ai-adoption-panel"
    n_units: int = 120

    def draw(self, n: int | None = None, seed: Seed = 0) -> PanelDraw:
        """Draw n firms over all quarters; the same seed gives the same panel."""
        rng = stream(seed, "design", self.name)
        n = self.n_units if n is None else n
        cohort = drawn_cohorts(n, tuple(PROBABILITY), tuple(PROBABILITY.values()), rng)
        level = np.array([LEVEL[int(g)] for g in cohort])
        parts = PanelParts(
            cohort=cohort,
            effect=self.effect_of(cohort),
            unit_effect=80 + level + 8 * rng.standard_normal(n),
            period_effect=np.cumsum(0.4 + 0.5 * rng.standard_normal(N_PERIODS)),
            structure=np.zeros((n, N_PERIODS)),
            noise=self.noise_law().sample(rng, n, N_PERIODS),
            covariates={},
        )
        return panel_draw(parts, self.noise_law(), self.truth(), seed_number(seed))

    def effect_of(self, cohort: Cohorts) -> Array:
        """tau_it of firms in these cohorts (n,), 0 before adoption, shape (n, N_PERIODS)."""
        path = {g: build_up(b, REMAINING, N_PERIODS, g) for g, b in LONG_RUN.items()}
        return np.stack([path[int(g)] for g in cohort])

    def noise_law(self) -> NoiseLaw:
        """The law of e_it."""
        return NoiseLaw(3.0, autocorrelation=0.5)

    def truth(self) -> Truth:
        """Population effects: ATT, by cohort, by event time."""
        cohort = np.array(list(PROBABILITY))
        weight = np.array(list(PROBABILITY.values()))
        population = average_effects(self.effect_of(cohort), cohort, weight)
        return Truth(self.name, population, equations=EQUATIONS)


AI_ADOPTION_PANEL = AIAdoptionPanel()


def write(path: str | Path, n: int | None = None, seed: int = 0) -> PanelDraw:
    """Write a panel of n firms to a file, and what is true of them to ``FILE.truth.json``.

    Parameters
    ----------
    path : str or Path
        Ends in .csv or .parquet; existing files are replaced.
    n : int, optional
        Number of firms.
    seed : int
        Seed of the draw.

    Raises
    ------
    DataError
        If the files cannot be written, or with fewer firms than cohorts.
    """
    draw = AI_ADOPTION_PANEL.draw(n, seed)
    write_draw(replace(draw, frame=named(draw.frame)), path, replace=True)
    return draw


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame of a draw with :data:`COLUMNS` and quarters such as 2022Q3."""
    quarter = [f"{FIRST_YEAR + t // 4}Q{t % 4 + 1}" for t in range(N_PERIODS)]
    known = dict(enumerate(quarter))
    columns = (
        frame["unit"] + 1, frame["period"].map(known), frame["y"], frame["treated"],
        frame["cohort"].replace({NEVER: -1}).map(known),
    )  # fmt: skip
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
