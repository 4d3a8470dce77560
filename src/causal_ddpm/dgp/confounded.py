"""Confounded designs whose conditional laws are known in closed form.

Covariates x have the law of ``columns(z)``, z ~ N(0, I_p) (x = z unless a design says otherwise),
treatment D ~ Bernoulli(e(x)), and each potential outcome follows a law of
:mod:`causal_ddpm.dgp.laws` given x, independent of D: a Gaussian mixture, a t law, a Bernoulli.

``gauss`` and ``bimodal`` share (x indexed from 0, S = logistic function)

    e = clip(S(.8 x0 - .6 x1 + .5 x0 x2), .05, .95)
    l_a = sin(1.5 x0) + .4 x1^2 + .5 x3 + a (1 + .5 x1 + .8 1{x2 > 0} + .3 sin(2 x0))
    r_a = .4 + .3 |x3| + .3 a

    gauss    Y(a) | x ~ N(l_a, r_a^2)
    bimodal  pi_a = S(.8 x4 + .5 a), modes l_a + g_a and l_a - g_a with g_a = 1.2 r_a + .3 a,
             s_a = .4 r_a

``linear`` (e = S(.4 x0 - .4 x1), l_a = x0 + .5 x1 - .5 x2 + a, unit noise) is quick to learn;
``no-effect`` is ``gauss`` with the untreated law in both arms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import QTE, Estimand
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.draw import (
    Draw,
    checked_size,
    efficiency_sds,
    mean_effects,
    sample_effects,
    seed_number,
)
from causal_ddpm.dgp.laws import KnownLaw, Mixture, gaussian
from causal_ddpm.dgp.population import Population, normal_points, truth_of

Array = NDArray[np.float64]
QUANTILE_LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


def unchanged(z: Array) -> Array:
    """Covariates that are independent standard normals."""
    return z


@dataclass(frozen=True, eq=False)
class ConfoundedDesign:
    """A design of this module.

    Parameters
    ----------
    name : str
    n_covariates : int
        p; covariates are called x0, x1, ...
    treatment_probability : callable
        e(x), (n, p) -> (n,).
    law : callable
        The law of Y(a) given x, (x, a) -> KnownLaw.
    equations : tuple of str
        The design, for the truth record.
    columns : callable
        Covariates from independent standard normals, (n, p) -> (n, p); odd, and column j must not
        depend on the normals after the j-th.
    n_active : int, optional
        The first ``n_active`` covariates decide treatment and outcome; all of them by default.
    """

    name: str
    n_covariates: int
    treatment_probability: Callable[[Array], Array]
    law: Callable[[Array, int], KnownLaw]
    equations: tuple[str, ...]
    columns: Callable[[Array], Array] = unchanged
    n_active: int | None = None

    def draw(self, n: int, seed: Seed = 0) -> Draw:
        """Draw n rows; the same seed gives the same rows."""
        rng = stream(seed, "design", self.name)
        x = self.columns(rng.standard_normal((checked_size(n), self.n_covariates)))
        e = self.treatment_probability(x)
        d = (rng.random(n) < e).astype(np.int64)
        outcomes = np.column_stack([self.law(x, a).sample(rng) for a in (0, 1)])
        return self.record(x, d, outcomes, seed)

    def record(
        self,
        x: Array,
        d: NDArray[np.int64],
        outcomes: Array,
        seed: Seed,
        clusters: NDArray[np.int64] | None = None,
    ) -> Draw:
        """The draw that covariates, treatments and potential outcomes make up."""
        names = [f"x{j}" for j in range(self.n_covariates)]
        frame = pd.DataFrame(x, columns=names).assign(d=d, y=outcomes[np.arange(len(d)), d])
        if clusters is not None:
            frame = frame.assign(cluster=clusters)
        known = self.truth()
        truth = Truth(
            design=self.name, population=known.population,
            sample={**sample_effects(outcomes, d), **self._sample_quantiles(outcomes)},
            efficiency_sd={} if clusters is not None else known.efficiency_sd,
            equations=self.equations, seed=seed_number(seed),
        )  # fmt: skip
        return Draw(
            frame=frame,
            data=CausalData(
                frame,
                treatment="d",
                outcome="y",
                confounders=names,
                clusters=None if clusters is None else "cluster",
            ),
            truth=truth,
            potential_outcomes=outcomes,
            mean=np.column_stack([self.law(x, a).mean() for a in (0, 1)]),
            propensity=self.propensity(x),
        )

    def _sample_quantiles(self, outcomes: Array) -> dict[str, float]:
        """Quantile effects of the rows drawn, where outcomes have densities."""
        if not self.population().continuous:
            return {}
        q0, q1 = np.quantile(outcomes, QUANTILE_LEVELS, axis=0).T
        return dict(zip(QTE(QUANTILE_LEVELS).labels, map(float, q1 - q0), strict=True))

    def truth(self) -> Truth:
        """Population effects and efficiency bounds, by deterministic integration over x."""
        return _population_truth(self)

    def population(self) -> Population:
        """Covariates that stand for the population, and what is known at each."""
        return _population(self)

    def truth_of(self, estimand: Estimand) -> dict[str, float]:
        """Population values of an estimand by the labels of its estimate.

        Raises
        ------
        DataError
            If the design does not know them.
        """
        return truth_of(estimand, self.population())

    def mean(self, x: ArrayLike, arm: int) -> Array:
        """E[Y(arm) | x], shape (n,)."""
        return self.law(np.asarray(x, dtype=float), arm).mean()

    def propensity(self, x: ArrayLike) -> Array:
        """P(D = a | x), shape (n, 2)."""
        e = self.treatment_probability(np.asarray(x, dtype=float))
        return np.column_stack([1 - e, e])

    def cdf(self, x: ArrayLike, arm: int, y: ArrayLike) -> Array:
        """P(Y(arm) <= y | x), shape (n, G), at y of shape (G,) or (n, G)."""
        return self.law(np.asarray(x, dtype=float), arm).cdf(np.asarray(y, dtype=float))

    def quantile(self, x: ArrayLike, arm: int, levels: ArrayLike) -> Array:
        """Quantiles of Y(arm) given x, shape (n, len(levels))."""
        u = np.atleast_1d(np.asarray(levels, dtype=float))
        return self.law(np.asarray(x, dtype=float), arm).quantile(u)


@cache
def _population(design: ConfoundedDesign) -> Population:
    x = design.columns(normal_points(design.n_active or design.n_covariates))
    laws = (design.law(x, 0), design.law(x, 1))
    return Population(x, design.treatment_probability(x), laws)


@cache
def _population_truth(design: ConfoundedDesign) -> Truth:
    known = design.population()
    variance = np.column_stack([law.variance() for law in known.laws])
    quantiles = design.truth_of(QTE(QUANTILE_LEVELS)) if known.continuous else {}
    return Truth(
        design=design.name,
        population={**mean_effects(known.effect, known.e), **quantiles},
        efficiency_sd=efficiency_sds(known.effect, variance, known.e),
        equations=design.equations,
    )


def strong_selection(x: Array) -> Array:
    """e(x) of ``gauss`` and its relatives."""
    return np.clip(expit(0.8 * x[:, 0] - 0.6 * x[:, 1] + 0.5 * x[:, 2] * x[:, 0]), 0.05, 0.95)


def location(x: Array, a: int) -> Array:
    """l_a(x) of ``gauss`` and its relatives."""
    baseline = np.sin(1.5 * x[:, 0]) + 0.4 * x[:, 1] ** 2 + 0.5 * x[:, 3]
    effect = 1 + 0.5 * x[:, 1] + 0.8 * (x[:, 2] > 0) + 0.3 * np.sin(2 * x[:, 0])
    return baseline + a * effect


def spread(x: Array, a: int) -> Array:
    """r_a(x) of ``gauss`` and its relatives."""
    return 0.4 + 0.3 * np.abs(x[:, 3]) + 0.3 * a


def gauss_law(x: Array, a: int) -> Mixture:
    """N(l_a, r_a^2)."""
    return gaussian(location(x, a), spread(x, a))


def _bimodal(x: Array, a: int) -> Mixture:
    middle, r = location(x, a), spread(x, a)
    gap = 1.2 * r + 0.3 * a
    modes = np.column_stack([middle + gap, middle - gap])
    return Mixture(expit(0.8 * x[:, 4] + 0.5 * a), modes, 0.4 * r)


def _no_effect(x: Array, a: int) -> Mixture:
    return gauss_law(x, 0)


def _linear(x: Array, a: int) -> Mixture:
    return gaussian(x[:, 0] + 0.5 * x[:, 1] - 0.5 * x[:, 2] + a, np.ones(len(x)))


def _mild_selection(x: Array) -> Array:
    return expit(0.4 * x[:, 0] - 0.4 * x[:, 1])


NORMAL_COLUMNS = "x0, ..., x9 ~ N(0, 1), independent"
SELECTION = "e(x) = clip(S(.8 x0 - .6 x1 + .5 x0 x2), .05, .95), d ~ Bernoulli(e(x))"
LEVEL = "l_0 = sin(1.5 x0) + .4 x1^2 + .5 x3"
EFFECT = "l_1 = l_0 + 1 + .5 x1 + .8 1{x2 > 0} + .3 sin(2 x0)"
SPREAD = "r_a = .4 + .3 |x3| + .3 a"

GAUSS = ConfoundedDesign(
    "gauss", 10, strong_selection, gauss_law,
    (NORMAL_COLUMNS, SELECTION, LEVEL, EFFECT, SPREAD, "Y(a) ~ N(l_a, r_a^2)"),
)  # fmt: skip
BIMODAL = ConfoundedDesign(
    "bimodal", 10, strong_selection, _bimodal,
    (
        NORMAL_COLUMNS, SELECTION, LEVEL, EFFECT, SPREAD,
        "g_a = 1.2 r_a + .3 a, pi_a = S(.8 x4 + .5 a)",
        "Y(a) ~ pi_a N(l_a + g_a, (.4 r_a)^2) + (1 - pi_a) N(l_a - g_a, (.4 r_a)^2)",
    ),
)  # fmt: skip
NO_EFFECT = ConfoundedDesign(
    "no-effect", 10, strong_selection, _no_effect,
    (
        NORMAL_COLUMNS, SELECTION, LEVEL, "r = .4 + .3 |x3|",
        "Y(0) and Y(1) ~ N(l_0, r^2), independent given x",
    ),
)  # fmt: skip
LINEAR = ConfoundedDesign(
    "linear", 3, _mild_selection, _linear,
    (
        "x0, x1, x2 ~ N(0, 1), independent", "e(x) = S(.4 x0 - .4 x1), d ~ Bernoulli(e(x))",
        "Y(a) ~ N(x0 + .5 x1 - .5 x2 + a, 1)",
    ),
)  # fmt: skip
