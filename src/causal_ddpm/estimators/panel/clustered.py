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
With theta_(c) the target without cluster c (its groups keep their shares for the sample, see
:mod:`causal_ddpm.estimators.panel.effect_cells`) the covariance adds up the outer products of
theta - theta_(c) (:mod:`causal_ddpm.estimators.panel.cluster_variance`): the jackknife, for any
base, unbiased where the untreated outcomes of other clusters do not hang on c. For the two-way base
there is also the conservative formula of Borusyak, Jaravel and Spiess, from the exact weights v of
the estimator, residuals e_it on untreated cells, and effects less their mean in a cohort and period
in place of e_it on treated ones,

    cov = sum_c (sum_{it in c} v_it e_it) (sum_{it in c} v_it e_it)'

which is too small where few clusters determine a period. Intervals are t intervals, entry by entry:
few treated clusters give few degrees of freedom however many controls there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.core.estimate import Estimate, influence_covariance
from causal_ddpm.core.panel_data import PanelData, require_panel
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed
from causal_ddpm.estimators.panel.cluster_variance import (
    Clusters,
    degrees_of_freedom,
    scaled,
    unit_influence,
)
from causal_ddpm.estimators.panel.effect_cells import EffectCells, Targets, effect_cells, targets
from causal_ddpm.estimators.panel.leave_out import PanelFit, PanelView, fit_panel, sums_without
from causal_ddpm.nuisance.folds import FEW_CLUSTERS, MIN_CLUSTERS
from causal_ddpm.nuisance.panel.base import PanelBase
from causal_ddpm.nuisance.panel.cells import PanelCells
from causal_ddpm.nuisance.panel.two_way import TwoWay

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Target = Literal["sample", "population"]
Variance = Literal["jackknife", "influence"]

FEW_TREATED = 10
"""Treated clusters below which intervals are flagged."""
MOST_LEADS = 10


@dataclass(frozen=True)
class ClusterInference:
    """How the uncertainty of average effects is told.

    Parameters
    ----------
    target : {"sample", "population"}
        Whose average effect; see the module page.
    variance : {"jackknife", "influence"}
        Leave a cluster out and fit again, for any base; or the conservative formula, for the
        two-way base.
    n_leads : int, optional
        Event times before treatment in the event study. By default as many as there are after it,
        at most 10, and at most half of the periods before a unit's treatment; 0 for none.
    max_fits : int
        Where there are more clusters, and the base is not two-way, groups of clusters are left
        out together.

    Raises
    ------
    DataError
        For settings that do not exist.
    """

    target: Target = "sample"
    variance: Variance = "jackknife"
    n_leads: int | None = None
    max_fits: int = 50

    def __post_init__(self) -> None:
        for name, kinds in (("target", Target), ("variance", Variance)):
            if getattr(self, name) not in get_args(kinds):
                raise DataError(
                    f"{name} is {getattr(self, name)!r}", " or ".join(map(repr, get_args(kinds)))
                )
        if self.n_leads is not None and self.n_leads < 0:
            raise DataError(f"n_leads is {self.n_leads}", "a whole number from 0 upwards")
        if self.max_fits < 2 * MIN_CLUSTERS:
            raise DataError(f"max_fits is {self.max_fits}", f"at least {2 * MIN_CLUSTERS}")


