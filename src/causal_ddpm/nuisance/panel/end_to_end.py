"""The plain model of a panel: diffusion of the outcome itself, given what names a cell.

    y_it | (indicators of the units, calendar time, x_it),        by one conditional diffusion

with the engine's own recipe. It is what a user would first try, kept for comparison: effects of
units and periods, and a trend beyond the periods seen, must all be found by the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed
from causal_ddpm.diffusion.batches import TrainingGroup
from causal_ddpm.diffusion.conditional import DiffusionSettings, train_conditional
from causal_ddpm.nuisance.panel.cells import PanelCells
from causal_ddpm.nuisance.panel.law import PanelLaw

MAX_UNITS = 500
"""One indicator a unit is no model of more units than this."""


@dataclass(frozen=True)
class EndToEndPanelModel:
    """Settings of the plain model.

    Parameters
    ----------
    diffusion : DiffusionSettings
    """

    diffusion: DiffusionSettings = field(default_factory=DiffusionSettings)

    @property
    def name(self) -> str:
        """What tables call it."""
        return "end-to-end diffusion"

    def fit(self, cells: PanelCells, random_state: Seed = None) -> PanelLaw:
        """Learn the law from the observed cells.

        Raises
        ------
        DataError
            For a constant outcome, or more than 500 units.
        ConvergenceError
            If training diverged.
        """
        n_units, n_periods = cells.shape
        if n_units > MAX_UNITS:
            raise DataError(f"the panel has {n_units:,} units", f"at most {MAX_UNITS} indicators")
        y = cells.outcome[cells.observed]
        centre, spread = float(y.mean()), float(y.std())
        if spread == 0:
            raise DataError("the observed outcome is constant", "an outcome that varies")
        unit = np.broadcast_to(np.eye(n_units)[:, None], (n_units, n_periods, n_units))
        period = np.broadcast_to(cells.period[:, None], (n_units, n_periods, 1))
        condition = np.dstack([unit, period, cells.covariates])
        rows = TrainingGroup(
            condition[cells.observed], np.zeros(len(y), dtype=np.int64), (y - centre) / spread
        )
        model = train_conditional([rows], self.diffusion, random_state, n_arms=1)
        return PanelLaw(
            np.full(cells.shape, centre), np.full(cells.shape, spread), condition, 1.0, model,
            {"networks": [model.report]},
        )  # fmt: skip
