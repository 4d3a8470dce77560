"""Whether an effect disappears where there is none, and stays where nothing changed."""

from causal_ddpm.evaluation.refutation.api import CHECKS, refute
from causal_ddpm.evaluation.refutation.record import Check, Refutation

__all__ = ["CHECKS", "Check", "Refutation", "refute"]
