"""A market whose price is endogenous and whose curves are known.

With p = log price and q = log quantity,

    demand   q = 1 - .9 p - g_d p^2 + .8 income + u_d
    supply   q = .4 + .7 p + g_s p^2 - .7 cost + u_s

``log-linear``: g_d = g_s = 0; ``curved``: g_d = .15, g_s = .10. Income and cost shift one curve
each. Shocks have mean zero given the shifters, hit both curves at once, come as booms and slumps
(two modes), and are larger where incomes are; :data:`EQUATIONS` has the rest. So price is high
when both curves are, and neither curve can be read off the cloud of prices and quantities; cost
traces demand, income traces supply. A tax at rate t makes buyers pay p_c = p_s + log(1 + t).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.draw import checked_size, seed_number
from causal_ddpm.dgp.population import normal_points

Array = NDArray[np.float64]

COLUMNS = ("price", "quantity", "income", "cost")
DEMAND: Mapping[str, float] = {"price": -0.9, "income": 0.8}
"""Elasticity of demand at p = 0, and what income adds."""
SUPPLY: Mapping[str, float] = {"price": 0.7, "cost": -0.7}
"""Elasticity of supply at p = 0, and what cost adds."""
TAXES = (0.1, 0.2, 0.3)
"""Rates whose equilibrium the truth records."""

EQUATIONS = (
    "demand: q = 1 - .9 p - g_d p^2 + .8 income + u_d, p = log price, q = log quantity",
    "supply: q = .4 + .7 p + g_s p^2 - .7 cost + u_s",
    "income, cost ~ N(0, .5^2), independent",
    "u_d = .3 s (1.2 b + e_1), u_s = .15 s (.8 b + .3 e_1 + e_2), s = exp(.3 income), "
    "b = +1 or -1 with probability 1/2, e_1, e_2 ~ N(0, 1)",
)

_REACH = 2.8
_CHUNK = 2048  # markets solved at once: their arrays stay in the processor's cache


@dataclass(frozen=True, eq=False)
class MarketDraw:
    """A simulated sample of markets.

    Parameters
    ----------
    frame : DataFrame
        Columns price, quantity, income, cost.
    truth : Truth
        Mean prices and quantities without and with taxes.
    shocks : ndarray, shape (n, 2)
        u_d and u_s of each market.
    """

    frame: pd.DataFrame
    truth: Truth
    shocks: Array


@dataclass(frozen=True)
class SupplyDemand:
    """A design of this module.

    Parameters
    ----------
    name : str
    demand_curvature, supply_curvature : float
        g_d and g_s.
    """

    name: str = "log-linear"
    demand_curvature: float = 0.0
    supply_curvature: float = 0.0

    def demand(self, p: Array, income: Array, u_d: Array) -> Array:
        """Log quantity demanded at log price p."""
        bend = self.demand_curvature * p**2
        return 1 + DEMAND["price"] * p - bend + DEMAND["income"] * income + u_d

    def supply(self, p: Array, cost: Array, u_s: Array) -> Array:
        """Log quantity supplied at log price p."""
        bend = self.supply_curvature * p**2
        return 0.4 + SUPPLY["price"] * p + bend + SUPPLY["cost"] * cost + u_s

    def draw(self, n: int, seed: Seed = 0) -> MarketDraw:
        """Draw n markets in equilibrium; the same seed gives the same markets."""
        shifters, shocks = _exogenous(checked_size(n), stream(seed, "design", self.name))
        price, quantity = self.equilibrium(shifters, shocks)
        sample = {**_means(price, quantity, 0.0), **self._taxed(shifters, shocks)}
        frame = pd.DataFrame(np.column_stack([price, quantity, shifters]), columns=list(COLUMNS))
        known = self.truth()
        truth = Truth(self.name, known.population, sample, {}, EQUATIONS, seed_number(seed))
        return MarketDraw(frame, truth, shocks)

    def _taxed(self, shifters: Array, shocks: Array) -> dict[str, float]:
        """Mean prices and quantities of the same markets under each of :data:`TAXES`."""
        return {
            label: value
            for tax in TAXES
            for label, value in _means(*self.equilibrium(shifters, shocks, tax), tax).items()
        }

    def equilibrium(self, shifters: Array, shocks: Array, tax: float = 0.0) -> tuple[Array, Array]:
        """Price that buyers pay and quantity, by bisection.

        Parameters
        ----------
        shifters : ndarray, shape (n, 2)
            Income and cost.
        shocks : ndarray, shape (n, 2)
        tax : float
            Rate on the sellers' price.

        Raises
        ------
        DataError
            If the rate is not above -1.
        """
        if not tax > -1:
            raise DataError(f"the tax is {tax}", "a rate above -1, such as 0.2")
        wedge, n = np.log1p(tax), len(shifters)
        p, supplied = np.empty(n), np.empty(n)
        for start in range(0, n, _CHUNK):
            rows = slice(start, start + _CHUNK)
            (income, cost), (u_d, u_s) = shifters[rows].T, shocks[rows].T
            p[rows] = self._clearing(wedge, (income, cost), (u_d, u_s))
            supplied[rows] = self.supply(p[rows], cost, u_s)
        return np.exp(p + wedge), np.exp(supplied)

    def _clearing(
        self, wedge: float, shifters: tuple[Array, Array], shocks: tuple[Array, Array]
    ) -> Array:
        """Sellers' log price at which supply meets demand."""
        (income, cost), (u_d, u_s) = shifters, shocks
        low, high = np.full(len(income), -_REACH), np.full(len(income), _REACH)
        for _ in range(60):
            p = (low + high) / 2
            short = self.demand(p + wedge, income, u_d) > self.supply(p, cost, u_s)
            low, high = np.where(short, p, low), np.where(short, high, p)
        return p

    def truth(self) -> Truth:
        """Population means of price and quantity, without and with the taxes of ``TAXES``.

        By deterministic integration over shifters and shocks.
        """
        return _population_truth(self)


LOG_LINEAR = SupplyDemand()
CURVED = SupplyDemand("curved", 0.15, 0.10)


def _exogenous(n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Shifters (n, 2) and shocks (n, 2)."""
    shifters = 0.5 * rng.standard_normal((n, 2))
    boom = rng.choice([-1.0, 1.0], n)
    return shifters, _shocks(shifters, boom, rng.standard_normal((n, 2)))


def _shocks(shifters: Array, boom: Array, e: Array) -> Array:
    """u_d and u_s, shape (n, 2)."""
    size = np.exp(0.3 * shifters[:, 0])
    u_d = 0.3 * size * (1.2 * boom + e[:, 0])
    u_s = 0.15 * size * (0.8 * boom + 0.3 * e[:, 0] + e[:, 1])
    return np.column_stack([u_d, u_s])


def _means(price: Array, quantity: Array, tax: float) -> dict[str, float]:
    """Mean price and quantity, under their labels."""
    label = f"(tax={tax:g})" if tax else ""
    return {f"price{label}": float(price.mean()), f"quantity{label}": float(quantity.mean())}


@cache
def _population_truth(design: SupplyDemand) -> Truth:
    z = normal_points(4)
    both = np.vstack([z, z])
    shifters, boom = 0.5 * both[:, :2], np.repeat([-1.0, 1.0], len(z))
    shocks = _shocks(shifters, boom, both[:, 2:])
    population: dict[str, float] = {}
    for tax in (0.0, *TAXES):
        population |= _means(*design.equilibrium(shifters, shocks, tax), tax)
    return Truth(design.name, population, equations=EQUATIONS)
