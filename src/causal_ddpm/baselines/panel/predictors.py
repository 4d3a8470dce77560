"""Synthetic control on predictors (diff-diff), and the augmented synthetic control (augsynth-py).

With X1, X0 predictors of a cohort's mean and of controls, scaled to unit variance,

    SC with predictors    min_omega (X1 - X0 omega)' V (X1 - X0 omega) on the simplex, V so that the
                          path before treatment fits best (Abadie, Diamond and Hainmueller 2010)
    augmented SC          omega + gamma, omega the simplex weights of the demeaned path before
                          treatment and gamma a ridge correction of what omega leaves (Ben-Michael,
                          Feller and Rothstein 2021)

Predictors are the mean of each covariate before treatment, and three outcomes: the first, the
middle and the last before treatment. V is searched once; placebos keep it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.baselines.base import load
from causal_ddpm.baselines.panel.counterfactual import (
    Block,
    Cells,
    CounterfactualBaseline,
    Untreated,
    blocks,
    with_gap,
)
from causal_ddpm.baselines.panel.method import PanelScope
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.panel_data import PanelData

Array = NDArray[np.float64]

_TREATED = "treated"


@dataclass(frozen=True)
class PredictorSyntheticControl(CounterfactualBaseline):
    """Controls weighted to the treated units' covariates and three outcomes before treatment.

    Parameters
    ----------
    replications : int
        Most placebos or bootstrap draws.
    n_starts : int
        Starts of the search for V.
    """

    replications: int = 100
    n_starts: int = 2
    name: ClassVar[str] = "sc-predictors"
    title: ClassVar[str] = "Synthetic control, predictors"
    assumes: ClassVar[str] = (
        "treated predictors lie among those of controls, and weights that match them go on fitting"
    )
    library: ClassVar[str] = "diff_diff"
    scope: ClassVar[PanelScope] = PanelScope(never_treated=3, before=3, gaps=False, covariates=True)

    def applies(self, data: PanelData, estimand: Estimand) -> str | None:
        """Why the method cannot answer, as a clause; None when it can."""
        reason = super().applies(data, estimand)
        if reason is None and not data.covariate_names:
            return "the panel has no covariates to use as predictors"
        return reason

    def untreated(
        self, cells: Cells, chosen: Mapping[str, Any] | None, library: ModuleType, seed: int
    ) -> Untreated:
        """Paths of controls that match on predictors."""
        y0 = np.full(cells.y.shape, np.nan)
        found: dict[str, Any] = {}
        weights: dict[str, Any] = {}
        for members, block in blocks(cells):
            key = str(block.first)
            fit = self._fit(block, library, seed, None if chosen is None else chosen[key])
            found[key] = [float(v) for v in fit.v_weights.values()]
            omega = np.array([fit.donor_weights.get(i, 0.0) for i in range(len(block.controls))])
            weights[key] = omega.tolist()
            y0[members] = with_gap(cells, members, omega @ block.controls)
        return Untreated(y0, found, {"donor_weights": weights})

    def _fit(self, block: Block, library: ModuleType, seed: int, kept: Any) -> Any:
        """The library's fit, V searched or kept."""
        n_controls, n_periods = block.controls.shape
        y = np.vstack([block.controls, block.treated.mean(axis=0)])
        x = np.concatenate([block.x[:n_controls], block.x[n_controls:].mean(axis=0)[None]])
        unit, period = np.indices(y.shape)
        frame = pd.DataFrame({"unit": unit.ravel(), "period": period.ravel(), "y": y.ravel()})
        names = [f"x{j}" for j in range(x.shape[2])]
        for j, name in enumerate(names):
            frame[name] = x[:, :, j].ravel()
        frame[_TREATED] = ((frame["unit"] == n_controls) & (frame["period"] >= block.first)) * 1
        search = (
            {"v_method": "nested", "n_starts": self.n_starts, "seed": seed % 2**31}
            if kept is None
            else {"v_method": "custom", "custom_v": kept}
        )
        return library.SyntheticControl(**search).fit(
            data=frame, outcome="y", treatment=_TREATED, unit="unit", time="period",
            treated_unit=n_controls, post_periods=list(range(block.first, n_periods)),
            predictors=names, pre_period_outcomes=[0, block.first // 2, block.first - 1],
        )  # fmt: skip


@dataclass(frozen=True)
class AugmentedSyntheticControl(CounterfactualBaseline):
    """Synthetic control with unit levels and a ridge correction.

    Parameters
    ----------
    replications : int
        Most placebos or bootstrap draws.
    """

    replications: int = 100
    name: ClassVar[str] = "augmented-sc"
    title: ClassVar[str] = "Augmented synthetic control"
    assumes: ClassVar[str] = (
        "weights and a ridge regression on outcomes before treatment go on fitting; it extrapolates"
    )
    library: ClassVar[str] = "augsynth_py"
    scope: ClassVar[PanelScope] = PanelScope(never_treated=3, before=3, gaps=False)

    def untreated(
        self, cells: Cells, chosen: Mapping[str, Any] | None, library: ModuleType, seed: int
    ) -> Untreated:
        """Paths of weighted controls, corrected; the ridge penalty searched or kept."""
        polars = load("polars", self.extra)  # the library reads no other frame
        y0 = np.full(cells.y.shape, np.nan)
        found: dict[str, float] = {}
        for members, block in blocks(cells):
            y = np.vstack([block.controls, block.treated.mean(axis=0)])
            unit, period = np.indices(y.shape)
            frame = polars.DataFrame(
                {
                    "unit": [f"{i:06d}" for i in unit.ravel()],
                    "period": period.ravel(),
                    "y": y.ravel(),
                }
            )
            key = str(block.first)
            penalty = None if chosen is None else chosen[key]
            fit = library.AugSynth(lambda_=penalty).fit(
                frame, unit="unit", time="period", outcome="y",
                treated=f"{len(y) - 1:06d}", treatment_time=block.first,
            )  # fmt: skip
            found[key] = float(fit.lambda_)
            y0[members] = with_gap(cells, members, np.asarray(fit.synthetic_))
        return Untreated(y0, found, {"penalty": found})
