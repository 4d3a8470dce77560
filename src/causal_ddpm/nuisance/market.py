r"""A market from data: curves by instruments, shocks by diffusion, taxes solved at clearing.

With p = log price, q = log quantity, z_d what shifts demand, z_s what shifts supply,

    demand   q = f_d(p) + b_d' z_d + u_d            f_d, f_s polynomials of p without constant
    supply   q = f_s(p) + b_s' z_s + u_s            (constants stand with the shifters)

A regression of q on p gives neither curve: p moves with both shocks. Each curve is estimated in
two stages with the *other* side's shifters as instruments (Wright 1928): cost moves supply along
demand. The coefficients solve the two-stage least-squares equations

    coef = (R' P R)^-1 R' P q,     R = [p, .., p^degree, 1, z_own],  P = projection on
    Z = [1, z_own, z_other, and their squares and products for degree > 1]

with the heteroskedasticity-robust sandwich for standard errors. What is left are the shocks
(u_d, u_s); a vector diffusion learns their joint law given the shifters. A tax at rate t is then
solved draw by draw: p_s with

    f_d(p_s + log(1 + t)) + b_d' z_d + u_d = f_s(p_s) + b_s' z_s + u_s

Outside the central 98 % of prices curves are tangents, so that they cross once where they slope the
right way inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.checks import as_float
from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.diffusion.persistence import load_model, save_model
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.diffusion.vector import VectorDiffusion, train_vector
from causal_ddpm.nuisance.residual_recipe import residual_settings

Array = NDArray[np.float64]

_CENTRE = (0.01, 0.99)

WEAK = 4.0
"""First-stage F below which a curve counts as not identified."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Log quantity as a function of log price and shifters.

    Parameters
    ----------
    coef : ndarray, shape (degree + 1 + number of shifters,)
        Powers of log price, constant, shifters.
    std_error : ndarray, same shape
    degree : int
    range : tuple of float
        Central 98 % of log prices; outside them the curve is its tangent.
    first_stage_f : float
        Strength of the instruments for log price (NaN without instruments).
    """

    coef: Array
    std_error: Array
    degree: int
    range: tuple[float, float]
    first_stage_f: float

    def price_part(self, p: Array) -> Array:
        """f(p)."""
        inside = np.clip(p, *self.range)
        powers = np.arange(1, self.degree + 1)
        value = (inside[..., None] ** powers) @ self.coef[: self.degree]
        return np.asarray(value + self.slope(inside) * (p - inside))

    def slope(self, p: Array) -> Array:
        """f'(p) inside the range: the elasticity."""
        powers = np.arange(1, self.degree + 1)
        inside = np.clip(p, *self.range)
        return np.asarray((inside[..., None] ** (powers - 1)) @ (powers * self.coef[: self.degree]))

    def shifter_part(self, z: Array) -> Array:
        """Constant and shifters z (n, r), shape (n,)."""
        return np.asarray(self.coef[self.degree] + z @ self.coef[self.degree + 1 :])


