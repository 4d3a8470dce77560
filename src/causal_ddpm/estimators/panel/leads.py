"""Placebos in time: the treated units a few periods before they are treated.

A lead panel ends, for the treated units, where treatment begins, and pretends that it began a few
periods earlier. What is found there is no effect, and should be near zero.
"""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.panel_data import PanelData

MOST_LEADS = 5


def lead_panel(panel: PanelData) -> tuple[PanelData, NDArray[np.int64]] | None:
    """The panel with treatment pretended earlier, or None where the past is too short.

    Treated units are moved forward by as many periods as there are after treatment, at most a
    third of those before it and at most five; units with fewer than three periods before treatment
    drop out.

    Returns
    -------
    (PanelData, ndarray of int)
        The panel, and the number of periods by which each of its treated units was moved.
    """
    after = panel.shape[1] - int(panel.first[~panel.is_control].min())
    return moved_panel(panel, np.minimum(min(after, MOST_LEADS), panel.first // 3))


def moved_panel(
    panel: PanelData, steps: NDArray[np.int64]
) -> tuple[PanelData, NDArray[np.int64]] | None:
    """The panel with treatment pretended some periods earlier, or None where nothing is seen there.

    Parameters
    ----------
    panel : PanelData
    steps : ndarray of int, shape (N,)
        By how many periods each unit is moved; treated units that are not moved drop out.

    Returns
    -------
    (PanelData, ndarray of int)
        The panel, and the number of periods by which each of its treated units was moved.
    """
    treated, n_periods = ~panel.is_control, panel.shape[1]
    keep = panel.is_control | (steps > 0)
    earlier = np.where(treated, panel.first - steps, n_periods)[keep]
    part = copy.copy(panel.rows(keep))
    part.observed = part.untreated
    part.first = earlier.astype(np.int64)
    part.y = np.where(part.observed, part.y, np.nan)
    seen = (part.treated & part.observed).any() and part.untreated.any(axis=1).all()
    return (part, np.asarray(steps[keep & treated], dtype=np.int64)) if seen else None
