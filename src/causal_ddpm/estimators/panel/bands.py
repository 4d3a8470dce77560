r"""Intervals of average errors: from placebo groups, or from clusters.

An average effect is the average gap less the average error; the law of paths gives draws of the
latter. Their spread is made right in one of two ways,

    few treated     stretched by the factor that placebo groups, put into the same slots, tell for
                    each family of averages (:mod:`causal_ddpm.estimators.panel.conformal`)
    many treated    stretched so that the draws of the ATT have the standard error that clusters
                    tell; for what a single unit does, by the factor of single placebos

so that what units have in common (the error of period effects, shocks of a cluster) is in the
spread, although paths are drawn unit by unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.random import Seed, stream
from causal_ddpm.estimators.panel.averages import Averages, group_cells
from causal_ddpm.estimators.panel.conformal import (
    Central,
    Stretch,
    calibrate,
    calibrate_uniform,
    uniform_quantile,
)
from causal_ddpm.estimators.panel.error_law import ErrorLaw

Array = NDArray[np.float64]

GROUP_DRAWS = 400
"""Draws behind the scores of placebos."""


@dataclass(frozen=True, eq=False)
class Bands:
    """Draws of average errors, and how far to stretch them.

    Parameters
    ----------
    draws : dict of str to ndarray, shape (S, F)
        Of each family, as the law of paths has them.
    errors, group_draws : dict of str to ndarray, shape (G, F) and (G, S', F)
        The same averages of placebo groups; empty where many are treated.
    factor : float or None
        The one factor, where many are treated.
    """

    draws: Mapping[str, Array]
    errors: Mapping[str, Array]
    group_draws: Mapping[str, Array]
    factor: float | None = None

    def stretch(self, family: str, level: float) -> Stretch:
        """The factor of a family at a level."""
        if self.factor is not None:
            return Stretch(self.factor, level, level)
        return calibrate(self.errors[family], self.group_draws[family], level)

    def interval(self, family: str, level: float) -> tuple[Array, Array]:
        """Ends for the average errors, (F,) each."""
        return self.stretch(family, level).band(self.draws[family])

    def uniform(self, family: str, level: float) -> tuple[Array, Array]:
        """Ends that hold for all average errors of a family at once, (F,) each."""
        central = Central.of(self.draws[family], level)
        size = float(uniform_quantile(self.draws[family][None], _one(central), level)[0])
        factor = self.factor
        if factor is None:
            factor, _ = calibrate_uniform(self.errors[family], self.group_draws[family], level)
        return central.stretched(factor * size)

    def error_draws(self, family: str, level: float) -> Array:
        """Draws stretched as the band at a level is, (S, F)."""
        return self.stretch(family, level).stretched_draws(self.draws[family])


def _one(central: Central) -> Central:
    return Central(central.centre[None], central.below[None], central.above[None])


def placebo_bands(law: ErrorLaw, averages: Averages, draws: Array) -> Bands:
    """Bands of few treated units.

    Parameters
    ----------
    law : ErrorLaw
    averages : Averages
    draws : ndarray, shape (K, S, H)
        Errors of the treated units.
    """
    paths, families = law.placebos, list(averages.weights)
    cells = group_cells(paths.error, paths.group, paths.slot, len(draws))
    names = np.unique(paths.group)
    whole: NDArray[np.bool_] = np.all(np.any(np.isfinite(cells), axis=2), axis=1)
    drawn: dict[str, list[Array]] = {family: [] for family in families}
    for name in names[whole]:
        rows = np.flatnonzero(paths.group == name)
        rows = rows[np.argsort(paths.slot[rows])]
        own = law.placebo_draws(rows, GROUP_DRAWS)
        for family in families:
            drawn[family].append(averages.of_draws(family, own))
    return Bands(
        {family: averages.of_draws(family, draws) for family in families},
        {family: averages.of(family, cells[whole]) for family in families},
        {family: np.stack(parts) for family, parts in drawn.items()},
    )


def clustered_bands(
    averages: Averages, draws: Array, std_error: float, n_draws: int, random_state: Seed
) -> Bands:
    """Bands of many treated units.

    Parameters
    ----------
    averages : Averages
    draws : ndarray, shape (K, S, H)
        Some draws of each unit.
    std_error : float
        Of the ATT, by clusters.
    n_draws : int
        Draws of averages: in each, every unit contributes one of its own at random.
    random_state : seed
    """
    rng, n_units = stream(random_state, "means"), len(draws)
    found: dict[str, Array] = {f: np.empty((n_draws, len(C))) for f, C in averages.weights.items()}
    for s in range(n_draws):
        one = draws[np.arange(n_units), rng.integers(draws.shape[1], size=n_units)]
        for family in found:
            found[family][s] = averages.of(family, one)
    spread = float(found["att"].std(ddof=1))
    return Bands(found, {}, {}, std_error / spread if spread > 0 else 1.0)
