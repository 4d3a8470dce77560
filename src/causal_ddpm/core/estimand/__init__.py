"""Estimands: plain descriptions of what is asked, one family a file."""

from causal_ddpm.core.estimand.arms import ArmContrast, ArmMeans
from causal_ddpm.core.estimand.base import Estimand, Group, Needs
from causal_ddpm.core.estimand.distributions import (
    QTE,
    CDFDifference,
    PotentialDistributions,
    ShareBelow,
)
from causal_ddpm.core.estimand.dose import DoseResponse
from causal_ddpm.core.estimand.groups import BLP, GATE
from causal_ddpm.core.estimand.inequality import GiniEffect, LorenzEffect
from causal_ddpm.core.estimand.instrument import ITT, LATE
from causal_ddpm.core.estimand.means import ATE, ATO, ATT, ATU
from causal_ddpm.core.estimand.panel import ATTByCohort, ATTByEventTime
from causal_ddpm.core.estimand.policies import BudgetRule, PolicyValue
from causal_ddpm.core.estimand.trimming import TrimmedATE
from causal_ddpm.core.estimand.words import estimand_in_words

__all__ = [
    "ATE",
    "ATO",
    "ATT",
    "ATU",
    "BLP",
    "GATE",
    "ITT",
    "LATE",
    "QTE",
    "ATTByCohort",
    "ATTByEventTime",
    "ArmContrast",
    "ArmMeans",
    "BudgetRule",
    "CDFDifference",
    "DoseResponse",
    "Estimand",
    "GiniEffect",
    "Group",
    "LorenzEffect",
    "Needs",
    "PolicyValue",
    "PotentialDistributions",
    "ShareBelow",
    "TrimmedATE",
    "estimand_in_words",
]
