"""Confounded designs with Gaussian covariates whose conditional laws are known in closed form.

Covariates x ~ N(0, I_p), treatment D ~ Bernoulli(e(x)), and each potential outcome follows a
mixture of two Gaussians given x,

    Y(a) | x ~ pi_a(x) N(m_a1(x), s_a(x)^2) + (1 - pi_a(x)) N(m_a2(x), s_a(x)^2).

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
from scipy.optimize import brentq
from scipy.special import expit, ndtr

from causal_ddpm.core.data import CausalData
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

Array = NDArray[np.float64]
QUANTILE_LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
_N_INTEGRATION = 2**16
_REACH = 8.0


@dataclass(frozen=True, eq=False)
class Mixture:
    """Two-component Gaussian mixtures for n rows.

    Parameters
    ----------
    weight : ndarray, shape (n,)
        Probability of the first component.
    modes : ndarray, shape (n, 2)
        Means of the components.
    sd : ndarray, shape (n,)
        Their common standard deviation.
    """

    weight: Array
    modes: Array
    sd: Array

    @property
    def weights(self) -> Array:
        """Both weights, shape (n, 2)."""
        return np.column_stack([self.weight, 1 - self.weight])

    def mean(self) -> Array:
        """Mean of each row, shape (n,)."""
        return (self.weights * self.modes).sum(axis=1)

    def variance(self) -> Array:
        """Variance of each row, shape (n,)."""
        spread = (self.modes - self.mean()[:, None]) ** 2
        return self.sd**2 + (self.weights * spread).sum(axis=1)

    def cdf(self, y: Array) -> Array:
        """P(Y <= y), shape (n, G), at y of shape (G,) or (n, G)."""
        z = [(y - self.modes[:, [k]]) / self.sd[:, None] for k in (0, 1)]
        return self.weights[:, [0]] * ndtr(z[0]) + self.weights[:, [1]] * ndtr(z[1])

    def quantile(self, levels: Array) -> Array:
        """Quantiles at levels (G,) by bisection, shape (n, G)."""
        reach = _REACH * self.sd
        shape = (len(self.sd), len(levels))
        low = np.broadcast_to((self.modes.min(axis=1) - reach)[:, None], shape)
        high = np.broadcast_to((self.modes.max(axis=1) + reach)[:, None], shape)
        for _ in range(50):
            middle = (low + high) / 2
            below = self.cdf(middle) < levels
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2

    def sample(self, rng: np.random.Generator) -> Array:
        """One draw a row, shape (n,)."""
        n = len(self.sd)
        component = (rng.random(n) > self.weight).astype(int)
        return self.modes[np.arange(n), component] + self.sd * rng.standard_normal(n)


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
    mixture : callable
        The law of Y(a) given x, (x, a) -> Mixture.
    equations : tuple of str
        The design, for the truth record.
    """

    name: str
    n_covariates: int
    treatment_probability: Callable[[Array], Array]
    mixture: Callable[[Array, int], Mixture]
    equations: tuple[str, ...]

    def draw(self, n: int, seed: Seed = 0) -> Draw:
        """Draw n rows; the same seed gives the same rows."""
        rng = stream(seed, "design", self.name)
        x = rng.standard_normal((checked_size(n), self.n_covariates))
        e = self.treatment_probability(x)
        d = (rng.random(n) < e).astype(np.int64)
        laws = [self.mixture(x, a) for a in (0, 1)]
        outcomes = np.column_stack([law.sample(rng) for law in laws])
        names = [f"x{j}" for j in range(self.n_covariates)]
        frame = pd.DataFrame(x, columns=names).assign(d=d, y=outcomes[np.arange(n), d])
        known = self.truth()
        truth = Truth(
            design=self.name, population=known.population, sample=sample_effects(outcomes, d),
            efficiency_sd=known.efficiency_sd, equations=self.equations, seed=seed_number(seed),
        )  # fmt: skip
        return Draw(
            frame=frame,
            data=CausalData(frame, treatment="d", outcome="y", confounders=names),
            truth=truth,
            potential_outcomes=outcomes,
            mean=np.column_stack([law.mean() for law in laws]),
            propensity=np.column_stack([1 - e, e]),
        )

    def truth(self) -> Truth:
        """Population effects and efficiency bounds, by deterministic integration over x."""
        return _population_truth(self)

    def mean(self, x: ArrayLike, arm: int) -> Array:
        """E[Y(arm) | x], shape (n,)."""
        return self.mixture(np.asarray(x, dtype=float), arm).mean()

    def propensity(self, x: ArrayLike) -> Array:
        """P(D = a | x), shape (n, 2)."""
        e = self.treatment_probability(np.asarray(x, dtype=float))
        return np.column_stack([1 - e, e])

    def cdf(self, x: ArrayLike, arm: int, y: ArrayLike) -> Array:
        """P(Y(arm) <= y | x), shape (n, G), at y of shape (G,) or (n, G)."""
        return self.mixture(np.asarray(x, dtype=float), arm).cdf(np.asarray(y, dtype=float))

    def quantile(self, x: ArrayLike, arm: int, levels: ArrayLike) -> Array:
        """Quantiles of Y(arm) given x, shape (n, len(levels))."""
        u = np.atleast_1d(np.asarray(levels, dtype=float))
        return self.mixture(np.asarray(x, dtype=float), arm).quantile(u)


