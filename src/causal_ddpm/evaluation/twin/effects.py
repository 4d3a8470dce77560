"""What the user sets: Y(1) made of Y(0), with a mean effect that is known unit by unit.

Write m for the mean and c for the smallest value of Y(0) given x, tau(x) for the effect asked for.

    an amount (an atom c at the lower end, such as   Y(1) = c + s (Y(0) - c),  s = 1 + tau / (m - c)
    zero earnings)
    any other number                                  Y(1) = Y(0) + tau
    a count                                           Y(1) = Y(0) + Poisson(tau), or where tau < 0
                                                      Binomial(Y(0), 1 + tau / m)
    two values v < w                                  P(Y(1) = w) = P(Y(0) = w) + tau / (w - v), on
                                                      the same rank
    "learnt"                                          the law learnt from the treated, on the rank
                                                      of Y(0)

so zeros stay zeros, counts stay counts, and E[Y(1) - Y(0) | x] = tau(x). No amount or count falls
below its smallest value and no probability leaves [0, 1]: where tau asks for that it is cut to what
can be, and the truth is about the effect that remains.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core import checks
from causal_ddpm.core.discrete import DiscreteLaw, LatticeLaw, RowLaw
from causal_ddpm.core.distribution import ConditionalLaw
from causal_ddpm.core.errors import DataError
from causal_ddpm.evaluation.twin.expression import evaluate
from causal_ddpm.evaluation.twin.units import Units

Array = NDArray[np.float64]
Effect = float | str | Callable[..., Any]
Kind = Literal["amount", "number", "count", "two values", "rating"]

LEARNT = "learnt"
"""The word for an effect that is taken as it was learnt."""


@dataclass(frozen=True, eq=False)
class SetEffect:
    """The effect of a twin at each unit.

    Parameters
    ----------
    words : str
        What was asked for: a number, an expression, the name of a function, or "learnt".
    kind : str
        Kind of the outcome, which decides how Y(1) follows from Y(0).
    learnt : bool
        Whether Y(1) follows its own learnt law.
    values : ndarray, shape (N,)
        E[Y(1) - Y(0)] of each unit.
    cut : float
        Share of units whose effect was cut to what their outcome allows.
    """

    words: str
    kind: Kind
    learnt: bool
    values: Array
    cut: float

    def variances(self, units: Units) -> Array:
        """V[Y(a)] of each unit, shape (N, 2)."""
        v0, v1 = units.variances.T
        return np.column_stack([v0, v1 if self.learnt else self._treated_variance(units, v0)])

    def _treated_variance(self, units: Units, v0: Array) -> Array:
        tau, m = self.values, units.means[:, 0]
        if self.kind == "amount":
            return np.asarray(_stretch(tau, m - _lowest(units.laws[0])) ** 2 * v0)
        if self.kind == "count":
            kept = _stretch(tau, m)
            return np.where(tau >= 0, v0 + tau, kept**2 * v0 + kept * (1 - kept) * m)
        if self.kind == "two values":
            low, high = _two_values(units.laws[0])
            p = (m + tau - low) / (high - low)
            return np.asarray(p * (1 - p) * (high - low) ** 2)
        return v0

    def outcomes(
        self, units: Units, rows: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Y(0) and Y(1) of some units, shape (n, 2), on one rank for both."""
        u = rng.random((len(rows), 1))
        law = units.laws[0].rows(rows)
        y0 = law.inverse(u)[:, 0]
        if self.learnt:
            return np.column_stack([y0, units.laws[1].rows(rows).inverse(u)[:, 0]])
        tau, m = self.values[rows], units.means[rows, 0]
        if self.kind == "amount":
            low = _lowest(law)
            return np.column_stack([y0, low + _stretch(tau, m - low) * (y0 - low)])
        if self.kind == "count":
            more = rng.poisson(np.maximum(tau, 0))
            kept = rng.binomial(y0.astype(np.int64), np.minimum(_stretch(tau, m), 1))
            return np.column_stack([y0, np.where(tau >= 0, y0 + more, kept)])
        if self.kind == "two values":
            low, high = _two_values(law)
            p = (m + tau - low) / (high - low)
            return np.column_stack([y0, np.where(u[:, 0] > 1 - p, high, low)])
        return np.column_stack([y0, y0 + tau])


