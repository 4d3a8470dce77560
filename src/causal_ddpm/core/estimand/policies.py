"""What a treatment rule achieves.

A rule gives unit i the treatment with probability pi_i. Its value is the mean outcome if everyone
were treated by it,

    V(pi) = E[pi Y(1) + (1 - pi) Y(0)],

compared with V(none), V(all), the observed treatment's E[Y], and V(random), the value of treating
as many units without looking at them. Larger outcomes count as better.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand.base import Estimand

POLICY_LABELS = (
    "V(rule)",
    "V(none)",
    "V(all)",
    "V(observed)",
    "V(rule) - V(none)",
    "V(rule) - V(all)",
    "V(rule) - V(observed)",
    "V(rule) - V(random)",
)
"""Entries of the estimate of every rule."""


@dataclass(frozen=True, eq=False)
class PolicyValue(Estimand):
    """Value of a given rule, or of treating whom the models predict to gain.

    Parameters
    ----------
    rule : str or array_like, optional
        A confounder or one number a row: the probability of treatment, 0 and 1 included. It must
        follow from the confounders (and chance) alone, never from the treatment observed, and must
        not have been learnt from the outcomes of these rows.
    threshold : float, optional
        Without ``rule``: treat the units whose out-of-fold predicted effect exceeds this, 0 by
        default.
    calibrated : bool
        As in :class:`~causal_ddpm.core.estimand.ATE`.

    Raises
    ------
    DataError
        If both are given, or a rule leaves [0, 1].
    """

    name: ClassVar[str] = "policy value"
    rule: str | ArrayLike | None = None
    threshold: float | None = None
    calibrated: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if self.rule is not None and self.threshold is not None:
            raise DataError("a rule and a threshold were given", "one of the two")
        if self.rule is None:
            object.__setattr__(self, "threshold", _finite(self.threshold or 0.0, "threshold"))
        elif not isinstance(self.rule, str):
            object.__setattr__(self, "rule", checked_rule(self.rule))

    @property
    def population(self) -> str:
        """All units."""
        return "all units, treated by a rule"


@dataclass(frozen=True, eq=False)
class BudgetRule(Estimand):
    """Value of the best rule under a budget: treat in the order of the predicted effect.

    Parameters
    ----------
    budget : float
        Share of the units that can be treated, in (0, 1]; with ``cost``, share of the total cost
        of treating everyone.
    cost : str or array_like, optional
        A confounder or one number a row: the positive cost of treating the unit. Units are then
        treated in the order of predicted effect per cost.
    calibrated : bool
        As in :class:`~causal_ddpm.core.estimand.ATE`.

    Raises
    ------
    DataError
        If no budget is given, or it lies outside (0, 1], or a cost is not positive.
    """

    name: ClassVar[str] = "budget rule"
    budget: float | None = None
    cost: str | ArrayLike | None = None
    calibrated: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        budget = self.budget
        if budget is None or not 0.0 < _finite(budget, "budget") <= 1.0:
            raise DataError(
                f"the budget is {budget!r}",
                "a share in (0, 1]",
                "Pass for example BudgetRule(budget=0.3): three of ten units can be treated.",
            )
        if self.cost is not None and not isinstance(self.cost, str):
            object.__setattr__(self, "cost", checked_cost(self.cost))

    @property
    def population(self) -> str:
        """All units."""
        return "all units, treated under a budget"


def checked_rule(rule: ArrayLike, column: str | None = None) -> NDArray[np.float64]:
    """Probabilities of treatment, shape (n,).

    Raises
    ------
    DataError
        If they are no numbers in [0, 1].
    """
    return _checked_rows(rule, "rule", "probabilities from 0 to 1", column)


def checked_cost(cost: ArrayLike, column: str | None = None) -> NDArray[np.float64]:
    """Costs of treatment, shape (n,).

    Raises
    ------
    DataError
        If they are no positive numbers.
    """
    return _checked_rows(cost, "cost", "positive numbers", column)


def _checked_rows(
    values: ArrayLike, what: str, expected: str, column: str | None
) -> NDArray[np.float64]:
    try:
        rows = np.array(values, dtype=float)
    except (TypeError, ValueError):
        rows = np.empty(0)
    finite = rows.ndim == 1 and len(rows) > 0 and bool(np.isfinite(rows).all())
    fits = finite and bool(
        (rows > 0).all() if what == "cost" else ((rows >= 0) & (rows <= 1)).all()
    )
    if not fits:
        seen = f"runs from {rows.min():.4g} to {rows.max():.4g}" if finite else "is no row of them"
        raise DataError(f"the {what} {seen}", f"{expected}, one a row", column=column)
    rows.setflags(write=False)
    return rows


def _finite(value: object, what: str) -> float:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not np.isfinite(value):  # type: ignore[call-overload]
        raise DataError(f"the {what} is {value!r}", "a number")
    return float(value)  # type: ignore[arg-type]