@cache
def _population_truth(design: ConfoundedDesign) -> Truth:
    half = stream(0, "integration").standard_normal((_N_INTEGRATION, design.n_covariates))
    x = np.vstack([half, -half])  # antithetic: odd functions of x integrate to zero exactly
    e = design.treatment_probability(x)
    laws = [design.mixture(x, a) for a in (0, 1)]
    effect = laws[1].mean() - laws[0].mean()
    variance = np.column_stack([law.variance() for law in laws])
    quantiles = {
        f"QTE({u:g})": _marginal_quantile(laws[1], u) - _marginal_quantile(laws[0], u)
        for u in QUANTILE_LEVELS
    }
    return Truth(
        design=design.name,
        population={**mean_effects(effect, e), **quantiles},
        efficiency_sd=efficiency_sds(effect, variance, e),
        equations=design.equations,
    )


def _marginal_quantile(law: Mixture, u: float) -> float:
    reach = _REACH * law.sd.max()
    low, high = law.modes.min() - reach, law.modes.max() + reach
    return float(brentq(lambda y: law.cdf(np.array([y])).mean() - u, low, high, xtol=1e-8))


def _strong_selection(x: Array) -> Array:
    return np.clip(expit(0.8 * x[:, 0] - 0.6 * x[:, 1] + 0.5 * x[:, 2] * x[:, 0]), 0.05, 0.95)


def _location(x: Array, a: int) -> Array:
    baseline = np.sin(1.5 * x[:, 0]) + 0.4 * x[:, 1] ** 2 + 0.5 * x[:, 3]
    effect = 1 + 0.5 * x[:, 1] + 0.8 * (x[:, 2] > 0) + 0.3 * np.sin(2 * x[:, 0])
    return baseline + a * effect


def _spread(x: Array, a: int) -> Array:
    return 0.4 + 0.3 * np.abs(x[:, 3]) + 0.3 * a


def _gaussian(location: Array, spread: Array) -> Mixture:
    return Mixture(np.ones(len(location)), np.column_stack([location, location]), spread)


def _gauss(x: Array, a: int) -> Mixture:
    return _gaussian(_location(x, a), _spread(x, a))


def _bimodal(x: Array, a: int) -> Mixture:
    location, spread = _location(x, a), _spread(x, a)
    gap = 1.2 * spread + 0.3 * a
    modes = np.column_stack([location + gap, location - gap])
    return Mixture(expit(0.8 * x[:, 4] + 0.5 * a), modes, 0.4 * spread)


def _no_effect(x: Array, a: int) -> Mixture:
    return _gauss(x, 0)


def _linear(x: Array, a: int) -> Mixture:
    return _gaussian(x[:, 0] + 0.5 * x[:, 1] - 0.5 * x[:, 2] + a, np.ones(len(x)))


def _mild_selection(x: Array) -> Array:
    return expit(0.4 * x[:, 0] - 0.4 * x[:, 1])


_SELECTION = (
    "x0, ..., x9 ~ N(0, 1), independent",
    "e(x) = clip(S(.8 x0 - .6 x1 + .5 x0 x2), .05, .95), d ~ Bernoulli(e(x))",
)
_LEVEL = "l_0 = sin(1.5 x0) + .4 x1^2 + .5 x3"
_EFFECT = "l_1 = l_0 + 1 + .5 x1 + .8 1{x2 > 0} + .3 sin(2 x0)"
_NOISE = "r_a = .4 + .3 |x3| + .3 a"

GAUSS = ConfoundedDesign(
    "gauss", 10, _strong_selection, _gauss,
    (*_SELECTION, _LEVEL, _EFFECT, _NOISE, "Y(a) ~ N(l_a, r_a^2)"),
)  # fmt: skip
BIMODAL = ConfoundedDesign(
    "bimodal", 10, _strong_selection, _bimodal,
    (
        *_SELECTION, _LEVEL, _EFFECT, _NOISE, "g_a = 1.2 r_a + .3 a, pi_a = S(.8 x4 + .5 a)",
        "Y(a) ~ pi_a N(l_a + g_a, (.4 r_a)^2) + (1 - pi_a) N(l_a - g_a, (.4 r_a)^2)",
    ),
)  # fmt: skip
NO_EFFECT = ConfoundedDesign(
    "no-effect", 10, _strong_selection, _no_effect,
    (*_SELECTION, _LEVEL, "r = .4 + .3 |x3|", "Y(0) and Y(1) ~ N(l_0, r^2), independent given x"),
)  # fmt: skip
LINEAR = ConfoundedDesign(
    "linear", 3, _mild_selection, _linear,
    (
        "x0, x1, x2 ~ N(0, 1), independent", "e(x) = S(.4 x0 - .4 x1), d ~ Bernoulli(e(x))",
        "Y(a) ~ N(x0 + .5 x1 - .5 x2 + a, 1)",
    ),
)  # fmt: skip
