"""Encouragement designs: a binary instrument moves some units, and who they are decides outcomes.

Covariates x ~ N(0, I_5), instrument Z ~ Bernoulli(p(x)), S the logistic function. A unit is a
never-taker, an always-taker or a complier (t = n, a, c) with probabilities given x

    p = S(.6 x0 - .4 x1),     pi_t ~ exp(l_t),   l_n = 0,  l_a = -.3 + .5 x0,  l_c = s + .5 x1

and is treated, D = 1, if it is an always-taker, or a complier with Z = 1. Its outcomes are

    Y(d) ~ N(sin(1.5 x0) + .4 x1^2 + .5 x3 + b_t + d (1 + .5 x1 + h_t), .5^2)
    b_n = -.5, b_a = .8, b_c = 0,    h_n = .5, h_a = 1.5, h_c = 0

so the treatment is confounded by a type that nobody sees. ``instrument`` has s = .8;
``instrument-one-sided`` has no always-takers: nobody is treated unless encouraged.

With q_z = E[Y | x, Z = z], r_z = P(D = 1 | x, Z = z) and theta = LATE,

    LATE = E[pi_c (1 + .5 x1 + h_c)] / E[pi_c],    ITT = E[q_1 - q_0],    share = E[pi_c],

and the efficiency bound of the LATE (Froelich 2007, theorem 4) is, with W = Y - theta D,

    E[V(W | x, Z = 1) / p + V(W | x, Z = 0) / (1 - p) + (E[W | x, Z = 1] - E[W | x, Z = 0])^2]
    / share^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE, ATT, ATU, ITT, LATE, Estimand
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.draw import Draw, checked_size, sample_effects, seed_number
from causal_ddpm.dgp.population import normal_points

Array = NDArray[np.float64]

N_COVARIATES = 5
NEVER, ALWAYS, COMPLIER = 0, 1, 2
_LEVELS = np.array([-0.5, 0.8, 0.0])
_EFFECTS = np.array([0.5, 1.5, 0.0])
_SD = 0.5


@dataclass(frozen=True)
class InstrumentDesign:
    """A design of this module.

    Parameters
    ----------
    name : str
    strength : float
        s: the larger, the more compliers.
    always_takers : bool
        Whether there are any.
    """

    name: str
    strength: float = 0.8
    always_takers: bool = True

    def draw(self, n: int, seed: Seed = 0) -> Draw:
        """Draw n rows; the same seed gives the same rows."""
        rng = stream(seed, "design", self.name)
        x = rng.standard_normal((checked_size(n), N_COVARIATES))
        z = (rng.random(n) < self.instrument_probability(x)).astype(np.int64)
        cuts = np.cumsum(self.type_probability(x), axis=1)[:, :2]
        kind = (rng.random(n)[:, None] > cuts).sum(axis=1)
        d = np.where(kind == COMPLIER, z, kind == ALWAYS).astype(np.int64)
        means = np.stack([self.mean_of_types(x, a)[np.arange(n), kind] for a in (0, 1)], axis=1)
        outcomes = means + _SD * rng.standard_normal((n, 2))
        names = [f"x{j}" for j in range(N_COVARIATES)]
        frame = pd.DataFrame(x, columns=names).assign(z=z, d=d, y=outcomes[np.arange(n), d])
        known = self.truth()
        truth = Truth(
            design=self.name, population=known.population, sample=sample_effects(outcomes, d),
            efficiency_sd=known.efficiency_sd, equations=known.equations, seed=seed_number(seed),
        )  # fmt: skip
        e = (self.take_up(x) * self.propensity(x)).sum(axis=1)
        return Draw(
            frame=frame,
            data=CausalData(frame, "d", "y", names, instrument="z"),
            truth=truth,
            potential_outcomes=outcomes,
            mean=np.column_stack([self.mean(x, a) for a in (0, 1)]),
            propensity=np.column_stack([1 - e, e]),
        )

    # -- what is known at each x -----------------------------------------------------------
    def instrument_probability(self, x: ArrayLike) -> Array:
        """P(Z = 1 | x), shape (n,)."""
        x = np.asarray(x, dtype=float)
        return expit(0.6 * x[:, 0] - 0.4 * x[:, 1])

    def propensity(self, x: ArrayLike) -> Array:
        """P(Z = z | x), shape (n, 2)."""
        p = self.instrument_probability(x)
        return np.column_stack([1 - p, p])

    def type_probability(self, x: ArrayLike) -> Array:
        """Probabilities of never-takers, always-takers and compliers, shape (n, 3)."""
        x = np.asarray(x, dtype=float)
        always = -0.3 + 0.5 * x[:, 0] if self.always_takers else np.full(len(x), -np.inf)
        logits = np.column_stack([np.zeros(len(x)), always, self.strength + 0.5 * x[:, 1]])
        return np.asarray(softmax(logits, axis=1))

    def mean_of_types(self, x: ArrayLike, arm: int) -> Array:
        """E[Y(arm) | x, type], shape (n, 3)."""
        x = np.asarray(x, dtype=float)
        level = np.sin(1.5 * x[:, 0]) + 0.4 * x[:, 1] ** 2 + 0.5 * x[:, 3]
        return level[:, None] + _LEVELS + arm * (1 + 0.5 * x[:, [1]] + _EFFECTS)

    def mean(self, x: ArrayLike, arm: int) -> Array:
        """E[Y(arm) | x], shape (n,)."""
        return np.asarray((self.type_probability(x) * self.mean_of_types(x, arm)).sum(axis=1))

    def take_up(self, x: ArrayLike) -> Array:
        """r_z(x), shape (n, 2)."""
        share = self.type_probability(x)
        return np.column_stack([share[:, ALWAYS], share[:, ALWAYS] + share[:, COMPLIER]])

    def outcome(self, x: ArrayLike) -> Array:
        """q_z(x), shape (n, 2)."""
        return self.moments(x, 0.0)[0]

    def moments(self, x: ArrayLike, theta: float) -> tuple[Array, Array]:
        """Mean and variance of Y - theta D given x and Z = z, shape (n, 2) each."""
        share = self.type_probability(x)
        untreated, treated = self.mean_of_types(x, 0), self.mean_of_types(x, 1) - theta
        means, variances = [], []
        for z in (0, 1):
            taken = np.array([0, 1, z])
            w = np.where(taken, treated, untreated)
            means.append((share * w).sum(axis=1))
            variances.append((share * w**2).sum(axis=1) - means[-1] ** 2 + _SD**2)
        return np.column_stack(means), np.column_stack(variances)

    # -- truth -----------------------------------------------------------------------------
    def truth(self) -> Truth:
        """Population effects and the bound of the LATE, by deterministic integration over x."""
        return _population_truth(self)

    def truth_of(self, estimand: Estimand) -> dict[str, float]:
        """Population values of an estimand by the labels of its estimate.

        Raises
        ------
        DataError
            If the design does not know them.
        """
        if estimand not in (LATE(), ITT(), ATE(), ATT(), ATU()):
            raise DataError(f"no truth of {estimand!r} is known here", "LATE, ITT, ATE, ATT, ATU")
        labels = (estimand.name, "complier share") if estimand == ITT() else (estimand.name,)
        return {label: self.truth().value(label) for label in labels}


@cache
def _population_truth(design: InstrumentDesign) -> Truth:
    x = normal_points(N_COVARIATES)
    share, p = design.type_probability(x), design.instrument_probability(x)
    effects = design.mean_of_types(x, 1) - design.mean_of_types(x, 0)
    treated = np.column_stack([0 * p, share[:, ALWAYS], share[:, COMPLIER] * p])
    compliers = share[:, COMPLIER].mean()
    itt = float((share[:, COMPLIER] * effects[:, COMPLIER]).mean())
    late = itt / float(compliers)
    means, variances = design.moments(x, late)
    bound = variances[:, 1] / p + variances[:, 0] / (1 - p) + (means[:, 1] - means[:, 0]) ** 2
    return Truth(
        design=design.name,
        population={
            "ATE": float((share * effects).sum(axis=1).mean()),
            "ATT": float((treated * effects).sum() / treated.sum()),
            "ATU": float(((share - treated) * effects).sum() / (share - treated).sum()),
            "LATE": late,
            "ITT": itt,
            "complier share": float(compliers),
        },
        efficiency_sd={"LATE": float(np.sqrt(bound.mean()) / compliers)},
        equations=_equations(design),
    )


def _equations(design: InstrumentDesign) -> tuple[str, ...]:
    always = "l_a = -.3 + .5 x0" if design.always_takers else "no always-takers"
    return (
        "x0, ..., x4 ~ N(0, 1), independent; z ~ Bernoulli(S(.6 x0 - .4 x1))",
        f"types n, a, c with probabilities ~ exp(l_t): l_n = 0, {always}, "
        f"l_c = {design.strength:g} + .5 x1",
        "d = 1 for type a, and for type c where z = 1",
        "Y(d) ~ N(sin(1.5 x0) + .4 x1^2 + .5 x3 + b_t + d (1 + .5 x1 + h_t), .5^2)",
        "b = (-.5, .8, 0) and h = (.5, 1.5, 0) for n, a, c",
    )


INSTRUMENT = InstrumentDesign("instrument")
ONE_SIDED = InstrumentDesign("instrument-one-sided", always_takers=False)
