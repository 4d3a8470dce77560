"""Everything an analysis of a panel says: effect, placebos, diagnostics, other methods.

JSON files, terminal tables and reports are made from :class:`PanelAnalysis` and from nothing else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from causal_ddpm.baselines.base import Baseline
from causal_ddpm.baselines.panel.registry import panel_baselines
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import SCHEMA_VERSION
from causal_ddpm.core.panel_data import PanelData, require_panel
from causal_ddpm.core.panel_words import treatment_in_words
from causal_ddpm.core.progress import Progress, silent, within
from causal_ddpm.core.truth import Truth
from causal_ddpm.estimators.panel.diffusion import PanelDiffusion, controls_move_together
from causal_ddpm.estimators.panel.effect import PanelEffect
from causal_ddpm.evaluation.analysis import plain
from causal_ddpm.evaluation.panel.comparison import PanelComparison, compare_panel
from causal_ddpm.evaluation.panel.diagnose import PanelDiagnostics, diagnose_panel
from causal_ddpm.evaluation.provenance import Provenance, Source


@dataclass(frozen=True, eq=False)
class PanelAnalysis:
    """An analysis of a panel.

    Parameters
    ----------
    panel : PanelData
    source : Source
    effect : PanelEffect
        Ours, with its placebos.
    diagnostics : PanelDiagnostics
        Trends before treatment, sensitivity, donors, placebos in space and time.
    methods : PanelComparison or None
        What other methods say; None where they were left out.
    provenance : Provenance
    """

    panel: PanelData
    source: Source
    effect: PanelEffect
    diagnostics: PanelDiagnostics
    methods: PanelComparison | None
    provenance: Provenance

    @property
    def level(self) -> float:
        """Level of every interval and band."""
        return self.effect.level

    @property
    def truth(self) -> Truth | None:
        """What is true, when the rows are simulated."""
        return self.source.truth

    @property
    def outcome_label(self) -> str:
        """The outcome with its unit."""
        return self.source.labelled(self.panel.outcome_name)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done instead of the default, and why; each sentence once."""
        return tuple(dict.fromkeys([*self.panel.notes, *self.effect.notes]))

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON types; what is not finite becomes null."""
        panel = self.panel
        content = {
            "schema_version": SCHEMA_VERSION,
            "panel": {
                "units": panel.shape[0],
                "periods": [str(label) for label in panel.periods],
                "observed_cells": int(panel.observed.sum()),
                "treatment": treatment_in_words(panel),
                "covariates": panel.covariate_names,
                "weights": panel.weights_name,
                "clusters": panel.clusters_name,
                "left_out": panel.left_out,
                "fingerprint": panel.fingerprint,
            },
            "effect": self.effect.to_dict(),
            "diagnostics": self.diagnostics.to_dict(),
            "methods": None if self.methods is None else self.methods.to_dict(),
            "assumptions": self.effect.assumptions,
            "notes": self.notes,
            "simulated": None if self.truth is None else self.truth.to_dict(),
            "provenance": self.provenance.to_dict(),
        }
        return dict(plain(content))

    def to_json(self) -> str:
        """:meth:`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def analyse_panel(
    panel: PanelData,
    estimator: PanelDiffusion | None = None,
    methods: Sequence[str | Baseline[PanelData]] | None = None,
    source: Source | None = None,
    random_state: int = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> PanelAnalysis:
    """Estimate, diagnose, compare.

    Parameters
    ----------
    panel : PanelData
    estimator : PanelDiffusion, optional
    methods : sequence of str or Baseline, optional
        Other methods to ask, as in :func:`~causal_ddpm.evaluation.panel.comparison.compare_panel`;
        by default all that ship, and an empty sequence for none.
    source : Source, optional
        Where the rows come from, the unit of the outcome, the truth of a simulation.
    random_state : int
    n_jobs : int
        Worker processes; the result does not depend on it.
    progress : callable
        Told the stage and the share of the work that is done.

    Raises
    ------
    DataError, NotIdentifiedError
        With one sentence.
    """
    require_panel(panel)
    _refuse_no_errors(panel)
    estimator, source = estimator or PanelDiffusion(), source or Source()
    asked = None if methods is None else [m.name for m in panel_baselines(methods)]
    clock = time.perf_counter(), time.process_time()
    effect = estimator.estimate(panel, random_state, n_jobs, within(progress, 0.0, 0.6))
    own_seconds = time.process_time() - clock[1]
    found = diagnose_panel(
        panel, effect, effect.base.learner, random_state, n_jobs, within(progress, 0.6, 0.8)
    )
    compared = None
    if asked is None or asked:
        told = within(progress, 0.8, 1.0)
        compared = compare_panel(
            panel, methods, random_state, effect=effect, n_jobs=n_jobs, progress=told
        ).timed(own_seconds)
    seconds = time.perf_counter() - clock[0], time.process_time() - clock[1]
    settings = {**_settings(estimator), "methods": "all" if asked is None else asked}
    made = Provenance.now(source.name, panel.fingerprint, random_state, settings, seconds)
    progress("done", 1.0)
    return PanelAnalysis(panel, source, effect, found, compared, made)


def _refuse_no_errors(panel: PanelData) -> None:
    """Refuse panels whose controls have no errors, so that no placebo tells anything."""
    if controls_move_together(panel):
        raise DataError(
            f"never treated units move exactly together in '{panel.outcome_name}'",
            "outcomes that differ from unit and period effects",
            "Without errors there is nothing to tell an interval from; PanelDiffusion() or a "
            "difference in differences reads the effect off such a panel.",
        )


def _settings(estimator: PanelDiffusion) -> Mapping[str, Any]:
    """What else the numbers depend on."""
    base = estimator.base if isinstance(estimator.base, str) else estimator.base.name
    return {
        "base": base,
        "diffusion": estimator.diffusion is not None,
        "draws": estimator.n_draws,
        "level": estimator.level,
        "inference": estimator.inference,
    }
