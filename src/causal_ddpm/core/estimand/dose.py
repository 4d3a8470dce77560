"""Dose-response curves.

    theta(a)  = E[Y(a)]                mean outcome had everybody received the dose a
    theta'(a) = d E[Y(a)] / d a        its slope: the effect of a little more

at doses a that are given, or spread over the middle 90 % of the observed ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand.base import Estimand, Needs, checked_numbers
from causal_ddpm.core.treatment import Kind, Treatment


@dataclass(frozen=True, init=False)
class DoseResponse(Estimand):
    """Mean outcome, or its slope, as a function of the dose.

    Parameters
    ----------
    doses : float or sequence of float, optional
        Ascending doses, e.g. ``[2, 4, 6]``. Left out, they are ``n_points`` evenly spaced ones from
        the 5 % to the 95 % quantile of the observed doses.
    derivative : bool
        True asks for theta'(a) instead of theta(a).
    n_points : int
        Number of doses when none are given.

    Raises
    ------
    DataError
        If the doses are not finite and ascending, or there are none.
    """

    name: ClassVar[str] = "dose-response"
    needs: ClassVar[Needs] = "dose"
    treatments: ClassVar[tuple[Kind, ...]] = ("dose",)
    doses: tuple[float, ...] | None = None
    derivative: bool = False
    n_points: int = 15

    def __init__(
        self,
        doses: Sequence[float] | float | None = None,
        derivative: bool = False,
        n_points: int = 15,
    ) -> None:
        if doses is not None:
            doses = checked_numbers(doses, "the doses")
            if not doses or not np.isfinite(doses).all() or (np.diff(doses) <= 0).any():
                raise DataError(
                    f"the doses are {list(doses)}",
                    "finite numbers in ascending order",
                    "Pass for example DoseResponse([2, 4, 6]).",
                )
        if n_points < 1:
            raise DataError(f"n_points is {n_points}", "at least 1")
        object.__setattr__(self, "doses", doses)
        object.__setattr__(self, "derivative", derivative)
        object.__setattr__(self, "n_points", n_points)

    @property
    def order(self) -> int:
        """Order of the derivative: 0 for the curve, 1 for its slope."""
        return int(self.derivative)

    def label(self, dose: float) -> str:
        """What an estimate calls its entry at ``dose``."""
        return f"slope({dose:g})" if self.derivative else f"E[Y({dose:g})]"

    def check_treatment(self, treatment: Treatment) -> None:
        """Refuse other treatments, and doses that nobody was given.

        Raises
        ------
        DataError
        """
        super().check_treatment(treatment)
        low, high = treatment.bounds or (-np.inf, np.inf)
        beyond = [dose for dose in self.doses or () if not low <= dose <= high]
        if beyond:
            raise DataError(
                f"the dose {beyond[0]:g} was asked for",
                f"doses within the observed range {low:g} to {high:g}",
                "Beyond the doses that were given no data speak.",
                column=treatment.name,
            )
