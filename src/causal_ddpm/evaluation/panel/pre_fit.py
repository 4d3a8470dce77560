r"""How well the counterfactual follows the treated units before treatment, beside other units.

With e the root mean squared gap of a unit before treatment and s the standard deviation of its
outcome there,

    followed = 1 - e^2 / s^2,        rank = share of controls with a larger e

A treated unit that is followed worse than most controls lies outside what its donors can combine
to: its counterfactual extrapolates. Gaps before treatment are those of the fit itself, so a small e
is necessary and not sufficient; placebos in time tell what the fit is worth outside its sample.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.evaluation.panel.placebo_space import SpacePlacebo

WORSE_THAN = 0.8
"""Share of controls that may be followed better before a warning is due."""

NOT_FOLLOWED = 0.5
"""A share of variation followed below this is called poor."""


@dataclass(frozen=True)
class PreFit:
    """The fit before treatment.

    Parameters
    ----------
    error : float
        Root mean squared gap of the treated units.
    controls_median, controls_largest : float
        The same of controls, each by a fit that leaves it out after the same start.
    worse_than : float
        Share of controls that are followed better.
    followed : float
        Share of the treated units' variation over time before treatment that is followed.
    n_before : int
        Fewest periods before treatment.
    """

    error: float
    controls_median: float
    controls_largest: float
    worse_than: float
    followed: float
    n_before: int

    @property
    def excess(self) -> bool:
        """Whether the treated are followed conspicuously worse than controls are."""
        return self.worse_than > WORSE_THAN

    def frame(self) -> pd.DataFrame:
        """One row with all fields."""
        return pd.DataFrame([asdict(self)])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields, with the words."""
        return {**asdict(self), "excess": self.excess, "words": self.words}

    @property
    def words(self) -> str:
        """Size of the gap before treatment, in itself and beside controls."""
        beside = (
            f"{self.worse_than:.0%} of controls are followed better" if self.worse_than > 0
            else "no control is followed better"
        )  # fmt: skip
        text = (
            f"Over {self.n_before} period{'' if self.n_before == 1 else 's'} before treatment "
            f"the counterfactual misses the treated "
            f"by {self.error:.3g} (root mean square), {max(self.followed, 0):.0%} of their "
            f"variation is followed; {beside} (median {self.controls_median:.3g})."
        )
        if self.excess:
            return text + (
                " That is an EXCESS of misfit: the treated lie outside what their donors can "
                "combine to, and the counterfactual extrapolates."
            )
        if self.followed < NOT_FOLLOWED:
            return text + " The fit before treatment is poor."
        return text


def pre_fit(space: SpacePlacebo, panel: PanelData) -> PreFit:
    """Fit before treatment of the treated beside placebos.

    Parameters
    ----------
    space : SpacePlacebo
    panel : PanelData
    """
    table = space.table
    own = table.loc[table["treated"], "pre_rmse"].to_numpy()
    others = table.loc[~table["treated"], "pre_rmse"].to_numpy()
    error = float(np.sqrt(np.mean(own**2)))
    treated = ~panel.is_control
    before = np.where(panel.untreated & treated[:, None], panel.y, np.nan)[treated]
    spread = float(np.sqrt(np.nanmean((before - np.nanmean(before, axis=1, keepdims=True)) ** 2)))
    followed = 1 - (error / spread) ** 2 if spread > 0 else 1.0
    return PreFit(
        error, float(np.median(others)), float(others.max()), float(np.mean(others < error)),
        followed, int(panel.untreated[treated].sum(axis=1).min()),
    )  # fmt: skip
