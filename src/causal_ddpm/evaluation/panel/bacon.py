"""What a two-way regression compares with what, and how much of it is forbidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from causal_ddpm.baselines.bacon import KINDS, bacon_comparisons
from causal_ddpm.core.panel_data import PanelData, require_panel

FORBIDDEN = "already treated"

MUCH = 0.1
"""Share of forbidden comparisons from which on they are said to matter."""


@dataclass(frozen=True, eq=False)
class BaconWeights:
    """The decomposition of the two-way coefficient.

    Parameters
    ----------
    table : DataFrame
        cohort, control, controls_are, weight, estimate: one row a comparison.
    twfe : float
        The coefficient.
    n_left_out : int
        Units with gaps, which the decomposition cannot use.
    """

    table: pd.DataFrame
    twfe: float
    n_left_out: int

    @property
    def by_kind(self) -> pd.DataFrame:
        """controls_are, weight, estimate (weighted mean), one row a kind that occurs."""
        grouped = self.table.assign(part=self.table["weight"] * self.table["estimate"])
        kinds = grouped.groupby("controls_are", sort=False)[["weight", "part"]].sum()
        kinds = kinds.reindex([k for k in KINDS.values() if k in kinds.index])
        weight, part = (kinds[name].to_numpy() for name in ("weight", "part"))
        mean = np.divide(part, weight, out=np.zeros_like(part), where=weight > 0)
        return pd.DataFrame({"controls_are": kinds.index, "weight": weight, "estimate": mean})

    @property
    def forbidden(self) -> float:
        """Weight of comparisons with units treated already."""
        return float(self.table.loc[self.table["controls_are"] == FORBIDDEN, "weight"].sum())

    @property
    def clean(self) -> float:
        """The coefficient without the forbidden comparisons, the other weights scaled up."""
        kept = self.table[self.table["controls_are"] != FORBIDDEN]
        return float(np.average(kept["estimate"], weights=kept["weight"]))

    def frame(self) -> pd.DataFrame:
        """One row a comparison, the largest weight first."""
        return self.table.sort_values("weight", ascending=False, ignore_index=True)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields, with the words."""
        return {
            "twfe": self.twfe, "forbidden": self.forbidden, "clean": self.clean,
            "n_left_out": self.n_left_out, "words": self.words,
            "by_kind": self.by_kind.to_dict("records"),
            "comparisons": self.frame().to_dict("records"),
        }  # fmt: skip

    @property
    def words(self) -> str:
        """The share of forbidden comparisons, and what they do to the coefficient."""
        gaps = (
            f" {self.n_left_out} units with gaps are left out of this decomposition."
            if self.n_left_out else ""
        )  # fmt: skip
        if self.forbidden == 0:
            return (
                f"The two-way regression ({self.twfe:.3g}) makes no forbidden comparison: no unit "
                f"is a control after its own treatment.{gaps}"
            )
        kinds = self.by_kind
        bad = float(kinds.loc[kinds["controls_are"] == FORBIDDEN, "estimate"].iloc[0])
        verdict = (
            "That is enough to distort it where effects grow or differ between cohorts; read "
            "estimators that avoid them." if self.forbidden >= MUCH
            else "That is little."
        )  # fmt: skip
        return (
            f"In the two-way regression coefficient ({self.twfe:.3g}), forbidden comparisons, "
            f"whose controls are treated already, have {self.forbidden:.0%} of the weight (and "
            f"mean {bad:.3g}); without them it would be {self.clean:.3g}. {verdict}{gaps}"
        )


def bacon_weights(panel: PanelData) -> BaconWeights:
    """Decompose the two-way coefficient, without covariates and weights of units.

    Raises
    ------
    NotIdentifiedError
        If units without gaps are all treated from one period on.
    MissingDependencyError, ConvergenceError
    """
    require_panel(panel)
    found = bacon_comparisons(panel)
    return BaconWeights(found.table, found.twfe, found.n_left_out)
