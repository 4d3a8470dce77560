"""True values of estimands, by averaging known conditional laws over covariates.

With covariates x of the population, propensity e(x), laws F_a(y | x) of Y(a), effects
tau(x) = E[Y(1) - Y(0) | x] and group weights g(x) = 1 (all), e(x) (treated), 1 - e(x) (untreated),

    mean effect     E[g tau] / E[g]                    ATO: g = e (1 - e)
    distribution    F_a(y) = E[g F_a(y | x)] / E[g]    QTE(u) = F_1^-1(u) - F_0^-1(u)
    Lorenz curve    L_a(p) = integral of max(p - F_a, 0) / mu_a
    Gini            1 - integral of (1 - F_a)^2 / mu_a  (outcomes not below zero)
    projection      of tau on columns, (E[z z'])^-1 E[z tau]
    value of pi     E[pi(x) Y(1) + (1 - pi(x)) Y(0)]

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
from causal_ddpm.core.estimand import (
    ATE,
    ATO,
    ATT,
    ATU,
    BLP,
    GATE,
    QTE,
    ArmContrast,
    ArmMeans,
    CDFDifference,
    Estimand,
    GiniEffect,
    Group,
    LorenzEffect,
    ShareBelow,
    TrimmedATE,
)
from causal_ddpm.core.estimand.arms import ALL
from causal_ddpm.core.estimand.policies import POLICY_LABELS
from causal_ddpm.core.treatment import Treatment
from causal_ddpm.dgp.laws import KnownLaw

Array = NDArray[np.float64]
_LOG2_POINTS = 14
_NODES = 200
_BINARY = Treatment("binary", ("d",), (0, 1))


def normal_points(p: int) -> Array:
    """Points that stand for N(0, I_p), shape (2^15, p): a Sobol sequence and its mirror image."""
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
    labels, values = _TRUTHS[type(estimand)](estimand, population)
    return {label: float(value) for label, value in zip(labels, values, strict=True)}


Labelled = tuple[Sequence[str], Sequence[Any] | Array]


def _mean_effect(estimand: Estimand, population: Population) -> Labelled:
    return [estimand.name], [population.weights(estimand.group) @ population.effect]


def _trimmed_effect(estimand: TrimmedATE, population: Population) -> Labelled:
    e = population.e
    low, high = estimand.bounds(e, np.ones_like(e))
    kept = (e > low) & (e < high)
    return [estimand.name], [population.effect[kept].mean()]


def _overlap_effect(estimand: ATO, population: Population) -> Labelled:
    h = population.e * (1 - population.e)
    return [estimand.name], [h @ population.effect / h.sum()]


def _arm_means(estimand: ArmMeans | ArmContrast, population: Population) -> Labelled:
    group: Group = "all"
    if estimand.among != ALL:
        group = "treated" if estimand.meant(_BINARY) else "untreated"
    means = [population.weights(group) @ law.mean() for law in population.laws]
    asked = [means[a] for a in estimand.asked(_BINARY)]
    values = asked if isinstance(estimand, ArmMeans) else [asked[0] - asked[1]]
    return estimand.labels(_BINARY), values


def _quantile_effects(estimand: QTE, population: Population) -> Labelled:
    q0, q1 = (population.quantile(a, estimand.levels, estimand.among) for a in (0, 1))
    return estimand.labels, q1 - q0


def _cdf_difference(estimand: CDFDifference, population: Population) -> Labelled:
    if estimand.points is None:
        raise _depends_on_data(estimand, "points")
    f0, f1 = (population.cdf(a, estimand.points, estimand.among) for a in (0, 1))
    return estimand.labels_at(estimand.points), f1 - f0


def _shares_below(estimand: ShareBelow, population: Population) -> Labelled:
    points = np.nextafter(np.asarray(estimand.thresholds), -np.inf)
    f0, f1 = (population.cdf(a, points, estimand.among) for a in (0, 1))
    return estimand.labels, np.concatenate([f1 - f0, f1, f0])


def _gini(estimand: GiniEffect, population: Population) -> Labelled:
    g0, g1 = (_gini_of(population, a, estimand.among) for a in (0, 1))
    return estimand.labels, [g1 - g0, g1, g0]


def _gini_of(population: Population, arm: int, group: Group) -> float:
    mean = _positive_mean(population, arm, group)
    t, w = _unit_nodes()
    y, slope = mean * t / (1 - t), mean / (1 - t) ** 2  # all of the half line
    return float(1 - w * slope @ (1 - population.cdf(arm, y, group)) ** 2 / mean)


def _lorenz(estimand: LorenzEffect, population: Population) -> Labelled:
    l0, l1 = (_lorenz_of(population, a, estimand) for a in (0, 1))
    return estimand.labels, l1 - l0


def _lorenz_of(population: Population, arm: int, estimand: LorenzEffect) -> Array:
    group, (t, w) = estimand.among, _unit_nodes()
    mean = _positive_mean(population, arm, group)
    ends = population.quantile(arm, estimand.levels, group)
    areas = [
        q * w @ (p - population.cdf(arm, q * t, group))
        for p, q in zip(estimand.levels, ends, strict=True)
    ]
    return np.array(areas) / mean


def _positive_mean(population: Population, arm: int, group: Group) -> float:
    if population.laws[arm].bracket()[0] < 0:
        raise DataError("outcomes of the design fall below zero", "a design of amounts")
    return float(population.weights(group) @ population.laws[arm].mean())


def _unit_nodes() -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on (0, 1)."""
    t, w = np.polynomial.legendre.leggauss(_NODES)
    return (t + 1) / 2, w / 2


