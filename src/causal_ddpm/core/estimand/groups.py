"""Effects in groups, and the line that sums up how effects differ.

With the effect of a unit's kind tau(x) = E[Y(1) - Y(0) | x] and S(x) a prediction of it made by
models that never saw the unit:

- GATE(by=column)   E[tau(X) | X_j in a level, or between two cut points]
- GATE("effect")    E[tau(X) | S(X) between two of its quantiles]
- BLP()             the best linear predictor of tau given S: E[tau] and the slope
                    Cov(tau, S) / Var(S)
- BLP(on=columns)   coefficients of the projection of tau on a constant and confounders
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand.base import Estimand

EFFECT = "effect"
"""What ``GATE.by`` says for groups by predicted effect."""

MAX_GROUPS = 50
DEFAULT_EFFECT_GROUPS = 5


@dataclass(frozen=True, init=False)
class GATE(Estimand):
    """Group average treatment effects.

    Parameters
    ----------
    by : str
        A confounder, or "effect" for groups by the out-of-fold predicted effect.
    cuts : sequence of float, optional
        Ascending cut points of a numeric confounder; the group up to a cut point contains it.
    n_groups : int, optional
        Groups of equal size in the order of the confounder or of the predicted effect (5 by
        default). Without cut points and ``n_groups``, categories and numbers of at most ten
        values are taken as they are, other numbers in four groups.
    calibrated : bool
        As in :class:`~causal_ddpm.core.estimand.ATE`.

    Raises
    ------
    DataError
        If the cut points do not ascend, or the number of groups cannot be.
    """

    name: ClassVar[str] = "GATE"
    by: str
    cuts: tuple[float, ...] | None
    n_groups: int | None
    calibrated: bool

    def __init__(
        self,
        by: str = EFFECT,
        cuts: Sequence[float] | float | None = None,
        n_groups: int | None = None,
        *,
        calibrated: bool = True,
    ) -> None:
        if not isinstance(by, str):
            raise DataError(
                f"by is {by!r}", "the name of a confounder, or 'effect'", "GATE(by='region')"
            )
        if cuts is not None and (n_groups is not None or by == EFFECT):
            other = "n_groups as well" if n_groups is not None else "by='effect'"
            raise DataError(
                f"cut points were given, and {other}",
                "cut points of a numeric confounder, or a number of groups",
            )
        if by == EFFECT and n_groups is None:
            n_groups = DEFAULT_EFFECT_GROUPS
        object.__setattr__(self, "by", by)
        object.__setattr__(self, "cuts", None if cuts is None else _checked_cuts(cuts))
        object.__setattr__(self, "n_groups", _checked_number(n_groups))
        object.__setattr__(self, "calibrated", calibrated)

    @property
    def population(self) -> str:
        """All units, in groups."""
        what = "predicted effect" if self.by == EFFECT else self.by
        return f"all units in groups by {what}"

    @property
    def labels_by_cuts(self) -> tuple[str, ...]:
        """Labels of the groups between the cut points, from low to high."""
        cuts = self.cuts or ()
        inner = [f"GATE({a:g} < {self.by} <= {b:g})" for a, b in itertools.pairwise(cuts)]
        return (f"GATE({self.by} <= {cuts[0]:g})", *inner, f"GATE({self.by} > {cuts[-1]:g})")

    def codes_by_cuts(self, values: ArrayLike) -> NDArray[np.int64]:
        """Group 0, 1, ... of each value, shape (n,)."""
        cuts = np.asarray(self.cuts, dtype=float)
        return np.searchsorted(cuts, np.asarray(values, dtype=float), side="left").astype(np.int64)

    @property
    def labels_by_rank(self) -> tuple[str, ...]:
        """Labels of groups of equal size, from low to high."""
        groups = range(1, (self.n_groups or 0) + 1)
        return tuple(f"GATE({self.by}, group {g} of {self.n_groups})" for g in groups)


@dataclass(frozen=True, init=False)
class BLP(Estimand):
    """Best linear predictor of the effect.

    Parameters
    ----------
    on : sequence of str, optional
        Confounders on which the effect is projected, with a constant; by default the effect is
        projected on its own out-of-fold prediction.
    calibrated : bool
        As in :class:`~causal_ddpm.core.estimand.ATE`.

    Raises
    ------
    DataError
        If a confounder is named twice, or none is.
    """

    name: ClassVar[str] = "BLP"
    on: tuple[str, ...] | None
    calibrated: bool

    def __init__(self, on: Sequence[str] | str | None = None, *, calibrated: bool = True) -> None:
        names = (on,) if isinstance(on, str) else None if on is None else tuple(on)
        if names is not None and (not names or len(set(names)) < len(names)):
            raise DataError(
                f"the effect is to be projected on {list(names)}",
                "one or more confounders, each once",
                "BLP() projects it on its own prediction.",
            )
        object.__setattr__(self, "on", names)
        object.__setattr__(self, "calibrated", calibrated)


def _checked_cuts(cuts: Sequence[float] | float) -> tuple[float, ...]:
    points = (float(cuts),) if isinstance(cuts, int | float) else tuple(float(c) for c in cuts)
    ascending = all(a < b for a, b in itertools.pairwise(points))
    if not points or not np.isfinite(points).all() or not ascending:
        raise DataError(
            f"the cut points are {list(points)}", "finite numbers that ascend, such as [0.0, 1.5]"
        )
    if len(points) >= MAX_GROUPS:
        raise DataError(f"there are {len(points)} cut points", f"fewer than {MAX_GROUPS}")
    return points


def _checked_number(n_groups: int | None) -> int | None:
    whole = isinstance(n_groups, int | np.integer) and not isinstance(n_groups, bool)
    if n_groups is None or (whole and 2 <= n_groups <= MAX_GROUPS):
        return None if n_groups is None else int(n_groups)
    raise DataError(f"n_groups is {n_groups!r}", f"a whole number from 2 to {MAX_GROUPS}")
