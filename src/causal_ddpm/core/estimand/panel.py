"""Average effects on the treated cells of a panel.

Unit i is treated from period g_i on, with effect tau_it in its treated cells:

- ATT: the mean of tau_it over all treated cells (:class:`~causal_ddpm.core.estimand.means.ATT`)
- ATTByCohort: the mean over the treated cells of units with g_i = g, for each g
- ATTByEventTime: the mean over treated cells with t - g_i = k, for each k
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from causal_ddpm.core.estimand.base import Estimand, Group


@dataclass(frozen=True)
class ATTByCohort(Estimand):
    """Average effect on the treated cells of each cohort; labels are first treated periods."""

    name: ClassVar[str] = "ATT by cohort"

    @property
    def group(self) -> Group:
        """The treated."""
        return "treated"


@dataclass(frozen=True)
class ATTByEventTime(Estimand):
    """Average effect by periods since treatment began; labels are event times, "0" the first.

    Labels below "0" are placebos: what a method finds before treatment, where nothing happened.
    """

    name: ClassVar[str] = "ATT by event time"

    @property
    def group(self) -> Group:
        """The treated."""
        return "treated"
