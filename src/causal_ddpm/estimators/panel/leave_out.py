"""Effects of a panel by any base, and again without each cluster of units in turn.

Effects of treated cells come from a fit on the untreated cells. Leads are cells before treatment;
their effects come from a second fit that has not seen them, as though treatment had begun earlier.
Both are one array of effects here, since the cells are disjoint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.estimators.panel.effect_cells import EffectCells
from causal_ddpm.estimators.panel.imputation import TwoWayEquations
from causal_ddpm.nuisance.panel.base import PanelBase
from causal_ddpm.nuisance.panel.cells import PanelCells
from causal_ddpm.nuisance.panel.two_way import TwoWay

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PanelView:
    """What the fits of a panel need.

    Parameters
    ----------
    cells : PanelCells
        Untreated outcomes.
    outcome : ndarray, shape (N, T)
        All observed outcomes, NaN where there is none.
    treated, leads : ndarray of bool, shape (N, T)
        Observed cells whose effects are asked for; leads are among the untreated.
    weight : ndarray, shape (N,)
    """

    cells: PanelCells
    outcome: Array
    treated: Mask
    leads: Mask
    weight: Array

    def stages(self) -> list[tuple[PanelCells, Mask]]:
        """What a fit may see, and the cells whose effects it tells."""
        stages = [(self.cells, self.treated)]
        return (
            [*stages, (self.cells.without(self.leads), self.leads)] if self.leads.any() else stages
        )

    def rows(self, kept: Mask) -> PanelView:
        """The panel of some units."""
        c = self.cells
        cells = PanelCells(c.outcome[kept], c.covariates[kept], c.observed[kept], c.period)
        return PanelView(
            cells, self.outcome[kept], self.treated[kept], self.leads[kept], self.weight[kept]
        )


@dataclass(frozen=True, eq=False)
class PanelFit:
    """Effects and untreated outcomes of a panel.

    Parameters
    ----------
    effects : ndarray, shape (N, T)
        Of treated cells and leads, NaN elsewhere and where they are not identified.
    untreated : ndarray, shape (N, T)
        Of all cells, by the fit on all untreated cells.
    leads : ndarray, shape (N, T)
        Untreated outcomes of the leads by the second fit, NaN elsewhere.
    equations : tuple of TwoWayEquations
        One a stage, for a two-way base; empty for others.
    """

    effects: Array
    untreated: Array
    leads: Array
    equations: tuple[TwoWayEquations, ...] = ()


def fit_panel(view: PanelView, base: PanelBase) -> PanelFit:
    """Effects of a panel by a base; weights enter the two-way regression, and no other."""
    effects, predictions, equations = np.full(view.outcome.shape, np.nan), [], []
    for cells, asked in view.stages():
        if isinstance(base, TwoWay):
            equations.append(TwoWayEquations.of(cells, view.weight, view.outcome))
            predicted = equations[-1].untreated()
        else:
            predicted = base.fit(cells).predict(cells)
        predictions.append(predicted)
        effects[asked] = (view.outcome - predicted)[asked]
    leads = np.where(view.leads, predictions[-1], np.nan)
    return PanelFit(effects, predictions[0], leads, tuple(equations))


def sums_without(
    view: PanelView,
    base: PanelBase,
    fit: PanelFit,
    cells: EffectCells,
    cluster: Codes,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> tuple[Array, Array]:
    """(S, W) of the groups without each cluster in turn, shape (G, K) each.

    Parameters
    ----------
    view : PanelView
    base : PanelBase
    fit : PanelFit
        Of the whole panel.
    cells : EffectCells
        Cells whose effects are identified there.
    cluster : ndarray of int, shape (N,)
        Codes 0 .. G - 1.
    """
    if fit.equations:
        return _two_way_sums(fit, cells, cluster)
    n_clusters = int(cluster.max()) + 1
    jobs = [(view, base, cells, cluster != c) for c in range(n_clusters)]
    found = []
    for done, pair in enumerate(run_jobs(_sums_of_rest, jobs, n_jobs), 1):
        progress("leaving clusters out", done / n_clusters)
        found.append(pair)
    return np.array([s for s, _ in found]), np.array([w for _, w in found])


def _sums_of_rest(
    view: PanelView, base: PanelBase, cells: EffectCells, kept: Mask
) -> tuple[Array, Array]:
    """(S, W) of a fit to some units."""
    effects = np.full(view.outcome.shape, np.nan)
    effects[kept] = fit_panel(view.rows(kept), base).effects
    return cells.sums(effects)


def _two_way_sums(fit: PanelFit, cells: EffectCells, cluster: Codes) -> tuple[Array, Array]:
    """The same in closed form: the first stage tells groups after treatment, the second leads."""
    parts = [equations.sums_without(cells, cluster) for equations in fit.equations]
    after = cells.event >= 0
    sums, mass = (np.where(after, *pair) for pair in zip(parts[0], parts[-1], strict=True))
    return sums, mass
