"""Inequality of the two potential outcomes.

With Qa the quantile function and mu_a the mean of Y(a) >= 0:

- LorenzEffect(p): L1(p) - L0(p), La(p) = (integral of Qa from 0 to p) / mu_a, the share of the
  total that the poorest 100 p % hold
- GiniEffect: G1 - G0, Ga = 1 - 2 (integral of La from 0 to 1), and both coefficients

For all units or, with ``among``, for the treated or the untreated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from causal_ddpm.core.estimand.base import Group, checked_group
from causal_ddpm.core.estimand.distributions import OfGroup, checked_levels

_DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class GiniEffect(OfGroup):
    """Gini coefficient of Y(1) less that of Y(0), and both coefficients.

    The outcome must not be negative, and its mean positive.

    Parameters
    ----------
    among : {"all", "treated", "untreated"}
        Whose outcomes.
    """

    name: ClassVar[str] = "Gini effect"
    labels: ClassVar[tuple[str, ...]] = ("Gini", "Gini(Y(1))", "Gini(Y(0))")
    among: Group = "all"


@dataclass(frozen=True, init=False)
class LorenzEffect(OfGroup):
    """Lorenz curve of Y(1) less that of Y(0), with a uniform band.

    The outcome must not be negative, and its mean positive.

    Parameters
    ----------
    levels : sequence of float
        Population shares p in (0, 1), from the poorest; deciles by default.
    among : {"all", "treated", "untreated"}
        Whose outcomes.

    Raises
    ------
    DataError
        If a level lies outside (0, 1), none is given, or ``among`` is unknown.
    """

    name: ClassVar[str] = "Lorenz effect"
    levels: tuple[float, ...]
    among: Group = "all"

    def __init__(self, levels: Sequence[float] | float = _DECILES, among: Group = "all") -> None:
        object.__setattr__(self, "levels", checked_levels(levels, "Lorenz", "LorenzEffect"))
        object.__setattr__(self, "among", checked_group(among))

    @property
    def labels(self) -> tuple[str, ...]:
        """One label a level, such as "Lorenz(0.5)"."""
        return tuple(f"Lorenz({p:g})" for p in self.levels)
