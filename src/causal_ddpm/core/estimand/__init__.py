"""Estimands: plain descriptions of what is asked, one family a file."""

from causal_ddpm.core.estimand.base import Estimand, Group, Needs
from causal_ddpm.core.estimand.distributions import QTE, PotentialDistributions
from causal_ddpm.core.estimand.means import ATE, ATT, ATU

__all__ = ["ATE", "ATT", "ATU", "QTE", "Estimand", "Group", "Needs", "PotentialDistributions"]
