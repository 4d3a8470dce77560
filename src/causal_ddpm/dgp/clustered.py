"""``clustered``: 50 clusters whose members share part of their covariates and of their noise.

With c the cluster of row i and rho = .3 the intraclass correlation,

    x4 = u_c4,   x_j = sqrt(rho) u_cj + sqrt(1 - rho) v_ij for other j
    e = clip(S(.8 x0 - .6 x1 + .5 x0 x2 + .5 x4), .05, .95)
    l_a as in gauss, plus .5 x4
    Y(a) = l_a + r_a (sqrt(rho) b_c + sqrt(1 - rho) w_ia),     u, v, b, w ~ N(0, 1), independent

so treatment varies within clusters and from cluster to cluster (x4 belongs to the cluster), and
outcomes of a cluster stay correlated by rho given covariates. One row's law given its own x is
N(l_a, r_a^2): population effects are those of independent rows. The efficiency bound is not: how
much a cluster's rows say of each other depends on the whole cluster, and none is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.confounded import (
    EFFECT,
    SPREAD,
    Array,
    ConfoundedDesign,
    location,
    spread,
)
from causal_ddpm.dgp.draw import Draw, checked_size
from causal_ddpm.dgp.laws import KnownLaw, Mixture, gaussian
from causal_ddpm.dgp.population import Population

_CLUSTER_COLUMN = 4


def _selection(x: Array) -> Array:
    score = 0.8 * x[:, 0] - 0.6 * x[:, 1] + 0.5 * x[:, 2] * x[:, 0] + 0.5 * x[:, 4]
    return np.clip(expit(score), 0.05, 0.95)


def _law(x: Array, a: int) -> Mixture:
    return gaussian(location(x, a) + 0.5 * x[:, 4], spread(x, a))


_ROWS = ConfoundedDesign(
    "clustered", 10, _selection, _law,
    (
        "50 clusters of equal size; x4 ~ N(0, 1) belongs to the cluster, the other of x0, ..., x9 "
        "are N(0, 1) with intraclass correlation .3",
        "e(x) = clip(S(.8 x0 - .6 x1 + .5 x0 x2 + .5 x4), .05, .95), d ~ Bernoulli(e(x))",
        "l_0 = sin(1.5 x0) + .4 x1^2 + .5 x3 + .5 x4", EFFECT, SPREAD,
        "Y(a) ~ N(l_a, r_a^2), correlated by .3 within a cluster given x",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class ClusteredDesign:
    """The design of this module.

    Parameters
    ----------
    rows : ConfoundedDesign
        The law of one row.
    n_clusters : int
        Number of clusters; row i belongs to cluster i mod n_clusters.
    icc : float
        Intraclass correlation rho.
    """

    rows: ConfoundedDesign = _ROWS
    n_clusters: int = 50
    icc: float = 0.3

    @property
    def name(self) -> str:
        """What the catalogue calls it."""
        return self.rows.name

    def draw(self, n: int, seed: Seed = 0) -> Draw:
        """Draw n rows; the same seed gives the same rows."""
        rng = stream(seed, "design", self.name)
        own, p = np.arange(checked_size(n)) % self.n_clusters, self.rows.n_covariates
        shared, single = np.sqrt(self.icc), np.sqrt(1 - self.icc)
        u = rng.standard_normal((self.n_clusters, p))[own]
        x = shared * u + single * rng.standard_normal((n, p))
        x[:, _CLUSTER_COLUMN] = u[:, _CLUSTER_COLUMN]
        d = (rng.random(n) < self.rows.treatment_probability(x)).astype(np.int64)
        b = rng.standard_normal((self.n_clusters, 1))[own]
        noise = shared * b + single * rng.standard_normal((n, 2))
        laws = [self.rows.law(x, a) for a in (0, 1)]
        outcomes = [
            law.mean() + np.sqrt(law.variance()) * noise[:, a] for a, law in enumerate(laws)
        ]
        return self.rows.record(x, d, np.column_stack(outcomes), seed, clusters=own)

    def truth(self) -> Truth:
        """Population effects, by deterministic integration over x; no efficiency bound."""
        known = self.rows.truth()
        return Truth(self.name, known.population, equations=known.equations)

    def population(self) -> Population:
        """Covariates that stand for the population of rows, and what is known at each."""
        return self.rows.population()

    def truth_of(self, estimand: Estimand) -> dict[str, float]:
        """Population values of an estimand by the labels of its estimate."""
        return self.rows.truth_of(estimand)

    def law(self, x: Array, arm: int) -> KnownLaw:
        """The law of Y(arm) given a row's own covariates."""
        return self.rows.law(x, arm)

    def mean(self, x: ArrayLike, arm: int) -> Array:
        """E[Y(arm) | x], shape (n,)."""
        return self.rows.mean(x, arm)

    def propensity(self, x: ArrayLike) -> Array:
        """P(D = a | x), shape (n, 2)."""
        return self.rows.propensity(x)

    def cdf(self, x: ArrayLike, arm: int, y: ArrayLike) -> Array:
        """P(Y(arm) <= y | x), shape (n, G)."""
        return self.rows.cdf(x, arm, y)

    def quantile(self, x: ArrayLike, arm: int, levels: ArrayLike) -> Array:
        """Quantiles of Y(arm) given x, shape (n, len(levels))."""
        return self.rows.quantile(x, arm, levels)


CLUSTERED = ClusteredDesign()
