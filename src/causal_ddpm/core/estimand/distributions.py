"""Quantiles and distributions.

With Fa the distribution function of Y(a):

- QTE(u) = F1^{-1}(u) - F0^{-1}(u)
- PotentialDistributions: y -> F1(y) and y -> F0(y) themselves
- CDFDifference: y -> F1(y) - F0(y)
- ShareBelow(c): P(Y(1) < c) - P(Y(0) < c), and both shares

All are for all units or, with ``among``, for the treated or the untreated: Fa is then the
distribution of Y(a) among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand.base import Estimand, Group, checked_group, checked_numbers

_QUANTILE_NAMES = {"all": "QTE", "treated": "QTT", "untreated": "QTU"}


class OfGroup(Estimand):
    """An estimand that is read from the laws of Y(0) and Y(1) in the group ``among``."""

    among: Group

    def __post_init__(self) -> None:
        checked_group(self.among)

    @property
    def group(self) -> Group:
        """Whose distributions."""
        return self.among


@dataclass(frozen=True, init=False)
class QTE(OfGroup):
    """Quantile treatment effects: differences of the marginal quantiles of Y(1) and Y(0).

    Parameters
    ----------
    levels : sequence of float
        Levels in (0, 1), e.g. ``[0.25, 0.5, 0.75]``.
    among : {"all", "treated", "untreated"}
        Whose quantiles; "treated" gives the effects on the treated (QTT), "untreated" those on
        the untreated (QTU).

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
        object.__setattr__(self, "levels", checked_levels(levels, "quantile", "QTE"))
        object.__setattr__(self, "among", checked_group(among))

    @property
    def labels(self) -> tuple[str, ...]:
        """One label a level, such as "QTE(0.5)"; among the treated "QTT(0.5)"."""
        return tuple(f"{_QUANTILE_NAMES[self.among]}({u:g})" for u in self.levels)


@dataclass(frozen=True)
class PotentialDistributions(OfGroup):
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


@dataclass(frozen=True, init=False)
class CDFDifference(OfGroup):
    """The difference of the distribution functions, F1(y) - F0(y), with a uniform band.

    Where it is negative, fewer units lie below y under treatment.

    Parameters
    ----------
    points : sequence of float, optional
        Outcome values y; by default 97 of them, spread over the quantiles of the observed outcome.
    among : {"all", "treated", "untreated"}
        Whose distributions.

    Raises
    ------
    DataError
        If a point is not a finite number, none is given, or ``among`` is unknown.
    """

    name: ClassVar[str] = "CDF difference"
    points: tuple[float, ...] | None
    among: Group = "all"

    def __init__(self, points: Sequence[float] | float | None = None, among: Group = "all") -> None:
        values = None if points is None else tuple(sorted(set(checked_values(points, "points"))))
        object.__setattr__(self, "points", values)
        object.__setattr__(self, "among", checked_group(among))

    @staticmethod
    def labels_at(points: Sequence[float]) -> tuple[str, ...]:
        """One label a point, such as "F1-F0(3.5)"."""
        return tuple(f"F1-F0({y:g})" for y in points)


@dataclass(frozen=True, init=False)
class ShareBelow(OfGroup):
    """The share of units below a line under treatment less that without, and both shares.

    Parameters
    ----------
    thresholds : float or sequence of float
        Lines c, such as a poverty line; a unit is below when Y < c.
    among : {"all", "treated", "untreated"}
        Whose shares.

    Raises
    ------
    DataError
        If a line is not a finite number, none is given, or ``among`` is unknown.
    """

    name: ClassVar[str] = "share below"
    thresholds: tuple[float, ...]
    among: Group = "all"

    def __init__(self, thresholds: Sequence[float] | float = (), among: Group = "all") -> None:
        values = checked_values(thresholds, "thresholds")
        object.__setattr__(self, "thresholds", values)
        object.__setattr__(self, "among", checked_group(among))

    @property
    def labels(self) -> tuple[str, ...]:
        """Of all effects, such as "ShareBelow(10)", of all P(Y(1)<10), then of all P(Y(0)<10)."""
        lines = [f"{c:g}" for c in self.thresholds]
        return (
            *(f"ShareBelow({c})" for c in lines),
            *(f"P(Y(1)<{c})" for c in lines),
            *(f"P(Y(0)<{c})" for c in lines),
        )


def checked_levels(levels: Sequence[float] | float, what: str, kind: str) -> tuple[float, ...]:
    """Refuse levels that are no numbers strictly between 0 and 1."""
    values = checked_numbers(levels, f"{what} levels")
    if not values or not all(0.0 < u < 1.0 for u in values):
        raise DataError(
            f"{what} levels are {list(values)}",
            "numbers strictly between 0 and 1",
            f"Pass for example {kind}([0.25, 0.5, 0.75]).",
        )
    return values


def checked_values(values: Sequence[float] | float, what: str) -> tuple[float, ...]:
    """Refuse outcome values that are not finite, or no value at all."""
    found = checked_numbers(values, what)
    if not found or not all(map(math.isfinite, found)):
        raise DataError(
            f"{what} are {list(found)}",
            "one finite number at least, in units of the outcome",
            "Pass for example ShareBelow(10_000) or CDFDifference([0, 5_000, 10_000]).",
        )
    return found
