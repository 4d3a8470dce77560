"""True values of estimands, by averaging known conditional laws over covariates.

With covariates x of the population, propensity e(x), laws F_a(y | x) of Y(a), effects
tau(x) = E[Y(1) - Y(0) | x] and group weights g(x) = 1 (all), e(x) (treated), 1 - e(x) (untreated),

    mean effect        E[g tau] / E[g]                   ATO: g = e (1 - e)
    distribution       F_a(y) = E[g F_a(y | x)] / E[g]   QTE(u) = F_1^-1(u) - F_0^-1(u)

Averages run over a Sobol sequence and its mirror image: deterministic, and exact for odd functions
of x. :func:`truth_of` gives the values under the labels that estimates carry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtri

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE, ATT, ATU, QTE, Estimand
from causal_ddpm.core.estimand.base import Group
from causal_ddpm.dgp.laws import KnownLaw

Array = NDArray[np.float64]
_LOG2_POINTS = 15


def normal_points(p: int) -> Array:
    """Points that stand for N(0, I_p), shape (2^16, p): a Sobol sequence and its mirror image."""
    from scipy.stats import qmc

    u = qmc.Sobol(p, scramble=False).random_base2(_LOG2_POINTS) + 0.5 / 2**_LOG2_POINTS
    z = ndtri(u)
    return np.vstack([z, -z])


@dataclass(frozen=True, eq=False)
class Population:
    """Covariates that stand for a population, with what is known at each.

    Parameters
    ----------
    x : ndarray, shape (N, p)
        Columns x0, x1, ...; every row stands for an equal share.
    e : ndarray, shape (N,)
        P(D = 1 | x).
    laws : tuple of two KnownLaw
        Of Y(0) and Y(1) given each x.
    """

    x: Array
    e: Array
    laws: tuple[KnownLaw, KnownLaw]

    @property
    def effect(self) -> Array:
        """tau at each x, shape (N,)."""
        return self.laws[1].mean() - self.laws[0].mean()

    @property
    def continuous(self) -> bool:
        """Whether outcomes have densities."""
        return all(law.continuous for law in self.laws)

    def weights(self, group: Group) -> Array:
        """g at each x, summing to one, shape (N,)."""
        g = {"all": np.ones_like(self.e), "treated": self.e, "untreated": 1 - self.e}[group]
        return g / g.sum()

    def column(self, name: str) -> Array:
        """A covariate, shape (N,).

        Raises
        ------
        DataError
            If the laws do not depend on a column of that name.
        """
        names = [f"x{j}" for j in range(self.x.shape[1])]
        if name not in names:
            raise DataError(f"the population has no column '{name}'", ", ".join(names))
        return self.x[:, names.index(name)]

    def cdf(self, arm: int, y: ArrayLike, group: Group = "all") -> Array:
        """F_a(y) in a group, shape (G,)."""
        g, points = self.weights(group), np.atleast_1d(np.asarray(y, dtype=float))
        return np.array([g @ self.laws[arm].cdf(points[[k]])[:, 0] for k in range(len(points))])

    def quantile(self, arm: int, levels: Sequence[float], group: Group = "all") -> Array:
        """F_a^-1(u) in a group, shape (len(levels),).

        Raises
        ------
        DataError
            If the outcome has no density.
        """
        if not self.continuous:
            raise DataError("the outcome takes separate values", "one that has a density")
        low, high = self.laws[arm].bracket()
        found = []
        for u in levels:
            root = brentq(lambda y, u=u: self.cdf(arm, y, group)[0] - u, low, high, xtol=1e-8)
            found.append(root)
        return np.array(found)


def truth_of(estimand: Estimand, population: Population) -> dict[str, float]:
    """True values by the labels of the estimate.

    Raises
    ------
    DataError
        If they are not known, or depend on the data (give points, levels or cuts explicitly).
    """
    if type(estimand) not in _TRUTHS:
        known = ", ".join(kind.name for kind in _TRUTHS)
        raise DataError(f"no truth of the {estimand.name} is known here", known)
    return _TRUTHS[type(estimand)](estimand, population)


def _mean_effect(estimand: Estimand, population: Population) -> dict[str, float]:
    return {estimand.name: float(population.weights(estimand.group) @ population.effect)}


def _quantile_effects(estimand: QTE, population: Population) -> dict[str, float]:
    q0, q1 = (population.quantile(a, estimand.levels, estimand.among) for a in (0, 1))
    return {f"QTE({u:g})": float(d) for u, d in zip(estimand.levels, q1 - q0, strict=True)}


_TRUTHS: dict[type[Estimand], Callable[[Any, Population], dict[str, float]]] = {
    ATE: _mean_effect,
    ATT: _mean_effect,
    ATU: _mean_effect,
    QTE: _quantile_effects,
}
