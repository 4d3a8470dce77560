"""Quantiles and distributions.

- QTE(u) = F1^{-1}(u) - F0^{-1}(u), with Fa the distribution function of Y(a)
- PotentialDistributions: y -> F1(y) and y -> F0(y) themselves

Both are for all units or, with ``among``, for the treated or the untreated: Fa is then the
distribution of Y(a) among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand.base import Estimand, Group, checked_group


@dataclass(frozen=True, init=False)
class QTE(Estimand):
    """Quantile treatment effects: differences of the marginal quantiles of Y(1) and Y(0).

    Parameters
    ----------
    levels : sequence of float
        Levels in (0, 1), e.g. ``[0.25, 0.5, 0.75]``.
    among : {"all", "treated", "untreated"}
        Whose quantiles; "treated" gives the effects on the treated (QTT).

    Raises
    ------
    DataError
        If a level lies outside (0, 1), none is given, or ``among`` is unknown.
    """

    name: ClassVar[str] = "QTE"
    levels: tuple[float, ...]
    among: Group = "all"

    def __init__(
        self, levels: Sequence[float] | float = (0.25, 0.5, 0.75), among: Group = "all"
    ) -> None:
        values = (float(levels),) if isinstance(levels, int | float) else tuple(map(float, levels))
        if not values or not all(0.0 < u < 1.0 for u in values):
            raise DataError(
                f"quantile levels are {list(values)}",
                "numbers strictly between 0 and 1",
                "Pass for example QTE([0.25, 0.5, 0.75]).",
            )
        object.__setattr__(self, "levels", values)
        object.__setattr__(self, "among", checked_group(among))

    @property
    def group(self) -> Group:
        """Whose quantiles."""
        return self.among


@dataclass(frozen=True)
class PotentialDistributions(Estimand):
    """Distribution functions of Y(0) and Y(1) on a grid of the outcome, with uniform bands.

    Parameters
    ----------
    n_points : int
        Number of grid points, spread over the quantiles of the observed outcome.
    among : {"all", "treated", "untreated"}
        Whose distributions.
    """

    name: ClassVar[str] = "potential distributions"
    n_points: int = 97
    among: Group = "all"

    def __post_init__(self) -> None:
        checked_group(self.among)

    @property
    def group(self) -> Group:
        """Whose distributions."""
        return self.among
