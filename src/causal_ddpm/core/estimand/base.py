"""What every estimand is: a plain description of a causal question, without any computation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.treatment import Kind, Treatment

Group = Literal["all", "treated", "untreated"]
"""Units that an estimand may be about."""

Needs = Literal["arms", "instrument", "dose"]
"""Kinds of nuisances; :mod:`causal_ddpm.estimators.needs` fits them."""


_ASK: dict[Kind, str] = {
    "binary": "ATE() or ATT(), in words 'ate' or 'att'",
    "arms": "ArmMeans() or ArmContrast('B', 'A'), in words 'arms' or 'arm:B/A'",
    "factors": "the effects of factorial_analysis",
    "dose": "DoseResponse([2.0]) or its slope there, in words 'dose:2' or 'slope:2'",
}
"""What is asked of each kind of treatment, for who asked something else of it."""


@dataclass(frozen=True)
class Estimand:
    """A causal question. ``name`` is what tables and the command line call it.

    Class attributes: ``needs``, the kind of nuisances that answer it, and ``treatments``, the
    kinds of treatment it can be asked of.
    """

    name: ClassVar[str] = "estimand"
    needs: ClassVar[Needs] = "arms"
    treatments: ClassVar[tuple[Kind, ...]] = ("binary",)

    @property
    def group(self) -> Group:
        """The units that the estimand is about."""
        return "all"

    @property
    def population(self) -> str:
        """The same in words."""
        return f"{self.group} units"

    @property
    def overlap_needed(self) -> str:
        """What must have been possible for whom, in words."""
        return "every unit could have been treated or untreated"

    def check_treatment(self, treatment: Treatment) -> None:
        """Refuse a treatment of which the question cannot be asked.

        Raises
        ------
        DataError
            Naming the kinds that would do.
        """
        if treatment.kind not in self.treatments:
            words = " or ".join(f"'{kind}'" for kind in self.treatments)
            raise DataError(
                f"the treatment is of kind '{treatment.kind}'",
                f"a treatment of kind {words} for the {self.name}",
                f"Of a treatment of kind '{treatment.kind}' ask for {_ASK[treatment.kind]}.",
                column=treatment.name,
            )


def checked_numbers(values: Any, what: str) -> tuple[float, ...]:
    """One number or several as floats; refuses what is no number."""
    several = values if isinstance(values, Iterable) and not isinstance(values, str) else [values]
    try:
        return tuple(map(float, several))
    except (TypeError, ValueError):
        raise DataError(f"{what} are {values!r}", "one number or several in a list") from None


def checked_group(group: str) -> str:
    """Refuse units that are no group."""
    if group not in ("all", "treated", "untreated"):
        raise DataError(f"among is {group!r}", "'all', 'treated' or 'untreated'")
    return group
