"""How strong hidden confounding must be to change a conclusion, one yardstick a file."""

from causal_ddpm.evaluation.sensitivity.api import METHODS, sensitivity
from causal_ddpm.evaluation.sensitivity.record import Sensitivity
from causal_ddpm.evaluation.sensitivity.settings import Strengths

__all__ = ["METHODS", "Sensitivity", "Strengths", "sensitivity"]
