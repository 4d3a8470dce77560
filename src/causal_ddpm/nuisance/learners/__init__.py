"""The members of the location stack, one learner a file."""

from causal_ddpm.nuisance.learners.bcf_short import ShortBCF
from causal_ddpm.nuisance.learners.boosted_bcf import BoostedBCF
from causal_ddpm.nuisance.learners.boosted_trees import BoostedTrees
from causal_ddpm.nuisance.learners.greedy_splines import GreedySplines
from causal_ddpm.nuisance.learners.link_ridge import LinkRidge
from causal_ddpm.nuisance.learners.residual import ResidualLearner
from causal_ddpm.nuisance.learners.sklearn_learner import SklearnLearner
from causal_ddpm.nuisance.learners.sparse_interactions import SparseInteractions

__all__ = [
    "BoostedBCF", "BoostedTrees", "GreedySplines", "LinkRidge", "ResidualLearner", "ShortBCF",
    "SklearnLearner", "SparseInteractions",
]  # fmt: skip
