"""Several arms, each against any other.

With potential outcomes Y(a), one an arm a, treatment A and covariates X:

- ArmMeans: the vector of E[Y(a)], one entry an arm
- ArmContrast: E[Y(a) - Y(b)]

Both are for all units or, with ``among`` an arm t, for its units: E[Y(a) | A = t]. Every linear
question about the means is a contrast of the vector, :meth:`Estimate.contrast`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand.base import Estimand
from causal_ddpm.core.treatment import Kind, Label, Treatment

ALL = "all"


@dataclass(frozen=True)
class ArmEstimand(Estimand):
    """Means under arms: which, and of whom.

    Parameters
    ----------
    among : "all" or label
        All units, or those that are in one arm. An arm called "all" cannot be asked for.
    calibrated : bool
        As in :class:`~causal_ddpm.core.estimand.ATE`.
    """

    treatments: ClassVar[tuple[Kind, ...]] = ("binary", "arms")
    among: Label = field(default=ALL, kw_only=True)
    calibrated: bool = field(default=True, kw_only=True)

    def asked(self, treatment: Treatment) -> tuple[int, ...]:
        """Codes of the arms whose means are asked for: all of them."""
        return tuple(range(len(treatment.labels)))

    def meant(self, treatment: Treatment) -> int | None:
        """Code of the arm whose units are meant, None for all units."""
        return None if self._all else code_of(treatment, self.among)

    def mean_label(self, what: str) -> str:
        """What the mean of something is called: E[what], or E[what | among]."""
        return f"E[{what}]" if self._all else f"E[{what} | {self.among}]"

    @property
    def population(self) -> str:
        """The units in words."""
        return "all units" if self._all else f"units in arm '{self.among}'"

    @property
    def overlap_needed(self) -> str:
        """What must have been possible for whom, in words."""
        who = "every unit" if self._all else f"every unit of arm '{self.among}'"
        return f"{who} could have been in {self._where}"

    def check_treatment(self, treatment: Treatment) -> None:
        """Refuse treatments of other kinds, and arms that do not occur.

        Raises
        ------
        DataError
        """
        super().check_treatment(treatment)
        self.asked(treatment)
        self.meant(treatment)

    @property
    def _all(self) -> bool:
        return isinstance(self.among, str) and self.among == ALL

    @property
    def _where(self) -> str:
        return "any arm"


@dataclass(frozen=True)
class ArmMeans(ArmEstimand):
    """Mean outcome under every arm, one entry an arm in the order of ``CausalData.arms``.

    Parameters
    ----------
    among : "all" or label
        All units, or those that are in one arm.
    """

    name: ClassVar[str] = "arm means"

    def labels(self, treatment: Treatment) -> tuple[str, ...]:
        """What the entries of the estimate are called."""
        return tuple(self.mean_label(f"Y({arm})") for arm in treatment.labels)


@dataclass(frozen=True)
class ArmContrast(ArmEstimand):
    """Mean outcome under one arm minus that under another.

    Parameters
    ----------
    arm, control : label
        Any two arms, as they stand in the data.
    among : "all" or label
        All units, or those that are in one arm; among those in ``arm`` the contrast is the effect
        on the treated.

    Raises
    ------
    DataError
        If both arms are the same.
    """

    name: ClassVar[str] = "arm contrast"
    arm: Label
    control: Label

    def __post_init__(self) -> None:
        if self.arm == self.control:
            raise DataError(f"both arms are {self.arm!r}", "two different arms")

    def asked(self, treatment: Treatment) -> tuple[int, ...]:
        """Codes of the two arms.

        Raises
        ------
        DataError
            If they are no arms, or the same one.
        """
        arm, control = code_of(treatment, self.arm), code_of(treatment, self.control)
        if arm == control:
            found = f"{self.arm!r} and {self.control!r} are the same arm"
            raise DataError(found, "two different arms", column=treatment.name)
        return arm, control

    def labels(self, treatment: Treatment) -> tuple[str, ...]:
        """What the entry of the estimate is called."""
        return (self.mean_label(f"Y({self.arm}) - Y({self.control})"),)

    @property
    def _where(self) -> str:
        return f"arm '{self.arm}' or '{self.control}'"


def code_of(treatment: Treatment, arm: Label) -> int:
    """Code of an arm.

    Raises
    ------
    DataError
        If the treatment has no such arm.
    """
    return int(treatment.value_of(arm, 1))
