r"""Average effects on a panel with many treated units, and what sampling them again would change.

Unit i is treated from period g_i on. With y_it(0)^ the untreated outcome that a base learnt from
untreated cells, and omega_i the weight of a unit,

    tau_it = y_it - y_it(0)^,      theta = sum_{cells of a target} omega_i tau_it / sum omega_i

for the targets ATT (all treated cells), each cohort g, each event time k = t - g; and, for leads
k < 0, cells before treatment whose y_it(0)^ is imputed as though treatment had begun earlier.

Two populations, whose standard errors differ:

    sample       the treated cells at hand, their effects taken as fixed (Borusyak, Jaravel and
                 Spiess 2024); only untreated outcomes would be drawn again
    population   units, with their cohorts and effects, would be drawn again

The record holds the one that was asked for, and the standard error of the other in its details.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed
from causal_ddpm.nuisance.panel.base import PanelBase

if TYPE_CHECKING:
    from causal_ddpm.core.panel_data import PanelData

Array = NDArray[np.float64]
Target = Literal["sample", "population"]
Variance = Literal["jackknife", "influence"]


@dataclass(frozen=True)
class ClusterInference:
    """How the uncertainty of average effects is told.

    Parameters
    ----------
    target : {"sample", "population"}
        Whose average effect; see the module page.
    variance : {"jackknife", "influence"}
        Leave a cluster out, fit again (any base); or the conservative formula of Borusyak, Jaravel
        and Spiess from the exact weights of the estimator (two-way base only).
    n_leads : int, optional
        Event times before treatment in the event study: as many as there are after it, at most
        half of a unit's untreated periods and at most 10, by default; 0 for none.
    max_fits : int
        Where there are more clusters, and the base is not two-way, groups of clusters are left
        out together.
    """

    target: Target = "sample"
    variance: Variance = "jackknife"
    n_leads: int | None = None
    max_fits: int = 200


@dataclass(frozen=True, eq=False)
class ClusteredEffects:
    """Average effects with cluster-robust inference; influence values are those of units.

    Parameters
    ----------
    att : Estimate
        One entry, "ATT".
    by_cohort : Estimate
        Labels are labels of the first treated period.
    event_study : Estimate
        Labels are event times, leads ("-2", "-1") first.
    untreated : ndarray, shape (N, T)
        What the base expects of every cell without treatment; NaN where it cannot tell.
    lead_untreated : ndarray, shape (N, T)
        The same of the leads, without having seen them; NaN elsewhere.
    notes : tuple of str
        Cells left out, few clusters: what the user should read.
    """

    att: Estimate
    by_cohort: Estimate
    event_study: Estimate
    untreated: Array
    lead_untreated: Array
    notes: tuple[str, ...] = field(default=())


def clustered_effects(
    panel: PanelData,
    base: PanelBase | None = None,
    inference: ClusterInference | None = None,
    level: float = 0.95,
    random_state: Seed = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> ClusteredEffects:
    """Average effects on treated cells with intervals that are robust to dependence in clusters.

    Parameters
    ----------
    panel : PanelData
        Clusters are its clusters, or its units.
    base : PanelBase, optional
        Of the untreated outcome; two-way effects and covariates by default.
    inference : ClusterInference, optional
    level : float
        Of the intervals.
    random_state : int, SeedSequence or None
        Deals clusters into groups, where there are more than ``inference.max_fits``.
    n_jobs : int
    progress : callable

    Raises
    ------
    DataError
        With fewer than two treated clusters or five in all, settings that do not exist, or the
        influence formula for a base that is not two-way.
    NotIdentifiedError
        If no treated cell has an untreated outcome that the base can tell.
    """
    raise NotImplementedError
