"""The effect of one panel by every method that applies, ours first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from causal_ddpm.baselines.base import Baseline
from causal_ddpm.baselines.panel.registry import PANEL_BASELINES, panel_baselines
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATT, Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.panel_data import PanelData, require_panel
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed
from causal_ddpm.estimators.panel.diffusion import PanelDiffusion
from causal_ddpm.estimators.panel.effect import PanelEffect
from causal_ddpm.evaluation.method_table import Method, MethodTable, ask

OWN = "diffusion"
LEVEL = 0.95


@dataclass(frozen=True, eq=False, repr=False)
class PanelComparison(MethodTable):
    """A :class:`~causal_ddpm.evaluation.method_table.MethodTable` of a panel's ATT."""

    def timed(self, seconds: float) -> PanelComparison:
        """The same table, whose own row took so many CPU seconds before it was made."""
        rows = tuple(replace(row, seconds=seconds) if row.own else row for row in self.rows)
        return replace(self, rows=rows)


@dataclass(frozen=True, eq=False)
class OwnMethod:
    """Our estimator as a row of the table.

    Parameters
    ----------
    effect : PanelEffect, optional
        What it has found already; otherwise it is run.
    """

    effect: PanelEffect | None = None
    name: ClassVar[str] = OWN
    title: ClassVar[str] = "Panel diffusion"
    assumes: ClassVar[str] = "controls hidden like treated units are predicted as badly as these"
    library: ClassVar[str] = "causal_ddpm"
    extra: ClassVar[str] = ""

    def applies(self, data: PanelData, estimand: Estimand) -> str | None:
        """Refusals of the estimator are its own."""
        return None

    def estimate(
        self, data: PanelData, estimand: Estimand, random_state: Seed = 0, level: float = LEVEL
    ) -> Estimate:
        """The ATT of the panel effect, with its fit before treatment."""
        effect = self.effect or PanelDiffusion(level=level).estimate(data, random_state)
        pre_fit = {"pre_fit": float(effect.pre_fit_error)}
        return replace(effect.att, details={**effect.att.details, **pre_fit})


def compare_panel(
    panel: PanelData,
    methods: Sequence[str | Baseline[PanelData]] | None = None,
    random_state: Seed = 0,
    level: float | None = None,
    effect: PanelEffect | None = None,
    progress: Progress = silent,
    n_jobs: int = 1,
) -> PanelComparison:
    """The average effect on the treated cells by several methods, on the same panel.

    Parameters
    ----------
    panel : PanelData
    methods : sequence of str or Baseline, optional
        Names, ``"diffusion"`` for ours, or adapters with settings of their own; by default ours
        and every method that ships.
    random_state : int, SeedSequence or None
    level : float, optional
        Of the intervals; that of ``effect``, or else 0.95.
    effect : PanelEffect, optional
        Our estimate, where it has been made already: it is then a row, and not made again.
    progress : callable
        Told the method and the share of the work that is done.
    n_jobs : int
        Worker processes, a method each; no answer depends on their number.

    Raises
    ------
    DataError
        If a name is unknown, ``effect`` belongs to another panel, or no method has an answer.

    Examples
    --------
    >>> table = compare_panel(panel, ["diffusion", "sdid", "sc"])  # doctest: +SKIP
    >>> table.frame(), table.verdict, table.left_out  # doctest: +SKIP
    """
    require_panel(panel)
    if effect is not None and effect.fingerprint != panel.fingerprint:
        raise DataError("the effect was estimated on another panel", "this one")
    asked = [OWN, *(m.name for m in PANEL_BASELINES)] if methods is None else list(methods)
    others: list[tuple[Method, bool]] = [
        (method, False) for method in panel_baselines([m for m in asked if m != OWN])
    ]
    own: list[tuple[Method, bool]] = (
        [(OwnMethod(effect), True)] if effect is not None or OWN in asked else []
    )
    if level is None:
        level = LEVEL if effect is None else effect.level
    rows = ask([*own, *others], panel, ATT(), random_state, level, progress, n_jobs)
    return PanelComparison(rows, ATT.name, panel.fingerprint, level)
