"""Boosted Bayesian-causal-forest form (Hahn, Murray, Carvalho 2020, Bayesian Analysis 15).

    y = mu(x, e(x)) + (t - e(x)) tau(x) + noise

mu is a boosted prognostic surface that also sees the propensity e, tau a boosted effect with
shallow, strongly shrunk trees. Backfitting: in each round mu grows towards y - (t - e) tau, then
tau grows towards (y - mu) / (t - e) with weight (t - e)^2, which is least squares in y. Shrinking
tau apart from mu keeps the effect simple where the data do not say otherwise; the propensity among
the columns of mu prevents the bias that shrinkage would bring under confounding.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.protocols import Array
from causal_ddpm.nuisance.boosting import FittedTrees, TreeSettings, boost_session
from causal_ddpm.nuisance.logistic import FittedLogistic, fit_logistic
from causal_ddpm.nuisance.screening import Screen, screen

PROGNOSTIC_TREES = TreeSettings(
    n_trees=60, learning_rate=0.06, leaves=8, min_leaf=10, l2=2, row_share=0.8, column_share=0.6
)
EFFECT_TREES = TreeSettings(
    n_trees=30, learning_rate=0.06, leaves=5, min_leaf=15, l2=10, row_share=0.8, column_share=0.6
)
_PROPENSITY_BOUND = 0.03


@dataclass(frozen=True, eq=False)
class FittedBoostedBCF:
    """Propensity, prognostic surface and effect; the latter two see screened columns."""

    propensity: FittedLogistic
    prognostic: FittedTrees
    effect: FittedTrees
    screen: Screen = field(default_factory=Screen)

    def predict(self, x: Array) -> Array:
        """Means under both arms, shape (n, 2)."""
        e = _bounded(self.propensity, x)
        x = self.screen(x)
        mu, tau = self.prognostic.predict(np.column_stack([x, e])), self.effect.predict(x)
        return np.column_stack([mu + (a - e) * tau for a in (0, 1)])


@dataclass(frozen=True)
class BoostedBCF:
    """Boosted trees for prognosis and effect, fitted by backfitting.

    Parameters
    ----------
    name : str
        Name in the stack.
    rounds : int
        Backfitting rounds.
    prognostic, effect : TreeSettings
        Trees added in each round to mu and to tau.
    """

    name: str = "bcb"
    rounds: int = 4
    prognostic: TreeSettings = field(default=PROGNOSTIC_TREES)
    effect: TreeSettings = field(default=EFFECT_TREES)

    def fit(
        self, x: Array, arm: NDArray[np.int64], y: Array, weights: Array | None, seed: int
    ) -> FittedBoostedBCF:
        """Backfit mu and tau; ``seed`` draws rows and columns of the trees."""
        require_both_arms(arm)
        propensity = fit_logistic(x, arm, weights, inverse_penalty=0.1)
        e = _bounded(propensity, x)
        d = arm - e
        leverage = d**2 if weights is None else weights * d**2
        leverage = leverage / leverage.mean()
        kept = screen(x, arm, y, weights)
        x = kept(x)
        mu = boost_session(np.column_stack([x, e]), self.prognostic, seed)
        tau = boost_session(x, self.effect, seed + 1)
        mu.recentre(y, weights)
        tau.recentre((y - mu.scores) / d, leverage)
        for _ in range(self.rounds):
            mu.advance(y - d * tau.scores, weights)
            tau.advance((y - mu.scores) / d, leverage)
        return FittedBoostedBCF(propensity, mu.freeze(), tau.freeze(), kept)


def require_both_arms(arm: NDArray[np.int64]) -> None:
    """Refuse rows of one arm."""
    if len(np.unique(arm)) < 2:
        raise DataError(
            "a Bayesian causal forest was given rows of one arm",
            "treated and untreated rows",
            "It learns an effect: leave it out of the stack where there are no arms.",
        )


def _bounded(propensity: FittedLogistic, x: Array) -> Array:
    return np.clip(propensity.predict(x), _PROPENSITY_BOUND, 1 - _PROPENSITY_BOUND)
