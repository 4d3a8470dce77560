"""Average effects.

With potential outcomes Y(1), Y(0), treatment A and covariates X:

- ATE = E[Y(1) - Y(0)]
- ATT = E[Y(1) - Y(0) | A = 1]
- ATU = E[Y(1) - Y(0) | A = 0]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from causal_ddpm.core.estimand.base import Estimand, Group


@dataclass(frozen=True)
class ATE(Estimand):
    """Average treatment effect, E[Y(1) - Y(0)]."""

    name: ClassVar[str] = "ATE"


@dataclass(frozen=True)
class ATT(Estimand):
    """Average treatment effect on the treated, E[Y(1) - Y(0) | A = 1]."""

    name: ClassVar[str] = "ATT"

    @property
    def group(self) -> Group:
        """The treated."""
        return "treated"


@dataclass(frozen=True)
class ATU(Estimand):
    """Average treatment effect on the untreated, E[Y(1) - Y(0) | A = 0]."""

    name: ClassVar[str] = "ATU"

    @property
    def group(self) -> Group:
        """The untreated."""
        return "untreated"
