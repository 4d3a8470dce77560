"""A confounded dose whose response curve is known in closed form.

Covariates x ~ N(0, I_5), noises e, u ~ N(0, 1),

    A = 5 + .8 x0 - .6 x1 + 1.4 e
    Y(a) = g(a) + .8 x0 + .5 x1^2 + .4 x3 + .3 x2 (a - 5) + .8 u,    Y = Y(A)
    g(a) = 1.5 sin(.8 (a - 5)) + .3 (a - 5)

so that E[Y(a)] = g(a) + .5, with slope g'(a) = 1.2 cos(.8 (a - 5)) + .3. The regression of Y on A
alone is steeper: x0 raises both. The dose is N(5, 1.72^2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import DoseResponse, Estimand
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.draw import checked_size, seed_number

Array = NDArray[np.float64]

N_COVARIATES = 5
DOSES = (3.0, 4.0, 5.0, 6.0, 7.0)
"""Doses whose mean outcomes and slopes the truth records."""

CENTRE, DOSE_SD, NOISE_SD = 5.0, 1.4, 0.8

EQUATIONS = (
    "x0, ..., x4 ~ N(0, 1), independent",
    "A = 5 + .8 x0 - .6 x1 + 1.4 e, e ~ N(0, 1)",
    "Y(a) = g(a) + .8 x0 + .5 x1^2 + .4 x3 + .3 x2 (a - 5) + .8 u, u ~ N(0, 1)",
    "g(a) = 1.5 sin(.8 (a - 5)) + .3 (a - 5)",
)


@dataclass(frozen=True, eq=False)
class DoseDraw:
    """A simulated sample.

    Parameters
    ----------
    frame : DataFrame
        What an analyst gets to see.
    data : CausalData
        The same, with roles.
    truth : Truth
    mean : ndarray, shape (n,)
        E[Y | x_i, A_i].
    density : ndarray, shape (n,)
        Density of the dose given x_i, at A_i.
    """

    frame: pd.DataFrame
    data: CausalData
    truth: Truth
    mean: Array
    density: Array


@dataclass(frozen=True)
class DoseDesign:
    """The design of this module."""

    name: str = "dose"

    def draw(self, n: int, seed: Seed = 0) -> DoseDraw:
        """Draw n rows; the same seed gives the same rows."""
        rng = stream(seed, "design", self.name)
        x = rng.standard_normal((checked_size(n), N_COVARIATES))
        dose = self.dose_mean(x) + DOSE_SD * rng.standard_normal(n)
        mean = self.mean(x, dose)
        noise = NOISE_SD * rng.standard_normal(n)
        names = [f"x{j}" for j in range(N_COVARIATES)]
        frame = pd.DataFrame(x, columns=names).assign(dose=dose, y=mean + noise)
        data = CausalData(frame, "dose", "y", names, treatment_kind="dose")
        known, sample = self.truth().population, self._sample_curve(x, noise)
        truth = Truth(self.name, known, sample, equations=EQUATIONS, seed=seed_number(seed))
        return DoseDraw(frame, data, truth, mean, self.density(x, dose))

    def _sample_curve(self, x: Array, noise: Array) -> dict[str, float]:
        """Means and slopes of the rows' own Y(a) at :data:`DOSES`."""
        levels = [float((self.mean(x, a) + noise).mean()) for a in DOSES]
        slopes = [float(slope(a) + 0.3 * x[:, 2].mean()) for a in DOSES]
        curves = (DoseResponse(DOSES), DoseResponse(DOSES, derivative=True))
        labels = [curve.label(a) for curve in curves for a in DOSES]
        return dict(zip(labels, levels + slopes, strict=True))

    def mean(self, x: ArrayLike, dose: ArrayLike) -> Array:
        """E[Y | x, A = dose] of rows x (n, 5) at their doses (n,), or at one dose."""
        z, a = np.asarray(x, dtype=float), np.asarray(dose, dtype=float)
        level = 0.8 * z[:, 0] + 0.5 * z[:, 1] ** 2 + 0.4 * z[:, 3]
        return np.asarray(curve(a) + level + 0.3 * z[:, 2] * (a - CENTRE))

    def dose_mean(self, x: ArrayLike) -> Array:
        """E[A | x], shape (n,)."""
        z = np.asarray(x, dtype=float)
        return np.asarray(CENTRE + 0.8 * z[:, 0] - 0.6 * z[:, 1])

    def density(self, x: ArrayLike, dose: ArrayLike) -> Array:
        """Density of A given x at the doses (n,), or at one dose, shape (n,)."""
        return np.asarray(norm.pdf(dose, self.dose_mean(x), DOSE_SD))

    def truth(self) -> Truth:
        """Mean outcomes and slopes at :data:`DOSES`."""
        known = {
            **self.truth_of(DoseResponse(DOSES)),
            **self.truth_of(DoseResponse(DOSES, derivative=True)),
        }
        return Truth(self.name, known, equations=EQUATIONS)

    def truth_of(self, estimand: Estimand) -> dict[str, float]:
        """Population values of an estimand by the labels of its estimate.

        Raises
        ------
        DataError
            If the estimand is no dose-response curve, or its doses depend on the data.
        """
        if not isinstance(estimand, DoseResponse):
            raise DataError(
                f"no truth of the {estimand.name} is known here", "a dose-response curve"
            )
        if estimand.doses is None:
            raise DataError(
                "without doses the curve is asked for at points that depend on the data",
                "doses, such as DoseResponse([3, 5, 7])",
            )
        a = np.asarray(estimand.doses)
        values = slope(a) if estimand.derivative else curve(a) + 0.5
        return {estimand.label(d): float(v) for d, v in zip(a, values, strict=True)}


DOSE = DoseDesign()


def curve(a: Array) -> Array:
    """g at doses a."""
    return np.asarray(1.5 * np.sin(0.8 * (a - CENTRE)) + 0.3 * (a - CENTRE))


def slope(a: ArrayLike) -> Array:
    """Derivative of g at doses a."""
    return np.asarray(1.2 * np.cos(0.8 * (np.asarray(a) - CENTRE)) + 0.3)
