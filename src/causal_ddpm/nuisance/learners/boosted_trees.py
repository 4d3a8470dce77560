"""Bagged boosted trees as S-learner (the arm is a column) or T-learner (one ensemble an arm)."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.protocols import Array
from causal_ddpm.nuisance.boosting import FittedTrees, TreeSettings, fit_trees
from causal_ddpm.nuisance.screening import Screen, screen

POOLED_TREES = TreeSettings(
    n_trees=400, learning_rate=0.03, leaves=10, min_leaf=10, l2=5, row_share=0.7, column_share=0.5
)
ARM_TREES = TreeSettings(
    n_trees=250, learning_rate=0.04, leaves=6, min_leaf=8, l2=3, row_share=0.7, column_share=0.5
)


@dataclass(frozen=True, eq=False)
class FittedBoostedTrees:
    """One ensemble on (x, arm), or one ensemble an arm (``per_arm``); x is screened first."""

    ensembles: tuple[FittedTrees, ...]
    per_arm: bool
    screen: Screen = field(default_factory=Screen)

    def predict(self, x: Array) -> Array:
        """Means under each arm, shape (n, 2), or (n, 1) per arm when there is one."""
        x = self.screen(x)
        if self.per_arm:
            return np.column_stack([trees.predict(x) for trees in self.ensembles])
        by_arm = [np.column_stack([x, np.full(len(x), float(a))]) for a in (0, 1)]
        return np.column_stack([self.ensembles[0].predict(z) for z in by_arm])


@dataclass(frozen=True)
class BoostedTrees:
    """Boosted trees for the mean outcome.

    Parameters
    ----------
    name : str
        Name in the stack: ``lgbS2`` pooled, ``lgbT2`` per arm.
    per_arm : bool
        T-learner when true, S-learner otherwise.
    trees : TreeSettings
        Number, shape and shrinkage of the trees.
    """

    name: str = "lgbS2"
    per_arm: bool = False
    trees: TreeSettings = field(default=POOLED_TREES)

    def fit(
        self, x: Array, arm: NDArray[np.int64], y: Array, weights: Array | None, seed: int
    ) -> FittedBoostedTrees:
        """Grow the trees; ``seed`` draws rows and columns."""
        kept = screen(x, arm, y, weights)
        x = kept(x)
        if not self.per_arm:
            pooled = fit_trees(np.column_stack([x, arm]), y, weights, self.trees, seed)
            return FittedBoostedTrees((pooled,), False, kept)
        ensembles = []
        for a in range(int(arm.max()) + 1):
            rows = arm == a
            w = None if weights is None else weights[rows]
            ensembles.append(fit_trees(x[rows], y[rows], w, self.trees, seed + a))
        return FittedBoostedTrees(tuple(ensembles), True, kept)
