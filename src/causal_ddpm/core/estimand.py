"""Estimands: plain descriptions of what is asked, without any computation.

With potential outcomes Y(1), Y(0), treatment A and covariates X:

- ATE = E[Y(1) - Y(0)]
- ATT = E[Y(1) - Y(0) | A = 1]
- ATU = E[Y(1) - Y(0) | A = 0]
- QTE(u) = F1^{-1}(u) - F0^{-1}(u), with Fa the distribution function of Y(a)
- PotentialDistributions: y -> F1(y) and y -> F0(y) themselves
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from causal_ddpm.core.errors import DataError


@dataclass(frozen=True)
class Estimand:
    """A causal question. ``name`` is what tables and the command line call it."""

    name: ClassVar[str] = "estimand"
    population: ClassVar[str] = "all units"


@dataclass(frozen=True)
class ATE(Estimand):
    """Average treatment effect, E[Y(1) - Y(0)]."""

    name: ClassVar[str] = "ATE"


@dataclass(frozen=True)
class ATT(Estimand):
    """Average treatment effect on the treated, E[Y(1) - Y(0) | A = 1]."""

    name: ClassVar[str] = "ATT"
    population: ClassVar[str] = "treated units"


@dataclass(frozen=True)
class ATU(Estimand):
    """Average treatment effect on the untreated, E[Y(1) - Y(0) | A = 0]."""

    name: ClassVar[str] = "ATU"
    population: ClassVar[str] = "untreated units"


@dataclass(frozen=True, init=False)
class QTE(Estimand):
    """Quantile treatment effects: differences of the marginal quantiles of Y(1) and Y(0).

    Parameters
    ----------
    levels : sequence of float
        Levels in (0, 1), e.g. ``[0.25, 0.5, 0.75]``.

    Raises
    ------
    DataError
        If a level lies outside (0, 1) or none is given.
    """

    name: ClassVar[str] = "QTE"
    levels: tuple[float, ...]

    def __init__(self, levels: Sequence[float] | float = (0.25, 0.5, 0.75)):
        values = (float(levels),) if isinstance(levels, int | float) else tuple(map(float, levels))
        if not values or not all(0.0 < u < 1.0 for u in values):
            raise DataError(
                f"quantile levels are {list(values)}",
                "numbers strictly between 0 and 1",
                "Pass for example QTE([0.25, 0.5, 0.75]).",
            )
        object.__setattr__(self, "levels", values)


@dataclass(frozen=True)
class PotentialDistributions(Estimand):
    """Distribution functions of Y(0) and Y(1) on a grid of the outcome, with uniform bands.

    Parameters
    ----------
    n_points : int
        Number of grid points, spread over the quantiles of the observed outcome.
    """

    name: ClassVar[str] = "potential distributions"
    n_points: int = 97
