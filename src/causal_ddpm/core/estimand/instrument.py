"""Effects that a binary instrument identifies.

With an instrument Z, the treatment A(z) that a unit takes and the outcome Y(z) that it has when the
instrument is z:

- ITT = E[Y(1) - Y(0)] (of the instrument on the outcome) and
  complier share = E[A(1) - A(0)] (of the instrument on the treatment);
- LATE = E[Y(1) - Y(0)] / E[A(1) - A(0)]. If the instrument touches the outcome through the
  treatment only and moves nobody away from it, this is the mean effect of the treatment on the
  compliers, the units with A(1) = 1 and A(0) = 0 (Imbens and Angrist 1994).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from causal_ddpm.core.estimand.base import Estimand, Needs


@dataclass(frozen=True)
class LATE(Estimand):
    """Local average treatment effect: the mean effect of the treatment on the compliers."""

    name: ClassVar[str] = "LATE"
    needs: ClassVar[Needs] = "instrument"

    @property
    def population(self) -> str:
        """The compliers."""
        return "compliers: units that take the treatment when the instrument says so, and only then"


@dataclass(frozen=True)
class ITT(Estimand):
    """Intention to treat: effects of the instrument on the outcome and on the treatment.

    The entries are called "ITT" and "complier share".
    """

    name: ClassVar[str] = "ITT"
    needs: ClassVar[Needs] = "instrument"