def _depends_on_data(estimand: Estimand, setting: str) -> DataError:
    return DataError(
        f"without {setting} the {estimand.name} depends on the data", f"{setting} given explicitly"
    )


def _group_effects(estimand: GATE, population: Population) -> Labelled:
    if estimand.by == "effect":
        raise _depends_on_data(estimand, "a confounder and its cut points")
    x = population.column(estimand.by)
    if estimand.cuts is not None:
        labels, codes = estimand.labels_by_cuts, estimand.codes_by_cuts(x)
    elif estimand.n_groups is not None:
        rank = np.argsort(np.argsort(x, kind="stable"), kind="stable")
        labels, codes = estimand.labels_by_rank, rank * estimand.n_groups // len(x)
    else:
        raise _depends_on_data(estimand, "cut points or a number of groups")
    effect = population.effect
    return labels, [effect[codes == g].mean() for g in range(len(labels))]


def _projection(estimand: BLP, population: Population) -> Labelled:
    if estimand.on is None:
        raise _depends_on_data(estimand, "confounders")
    columns = [population.column(name) for name in estimand.on]
    z = np.column_stack([np.ones_like(population.e), *columns])
    coef = list(np.linalg.lstsq(z, population.effect, rcond=None)[0])
    return [f"BLP({name})" for name in ("constant", *estimand.on)], coef


def values_of_rule(rule: Callable[[Array], ArrayLike], population: Population) -> dict[str, float]:
    """True entries of a policy value, for a rule pi(x) that maps covariates (N, p) to (N,)."""
    m0, m1 = (law.mean() for law in population.laws)
    pi = np.asarray(rule(population.x), dtype=float)
    value = float((pi * m1 + (1 - pi) * m0).mean())
    none, everyone = float(m0.mean()), float(m1.mean())
    observed = float((population.e * m1 + (1 - population.e) * m0).mean())
    random = none + float(pi.mean()) * (everyone - none)
    baselines = (none, everyone, observed)
    values = (value, *baselines, *(value - b for b in (*baselines, random)))
    return dict(zip(POLICY_LABELS, values, strict=True))


_TRUTHS: dict[type[Estimand], Callable[[Any, Population], Labelled]] = {
    ATE: _mean_effect,
    ATT: _mean_effect,
    ATU: _mean_effect,
    ATO: _overlap_effect,
    TrimmedATE: _trimmed_effect,
    ArmMeans: _arm_means,
    ArmContrast: _arm_means,
    GATE: _group_effects,
    BLP: _projection,
    QTE: _quantile_effects,
    CDFDifference: _cdf_difference,
    ShareBelow: _shares_below,
    GiniEffect: _gini,
    LorenzEffect: _lorenz,
}
