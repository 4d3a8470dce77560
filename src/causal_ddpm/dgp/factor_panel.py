"""Panels with interactive fixed effects: few treated units, and donors that move with them.

With f_t factors and l_i loadings (R of each), k = t - start event time, and m treated units,

    Y_it(0) = a_i + d_t + l_i' f_t + e_it
    Y_it    = Y_it(0) + 1{i < m, k >= 0} effect (1 - remaining^(k + 1))
    f_0 ~ N(0, I),  f_t = .9 f_t-1 + N(0, I),   d_t = d_t-1 + N(0, .2^2),  d_-1 = 0
    a_i ~ N(0, 1),  l_i ~ N(shift 1{i < m}, I),   e_it ~ N(0, sd^2), independent

The treated load more on the factors, so trends are not parallel and two-way fixed effects fail;
who knows factors and loadings, or donors that mimic them, does not.

``interactive``  50 units of which m = 5 treated, 30 + 10 periods, R = 2, shift 1, effect 1, sd 1.
``donor-pool``   40 units of which m = 1 treated, 20 + 10 periods, R = 2, shift .5, effect -2 that
                 builds up (remaining .7), sd .5: the single treated unit of a policy evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.draw import seed_number
from causal_ddpm.dgp.panel_draw import (
    NEVER,
    Array,
    NoiseLaw,
    PanelDraw,
    PanelParts,
    average_effects,
    build_up,
    check_numbers,
    check_periods,
    panel_draw,
)

PERSISTENCE = 0.9
"""Autoregressive coefficient of the factors."""

STEP_SD = 0.2
"""Standard deviation of the steps of d_t."""


@dataclass(frozen=True)
class FactorPanel:
    """A design of this module.

    Parameters
    ----------
    name : str
    n_units : int
        Units of a draw that names no number.
    n_periods : int
    start : int
        First treated period, from 1 to ``n_periods - 1``.
    n_treated : int
        m, the number of treated units, whatever the number of units.
    n_factors : int
        R.
    shift : float
        How much more the treated load on every factor.
    effect : float
        Effect on the treated in the long run.
    remaining : float
        Share of the long-run effect that is missing at event time 0, of which the same share is
        missing one period later, and so on; 0 for the full effect at once.
    noise_sd : float
        Standard deviation of the noise.

    Raises
    ------
    DataError
        For a number that is not finite, a start outside the panel, no treated unit, a negative
        number of factors, a negative noise or a share outside [0, 1).
    """

    name: str = "interactive"
    n_units: int = 50
    n_periods: int = 40
    start: int = 30
    n_treated: int = 5
    n_factors: int = 2
    shift: float = 1.0
    effect: float = 1.0
    remaining: float = 0.0
    noise_sd: float = 1.0

    def __post_init__(self) -> None:
        check_numbers(self)
        check_periods(self.n_periods, self.start)
        if self.n_treated < 1:
            raise DataError(f"{self.n_treated} units are treated", "at least one")
        if self.n_factors < 0:
            raise DataError(f"there are {self.n_factors} factors", "none or more")
        self.noise_law()
        self.mean_effect()

    def draw(self, n: int | None = None, seed: Seed = 0) -> PanelDraw:
        """Draw n units over all periods; the same seed gives the same panel.

        Raises
        ------
        DataError
            If no unit would be left untreated.
        """
        n = self.n_units if n is None else n
        if n <= self.n_treated:
            raise DataError(
                f"a panel of {n} units was asked for",
                f"at least {self.n_treated + 1}, of which {self.n_treated} are treated",
            )
        rng = stream(seed, "design", self.name)
        is_treated = np.arange(n) < self.n_treated
        factors = self._factors(rng)
        loadings = rng.standard_normal((n, self.n_factors)) + self.shift * is_treated[:, None]
        parts = PanelParts(
            cohort=np.where(is_treated, self.start, NEVER),
            effect=np.tile(self.mean_effect(), (n, 1)),
            unit_effect=rng.standard_normal(n),
            period_effect=np.cumsum(STEP_SD * rng.standard_normal(self.n_periods)),
            structure=loadings @ factors.T,
            noise=self.noise_law().sample(rng, n, self.n_periods),
            covariates={},
        )
        return panel_draw(parts, self.noise_law(), self.truth(), seed_number(seed))

    def _factors(self, rng: np.random.Generator) -> Array:
        """f_t, shape (n_periods, n_factors)."""
        f = rng.standard_normal((self.n_periods, self.n_factors))
        for t in range(1, self.n_periods):
            f[t] += PERSISTENCE * f[t - 1]
        return f

    def mean_effect(self) -> Array:
        """Effect on a treated unit by period, 0 before ``start``, shape (n_periods,)."""
        return build_up(self.effect, self.remaining, self.n_periods, self.start)

    def noise_law(self) -> NoiseLaw:
        """The law of e_it."""
        return NoiseLaw(self.noise_sd)

    def truth(self) -> Truth:
        """Population effects: ATT, by cohort, by event time; the same for every draw."""
        population = average_effects(self.mean_effect()[None], np.array([self.start]), np.ones(1))
        return Truth(self.name, population, equations=self.equations())

    def equations(self) -> tuple[str, ...]:
        """The design in words and formulas."""
        tau = f"{self.effect:g}"
        if self.remaining:
            tau += f" (1 - {self.remaining:g}^(k + 1))"
        treated = "unit 0 is" if self.n_treated == 1 else f"units 0, ..., {self.n_treated - 1} are"
        last = self.n_periods - 1
        return (
            f"units i, periods t = 0, ..., {last}; event time k = t - {self.start}",
            f"{treated} treated from k = 0 on: D_i = 1; the others are donors: D_i = 0",
            "Y_it(0) = a_i + d_t + l_i' f_t + e_it",
            f"tau_it = {tau} for k >= 0",
            "Y_it = Y_it(0) + D_i 1{k >= 0} tau_it",
            f"{self.n_factors} factors: f_0 ~ N(0, I), f_t = .9 f_t-1 + N(0, I); "
            f"loadings l_i ~ N({self.shift:g} D_i, I)",
            "a_i ~ N(0, 1); d_t a random walk from 0 with steps N(0, .2^2); "
            f"e_it ~ N(0, {self.noise_sd:g}^2)",
        )


INTERACTIVE = FactorPanel()
DONOR_POOL = FactorPanel(
    "donor-pool", n_units=40, n_periods=30, start=20, n_treated=1, shift=0.5, effect=-2.0,
    remaining=0.7, noise_sd=0.5,
)  # fmt: skip
