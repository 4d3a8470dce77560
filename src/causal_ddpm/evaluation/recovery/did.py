r"""The historic difference-in-differences experiment: what diffusion models recover of it.

Two information sets, reported apart and never mixed:

    H   all units before treatment: what follows is identified through a stated line in time only
    D   all untreated cells: controls after treatment show what periods do

In each the plain model (diffusion of y given unit indicators, period and x) and the recommended
one (diffusion of the residuals of least squares: unit effects, line and x in H, unit and period
effects and x in D). A second world has the same units, covariates and noise, but its trend bends
for everybody when treatment starts. Before treatment the two worlds agree in every digit, so
whatever learns from H predicts the same in both.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.dgp.did import DifferenceInDifferences
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.evaluation.recovery.did_record import INFORMATION, DIDRecovery
from causal_ddpm.evaluation.recovery.historic import HistoricDID
from causal_ddpm.evaluation.recovery.panel_reading import (
    KnownPanel,
    PanelReading,
    View,
    read_panel,
    true_view,
    view_of_base,
    view_of_law,
)
from causal_ddpm.evaluation.recovery.panel_sections import Yardstick, panel_sections
from causal_ddpm.evaluation.recovery.report import Recovery
from causal_ddpm.nuisance.panel.base import PanelBase
from causal_ddpm.nuisance.panel.cells import PanelCells
from causal_ddpm.nuisance.panel.end_to_end import EndToEndPanelModel
from causal_ddpm.nuisance.panel.law import PanelLaw, PanelModel
from causal_ddpm.nuisance.panel.residual_law import ResidualPanelModel
from causal_ddpm.nuisance.panel.two_way import TwoWay
from causal_ddpm.nuisance.panel.unit_trend import UnitTrend

Design = DifferenceInDifferences | HistoricDID

MODELS = ("plain", "recommended")
N_REPLICATES = 30
TREND_BREAK = 0.02

_BASES: Mapping[str, PanelBase] = {"H": UnitTrend(), "D": TwoWay()}


def recover_did(
    design: Design | None = None,
    random_state: Seed = 0,
    *,
    models: tuple[str, ...] = MODELS,
    information: tuple[str, ...] = ("H", "D"),
    trend_break: float | None = None,
    n_replicates: int = N_REPLICATES,
    diffusion: DiffusionSettings | None = None,
    progress: Progress = silent,
) -> DIDRecovery:
    """Fit diffusion models to a difference-in-differences panel and compare with its process.

    Parameters
    ----------
    design : HistoricDID or DifferenceInDifferences, optional
        The historic panel with noise of sd 0.1 by default.
    random_state : int, SeedSequence or None
        Of the draw, the fits, and everything read.
    models : tuple of {"plain", "recommended"}
    information : tuple of {"H", "D"}
    trend_break : float, optional
        Slope added to everybody's trend from the start of treatment on, in the second world: the
        design's own by default, or 0.02; 0 leaves that world out. The first world has none.
    n_replicates : int
        Panels with fresh noise behind the allowances.
    diffusion : DiffusionSettings, optional
        Of both models; each has its own recipe for what is left open.
    progress : callable, optional

    Returns
    -------
    DIDRecovery

    Raises
    ------
    DataError
        For a design of another family, an unknown model or information set, or fewer than three
        replicates.
    """
    design = HistoricDID() if design is None else design
    _check(design, models, information, n_replicates)
    root, settings = seed_sequence(random_state), diffusion or DiffusionSettings()
    bend = (design.trend_break or TREND_BREAK) if trend_break is None else trend_break
    worlds = {False: replace(design, trend_break=0.0)}
    if bend:
        worlds[True] = replace(design, trend_break=bend)
    with threadpool_limits(limits=1):
        known = {k: KnownPanel.of(d.draw(seed=root)) for k, d in worlds.items()}
        ruled = KnownPanel.of(_parallel(worlds[False]).draw(seed=root))
        rulers = {i: _yardstick(ruled, i, n_replicates, root) for i in information}
        asked = [(b, i, m) for b in worlds for i in information for m in models]
        memory: list[_Fit] = []
        found: dict[bool, dict[tuple[str, str], Recovery]] = {b: {} for b in worlds}
        for step, (broken, i, model) in enumerate(asked):
            progress(f"{model} model, {i}", step / len(asked))
            fit = _fitted(memory, known[broken].cells(i), (i, model), settings, root)
            found[broken][i, model] = _recovery(worlds[broken], known[broken], fit, rulers[i], root)
    progress("recovery", 1.0)
    return DIDRecovery(
        design=design.name,
        equations=worlds[False].truth().equations,
        recoveries=found[False],
        broken=found.get(True, {}),
        least_squares_percent={i: r.att_percent for i, r in rulers.items()},
        trend_break=bend,
        seed=int(random_state) if isinstance(random_state, int | np.integer) else None,
    )


@dataclass(frozen=True, eq=False)
class _Fit:
    """A fitted model and what it was fitted to; ``key`` is information set and model."""

    key: tuple[str, str]
    name: str
    cells: PanelCells
    law: PanelLaw
    seconds: float


def _fitted(
    memory: list[_Fit],
    cells: PanelCells,
    key: tuple[str, str],
    settings: DiffusionSettings,
    root: Seed,
) -> _Fit:
    """The fit of a model to cells; one to the same cells, bit by bit, is not made again."""
    for fit in memory:
        same = np.array_equal(fit.cells.outcome, cells.outcome, equal_nan=True)
        if fit.key == key and same:
            return fit
    information, name = key
    model: PanelModel = EndToEndPanelModel(settings)
    if name == "recommended":
        model = ResidualPanelModel(_BASES[information], settings)
    start = time.process_time()
    law = model.fit(cells, seed_sequence(root, "fit", *key))
    fit = _Fit(key, model.name, cells, law, time.process_time() - start)
    memory.append(fit)
    return fit


def _parallel(design: Design) -> Design:
    """The design for which least squares is correctly specified: without diverging trends."""
    return design if isinstance(design, HistoricDID) else replace(design, divergence=0.0)


def _yardstick(known: KnownPanel, information: str, n_replicates: int, root: Seed) -> Yardstick:
    """Least squares with the same information on fresh noise."""
    readings = []
    for r in range(n_replicates):
        world = known.again(stream(root, "replicate", r))
        seed = seed_sequence(root, "reading", r)
        readings.append(
            read_panel(view_of_base(_BASES[information], world, information, seed), world)
        )
    return Yardstick(read_panel(true_view(known), known.without_noise()), readings,
                     float(known.outcome.std()))  # fmt: skip


def did_design(name: str) -> Design | None:
    """The difference-in-differences design of a name; None for designs of other families.

    "did-historic" is :class:`HistoricDID`, the others are those of the catalogue.

    Raises
    ------
    DataError
        If there is no design of that name.
    """
    if name == HistoricDID.name:
        return HistoricDID()
    design = design_by_name(name)
    return design if isinstance(design, DifferenceInDifferences) else None


def _recovery(
    design: Design, known: KnownPanel, fit: _Fit, yardstick: Yardstick, root: Seed
) -> Recovery:
    start = time.process_time()
    reading = read_panel(view_of_law(fit.law, known, seed_sequence(root, "reading")), known)
    sections = panel_sections(reading, _truth(known), _real(known), yardstick)
    return Recovery(
        design=design.name,
        model=fit.name,
        n=int(fit.cells.observed.sum()),
        sections=sections,
        n_generated=known.treated.size,
        n_replicates=len(yardstick.replicates),
        equations=design.truth().equations,
        seconds={"fit": fit.seconds, "read": time.process_time() - start},
    )


def _truth(known: KnownPanel) -> PanelReading:
    return read_panel(true_view(known), known.without_noise())


def _real(known: KnownPanel) -> PanelReading:
    """The regression of the observed outcomes (the effect is in them, so nothing is added)."""
    untreated = known.untreated
    return read_panel(View(untreated, untreated, known.law.sd, None), known)


def _check(design: Any, models: tuple[str, ...], information: tuple[str, ...], n: int) -> None:
    if not isinstance(design, DifferenceInDifferences | HistoricDID):
        raise DataError(
            f"the design is a {type(design).__name__}", "a difference-in-differences design"
        )
    for name, asked, known in (
        ("model", models, MODELS),
        ("information", information, INFORMATION),
    ):
        wrong = [a for a in asked if a not in known]
        if wrong or not asked:
            found = f"'{wrong[0]}'" if wrong else "none"
            raise DataError(f"the {name} asked for is {found}", " or ".join(known))
    if n < 3:
        raise DataError(f"n_replicates is {n}", "at least 3")
