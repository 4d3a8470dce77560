"""Encouragement designs: a binary instrument moves some units, and who they are decides outcomes.

Covariates x ~ N(0, I_5), instrument Z ~ Bernoulli(p(x)), S the logistic function. A unit is a
never-taker, an always-taker, a complier or a defier (t = n, a, c, f) with probabilities given x

    p = S(.6 x0 - .4 x1),  pi_t ~ exp(l_t),  l_n = 0, l_a = -.3 + .5 x0, l_c = s + .5 x1, l_f = v

and is treated, D = 1, if it is an always-taker, a complier with Z = 1 or a defier with Z = 0. Its
outcomes are

    Y(d) ~ N(sin(1.5 x0) + .4 x1^2 + .5 x3 + b_t + d (1 + .5 x1 + h_t), .5^2)
    b_n = -.5, b_a = .8, b_c = 0, b_f = .4,    h_n = .5, h_a = 1.5, h_c = 0, h_f = 2

so the treatment is confounded by a type that nobody sees. ``instrument`` has s = .8 and no
defiers; ``instrument-one-sided`` has no always-takers either: nobody is treated unless encouraged.
``instrument-weak`` has s = -2: few comply. ``instrument-defiers`` has v = -.2: no method that
assumes away defiers finds the effect on compliers.

With q_z = E[Y | x, Z = z], r_z = P(D = 1 | x, Z = z) and theta = LATE,

    LATE = E[pi_c (1 + .5 x1 + h_c)] / E[pi_c],    ITT = E[q_1 - q_0],    share = E[pi_c]
    Wald = ITT / E[r_1 - r_0],  which is the LATE if and only if defiers change nothing

The first stage regresses D on W = (1, x, Z) by least squares: with coefficient b of Z and residual
variance s2, lambda = b^2 / (s2 (E[W W']^-1)_zz), and its F among n rows is about 1 + n lambda.
Without defiers the efficiency bound of the LATE (Froelich 2007, theorem 4) is, with
W = Y - theta D,

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
NEVER, ALWAYS, COMPLIER, DEFIER = 0, 1, 2, 3
FIRST_STAGE = "first-stage F(n=1000)"
_LEVELS = np.array([-0.5, 0.8, 0.0, 0.4])
_EFFECTS = np.array([0.5, 1.5, 0.0, 2.0])
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
    defiers : float, optional
        v: the larger, the more defiers; none without it.
    """

    name: str
    strength: float = 0.8
    always_takers: bool = True
    defiers: float | None = None

    def draw(self, n: int, seed: Seed = 0) -> Draw:
        """Draw n rows; the same seed gives the same rows."""
        rng = stream(seed, "design", self.name)
        x = rng.standard_normal((checked_size(n), N_COVARIATES))
        z = (rng.random(n) < self.instrument_probability(x)).astype(np.int64)
        cuts = np.cumsum(self.type_probability(x), axis=1)[:, :-1]
        kind = (rng.random(n)[:, None] > cuts).sum(axis=1)
        d = _taken(z)[kind, np.arange(n)]
        means = np.stack([self.mean_of_types(x, a)[np.arange(n), kind] for a in (0, 1)], axis=1)
        outcomes = means + _SD * rng.standard_normal((n, 2))
        names = [f"x{j}" for j in range(N_COVARIATES)]
        frame = pd.DataFrame(x, columns=names).assign(z=z, d=d, y=outcomes[np.arange(n), d])
        known = self.truth()
        truth = Truth(
            design=self.name, population=known.population,
            sample=self._sample_truth(x, z, kind, outcomes),
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

    def _sample_truth(
        self, x: Array, z: NDArray[np.int64], kind: NDArray[np.int64], outcomes: Array
    ) -> dict[str, float]:
        """True values of the rows, from their types and both of their potential outcomes."""
        effect, d = outcomes[:, 1] - outcomes[:, 0], _taken(z)[kind, np.arange(len(z))]
        complier, defier = kind == COMPLIER, kind == DEFIER
        moved, n = complier.astype(float) - defier, len(z)
        values = {**sample_effects(outcomes, d), "ITT": float((moved * effect).mean())}
        if complier.any():
            values["LATE"] = float(effect[complier].mean())
        values["complier share"] = float(complier.mean())
        if self.defiers is not None:
            values["defier share"] = float(defier.mean())
            if moved.sum() != 0:
                values["Wald"] = float((moved * effect).sum() / moved.sum())
        if n > N_COVARIATES + 2:
            strength = _first_stage(x, z, d.astype(float), np.full(n, 1 / n))
            values[FIRST_STAGE] = 1 + 1000 * (strength - 1 / n)
        return values

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
        """Probabilities of never-takers, always-takers, compliers (and defiers), (n, 3 or 4)."""
        x = np.asarray(x, dtype=float)
        always = -0.3 + 0.5 * x[:, 0] if self.always_takers else np.full(len(x), -np.inf)
        logits = [np.zeros(len(x)), always, self.strength + 0.5 * x[:, 1]]
        if self.defiers is not None:
            logits.append(np.full(len(x), self.defiers))
        return np.asarray(softmax(np.column_stack(logits), axis=1))

    def mean_of_types(self, x: ArrayLike, arm: int) -> Array:
        """E[Y(arm) | x, type], shape (n, number of types)."""
        x = np.asarray(x, dtype=float)
        level = np.sin(1.5 * x[:, 0]) + 0.4 * x[:, 1] ** 2 + 0.5 * x[:, 3]
        levels, effects = _LEVELS[: self.n_types], _EFFECTS[: self.n_types]
        return level[:, None] + levels + arm * (1 + 0.5 * x[:, [1]] + effects)

    def mean(self, x: ArrayLike, arm: int) -> Array:
        """E[Y(arm) | x], shape (n,)."""
        return np.asarray((self.type_probability(x) * self.mean_of_types(x, arm)).sum(axis=1))

    def take_up(self, x: ArrayLike) -> Array:
        """r_z(x), shape (n, 2)."""
        share = self.type_probability(x)
        untouched = share[:, ALWAYS] + share[:, DEFIER:].sum(axis=1)
        return np.column_stack([untouched, share[:, ALWAYS] + share[:, COMPLIER]])

    def outcome(self, x: ArrayLike) -> Array:
        """q_z(x), shape (n, 2)."""
        return self.moments(x, 0.0)[0]

    def moments(self, x: ArrayLike, theta: float) -> tuple[Array, Array]:
        """Mean and variance of Y - theta D given x and Z = z, shape (n, 2) each."""
        share = self.type_probability(x)
        untreated, treated = self.mean_of_types(x, 0), self.mean_of_types(x, 1) - theta
        means, variances = [], []
        for z in (0, 1):
            taken = _taken(np.array([z]))[: self.n_types, 0]
            w = np.where(taken, treated, untreated)
            means.append((share * w).sum(axis=1))
            variances.append((share * w**2).sum(axis=1) - means[-1] ** 2 + _SD**2)
        return np.column_stack(means), np.column_stack(variances)

    @property
    def n_types(self) -> int:
        """How many types there are."""
        return 3 if self.defiers is None else 4

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


def _taken(z: NDArray[np.int64]) -> NDArray[np.int64]:
    """D of each type under instruments z (n,), shape (4, n)."""
    return np.stack([0 * z, 0 * z + 1, z, 1 - z])


def _first_stage(x: Array, z: NDArray[np.int64], d: Array, weight: Array) -> float:
    """lambda of the rows (or of points with weights), where d is D or its mean at each."""
    W = np.column_stack([np.ones(len(x)), x, z])
    inverse = np.linalg.inv((W * weight[:, None]).T @ W)
    moments = (W * weight[:, None]).T @ d
    coefficients = inverse @ moments
    residual = weight @ d - moments @ coefficients  # D is 0 or 1, so D^2 = D
    return float(coefficients[-1] ** 2 / (residual * inverse[-1, -1]))


@cache
def _population_truth(design: InstrumentDesign) -> Truth:
    x = normal_points(N_COVARIATES)
    share, p = design.type_probability(x), design.instrument_probability(x)
    effects = design.mean_of_types(x, 1) - design.mean_of_types(x, 0)
    moved = share * (_taken(np.array([1])) - _taken(np.array([0])))[: design.n_types, 0]
    compliers = float(share[:, COMPLIER].mean())
    itt = float((moved * effects).sum(axis=1).mean())
    late = float((share[:, COMPLIER] * effects[:, COMPLIER]).mean()) / compliers
    population = {
        **_averages(design, share, effects, p), "LATE": late, "ITT": itt,
        "complier share": compliers,
    }  # fmt: skip
    if design.defiers is not None:
        population["defier share"] = float(share[:, DEFIER].mean())
        population["Wald"] = itt / float(moved.sum(axis=1).mean())
    population[FIRST_STAGE] = 1 + 1000 * _population_strength(design, x, p)
    means, variances = design.moments(x, late)
    bound = variances[:, 1] / p + variances[:, 0] / (1 - p) + (means[:, 1] - means[:, 0]) ** 2
    identified = design.defiers is None
    return Truth(
        design=design.name,
        population=population,
        efficiency_sd={"LATE": float(np.sqrt(bound.mean()) / compliers)} if identified else {},
        equations=_equations(design),
    )


def _averages(design: InstrumentDesign, share: Array, effects: Array, p: Array) -> dict[str, float]:
    """ATE, ATT and ATU of the population."""
    taken = _taken(np.array([0, 1]))[: design.n_types]
    treated = share * (taken[:, 0] + (taken[:, 1] - taken[:, 0]) * p[:, None])
    return {
        "ATE": float((share * effects).sum(axis=1).mean()),
        "ATT": float((treated * effects).sum() / treated.sum()),
        "ATU": float(((share - treated) * effects).sum() / (share - treated).sum()),
    }


def _population_strength(design: InstrumentDesign, x: Array, p: Array) -> float:
    """lambda of the population: each point of x once with Z = 0 and once with Z = 1."""
    z = np.repeat([0, 1], len(x))
    weight = np.concatenate([1 - p, p]) / len(x)
    take_up = design.take_up(x).T.ravel()
    return _first_stage(np.vstack([x, x]), z, take_up, weight)


def _equations(design: InstrumentDesign) -> tuple[str, ...]:
    always = "l_a = -.3 + .5 x0" if design.always_takers else "no always-takers"
    types, kinds = "n, a, c", f"l_n = 0, {always}, l_c = {design.strength:g} + .5 x1"
    taken, b, h = "d = 1 for type a, and for type c where z = 1", "-.5, .8, 0", ".5, 1.5, 0"
    if design.defiers is not None:
        types, kinds = f"{types}, f", f"{kinds}, l_f = {design.defiers:g}"
        taken, b, h = f"{taken}, and for type f where z = 0", f"{b}, .4", f"{h}, 2"
    return (
        "x0, ..., x4 ~ N(0, 1), independent; z ~ Bernoulli(S(.6 x0 - .4 x1))",
        f"types {types} with probabilities ~ exp(l_t): {kinds}",
        taken,
        "Y(d) ~ N(sin(1.5 x0) + .4 x1^2 + .5 x3 + b_t + d (1 + .5 x1 + h_t), .5^2)",
        f"b = ({b}) and h = ({h}) for {types}",
    )


INSTRUMENT = InstrumentDesign("instrument")
ONE_SIDED = InstrumentDesign("instrument-one-sided", always_takers=False)
WEAK_INSTRUMENT = InstrumentDesign("instrument-weak", strength=-2.0)
DEFIERS = InstrumentDesign("instrument-defiers", defiers=-0.2)