@dataclass(frozen=True)
class MarketModel:
    """Settings; fitting leaves them untouched.

    Parameters
    ----------
    degree : int
        Of the polynomials in log price: 1 is the log-linear model.
    identification : {"instruments", "none"}
        "none" reads both curves off by least squares: what a naive analyst would get.
    diffusion : DiffusionSettings
        Of the shocks.
    """

    degree: int = 1
    identification: Literal["instruments", "none"] = "instruments"
    diffusion: DiffusionSettings = field(default_factory=DiffusionSettings)

    def __post_init__(self) -> None:
        if self.degree not in (1, 2, 3):
            raise DataError(f"degree is {self.degree!r}", "1, 2 or 3")
        if self.identification not in ("instruments", "none"):
            raise DataError(f"identification is {self.identification!r}", "'instruments' or 'none'")

    def fit(
        self,
        df: Any,
        price: str,
        quantity: str,
        demand_shifters: Sequence[str],
        supply_shifters: Sequence[str],
        random_state: Seed = 0,
    ) -> FittedMarket:
        """Estimate both curves and learn the shocks.

        Parameters
        ----------
        df : pandas, polars or pyarrow frame
            One row a market.
        price, quantity : str
            Positive columns.
        demand_shifters, supply_shifters : sequence of str
            Columns that move one curve and not the other.
        random_state : seed

        Raises
        ------
        DataError
            For columns that cannot be used.
        NotIdentifiedError
            If the instruments hardly move the price, or the curves do not cross once.
        """
        own = (_names(demand_shifters), _names(supply_shifters))
        if not own[0] or not own[1] or set(own[0]) & set(own[1]):
            raise DataError(
                "a curve has no shifter of its own",
                "at least one column that moves demand only, and one that moves supply only",
            )
        p, q = (np.log(_column(df, name, positive=True)) for name in (price, quantity))
        z_d, z_s = (_block(df, names) for names in own)
        if len(p) < 50:
            raise DataError(f"there are {len(p)} markets", "at least 50")
        demand = _fit_curve(self, p, q, z_d, z_s)
        supply = _fit_curve(self, p, q, z_s, z_d)
        _check_crossing(demand, supply)
        shocks = np.column_stack(
            [q - c.price_part(p) - c.shifter_part(z) for c, z in ((demand, z_d), (supply, z_s))]
        )
        size = shocks.std(axis=0)
        settings = residual_settings(self.diffusion, len(p))
        seed = seed_sequence(random_state, "shocks")
        model = train_vector(shocks / size, np.column_stack([z_d, z_s]), settings, seed)
        return FittedMarket(demand, supply, model, size, own, len(p))


@dataclass(frozen=True, eq=False)
class MarketOutcome:
    """Equilibria, draws of markets: arrays of shape (n, S).

    Parameters
    ----------
    consumer_price, producer_price, quantity, revenue : ndarray
        Price with and without the tax, quantity sold, tax collected.
    """

    consumer_price: Array
    producer_price: Array
    quantity: Array
    revenue: Array

    def summary(self) -> Mapping[str, float]:
        """Means over markets and draws."""
        return {name: float(getattr(self, name).mean()) for name in self.__dataclass_fields__}


@dataclass(frozen=True, eq=False)
class FittedMarket:
    """Curves and shocks of a market; made by :class:`MarketModel`.

    Parameters
    ----------
    demand, supply : Curve
    shocks : VectorDiffusion
        Joint law of the standardised shocks given the shifters.
    shock_size : ndarray, shape (2,)
        Standard deviations of the shocks.
    shifters : tuple of (tuple of str, tuple of str)
        Of demand and of supply.
    n_train : int
    """

    demand: Curve
    supply: Curve
    shocks: VectorDiffusion
    shock_size: Array
    shifters: tuple[tuple[str, ...], tuple[str, ...]]
    n_train: int

    def tax(
        self, df: Any, rate: float, n_samples: int = 50, random_state: Seed = 0
    ) -> MarketOutcome:
        """Equilibria under a tax on the sellers' price, cleared in every draw of the shocks.

        Parameters
        ----------
        df : frame
            Rows with the shifters.
        rate : float
            0.2 is twenty percent; 0 gives the market as it is.
        n_samples : int
            Draws of the shocks a row.
        random_state : seed

        Raises
        ------
        DataError
            If the rate is not above -1.
        """
        if not rate > -1:
            raise DataError(f"the tax is {rate}", "a rate above -1, such as 0.2")
        z_d, z_s = (_block(df, names) for names in self.shifters)
        drawn = self.shocks.sample(np.column_stack([z_d, z_s]), n_samples, random_state)
        u = drawn * self.shock_size
        asked = self.demand.shifter_part(z_d)[:, None] + u[..., 0]
        offered = self.supply.shifter_part(z_s)[:, None] + u[..., 1]
        p_s = self.clear(asked, offered, np.log1p(rate))
        quantity = np.exp(self.supply.price_part(p_s) + offered)
        seller = np.exp(p_s)
        return MarketOutcome(seller * (1 + rate), seller, quantity, rate * seller * quantity)

    def save(self, path: str | Path) -> Path:
        """Write the market to a file (JSON and safetensors in a zip, no pickle)."""
        return save_model(self, path)

    @classmethod
    def load(cls, path: str | Path) -> FittedMarket:
        """Read a market back.

        Raises
        ------
        ModelFileError
            If the file is missing, damaged, or holds something else.
        """
        market: FittedMarket = load_model(path, expected=cls)
        return market

    def clear(self, asked: Array, offered: Array, wedge: float) -> Array:
        """Log price of sellers at which f_d(p + wedge) + asked = f_s(p) + offered."""
        low, high = self._bracket(asked, offered, wedge)
        for _ in range(80):
            p = (low + high) / 2
            excess = self.demand.price_part(p + wedge) + asked - self.supply.price_part(p) - offered
            low, high = np.where(excess > 0, p, low), np.where(excess > 0, high, p)
        return (low + high) / 2

    def _bracket(self, asked: Array, offered: Array, wedge: float) -> tuple[Array, Array]:
        """Prices below and above clearing: slopes are bounded away from each other everywhere."""
        bottom, top = self.demand.range
        grid = np.linspace(bottom, top, 201)
        fall = float((self.supply.slope(grid)[None] - self.demand.slope(grid)[:, None]).min())
        at = np.full_like(asked, bottom)
        gap = self.demand.price_part(at + wedge) + asked - self.supply.price_part(at) - offered
        reach = np.abs(gap) / fall + 1.0
        return bottom - reach, bottom + reach


