r"""Bands that cover what they say on the panel's own placebos.

A law gives draws of an error; the band of a number a with centre c and central quantiles
[c - l, c + u] of its draws at a level is stretched by one factor lambda for a family of numbers
(the cells of a path, say),

    [c - lambda l, c + lambda u],       R = max((a - c) / u, (c - a) / l)        score of a placebo

With G placebo groups whose mean share of scores above lambda is m(lambda), lambda solves

    G m(lambda) = (G + 1) (1 - level) - B + ...     i.e. rank (G + 1) level - 1 + B of G

For one number a group (B = 1) this is split conformal prediction: a new exchangeable group is
covered with probability `level` (Vovk et al. 2005). For F > 1 numbers a group it is conformal risk
control of the share missed (Angelopoulos et al. 2024), where B bounds what a new group may miss:
with B = 1 cover is at least `level`; B = 1/2, taken here, is right on average for paths whose
errors hang together half-way, and B = 1/F would be so for independent ones.

G groups cannot tell levels above about G / (G + 1); beyond them the factor of the highest level
that they can tell is kept, and the law's own quantiles go on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_WHOLE, _PART = 1.0, 0.5


@dataclass(frozen=True, eq=False)
class Central:
    """Centre and central quantiles of draws; arrays of one shape.

    Parameters
    ----------
    centre, below, above : ndarray
        c, l and u.
    """

    centre: Array
    below: Array
    above: Array

    @classmethod
    def of(cls, draws: Array, level: float) -> Central:
        """Of draws along the axis before the last: (..., S, F) to (..., F)."""
        centre = draws.mean(axis=-2)
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=-2)
        return cls(centre, np.maximum(centre - low, 0.0), np.maximum(high - centre, 0.0))

    def scores(self, values: Array) -> Array:
        """R, NaN where a value is not known; infinite off a band without width."""
        away = values - self.centre
        side = np.where(away > 0, self.above, self.below)
        size = np.abs(away)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(side > 0, size / side, np.where(size > 0, np.inf, size))

    def stretched(self, factor: Array | float) -> tuple[Array, Array]:
        """Ends of the band; one without width stays so, whatever the factor."""
        below, above = (
            np.multiply(factor, side, out=np.zeros(side.shape), where=side > 0)
            for side in (self.below, self.above)
        )
        return self.centre - below, self.centre + above


@dataclass(frozen=True)
class Stretch:
    """A calibrated factor.

    Parameters
    ----------
    factor : float
        lambda.
    level : float
        What it was asked for.
    told : float
        The level at which the placebos told it: ``level``, or the highest one that they can.
    """

    factor: float
    level: float
    told: float

    def band(self, draws: Array) -> tuple[Array, Array]:
        """The stretched band of numbers with draws (S, F), two arrays of shape (F,)."""
        return Central.of(draws, self.level).stretched(self.factor)

    def stretched_draws(self, draws: Array) -> Array:
        """The draws about their mean, times the factor, shape (S, F)."""
        centre = draws.mean(axis=0)
        return centre + self.factor * (draws - centre)


def calibrate(values: Array, draws: Array, level: float) -> Stretch:
    """The factor that placebo groups tell.

    Parameters
    ----------
    values : ndarray, shape (G, F)
        Errors, NaN where they are not known.
    draws : ndarray, shape (G, S, F)
        Draws of each, from what did not see the group.
    level : float
    """
    told = told_level(level, *values.shape)
    return Stretch(factor_of(Central.of(draws, told).scores(values), told), level, told)


def told_level(level: float, n_groups: int, n_numbers: int) -> float:
    """The level, or the highest one that so many groups can tell."""
    spare = 1.0 if n_numbers == 1 else -0.25
    return min(level, (n_groups - spare) / (n_groups + 1))


def factor_of(scores: Array, level: float) -> float:
    """lambda from scores (G, F), NaN where a number is not known; 1 without any score."""
    known = np.isfinite(scores) | (scores == np.inf)
    per_group = known.sum(axis=1)
    n_groups = int((per_group > 0).sum())
    if not n_groups:
        return 1.0
    weight = (known / np.maximum(per_group, 1)[:, None])[known]
    order = np.argsort(scores[known], kind="stable")
    spare = _WHOLE if scores.shape[1] == 1 else _PART
    rank = (n_groups + 1) * level - 1 + spare
    return float(np.interp(rank, np.cumsum(weight[order]), scores[known][order]))


def largest(values: Array, central: Central) -> Array:
    """The largest score of each row, for bands that hold everywhere at once; NaN-safe."""
    scores = central.scores(values)
    return np.asarray(np.max(np.where(np.isnan(scores), 0.0, scores), axis=-1, keepdims=True))


def calibrate_uniform(values: Array, draws: Array, level: float) -> tuple[float, float]:
    """The factor and the level told for bands that hold in all F numbers at once.

    The largest score of a group is compared with the quantile of the largest scores of its draws.
    """
    told = told_level(level, len(values), 1)
    central = Central.of(draws, level)
    law = uniform_quantile(draws, central, told)
    ratio = np.divide(largest(values, central)[:, 0], law, out=np.zeros(len(law)), where=law > 0)
    return factor_of(ratio[:, None], told), told


def uniform_quantile(draws: Array, central: Central, level: float) -> Array:
    """Quantile of the largest score of draws (G, S, F), shape (G,)."""
    spread = Central(central.centre[:, None], central.below[:, None], central.above[:, None])
    return np.asarray(np.quantile(largest(draws, spread)[..., 0], level, axis=1))
