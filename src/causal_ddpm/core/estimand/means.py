"""Average effects.

With potential outcomes Y(1), Y(0), treatment A and covariates X:

- ATE = E[Y(1) - Y(0)]
- ATT = E[Y(1) - Y(0) | A = 1]
- ATU = E[Y(1) - Y(0) | A = 0]
- ATO = E[h (Y(1) - Y(0))] / E[h],  h = e(X) (1 - e(X)),  e(X) = P(A = 1 | X)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from causal_ddpm.core.estimand.base import Estimand, Group


@dataclass(frozen=True)
class ATE(Estimand):
    """Average treatment effect, E[Y(1) - Y(0)].

    Parameters
    ----------
    targeted : bool
        Estimate by targeted maximum likelihood (TMLE) instead of AIPW: means are moved until they
        solve the score, and stay within the range of the outcome.
    calibrated : bool
        Whether AIPW puts the outcome model of each arm on the line of least variance first
        (:mod:`causal_ddpm.estimators.calibration`); without it, the textbook score.
    """

    name: ClassVar[str] = "ATE"
    targeted: bool = False
    calibrated: bool = True


@dataclass(frozen=True)
class ATT(Estimand):
    """Average treatment effect on the treated, E[Y(1) - Y(0) | A = 1].

    Parameters
    ----------
    targeted, calibrated : bool
        As in :class:`ATE`.
    """

    name: ClassVar[str] = "ATT"
    targeted: bool = False
    calibrated: bool = True

    @property
    def group(self) -> Group:
        """The treated."""
        return "treated"

    @property
    def overlap_needed(self) -> str:
        """What must have been possible for whom, in words."""
        return "every treated unit could have gone untreated"


@dataclass(frozen=True)
class ATU(Estimand):
    """Average treatment effect on the untreated, E[Y(1) - Y(0) | A = 0].

    Parameters
    ----------
    targeted, calibrated : bool
        As in :class:`ATE`.
    """

    name: ClassVar[str] = "ATU"
    targeted: bool = False
    calibrated: bool = True

    @property
    def group(self) -> Group:
        """The untreated."""
        return "untreated"

    @property
    def overlap_needed(self) -> str:
        """What must have been possible for whom, in words."""
        return "every untreated unit could have been treated"


@dataclass(frozen=True)
class ATO(Estimand):
    """Average effect in the overlap: every unit counts with h = e (1 - e).

    Units whose treatment was a toss-up count most, units that were all but certain of theirs hardly
    at all (Li, Morgan and Zaslavsky 2018). Who they are depends on how treatment came about, so the
    answer is about a population of its own; no propensity is divided by.
    """

    name: ClassVar[str] = "ATO"

    @property
    def population(self) -> str:
        """The units in words."""
        return "units in the overlap"

    @property
    def overlap_needed(self) -> str:
        """What must have been possible for whom, in words."""
        return "some units could have been treated or untreated; the effect is theirs"
