"""The location stack for any number of arms, made of stacks for two.

    one arm      m(x) = E[Y | x]: the members without a treatment column
    two arms     the stack as it is
    A > 2 arms   one stack a contrast c = (0, a), a = 1..A-1, on the rows of those two arms:
                 m_a from its own contrast,  m_0 = sum_c share_c m_0^c,
                 share_c in proportion to the rows of contrast c

so that learners only ever compare two arms, and the arms of a contrast borrow from each other and
from nobody else. Contrast means are averaged member by member: one vector of stack weights then
serves all arms, and errors common to a member's arms cancel in the effects.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.protocols import Array, Learner
from causal_ddpm.core.random import integer_seed
from causal_ddpm.nuisance.learners import BoostedTrees, GreedySplines, LinkRidge, ResidualLearner
from causal_ddpm.nuisance.learners.boosted_trees import ARM_TREES, POOLED_TREES
from causal_ddpm.nuisance.stack import FittedStack, LocationStack


@dataclass(frozen=True, eq=False)
class FittedContrasts:
    """One fitted stack a contrast (0, a).

    Parameters
    ----------
    contrasts : tuple of FittedStack, length A - 1
    shares : tuple of float, length A - 1
        Part of each contrast in the mean of arm 0; they sum to one.
    """

    contrasts: tuple[FittedStack, ...]
    shares: tuple[float, ...]

    def predict(self, covariates: Covariates) -> Array:
        """Means of each member under every arm, in units of the outcome, shape (n, A, J)."""
        pairs = np.stack([stack.predict(covariates) for stack in self.contrasts])
        control = np.tensordot(np.asarray(self.shares), pairs[:, :, 0], axes=1)
        return np.concatenate([control[:, None], np.moveaxis(pairs[:, :, 1], 0, 1)], axis=1)


def fit_arms(
    stack: LocationStack,
    covariates: Covariates,
    arm: NDArray[np.int64],
    y: Array,
    weights: Array | None,
    seed: int,
) -> FittedStack | FittedContrasts:
    """Fit the stack on rows of any number of arms.

    Parameters
    ----------
    stack : LocationStack
    covariates : Covariates, n rows
    arm : ndarray of int, shape (n,)
        Codes 0 .. A - 1, each of them present.
    y : ndarray, shape (n,)
    weights : ndarray, shape (n,), optional
    seed : int
    """
    n_arms = int(arm.max()) + 1
    if n_arms <= 2:
        return stack.fit(covariates, arm, y, weights, seed)
    fitted, sizes = [], []
    for a in range(1, n_arms):
        rows = np.flatnonzero((arm == 0) | (arm == a))
        w = None if weights is None else weights[rows]
        own_seed = integer_seed(seed, "contrast", a)
        treated = (arm[rows] == a).astype(np.int64)
        fitted.append(stack.fit(covariates.rows(rows), treated, y[rows], w, own_seed))
        sizes.append(len(rows))
    shares = np.asarray(sizes) / np.sum(sizes)
    return FittedContrasts(tuple(fitted), tuple(map(float, shares)))


def single_arm_members() -> tuple[Learner, ...]:
    """Members of the standard stack for Y given x alone."""
    splines = GreedySplines("splines", per_arm=True)
    rest = replace(ARM_TREES, n_trees=150)
    return (
        LinkRidge("link", cross_index=False),
        LinkRidge("linear", link=False, cross_index=False),
        BoostedTrees("trees", per_arm=True, trees=POOLED_TREES),
        splines,
        ResidualLearner("splines_trees", splines, BoostedTrees("rest", per_arm=True, trees=rest)),
    )


def stack_for(stack: LocationStack, n_arms: int) -> LocationStack:
    """The stack with the members that make sense for ``n_arms``; given members stay."""
    if n_arms > 1 or stack.members is not None:
        return stack
    return replace(stack, members=single_arm_members(), accuracy="standard")
