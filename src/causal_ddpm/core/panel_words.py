"""A panel in words: its cells, who is treated when, and what was done about odd cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causal_ddpm.core.checks import shown

if TYPE_CHECKING:
    from causal_ddpm.core.panel_data import PanelData


def panel_in_words(panel: PanelData) -> str:
    """Several lines: size, treatment, outcome, covariates, notes."""
    n, periods = panel.shape
    cells = int(panel.observed.sum())
    full = "balanced" if panel.balanced else f"{n * periods - cells:,} not observed"
    lines = [
        f"PanelData: {n:,} units ({panel.unit_name}) x {periods:,} periods ({panel.period_name} "
        f"{panel.periods[0]} to {panel.periods[-1]}), {cells:,} cells, {full}",
        f"  treatment    {treatment_in_words(panel)}",
        f"  outcome      {panel.outcome_name}: {_outcome_in_words(panel)}",
    ]
    if panel.covariate_names:
        lines.append(f"  covariates   {shown(panel.covariate_names, 8)}")
    if panel.weights_name is not None:
        lines.append(f"  weights      {panel.weights_name}")
    if panel.clusters is not None:
        lines.append(f"  clusters     {panel.clusters_name}: {len(np.unique(panel.clusters)):,}")
    return "\n".join([*lines, *(f"  note         {text}" for text in panel.notes)])


def treatment_in_words(panel: PanelData) -> str:
    """One sentence: which units are treated from when on, and how many never."""
    controls = int(panel.is_control.sum())
    never = f"{controls:,} never treated"
    if not len(panel.cohorts):
        return never
    last = panel.shape[1]
    if len(panel.cohorts) == 1:
        g = int(panel.cohorts[0])
        who = panel.units[panel.first == g]
        named = str(who[0]) if len(who) == 1 else f"{len(who):,} units"
        return (
            f"treated from {panel.periods[g]} on: {named} ({_counted(g)} before, "
            f"{last - g:,} after); {never}"
        )
    groups = [f"{int((panel.first == g).sum()):,} from {panel.periods[g]}" for g in panel.cohorts]
    total = int((~panel.is_control).sum())
    return (
        f"treated: {total:,} units in {len(groups)} cohorts ({shown(groups, 6)}); the first has "
        f"{_counted(int(panel.cohorts[0]))} before it; {never}"
    )


def _counted(n: int) -> str:
    return "1 period" if n == 1 else f"{n:,} periods"


def _outcome_in_words(panel: PanelData) -> str:
    y = panel.y
    untreated = f"mean {y[panel.untreated].mean():.4g} untreated"
    seen = panel.observed & panel.treated
    return untreated + (f", {y[seen].mean():.4g} treated" if seen.any() else "")