@dataclass(frozen=True, eq=False)
class ClusteredEffects:
    """Average effects with cluster-robust inference; influence values are those of units.

    Parameters
    ----------
    att : Estimate
        One entry, "ATT". Its details hold the standard errors of both targets.
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
        Worker processes; the result does not depend on it.
    progress : callable

    Raises
    ------
    DataError
        With fewer than two treated clusters or five in all, or the influence formula for a base
        that is not two-way.
    NotIdentifiedError
        If no treated cell has an untreated outcome that the base can tell.
    """
    require_panel(panel)
    base, inference = base or TwoWay(), inference or ClusterInference()
    if inference.variance == "influence" and not isinstance(base, TwoWay):
        raise DataError(
            f"the influence formula was asked for with the base '{base.name}'",
            "the two-way base, whose weights are known", "Take variance='jackknife'.",
        )  # fmt: skip
    view = panel_view(panel, inference.n_leads)
    fit = fit_panel(view, base)
    cells = effect_cells(panel.first, view.weight, np.isfinite(fit.effects))
    own = np.arange(len(panel)) if panel.clusters is None else panel.clusters
    clusters = Clusters.of(own, cells)
    notes = (*_lost_cells(view, cells), *_few_clusters(clusters))
    if not fit.equations:
        clusters = clusters.merged(inference.max_fits, random_state)
    left = sums_without(view, base, fit, cells, clusters.code, n_jobs, progress)
    scores = _Scores(view, fit, cells, clusters, left)
    asked = targets(cells, panel.periods)
    about = _about(panel, base, notes)
    att, by_cohort, event_study = (
        _estimate(t, name, scores, inference, level, about)
        for name, t in zip(ESTIMANDS, asked, strict=True)
    )
    return ClusteredEffects(att, by_cohort, event_study, fit.untreated, fit.leads, notes)


