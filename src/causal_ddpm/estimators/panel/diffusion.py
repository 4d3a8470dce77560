r"""Effects on the treated units of a panel, with the law of what would have been.

    y_it(0) = base_it + e_it

The base is a regression of untreated outcomes, chosen on controls that are hidden as the treated
units are (:mod:`causal_ddpm.nuisance.panel.choose`). Its errors on the panel's own placebos
(:mod:`causal_ddpm.estimators.panel.placebos`) teach the scale of a unit's errors and the law of
their path, a vector diffusion or a plain law by held-out score
(:mod:`causal_ddpm.estimators.panel.error_law`). The law is learnt once; a placebo refits the base
only. Draws of paths are stretched by what the placebos tell (few treated units, ``inference``
"placebos") or by the clustered standard error of the ATT (from ten treated clusters on,
"clusters"), and everything else is read off them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.panel_data import PanelData, require_panel
from causal_ddpm.core.progress import Progress, silent, within
from causal_ddpm.core.random import Seed, integer_seed, seed_sequence
from causal_ddpm.core.reported import Account, reported_estimate
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.estimators.panel.averages import Averages, averages
from causal_ddpm.estimators.panel.bands import Bands, clustered_bands, placebo_bands
from causal_ddpm.estimators.panel.clustered import (
    ESTIMANDS,
    ClusteredEffects,
    ClusterInference,
    clustered_effects,
)
from causal_ddpm.estimators.panel.conformal import Stretch
from causal_ddpm.estimators.panel.effect import BaseRecord, PanelEffect
from causal_ddpm.estimators.panel.error_law import fit_error_law
from causal_ddpm.estimators.panel.leads import lead_panel
from causal_ddpm.estimators.panel.placebo_coverage import Measured, measure, placebo_record
from causal_ddpm.estimators.panel.placebos import (
    MIN_DONORS,
    Paths,
    panel_paths,
    root_mean_square,
    untreated_cells,
)
from causal_ddpm.estimators.panel.tables import (
    Counterfactual,
    cumulative_table,
    fan_table,
    path_table,
    quantile_table,
    unit_effect_table,
    unit_path_table,
)
from causal_ddpm.nuisance.panel.base import PanelBase
from causal_ddpm.nuisance.panel.choose import choose_base
from causal_ddpm.nuisance.panel.completion import two_way_tables
from causal_ddpm.nuisance.panel.two_way import TwoWay

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

MANY_TREATED = 10
"""Treated clusters from which on clusters tell standard errors."""

MANY_TARGETS = 50
"""Treated units above which weights or loadings for each of them would take too long."""

EXACT = 1e-13
"""Errors of controls below so many times their largest outcome are rounding errors."""

SHORT_PAST = 5
FEW_DONORS = 10
_MANY_DRAWS = 250_000
_FEW_UNIT_DRAWS = 100

ASSUMPTIONS = (
    "no effect before treatment begins",
    "no effect of treated units on controls",
    "controls hidden like the treated units are predicted as badly as these would be",
)


@dataclass(frozen=True)
class PanelDiffusion:
    """Settings of the estimator; estimating leaves them untouched.

    Parameters
    ----------
    base : "auto" or PanelBase
        The regression of untreated outcomes; "auto" chooses by cross-validation on controls.
    diffusion : DiffusionSettings or None
        Of the law of the error path; None leaves the diffusion out and keeps the plain laws.
    n_draws : int
        Draws of the untreated mean path.
    level : float
        Of all intervals and bands.
    inference : {"auto", "placebos", "clusters"}
        Where intervals of averages come from; "auto" takes clusters from ten treated ones on.
    clustered : ClusterInference
        How clusters tell standard errors, where they do.
    leads : bool
        Whether to add placebos in time to the event study.

    Raises
    ------
    DataError
        For settings out of range.
    """

    base: Literal["auto"] | PanelBase = "auto"
    diffusion: DiffusionSettings | None = field(default_factory=DiffusionSettings)
    n_draws: int = 2000
    level: float = 0.9
    inference: Literal["auto", "placebos", "clusters"] = "auto"
    clustered: ClusterInference = field(default_factory=ClusterInference)
    leads: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.base, str) and self.base != "auto":
            raise DataError(f"base is {self.base!r}", "'auto' or a base such as TwoWay()")
        if not 0 < self.level < 1:
            raise DataError(f"the level is {self.level}", "a number between 0 and 1, such as 0.9")
        if self.n_draws < 100:
            raise DataError(f"n_draws is {self.n_draws}", "at least 100")
        if self.inference not in ("auto", "placebos", "clusters"):
            raise DataError(f"inference is {self.inference!r}", "'auto', 'placebos' or 'clusters'")

    @property
    def name(self) -> str:
        """What tables call it."""
        return "panel diffusion"

    def estimate(
        self,
        panel: PanelData,
        random_state: Seed = 0,
        n_jobs: int = 1,
        progress: Progress = silent,
    ) -> PanelEffect:
        """Effects on the treated units.

        Parameters
        ----------
        panel : PanelData
        random_state : int, SeedSequence or None
            Root of every random draw.
        n_jobs : int
            Worker processes; the result does not depend on it.
        progress : callable

        Raises
        ------
        DataError
            With fewer than three controls.
        NotIdentifiedError
            If no treated cell has an untreated outcome that the base can tell.
        """
        require_panel(panel)
        seed = seed_sequence(random_state)
        many = self._many(panel)
        _refuse_few_controls(panel, many)
        progress("choice of the base", 0.0)
        base, chosen = self._base(panel, seed_sequence(seed, "base"))
        told, rest = within(progress, 0.35, 0.9), within(progress, 0.9, 1.0)
        c = self._counterfactual(panel, base, many, seed, n_jobs, told)
        measured = measure(c.law, self.level)
        c = replace(c, cell_stretch=measured.cell, average_stretch=measured.average)
        clustered = None
        if many:
            clustered = clustered_effects(
                panel, base, self.clustered, self.level,
                integer_seed(seed, "clusters"), n_jobs, rest,
            )  # fmt: skip
            c = replace(c, bands=self._cluster_bands(c, clustered, seed))
        lead = None
        if self.leads and not many:
            lead = self._lead(panel, base, seed_sequence(seed, "leads"), n_jobs, rest)
        return self._effect(c, measured, chosen, clustered, lead)

    # -- steps -----------------------------------------------------------------------------
    def _many(self, panel: PanelData) -> bool:
        own = panel.units if panel.clusters is None else panel.clusters
        n_treated = len(np.unique(own[~panel.is_control]))
        if self.inference == "auto":
            return n_treated >= MANY_TREATED
        return self.inference == "clusters"

    def _base(self, panel: PanelData, seed: np.random.SeedSequence) -> tuple[PanelBase, BaseRecord]:
        """The base and the record of its choice."""
        if not isinstance(self.base, str):
            return self.base, _only(self.base, "It was given.")
        n_treated = int((~panel.is_control).sum())
        if n_treated > MANY_TARGETS:
            return TwoWay(), _only(
                TwoWay(), f"{n_treated:,} treated units are more than {MANY_TARGETS}, above which "
                "bases with weights for each of them are not tried; give one as base to have it.",
            )  # fmt: skip
        if controls_move_together(panel):
            return TwoWay(), _only(TwoWay(), "Never treated units move exactly together.")
        chosen = choose_base(untreated_cells(panel), seed)
        rows = [(r.name, r.rmse, r.std_error, r.weight) for r in chosen.candidates]
        rows = rows or [(chosen.base.name, np.nan, np.nan, 1.0)]
        table = pd.DataFrame(rows, columns=["candidate", "error", "std_error", "weight"])
        return chosen.base, BaseRecord(chosen.base.name, table, chosen.reason, chosen.base)

    def _counterfactual(
        self,
        panel: PanelData,
        base: PanelBase,
        many: bool,
        seed: np.random.SeedSequence,
        n_jobs: int,
        progress: Progress,
        moved: Codes | None = None,
    ) -> Counterfactual:
        """Placebos, the law of errors, and draws of the treated units' errors.

        ``moved`` says by how many periods treatment is pretended to begin earlier.
        """
        told, rest = within(progress, 0.0, 0.2), within(progress, 0.2, 1.0)
        own, placebos = panel_paths(panel, base, many, seed, n_jobs, told)
        law = fit_error_law(placebos, _spread(panel), self.diffusion, seed, n_jobs, rest)
        n_draws = self.n_draws
        if many:
            n_draws = int(np.clip(_MANY_DRAWS // len(own), _FEW_UNIT_DRAWS, self.n_draws))
        draws = law.draws(own, n_draws)
        if many:
            draws = draws - draws.mean(axis=1, keepdims=True)
        asked = _averages(panel, own, moved)
        bands = Bands({}, {}, {}) if many else placebo_bands(law, asked, draws)
        plain = Stretch(1.0, self.level, self.level)
        return Counterfactual(
            panel, own, law.placebos, law, draws, asked, bands, plain, plain, self.level
        )

    def _cluster_bands(
        self, c: Counterfactual, clustered: ClusteredEffects, seed: np.random.SeedSequence
    ) -> Bands:
        return clustered_bands(
            c.averages, c.draws, float(clustered.att.std_error), self.n_draws, seed
        )

    def _lead(
        self,
        panel: PanelData,
        base: PanelBase,
        seed: np.random.SeedSequence,
        n_jobs: int,
        progress: Progress,
    ) -> Counterfactual | None:
        """Placebos in time, under a plain law; None where the past is too short."""
        earlier = lead_panel(panel)
        if earlier is None:
            return None
        plain = replace(self, diffusion=None)
        part, moved = earlier
        return plain._counterfactual(part, base, False, seed, n_jobs, progress, moved)

    # -- the record ------------------------------------------------------------------------
    def _effect(
        self,
        c: Counterfactual,
        measured: Measured,
        base: BaseRecord,
        clustered: ClusteredEffects | None,
        lead: Counterfactual | None,
    ) -> PanelEffect:
        panel, many = c.panel, clustered is not None
        if clustered is None:
            att, by_cohort, event_study = _placebo_estimates(c, lead, base.name)
        else:
            parts = clustered.att, clustered.by_cohort, clustered.event_study
            att, by_cohort, event_study = (
                replace(part, method=f"panel diffusion, {base.name}") for part in parts
            )
        notes = (*_notes(c, self.inference, many), *(clustered.notes if clustered else ()))
        path = path_table(c)
        centre = (c.observed - c.gap("period"))[None]
        before = c.own.before
        return PanelEffect(
            outcome=panel.outcome_name, unit=panel.unit_name, period=panel.period_name,
            fingerprint=panel.fingerprint, method=f"panel diffusion, {base.name}",
            inference="clusters" if many else "placebos", level=self.level,
            n_units=len(panel), n_periods=panel.shape[1], n_treated=len(c.own),
            n_controls=int(panel.is_control.sum()), att=att, by_cohort=by_cohort,
            event_study=event_study, path=path, fan=fan_table(c), unit_paths=unit_path_table(c),
            unit_effects=unit_effect_table(c), cumulative=cumulative_table(c),
            quantiles=quantile_table(c),
            draws=centre + c.bands.error_draws("period", self.level),
            draw_periods=tuple(panel.periods[c.averages.periods]),
            placebo=placebo_record(panel, c.own, c.law, measured, self.level, many),
            base=base, law=c.law.words,
            pre_fit_error=float(root_mean_square(c.own.gap[before][None])[0]),
            notes=notes, assumptions=ASSUMPTIONS, details=_details(c),
        )  # fmt: skip


def _only(base: PanelBase, why: str) -> BaseRecord:
    """The record of a base that was not compared with others."""
    row = {"candidate": [base.name], "error": [np.nan], "std_error": [np.nan], "weight": [1.0]}
    return BaseRecord(base.name, pd.DataFrame(row), why, base)


def _spread(panel: PanelData) -> float:
    return float(np.nanstd(panel.y[panel.untreated]))


def _averages(panel: PanelData, own: Paths, moved: Codes | None) -> Averages:
    weight = np.ones(len(panel)) if panel.weights is None else panel.weights
    return averages(own.error, own.first, weight[own.unit], moved)


def _refuse_few_controls(panel: PanelData, many: bool) -> None:
    """Refuse panels whose controls cannot be placebos for each other."""
    n = int(panel.is_control.sum())
    if n < MIN_DONORS and not many:
        raise DataError(
            f"{n} {'unit is' if n == 1 else 'units are'} never treated",
            f"at least {MIN_DONORS}, so that each can be a placebo for the others",
            "Add controls: with fewer, no uncertainty can be told from the panel.",
        )


def controls_move_together(panel: PanelData) -> bool:
    """Whether never treated units differ from unit and period effects by rounding errors only."""
    known = panel.observed[panel.is_control].any(axis=0)
    y, seen = panel.y[panel.is_control][:, known], panel.observed[panel.is_control][:, known]
    if len(y) < 2 or not seen.any():
        return False
    errors = (y - two_way_tables(y, seen[None])[0])[seen]
    return bool(np.abs(errors).max() <= EXACT * np.abs(y[seen]).max())


def _placebo_estimates(
    c: Counterfactual, lead: Counterfactual | None, base: str
) -> tuple[Estimate, Estimate, Estimate]:
    """ATT, cohorts and event times with the intervals that placebo groups tell."""
    labels = {
        "att": ["ATT"], "cohort": [str(p) for p in c.panel.periods[c.averages.cohorts]],
        "event": [str(k) for k in c.averages.events],
    }  # fmt: skip
    made = []
    for name, family in zip(ESTIMANDS, labels, strict=True):
        draws = c.effect_draws(family)
        ends, names = c.effect_interval(family, c.level), labels[family]
        if family == "event" and lead is not None:
            early = lead.effect_draws("event")
            draws = np.hstack([early, draws])
            ends = tuple(  # type: ignore[assignment]
                np.concatenate(pair)
                for pair in zip(lead.effect_interval("event", c.level), ends, strict=True)
            )
            names = [str(k) for k in lead.averages.events] + names
        about = Account(
            name, "the treated cells of the panel", f"panel diffusion, {base}", len(c.panel),
            c.panel.fingerprint, assumptions=ASSUMPTIONS,
        )  # fmt: skip
        cov = np.atleast_2d(np.cov(draws, rowvar=False))
        estimate = reported_estimate(about, draws.mean(axis=0), cov, names, ends, c.level)
        made.append(replace(estimate, bootstrap=draws))
    return made[0], made[1], made[2]


def _notes(c: Counterfactual, asked: str, many: bool) -> list[str]:
    """What departs from the ordinary, and what was done."""
    own, panel = c.own, c.panel
    notes = list(panel.notes)
    n_before = own.before.sum(axis=1)
    n_donors = len(np.unique(c.placebos.unit))
    if n_before.min() < SHORT_PAST:
        notes.append(
            f"Short past: {int(n_before.min())} periods before treatment, fewer than {SHORT_PAST}; "
            "donor weights and factors cannot be told from so few, and the base is close to unit "
            "and period effects."
        )
    if n_donors < FEW_DONORS:
        notes.append(
            f"Few controls: {n_donors}, fewer than {FEW_DONORS}; placebos tell levels up to "
            f"{n_donors / (n_donors + 1):.0%} only, and beyond that the law of errors goes on."
        )
    lost = int((panel.observed & panel.treated).sum() - np.isfinite(own.error).sum())
    if lost:
        notes.append(f"{lost:,} treated cells are left out: the base cannot tell them.")
    gaps = int((~panel.observed).sum())
    if gaps:
        notes.append(
            f"{gaps:,} of {panel.observed.size:,} cells are not observed; averages are over the "
            "cells that are."
        )
    if len(np.unique(own.first)) > 1:
        notes.append(
            "Treatment begins in several periods: in the path by period the units change as more "
            "of them are treated; the event study holds time since treatment fixed."
        )
    if many and asked == "auto":
        notes.append(
            f"{MANY_TREATED} or more treated clusters: intervals of averages are clustered; "
            "placebos calibrate what is said of single units."
        )
    return notes


def _details(c: Counterfactual) -> Mapping[str, Any]:
    factors = {family: c.bands.stretch(family, c.level).factor for family in c.averages.weights}
    return {
        "law": c.law.details, "stretch": factors, "cell_stretch": c.cell_stretch.factor,
        "cell_stretch_told_at": c.cell_stretch.told,
    }  # fmt: skip
