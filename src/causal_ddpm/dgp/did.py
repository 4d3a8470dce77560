"""Difference-in-differences designs: one start of treatment, a random half of the units treated.

With i a unit, t = 0, ..., T - 1 a period, G_i the group to be treated, k = t - start event time,

    y_it(0) = a_i + trend t + break max(k + 1, 0) + divergence G_i t + 1.1 x_it + e_it
    y_it    = y_it(0) + G_i 1{k >= 0} tau_it
    tau_it  = effect (1 - remaining^(k + 1)) (1 + heterogeneity a_i)
    a_i, x_it ~ N(0, 1),   G_i ~ Bernoulli(1/2),   e_it ~ N(0, sd^2), independent

``did``                 T = 100, start = 50, effect .5, trend .01, sd 1, the others 0: the process
                        of the historic experiment, :class:`causal_ddpm.DID_Dataset`, with noise.
``did-broken-trend``    break .02: the trend of all units bends when treatment starts. Trends stay
                        parallel; cells before treatment cannot tell.
``did-diverging-trends``  divergence .01: the treated drift away all along; trends are not parallel.
``did-heterogeneous``   heterogeneity .6: effects differ from unit to unit.
``did-dynamic``         remaining .9: the effect builds up over the periods of treatment.

Since a_i is independent of G_i, the population mean of tau_it at event time k is
effect (1 - remaining^(k + 1)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    drawn_cohorts,
    panel_draw,
)

SLOPE = 1.1
"""Coefficient of x."""


@dataclass(frozen=True)
class DifferenceInDifferences:
    """A design of this module.

    Parameters
    ----------
    name : str
    n_units : int
        Units of a draw that names no number.
    n_periods : int
    start : int
        First treated period, from 1 to ``n_periods - 1``.
    effect : float
        Mean effect on the treated, in the long run.
    trend : float
        Slope of the trend that all units share, per period.
    noise_sd : float
        Standard deviation of the noise; 0 gives the historic process, which has none.
    trend_break : float
        Slope that is added to everybody's trend from ``start`` on.
    divergence : float
        Slope that is added to the trend of the treated group in all periods.
    heterogeneity : float
        How much the effect on a unit grows with its unit effect.
    remaining : float
        Share of the long-run effect that is missing at event time 0, of which the same share is
        missing one period later, and so on; 0 for the full effect at once.

    Raises
    ------
    DataError
        For a number that is not finite, a start outside the panel, a negative noise or a share
        outside [0, 1).
    """

    name: str = "did"
    n_units: int = 100
    n_periods: int = 100
    start: int = 50
    effect: float = 0.5
    trend: float = 0.01
    noise_sd: float = 1.0
    trend_break: float = 0.0
    divergence: float = 0.0
    heterogeneity: float = 0.0
    remaining: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self)
        check_periods(self.n_periods, self.start)
        self.noise_law()
        self.mean_effect()

    def draw(self, n: int | None = None, seed: Seed = 0) -> PanelDraw:
        """Draw n units over all periods; the same seed gives the same panel."""
        rng = stream(seed, "design", self.name)
        n = self.n_units if n is None else n
        cohort = drawn_cohorts(n, (NEVER, self.start), (0.5, 0.5), rng)
        a = rng.standard_normal(n)
        x = rng.standard_normal((n, self.n_periods))
        drift = self.divergence * np.outer(cohort != NEVER, np.arange(self.n_periods))
        parts = PanelParts(
            cohort=cohort,
            effect=np.outer(1 + self.heterogeneity * a, self.mean_effect()),
            unit_effect=a,
            period_effect=self.period_effect(),
            structure=SLOPE * x + drift,
            noise=self.noise_law().sample(rng, n, self.n_periods),
            covariates={"x": x},
        )
        return panel_draw(parts, self.noise_law(), self.truth(), seed_number(seed))

    def period_effect(self) -> Array:
        """The trend that all units share, shape (n_periods,)."""
        t = np.arange(self.n_periods)
        return self.trend * t + self.trend_break * np.maximum(t - self.start + 1, 0)

    def mean_effect(self) -> Array:
        """Mean effect on the treated group by period, 0 before ``start``, shape (n_periods,)."""
        return build_up(self.effect, self.remaining, self.n_periods, self.start)

    def noise_law(self) -> NoiseLaw:
        """The law of e_it."""
        return NoiseLaw(self.noise_sd)

    def truth(self) -> Truth:
        """Population effects: ATT, by cohort, by event time."""
        population = average_effects(self.mean_effect()[None], np.array([self.start]), np.ones(1))
        return Truth(self.name, population, equations=self.equations())

    def equations(self) -> tuple[str, ...]:
        """The design in words and formulas, without the terms that are zero."""
        trends = [f"{self.trend:g} t"]
        if self.trend_break:
            trends.append(f"{self.trend_break:g} max(k + 1, 0)")
        if self.divergence:
            trends.append(f"{self.divergence:g} G_i t")
        tau = f"{self.effect:g}"
        if self.remaining:
            tau += f" (1 - {self.remaining:g}^(k + 1))"
        if self.heterogeneity:
            tau += f" (1 + {self.heterogeneity:g} a_i)"
        last, laws = self.n_periods - 1, ["a_i ~ N(0, 1)", "x_it ~ N(0, 1)"]
        untreated = f"a_i + {' + '.join(trends)} + {SLOPE:g} x_it"
        if self.noise_sd:
            untreated += " + e_it"
            laws.append(f"e_it ~ N(0, {self.noise_sd:g}^2)")
        return (
            f"units i, periods t = 0, ..., {last}; event time k = t - {self.start}",
            "G_i ~ Bernoulli(1/2): the units that are treated from k = 0 on",
            f"Y_it(0) = {untreated}",
            f"tau_it = {tau} for k >= 0",
            "Y_it = Y_it(0) + G_i 1{k >= 0} tau_it",
            f"{', '.join(laws)}, independent",
        )


DID = DifferenceInDifferences()
BROKEN_TREND = DifferenceInDifferences("did-broken-trend", trend_break=0.02)
DIVERGING_TRENDS = DifferenceInDifferences("did-diverging-trends", divergence=0.01)
HETEROGENEOUS = DifferenceInDifferences("did-heterogeneous", heterogeneity=0.6)
DYNAMIC = DifferenceInDifferences("did-dynamic", remaining=0.9)