def panel_view(panel: PanelData, n_leads: int | None = None) -> PanelView:
    """What fits need of a panel, its leads included; see :class:`ClusterInference`."""
    weight = np.ones(len(panel)) if panel.weights is None else panel.weights
    known = panel.untreated
    cells = PanelCells(np.where(known, panel.y, np.nan), panel.x, known, panel.time)
    after = panel.shape[1] - panel.first[~panel.is_control].min()
    most = min(after, MOST_LEADS) if n_leads is None else n_leads
    own = np.minimum(most, panel.first // 2 if n_leads is None else panel.first - 1)
    event = panel.event_time
    leads = known & ~panel.is_control[:, None] & (event < 0) & (event >= -own[:, None])
    return PanelView(cells, panel.y, panel.observed & panel.treated, leads, weight)


def _lost_cells(view: PanelView, cells: EffectCells) -> list[str]:
    """Treated cells without an effect, in words.

    Raises
    ------
    NotIdentifiedError
        If all are.
    """
    asked = int((view.treated & (view.weight > 0)[:, None]).sum())
    found = int((cells.event[cells.group] >= 0).sum())
    if not found:
        raise NotIdentifiedError(
            "No treated cell has an untreated outcome that the base can tell; expected units that "
            "are not treated yet in the same periods, and periods before treatment. Leave out "
            "periods in which everyone is treated."
        )
    if found == asked:
        return []
    return [
        f"{asked - found:,} of {asked:,} treated cells are left out: no chain of untreated cells "
        "links their unit and period, and their untreated outcome is not identified."
    ]


def _few_clusters(clusters: Clusters) -> list[str]:
    """Warnings about few clusters.

    Raises
    ------
    DataError
        With fewer than two treated clusters, or five in all.
    """
    if clusters.n < MIN_CLUSTERS or clusters.n_treated < 2:
        raise DataError(
            f"there are {clusters.n} clusters, {clusters.n_treated} of them with treated units",
            f"at least {MIN_CLUSTERS}, 2 of them treated",
            "With fewer, intervals must rest on placebos among the controls.",
        )
    notes = []
    if clusters.n_treated < FEW_TREATED:
        notes.append(
            f"Few treated clusters: {clusters.n_treated}; their spread is estimated from so few, "
            "and the t intervals are wide for it."
        )
    if clusters.n < FEW_CLUSTERS:
        notes.append(
            f"Few clusters: {clusters.n}; with fewer than {FEW_CLUSTERS} cluster-robust intervals "
            "tend to be too narrow."
        )
    return notes


def _about(panel: PanelData, base: PanelBase, notes: tuple[str, ...]) -> dict[str, Any]:
    """What all estimates of a panel have in common."""
    trends = (
        "parallel trends: without treatment, outcomes would be unit effects, period effects and "
        "the part of the covariates, plus errors with mean zero"
    )
    if not isinstance(base, TwoWay):
        trends = f"without treatment, outcomes would be as the base says ({base.name})"
    return {
        "row_ids": panel.units,
        "fingerprint": panel.fingerprint,
        "method": f"imputation, {base.name}",
        "n": len(panel),
        "warnings": notes,
        "assumptions": (
            trends,
            "no effect before treatment begins",
            "no effect of treated units on others",
            "clusters are independent of each other",
        ),
    }


ESTIMANDS = ("ATT", "ATT by cohort", "ATT by event time")
POPULATIONS = {
    "sample": "the treated cells of the sample",
    "population": "treated cells of units like these",
}


@dataclass(frozen=True, eq=False)
class _Scores:
    """Everything that variances are made of."""

    view: PanelView
    fit: PanelFit
    cells: EffectCells
    clusters: Clusters
    left: tuple[Array, Array]

    def differences(self, asked: Targets, how: ClusterInference) -> tuple[Array, Codes]:
        """What each cluster does to each average, (G, p), and the strata of clusters."""
        sample = how.target == "sample"
        stratum = self.clusters.strata(by_cohort=sample)
        if how.variance == "influence":
            return self._influence(asked, sample), stratum
        whole = asked.values(*self.cells.sums(self.fit.effects))
        without = asked.values_left(*self.left, fixed_shares=sample)
        return scaled(whole - without, stratum), stratum

    def _influence(self, asked: Targets, sample: bool) -> Array:
        """Sums of v e within clusters, (G, p)."""
        columns = []
        for member in asked.member:
            w = np.where(member[self.cells.group], self.cells.weight, 0.0)
            w /= w.sum()
            after = (self.cells.event[member] >= 0).all()
            equations = self.fit.equations[0 if after else -1]
            error = np.where(equations.seen, equations.effects(), 0.0)
            value = np.sum(equations.weights(self.cells, w) * error, axis=1)
            direct = w * (self._tau - self._centre(w, sample))
            value += np.bincount(self.cells.unit, direct, len(value))
            columns.append(np.bincount(self.clusters.code, value))
        return np.column_stack(columns)

    @property
    def _tau(self) -> Array:
        return self.fit.effects[self.cells.unit, self.cells.period]

    def _centre(self, w: Array, sample: bool) -> Array:
        """What effects are measured from: means of groups, clusters weighed by their weight."""
        if not sample:
            return np.full(len(w), w @ self._tau)
        n_groups = len(self.cells.event)
        pair = self.clusters.code[self.cells.unit] * n_groups + self.cells.group
        distinct, place = np.unique(pair, return_inverse=True)
        share, total = np.bincount(place, w), np.bincount(place, w * self._tau)
        group = distinct % n_groups
        power = np.bincount(group, share**2, n_groups)
        mean = np.divide(
            np.bincount(group, share * total, n_groups), power,
            out=np.zeros(n_groups), where=power > 0,
        )  # fmt: skip
        return np.asarray(mean[self.cells.group])


def _estimate(
    asked: Targets,
    estimand: str,
    scores: _Scores,
    how: ClusterInference,
    level: float,
    about: dict[str, Any],
) -> Estimate:
    """The record of some averages."""
    code = scores.clusters.code
    differences, stratum = scores.differences(asked, how)
    influence = unit_influence(differences, code)
    df = degrees_of_freedom(differences, stratum)
    other = replace(how, target="population" if how.target == "sample" else "sample")
    errors = {
        which.target: np.sqrt((scores.differences(asked, which)[0] ** 2).sum(axis=0)).tolist()
        for which in (how, other)
    }
    return Estimate(
        values=asked.values(*scores.cells.sums(scores.fit.effects)),
        cov=influence_covariance(influence, code),
        labels=asked.labels,
        influence=influence,
        estimand=estimand,
        population=POPULATIONS[how.target],
        level=level,
        df=float(df[0]) if np.ptp(df) == 0 else df,
        clusters=code,
        details={
            "variance": how.variance,
            "n_clusters": scores.clusters.n,
            "n_treated_clusters": scores.clusters.n_treated,
            "std_error_sample": errors["sample"],
            "std_error_population": errors["population"],
        },
        **about,
    )
