"""The methods for cross-sections, in the order in which tables show them."""

from __future__ import annotations

from causal_ddpm.baselines.causal_forest import CausalForest
from causal_ddpm.baselines.cross_section import CrossSectionBaseline
from causal_ddpm.baselines.double_ml import (
    InteractiveInstrument,
    InteractiveRegression,
    PartiallyLinear,
)
from causal_ddpm.baselines.least_squares import OLS, DifferenceInMeans, InteractedOLS
from causal_ddpm.baselines.linear_iv import LIML, TwoStageLeastSquares
from causal_ddpm.baselines.matching import FullMatching, PropensityMatching
from causal_ddpm.baselines.meta_learners import DRLearner, SLearner, TLearner, XLearner
from causal_ddpm.baselines.weighting import IPW

CROSS_SECTION: tuple[CrossSectionBaseline, ...] = (
    DifferenceInMeans(),
    OLS(),
    InteractedOLS(),
    PropensityMatching(),
    FullMatching(),
    IPW(),
    PartiallyLinear(),
    InteractiveRegression(),
    DRLearner(),
    CausalForest(),
    SLearner(),
    TLearner(),
    XLearner(),
    TwoStageLeastSquares(),
    LIML(),
    InteractiveInstrument(),
)
"""Every adapter under its default settings."""