def set_effect(effect: Effect, units: Units) -> SetEffect:
    """Read what the user asked for, unit by unit.

    Parameters
    ----------
    effect : float, str or callable
        A constant, "learnt", an expression (:mod:`causal_ddpm.evaluation.twin.expression`), or a
        function that takes the frame of confounders and gives one number a row.
    units : Units

    Raises
    ------
    DataError
        If it cannot be read, is not finite, or does not fit the outcome.
    """
    kind, words = _kind(units.laws[0]), effect_in_words(effect)
    if words == LEARNT:
        return SetEffect(words, kind, True, units.means[:, 1] - units.means[:, 0], 0.0)
    asked = _asked(effect, words, units)
    if kind == "rating" and asked.any():
        raise DataError(
            f"an effect of '{words}' on an outcome of a few ordered levels was asked for",
            "effect=0 or effect='learnt'",
            "Take one level at a time: the outcome (df[column] >= level).astype(int).",
        )
    low, high = _limits(kind, units)
    tau = np.clip(asked, low, high)
    return SetEffect(words, kind, False, tau, float(np.mean(np.abs(tau - asked) > 1e-12)))


def effect_in_words(effect: Effect) -> str:
    """What tables call an effect."""
    if isinstance(effect, str):
        return effect.strip()
    if isinstance(effect, numbers.Real) and not isinstance(effect, bool):
        return f"{float(effect):g}"
    if callable(effect):
        return str(getattr(effect, "__name__", type(effect).__name__))
    raise DataError(
        f"the effect is a {type(effect).__name__}",
        "a number, 'learnt', an expression such as '0.5 + 0.2 * (age > 40)', or a function",
    )


def _asked(effect: Effect, words: str, units: Units) -> Array:
    n = len(units)
    if isinstance(effect, str):
        values = evaluate(effect, units.frame)
    elif callable(effect):
        values = np.asarray(effect(units.frame.copy()), dtype=np.float64)
    else:
        values = np.asarray(float(effect))
    if values.shape not in ((), (n,)):
        raise DataError(f"the effect '{words}' has shape {values.shape}", f"one number a row ({n})")
    values = np.broadcast_to(values, (n,)).astype(np.float64)
    bad = int((~np.isfinite(values)).sum())
    if bad:
        holes = [c.name for j, c in enumerate(units.columns) if units.missing[:, j].any()]
        raise DataError(
            f"the effect '{words}' is missing or infinite for {bad:,} of {n:,} units",
            "a finite number for each",
            f"Cells are missing in {checks.shown(holes)}: where(age > 40, 1, 0) counts a missing "
            "age as not above 40." if holes else "",
        )  # fmt: skip
    return values


def _kind(law: RowLaw) -> Kind:
    if isinstance(law, LatticeLaw):
        return "count"
    if isinstance(law, DiscreteLaw):
        return "two values" if len(law.values) == 2 else "rating"
    if isinstance(law, ConditionalLaw) and law.atom is not None:
        return "amount" if law.atom <= float(np.min(law.support[0])) else "number"
    return "number"


def _limits(kind: Kind, units: Units) -> tuple[Array | float, Array | float]:
    """The smallest and largest effect that each unit's outcome allows."""
    law, m = units.laws[0], units.means[:, 0]
    if kind in ("amount", "count"):
        return -(m - _lowest(law)), np.inf
    if kind == "two values":
        low, high = _two_values(law)
        return low - m, high - m
    return -np.inf, np.inf


def _lowest(law: RowLaw) -> float:
    atom = law.atom if isinstance(law, ConditionalLaw) else 0.0
    return 0.0 if atom is None else float(atom)


def _two_values(law: RowLaw) -> tuple[float, float]:
    assert isinstance(law, DiscreteLaw)
    return float(law.values[0]), float(law.values[1])


def _stretch(tau: Array, above: Array) -> Array:
    """1 + tau / above, one where there is nothing above the smallest value."""
    return np.where(above > 0, 1 + tau / np.where(above > 0, above, 1.0), 1.0)