def _fit_curve(model: MarketModel, p: Array, q: Array, own: Array, other: Array) -> Curve:
    n, one = len(p), np.ones((len(p), 1))
    regressors = np.column_stack([p[:, None] ** np.arange(1, model.degree + 1), one, own])
    strength = np.nan
    if model.identification == "instruments":
        instruments = _instruments(own, other, model.degree)
        strength = _first_stage(p, np.column_stack([one, own]), instruments)
        if strength < WEAK:
            raise NotIdentifiedError(
                f"The shifters hardly move the price (first-stage F {strength:.1f}, at least "
                f"{WEAK:g} is needed): the curve is not identified."
            )
        fitted = instruments @ np.linalg.lstsq(instruments, regressors, rcond=None)[0]
    else:
        fitted = regressors
    bread = np.linalg.pinv(fitted.T @ regressors)
    coef = bread @ (fitted.T @ q)
    scores = fitted * (q - regressors @ coef)[:, None]
    error = np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread.T) * n / (n - len(coef)))
    low, high = np.quantile(p, _CENTRE)
    return Curve(coef, error, model.degree, (float(low), float(high)), strength)


def _instruments(own: Array, other: Array, degree: int) -> Array:
    """Shifters with a constant; with their powers and products for a curved market."""
    z = np.column_stack([own, other])
    columns = [np.ones((len(z), 1)), z]
    if degree > 1:
        i, j = np.triu_indices(z.shape[1])
        columns.append(z[:, i] * z[:, j])
    if degree > 2:
        columns.append(z**3)
    return np.column_stack(columns)


def _first_stage(p: Array, controls: Array, instruments: Array) -> float:
    """F of the instruments beyond the controls in a regression of log price."""

    def rest(x: Array) -> float:
        return float(((p - x @ np.linalg.lstsq(x, p, rcond=None)[0]) ** 2).sum())

    extra = instruments.shape[1] - controls.shape[1]
    full = rest(instruments)
    return (rest(controls) - full) / extra / (full / (len(p) - instruments.shape[1]))


def _check_crossing(demand: Curve, supply: Curve) -> None:
    grid = np.linspace(*demand.range, 201)
    if demand.slope(grid).max() >= supply.slope(grid).min():
        raise NotIdentifiedError(
            "The estimated curves do not cross once: demand does not fall, or supply does not rise,"
            " relative to the other at every observed price. A lower degree may help."
        )


def _names(columns: Sequence[str]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns)


def _block(df: Any, names: Sequence[str]) -> Array:
    return np.column_stack([_column(df, name) for name in names])


def _column(df: Any, name: str, positive: bool = False) -> Array:
    frame = nw.from_native(df, eager_only=True)
    if name not in frame.columns:
        raise DataError(f"there is no column '{name}'", f"one of {', '.join(frame.columns)}")
    values = as_float(frame[name], "numbers")
    if not np.isfinite(values).all():
        raise DataError("values are missing or infinite", "finite numbers", column=name)
    if positive and values.min() <= 0:
        raise DataError(f"the smallest value is {values.min():g}", "positive numbers", column=name)
    return values
