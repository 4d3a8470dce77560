"""A design whose hidden confounder is as strong as the marginal sensitivity model allows.

    x ~ N(0, I_3),  D ~ Bernoulli(e(x)),  e = S(.5 x0 - .5 x1)        S the logistic function
    U in {0, 1} hidden,  P(U = 1 | D = 1) = 1 / (1 + L),  P(U = 1 | D = 0) = L / (1 + L)
    Y(a) = x0 + .5 x1 - .5 x2 + a effect + z_a
    z_1 is normal above its tau quantile if U = 1 and below it otherwise, tau = L / (1 + L)
    z_0 is normal above its 1 - tau quantile if U = 1 and below it otherwise

U changes the odds of treatment by exactly L = ``strength`` either way. Y | x, D = a is N(m_a, 1):
an analyst who sees x finds ``effect``, while units of the other arm have

    E[Y(1) | x, D = 0] = m_1 + shift,  E[Y(0) | x, D = 1] = m_0 - shift,
    shift = (1 - 1 / L) (1 + L) phi(Phi^-1(tau)):

ATE, ATT and ATU are all effect + shift, the sharp upper bounds at Lambda = L (Dorn and Guo 2022).
It is not in the catalogue, whose designs have no hidden confounder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtri
from scipy.stats import norm

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.draw import Draw, checked_size, sample_effects, seed_number

Array = NDArray[np.float64]
CONFOUNDERS = ["x0", "x1", "x2"]


@dataclass(frozen=True)
class HiddenConfounder:
    """A binary hidden confounder that attains the upper bound at ``strength``.

    Parameters
    ----------
    strength : float
        Odds ratio L, at least 1; at 1 nothing is hidden.
    effect : float
        What an analyst finds who adjusts for x.

    Raises
    ------
    DataError
        If the strength is below 1.
    """

    strength: float = 2.0
    effect: float = 1.0

    def __post_init__(self) -> None:
        if not self.strength >= 1.0:
            raise DataError(f"the strength is {self.strength}", "an odds ratio of at least 1")

    @property
    def name(self) -> str:
        """What tables call it."""
        return "hidden-confounder"

    @property
    def tau(self) -> float:
        """L / (1 + L)."""
        return self.strength / (1 + self.strength)

    @property
    def shift(self) -> float:
        """True effect minus the one found; see the module page."""
        L = self.strength
        return float((1 - 1 / L) * (1 + L) * norm.pdf(ndtri(self.tau)))

    def propensity(self, x: Array) -> Array:
        """P(D = 1 | x), shape (n,)."""
        return np.asarray(expit(0.5 * x[:, 0] - 0.5 * x[:, 1]))

    def observed_mean(self, x: Array, arm: int) -> Array:
        """E[Y | x, D = arm], which is not E[Y(arm) | x], shape (n,)."""
        return np.asarray(x[:, 0] + 0.5 * x[:, 1] - 0.5 * x[:, 2] + arm * self.effect)

    def observed_quantile(self, x: Array, arm: int, levels: ArrayLike) -> Array:
        """Quantiles of Y | x, D = arm, shape (n, len(levels))."""
        return self.observed_mean(x, arm)[:, None] + ndtri(np.asarray(levels, dtype=float))

    def draw(self, n: int, seed: Seed) -> Draw:
        """A sample of n rows; its ``mean`` is E[Y(a) | x]."""
        rng = stream(seed, "hidden confounder")
        x = rng.standard_normal((checked_size(n), 3))
        e = self.propensity(x)
        d = (rng.random(n) < e).astype(np.int64)
        u = rng.random(n) < np.where(d == 1, 1 - self.tau, self.tau)
        cuts = np.array([1 - self.tau, self.tau])
        inside = rng.random((n, 2))
        ranks = np.where(u[:, None], cuts + (1 - cuts) * inside, cuts * inside)
        regression = np.column_stack([self.observed_mean(x, a) for a in (0, 1)])
        outcomes = regression + ndtri(ranks)
        frame = pd.DataFrame(x, columns=CONFOUNDERS).assign(d=d, y=outcomes[np.arange(n), d])
        true = self.effect + self.shift
        return Draw(
            frame=frame,
            data=CausalData(frame, treatment="d", outcome="y", confounders=CONFOUNDERS),
            truth=Truth(
                design=self.name,
                population={"ATE": true, "ATT": true, "ATU": true},
                sample=sample_effects(outcomes, d),
                equations=((__doc__ or "").strip(),),
                seed=seed_number(seed),
            ),
            potential_outcomes=outcomes,
            mean=regression + np.column_stack([-e * self.shift, (1 - e) * self.shift]),
            propensity=np.column_stack([1 - e, e]),
        )
