"""What a sensitivity analysis assumes about hidden confounders."""

from __future__ import annotations

import math
from dataclasses import dataclass

from causal_ddpm.core.errors import DataError
from causal_ddpm.evaluation.sensitivity.msm import LAMBDAS
from causal_ddpm.evaluation.sensitivity.rosenbaum import GAMMAS


@dataclass(frozen=True)
class Strengths:
    """Strengths of hidden confounders, on the scale of each method.

    Parameters
    ----------
    r2_outcome, r2_treatment : float
        Shares of the residual variation of outcome and treatment that omitted variables explain,
        in [0, 1): the scenario of "dml_ovb".
    rho : float
        Correlation of what they add to both, in [-1, 1]; 1 is the worst case.
    multiples : tuple of float
        How many times as strong as a benchmark: "linear_ovb".
    gammas : tuple of float
        Odds ratios within a pair: "rosenbaum".
    lambdas : tuple of float
        Odds ratios given x: "msm".

    Raises
    ------
    DataError
        If a strength lies outside its range.
    """

    r2_outcome: float = 0.03
    r2_treatment: float = 0.03
    rho: float = 1.0
    multiples: tuple[float, ...] = (1.0, 2.0, 3.0)
    gammas: tuple[float, ...] = GAMMAS
    lambdas: tuple[float, ...] = LAMBDAS

    def __post_init__(self) -> None:
        for name in ("r2_outcome", "r2_treatment"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise DataError(f"{name} is {getattr(self, name)}", "a share in [0, 1)")
        if not abs(self.rho) <= 1.0:
            raise DataError(f"rho is {self.rho}", "a correlation in [-1, 1]")
        if not all(0 < k < math.inf for k in self.multiples):
            raise DataError(f"the multiples are {list(self.multiples)}", "positive numbers")
        for name in ("gammas", "lambdas"):
            values = getattr(self, name)
            if not all(1.0 <= k < math.inf for k in values):
                raise DataError(f"{name} are {list(values)}", "finite odds ratios of at least 1")
