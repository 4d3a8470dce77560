"""``mixed-table``: workers and a training course, in columns of every kind.

With S the logistic function, b = 1{education = vocational}, g = 1{education = degree} and
c = (age - 40) / 10, the columns follow one another:

    region      north .40, south .35, west .25
    age         uniform between 20 + m and 60 + m, m = 0, 4, -3 by region
    education   none, vocational, degree with probabilities ~ exp(l), l = (0, .6, .2 - .3 c + .8 N),
                N = 1{region = north}
    children    ~ Poisson(exp(-.2 + .3 c - .3 g))
    savings     0 with probability p_0 = S(-.9 + .3 children - .7 g), else exp(w),
                w ~ N(1.5 + .2 c + .5 b + .9 g, .6^2), thousand dollars
    missing     savings are not told with probability q = S(-2 + .9 g + .2 c), told or not
    course      ~ Bernoulli(e), e = .05 + .9 S(-.2 - .3 c + .5 g - .3 children + .4 1{south})
    wage        Y(a) ~ N(k + .8 log(1 + savings) + a (1 + .8 g - .3 c), 2^2),
                k = 12 + 2 b + 5 g + .8 c - .4 children, dollars an hour

Savings are missing at random: whether they are told depends on age and education, not on the
savings; those who tell are poorer than those who do not. The course does not depend on savings
given the other columns, so all that confounds it is seen. Given what is seen,

    E[Y(a) | seen] = k + .8 h + a (1 + .8 g - .3 c),
    h = log(1 + savings) where told, else (1 - p_0) E[log(1 + e^w)]

by Gauss-Hermite quadrature. Population values average over a Sobol sequence that is mapped to rows
as the uniform numbers of a draw are: by the inverse distribution functions, column by column.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtri, pdtr, softmax

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

REGIONS = ("north", "south", "west")
EDUCATION = ("none", "vocational", "degree")
CONFOUNDERS = ("region", "age", "education", "children", "savings")
EQUATIONS = (
    "region: north .40, south .35, west .25; age uniform between 20 + m and 60 + m, m = 0, 4, -3 "
    "by region; c = (age - 40) / 10",
    "education: none, vocational, degree with probabilities ~ exp(l), "
    "l = (0, .6, .2 - .3 c + .8 1{region = north}); b = 1{vocational}, g = 1{degree}",
    "children ~ Poisson(exp(-.2 + .3 c - .3 g))",
    "savings = 0 with probability S(-.9 + .3 children - .7 g), else exp(w), "
    "w ~ N(1.5 + .2 c + .5 b + .9 g, .6^2), thousand dollars",
    "savings are missing with probability S(-2 + .9 g + .2 c), whatever they are",
    "course ~ Bernoulli(e), e = .05 + .9 S(-.2 - .3 c + .5 g - .3 children + .4 1{region = south})",
    "Y(a) ~ N(12 + 2 b + 5 g + .8 c - .4 children + .8 log(1 + savings) + a (1 + .8 g - .3 c), "
    "2^2), dollars an hour; wage = Y(course)",
)

_SHARES = np.array([0.40, 0.35, 0.25])
_YOUNGEST = np.array([20.0, 24.0, 17.0])
_YEARS, _SAVINGS_SD, _WAGE_SD = 40.0, 0.6, 2.0
_MOST_CHILDREN = 40
_LOG2_POINTS = 17
_N_UNIFORMS = 7
_SOUTH, _NORTH = REGIONS.index("south"), REGIONS.index("north")


@dataclass(frozen=True, eq=False)
class MixedDraw(Draw):
    """A simulated sample, with the cells that nobody told.

    Parameters
    ----------
    savings : ndarray, shape (n,)
        Savings of every row, told or not.
    missing_probability : ndarray, shape (n,)
        q at each row.
    """

    savings: Array
    missing_probability: Array


@dataclass(frozen=True, eq=False)
class Rows:
    """The columns before treatment, complete, and what is known at each row.

    Parameters
    ----------
    region, education, children : ndarray of int, shape (n,)
        Codes of :data:`REGIONS` and :data:`EDUCATION`; a count.
    age, savings : ndarray, shape (n,)
    told : ndarray of bool, shape (n,)
        Whether savings are.
    """

    region: NDArray[np.int64]
    age: Array
    education: NDArray[np.int64]
    children: NDArray[np.int64]
    savings: Array
    told: NDArray[np.bool_]

    @property
    def c(self) -> Array:
        """Decades above 40."""
        return (self.age - 40) / 10

    @property
    def b(self) -> Array:
        """1 for vocational education."""
        return (self.education == 1).astype(float)

    @property
    def g(self) -> Array:
        """1 for a degree."""
        return (self.education == 2).astype(float)

    def missing_probability(self) -> Array:
        """q, shape (n,)."""
        return np.asarray(expit(-2 + 0.9 * self.g + 0.2 * self.c))

    def propensity(self) -> Array:
        """e, shape (n,)."""
        score = -0.2 - 0.3 * self.c + 0.5 * self.g - 0.3 * self.children
        return 0.05 + 0.9 * expit(score + 0.4 * (self.region == _SOUTH))

    def level(self) -> Array:
        """k, shape (n,)."""
        return 12 + 2 * self.b + 5 * self.g + 0.8 * self.c - 0.4 * self.children

    def effect(self) -> Array:
        """Mean of Y(1) - Y(0) given the row, shape (n,)."""
        return 1 + 0.8 * self.g - 0.3 * self.c

    def no_savings(self) -> Array:
        """p_0, shape (n,)."""
        return np.asarray(expit(-0.9 + 0.3 * self.children - 0.7 * self.g))

    def log_savings(self) -> Array:
        """Mean of w, shape (n,)."""
        return 1.5 + 0.2 * self.c + 0.5 * self.b + 0.9 * self.g

    def expected_savings_term(self) -> tuple[Array, Array]:
        """Mean and variance of log(1 + savings) given the other columns, shape (n,) each."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(24)
        weights = weights / weights.sum()
        values = np.log1p(np.exp(self.log_savings()[:, None] + _SAVINGS_SD * nodes))
        some = 1 - self.no_savings()
        mean = some * (values @ weights)
        return mean, some * (values**2 @ weights) - mean**2


