r"""What a linear difference in trends does to an event study by imputation.

The untreated outcomes of treated units are tilted, y_it + e (t - g_i), in all periods, and the
event study is computed again with the same base; its change divided by e is the response of each
coefficient to a slope of 1 per period. The response is exact where the base is linear in outcomes
(two-way effects, ridge on donors); for others it holds for small slopes. A base that follows
trends, such as ridge, responds less than parallel trends would.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.estimators.panel.clustered import panel_view
from causal_ddpm.estimators.panel.effect_cells import effect_cells, targets
from causal_ddpm.estimators.panel.leave_out import PanelView, fit_panel
from causal_ddpm.nuisance.panel.base import PanelBase

Array = NDArray[np.float64]

SLOPE = 1e-2
"""e, in standard deviations of untreated outcomes."""


def trend_response(study: Estimate, panel: PanelData, base: PanelBase) -> Array:
    """Response of each coefficient of an event study, shape (len(study),).

    Parameters
    ----------
    study : Estimate
        By imputation; labels are event times.
    panel : PanelData
        The panel of the study.
    base : PanelBase
        Its base.
    """
    view = panel_view(panel)
    e = SLOPE * float(panel.y[panel.untreated].std())
    tilt = np.where(panel.is_control[:, None], 0.0, e * panel.event_time)
    cells = replace(view.cells, outcome=view.cells.outcome + tilt)
    tilted = replace(view, cells=cells, outcome=view.outcome + tilt)
    before, after = (_coefficients(v, panel, base) for v in (view, tilted))
    return np.array([(after[k] - before[k]) / e for k in study.labels])


def _coefficients(view: PanelView, panel: PanelData, base: PanelBase) -> dict[str, float]:
    """Mean effects by event time."""
    effects = fit_panel(view, base).effects
    cells = effect_cells(panel.first, view.weight, np.isfinite(effects))
    by_event = targets(cells, panel.periods)[2]
    return dict(zip(by_event.labels, by_event.values(*cells.sums(effects)), strict=True))
