r"""A dose that is set with an eye to the outcome, and an instrument that moves it.

Covariates x ~ N(0, I_3), instrument z ~ N(0, 1) independent of them, noises v, w ~ N(0, 1),

    D = .5 x1 + p(x) z + v,                      p(x) = s S(4 (x0 - 1.5))   or s for everyone
    Y(d) = g(d) + .5 x0 + .5 x1^2 + u,           u = .7 v + (1 - .7^2)^(1/2) w,      Y = Y(D)

with S the logistic function and one of the curves

    hump        g(d) = 3 d exp(-d^2 / 4)
    saturation  g(d) = 2 tanh(1.2 d)
    line        g(d) = d

so E[Y(d)] = g(d) + .5. The dose is endogenous: v raises both. With p(x) as it stands one unit in
fourteen answers to the instrument, and strongly: the regression of D on (1, x, z) has coefficient
b = E p and F of about 1 + n b^2 / (1 + V p), though whoever knows p(x) has an instrument p(x) z
that is worth far more. With s for everyone there is nothing to be known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import DoseResponse, Estimand
from causal_ddpm.core.instrument_data import InstrumentData
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.draw import checked_size, seed_number

Array = NDArray[np.float64]
Curve = Literal["hump", "saturation", "line"]
Responders = Literal["some", "all"]

N_COVARIATES = 3
DOSES = (-1.5, -0.75, 0.0, 0.75, 1.5)
"""Doses whose mean outcomes the truth records."""

DIFFERENCE = "g(1) - g(-1)"
SLOPE = "average slope"
_ENDOGENEITY = 0.7

CURVES: dict[str, str] = {"hump": "3 d exp(-d^2 / 4)", "saturation": "2 tanh(1.2 d)", "line": "d"}


@dataclass(frozen=True, eq=False)
class InstrumentDoseDraw:
    """A simulated sample.

    Parameters
    ----------
    frame : DataFrame
        What an analyst gets to see.
    data : InstrumentData
        The same, with roles.
    truth : Truth
    response : ndarray, shape (n,)
        p(x) of each row.
    """

    frame: pd.DataFrame
    data: InstrumentData = field(repr=False)
    truth: Truth
    response: Array


@dataclass(frozen=True)
class InstrumentDose:
    """A design of this module.

    Parameters
    ----------
    name : str
    strength : float
        s.
    curve : {"hump", "saturation", "line"}
        g.
    responders : {"some", "all"}
        Whom the instrument moves.
    """

    name: str = "instrument-dose"
    strength: float = 2.0
    curve: Curve = "hump"
    responders: Responders = "some"

    def __post_init__(self) -> None:
        if self.curve not in CURVES:
            raise DataError(f"the curve is {self.curve!r}", f"one of {', '.join(CURVES)}")
        if self.responders not in ("some", "all"):
            raise DataError(f"responders is {self.responders!r}", "'some' or 'all'")

    def draw(self, n: int, seed: Seed = 0) -> InstrumentDoseDraw:
        """Draw n rows; the same seed gives the same rows."""
        rng = stream(seed, "design", self.name)
        x = rng.standard_normal((checked_size(n), N_COVARIATES))
        z, v, w = rng.standard_normal((3, n))
        p = self.response(x)
        d = 0.5 * x[:, 1] + p * z + v
        u = _ENDOGENEITY * v + np.sqrt(1 - _ENDOGENEITY**2) * w
        untreated = 0.5 * x[:, 0] + 0.5 * x[:, 1] ** 2 + u
        names = [f"x{j}" for j in range(N_COVARIATES)]
        frame = pd.DataFrame(x, columns=names).assign(z=z, d=d, y=self.g(d) + untreated)
        known = self.truth()
        curve = DoseResponse(DOSES)
        sample = {curve.label(a): float(self.g(a) + untreated.mean()) for a in DOSES}
        sample[DIFFERENCE] = known.population[DIFFERENCE]
        sample[SLOPE] = float(self.slope(d).mean())
        truth = Truth(self.name, known.population, sample, {}, known.equations, seed_number(seed))
        data = InstrumentData(frame, "d", "y", "z", names)
        return InstrumentDoseDraw(frame, data, truth, p)

    # -- what is known ---------------------------------------------------------------------
    def g(self, d: ArrayLike) -> Array:
        """The structural curve at doses d, same shape."""
        d = np.asarray(d, dtype=float)
        if self.curve == "line":
            return d
        return 3 * d * np.exp(-(d**2) / 4) if self.curve == "hump" else 2 * np.tanh(1.2 * d)

    def slope(self, d: ArrayLike) -> Array:
        """Derivative of g at doses d, same shape."""
        d = np.asarray(d, dtype=float)
        if self.curve == "line":
            return np.ones_like(d)
        if self.curve == "hump":
            return 3 * (1 - d**2 / 2) * np.exp(-(d**2) / 4)
        return 2.4 / np.cosh(1.2 * d) ** 2

    def mean_outcome(self, d: ArrayLike) -> Array:
        """E[Y(d)] at doses d, same shape."""
        return self.g(d) + 0.5

    def response(self, x: ArrayLike) -> Array:
        """p(x) of rows x (n, 3)."""
        x = np.asarray(x, dtype=float)
        if self.responders == "all":
            return np.full(len(x), self.strength)
        return np.asarray(self.strength * expit(4 * (x[:, 0] - 1.5)))

    def first_stage_f(self, n: int) -> float:
        """About the F of z in the regression of D on (1, x, z) among n rows."""
        x0, weight = _normal_grid()
        p = self.response(np.column_stack([x0, x0, x0]))
        mean = float(weight @ p)
        return 1 + n * mean**2 / (1 + float(weight @ p**2) - mean**2)

    # -- truth -----------------------------------------------------------------------------
    def truth(self) -> Truth:
        """Mean outcomes at :data:`DOSES`, a difference, and the average slope E g'(D)."""
        x0, weight = _normal_grid()
        p = self.response(np.column_stack([x0, x0, x0]))
        spread = np.sqrt(1.25 + p**2)
        slope = float(weight @ (self.slope(spread[:, None] * x0) @ weight))
        population = self.truth_of(DoseResponse(DOSES))
        population[DIFFERENCE] = float(self.g(1.0) - self.g(-1.0))
        population[SLOPE] = slope
        who = "s" if self.responders == "all" else "s S(4 (x0 - 1.5))"
        return Truth(self.name, population, equations=(
            "x0, x1, x2, z, v, w ~ N(0, 1), independent",
            f"D = .5 x1 + p(x) z + v, p(x) = {who}, s = {self.strength:g}",
            "Y(d) = g(d) + .5 x0 + .5 x1^2 + .7 v + .51^(1/2) w, Y = Y(D)",
            f"g(d) = {CURVES[self.curve]}",
        ))  # fmt: skip

    def truth_of(self, estimand: Estimand) -> dict[str, float]:
        """Values or slopes of E[Y(d)] by the labels of a dose-response curve.

        Raises
        ------
        DataError
            If the estimand is no such curve, or its doses depend on the data.
        """
        if not isinstance(estimand, DoseResponse) or estimand.doses is None:
            raise DataError(
                f"no truth of {estimand!r} is known here",
                "a dose-response curve at doses, such as DoseResponse([-1, 0, 1])",
            )
        curve = self.slope if estimand.derivative else self.mean_outcome
        return {estimand.label(d): float(curve(d)) for d in estimand.doses}


def _normal_grid() -> tuple[Array, Array]:
    """Nodes of a standard normal variable and their weights."""
    node = np.linspace(-8, 8, 2001)
    weight = np.exp(-(node**2) / 2)
    return node, weight / weight.sum()


INSTRUMENT_DOSE = InstrumentDose()