def rows_of(u: Array) -> Rows:
    """Rows from uniform numbers in (0, 1), shape (n, 7), by inverse distribution functions."""
    region = np.searchsorted(np.cumsum(_SHARES)[:-1], u[:, 0], side="right")
    age = _YOUNGEST[region] + _YEARS * u[:, 1]
    n, c = len(u), (age - 40) / 10
    l_degree = 0.2 - 0.3 * c + 0.8 * (region == _NORTH)
    p = softmax(np.column_stack([np.zeros(n), np.full(n, 0.6), l_degree]), axis=1)
    education = (u[:, [2]] > np.cumsum(p, axis=1)[:, :2]).sum(axis=1)
    rate = np.exp(-0.2 + 0.3 * c - 0.3 * (education == 2))
    children = np.zeros(n, dtype=np.int64)
    for k in range(_MOST_CHILDREN):
        children += u[:, 3] > pdtr(k, rate)
    known = Rows(region, age, education, children, np.zeros(n), np.ones(n, dtype=bool))
    some = u[:, 4] > known.no_savings()
    savings = np.where(some, np.exp(known.log_savings() + _SAVINGS_SD * ndtri(u[:, 5])), 0.0)
    told = u[:, 6] > known.missing_probability()
    return Rows(region, age, education, children, savings, told)


@dataclass(frozen=True)
class MixedTable:
    """The design of this module."""

    name: str = "mixed-table"

    def draw(self, n: int, seed: Seed = 0) -> MixedDraw:
        """Draw n workers; the same seed gives the same workers."""
        rng = stream(seed, "design", self.name)
        rows = rows_of(rng.random((checked_size(n), _N_UNIFORMS)))
        e, level = rows.propensity(), rows.level()
        d = (rng.random(n) < e).astype(np.int64)
        arms = np.outer(rows.effect(), [0.0, 1.0])
        complete = (level + 0.8 * np.log1p(rows.savings))[:, None] + arms
        outcomes = complete + _WAGE_SD * rng.standard_normal((n, 2))
        h = np.where(rows.told, np.log1p(rows.savings), rows.expected_savings_term()[0])
        frame = _frame(rows).assign(course=d, wage=outcomes[np.arange(n), d])
        known = self.truth()
        truth = Truth(
            self.name, known.population, {**sample_effects(outcomes, d), **_table_facts(rows)},
            known.efficiency_sd, EQUATIONS, seed_number(seed),
        )  # fmt: skip
        return MixedDraw(
            frame=frame,
            data=CausalData(frame, "course", "wage", CONFOUNDERS),
            truth=truth,
            potential_outcomes=outcomes,
            mean=(level + 0.8 * h)[:, None] + arms,
            propensity=np.column_stack([1 - e, e]),
            savings=rows.savings,
            missing_probability=rows.missing_probability(),
        )

    def truth(self) -> Truth:
        """Population effects, bounds, and facts of the table, by deterministic integration."""
        return _population_truth(self)


MIXED_TABLE = MixedTable()


def _frame(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame({
        "region": np.asarray(REGIONS, dtype=object)[rows.region],
        "age": rows.age,
        "education": np.asarray(EDUCATION, dtype=object)[rows.education],
        "children": rows.children,
        "savings": np.where(rows.told, rows.savings, np.nan),
    })  # fmt: skip


def _table_facts(rows: Rows) -> dict[str, float]:
    """What a generator of such tables should get right, of these rows."""
    facts = {
        **{f"share(region = {r})": np.mean(rows.region == k) for k, r in enumerate(REGIONS)},
        **{
            f"share(education = {v})": np.mean(rows.education == k) for k, v in enumerate(EDUCATION)
        },
        "E[age]": np.mean(rows.age),
        "E[children]": np.mean(rows.children),
        "share(children = 0)": np.mean(rows.children == 0),
        "E[savings]": np.mean(rows.savings),
        "share(savings = 0)": np.mean(rows.savings == 0),
        "share(savings missing)": np.mean(~rows.told),
        "cov(age, children)": np.cov(rows.age, rows.children, bias=True)[0, 1],
    }
    if rows.told.any():
        facts["E[savings | told]"] = np.mean(rows.savings[rows.told])
    return {name: float(value) for name, value in facts.items()}


@cache
def _population_truth(design: MixedTable) -> Truth:
    from scipy.stats import qmc

    u = qmc.Sobol(_N_UNIFORMS, scramble=False).random_base2(_LOG2_POINTS)
    rows = rows_of(u + 0.5 / 2**_LOG2_POINTS)
    e, effect = rows.propensity(), rows.effect()
    hidden = np.where(rows.told, 0.0, 0.8**2 * rows.expected_savings_term()[1])
    variance = np.column_stack([_WAGE_SD**2 + hidden] * 2)
    return Truth(
        design.name,
        population={**mean_effects(effect, e), **_table_facts(rows)},
        efficiency_sd=efficiency_sds(effect, variance, e),
        equations=EQUATIONS,
    )
