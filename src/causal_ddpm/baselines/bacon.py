r"""The two-way regression coefficient as a weighted mean of two-by-two comparisons (diff-diff).

With two groups k and l that start treatment at different times (or never), a comparison is the
difference in differences of their means while one is treated and the other's status does not
change. The coefficient of treatment in a regression on unit and period effects is

    theta = sum_{k,l} s_kl theta_kl,      s_kl >= 0,      sum s_kl = 1

with weights from the sizes of the groups and how long each is treated (Goodman-Bacon 2021, theorem
1). In one kind of comparison the controls are treated already, and their effects, as they change,
are subtracted: these are called forbidden. The identity needs a balanced panel; units with gaps are
left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from causal_ddpm.baselines.base import listening, load
from causal_ddpm.baselines.panel.method import model_frame
from causal_ddpm.core.errors import NotIdentifiedError
from causal_ddpm.core.panel_data import PanelData

LIBRARY, EXTRA = "diff_diff", "classics"

KINDS = {
    "treated_vs_never": "never treated",
    "earlier_vs_later": "not yet treated",
    "later_vs_earlier": "already treated",
}
"""What the controls of a comparison are, by the library's names."""


@dataclass(frozen=True, eq=False)
class BaconComparisons:
    """All comparisons of a panel.

    Parameters
    ----------
    table : DataFrame
        cohort, control (labels of first treated periods, or "never"), controls_are, weight,
        estimate: one row a comparison.
    twfe : float
        The coefficient of treatment.
    n_left_out : int
        Units with gaps.
    """

    table: pd.DataFrame
    twfe: float
    n_left_out: int


def bacon_comparisons(panel: PanelData) -> BaconComparisons:
    """Comparisons and weights of the two-way regression without covariates or weights.

    Raises
    ------
    NotIdentifiedError
        If units without gaps are all treated from one period on.
    MissingDependencyError, ConvergenceError
    """
    whole = panel.observed.all(axis=1)
    groups = np.unique(panel.first[whole])
    if len(groups) < 2:
        raise NotIdentifiedError(
            f"Of {len(panel)} units {int(whole.sum())} are observed in all periods, in "
            f"{len(groups)} group{'' if len(groups) == 1 else 's'} by start of treatment; expected "
            "two or more groups to compare. The decomposition needs a balanced panel."
        )
    library = load(LIBRARY, EXTRA)
    with listening(LIBRARY):
        fit = library.BaconDecomposition(weights="exact").fit(
            model_frame(panel.rows(whole))[0], outcome="y", unit="unit", time="period",
            first_treat="first",
        )  # fmt: skip
    rows = [
        (_label(panel, c.treated_group), _label(panel, c.control_group),
         KINDS[c.comparison_type], float(c.weight), float(c.estimate))
        for c in fit.comparisons
    ]  # fmt: skip
    names = ["cohort", "control", "controls_are", "weight", "estimate"]
    return BaconComparisons(
        pd.DataFrame(rows, columns=names), float(fit.twfe_estimate), int((~whole).sum())
    )


def _label(panel: PanelData, group: object) -> str:
    """The first treated period of a group; the library numbers periods from 1."""
    return "never" if isinstance(group, str) else str(panel.periods[int(group) - 1])  # type: ignore[call-overload]
