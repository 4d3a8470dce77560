"""Where a panel asks for caution: what was found, what was done about it, and why.

Each rule looks at the panel (and, where there is one, at the effect) and either says nothing or
gives one record with three clauses. The thresholds are conventions, written out beside the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from causal_ddpm.core.checks import shown
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.estimators.panel.effect import PanelEffect

SHORT_PAST, FEW_DONORS, FEW_CLUSTERS, SHORT_PANEL = 5, 10, 20, 4
"""Periods before treatment, controls, clusters, periods in all: fewer than these call for words."""

MUCH_MISSING, MOST_TREATED, OUTSIDE = 0.05, 0.5, 0.5
"""Shares of missing cells, of treated units, and of periods outside the range of controls."""


@dataclass(frozen=True)
class Caution:
    """One reason for caution.

    Parameters
    ----------
    rule : str
        Which rule speaks.
    found, done, why : str
        What was found; what was done, or should be; and why.
    """

    rule: str
    found: str
    done: str
    why: str

    @property
    def words(self) -> str:
        """One sentence."""
        return f"{self.rule.capitalize()} ({self.found}): {self.done}, since {self.why}."

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields, with the words."""
        return {**asdict(self), "words": self.words}


@dataclass(frozen=True)
class Cautions:
    """All reasons for caution.

    Parameters
    ----------
    items : tuple of Caution
    """

    items: tuple[Caution, ...]

    @property
    def rules(self) -> tuple[str, ...]:
        """Which rules spoke."""
        return tuple(item.rule for item in self.items)

    @property
    def words(self) -> str:
        """One sentence a rule."""
        return " ".join(item.words for item in self.items) or "No rule asks for caution."

    def frame(self) -> pd.DataFrame:
        """One row a rule that spoke: rule, found, done, why."""
        return pd.DataFrame(
            [asdict(item) for item in self.items], columns=["rule", "found", "done", "why"]
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {"items": [item.to_dict() for item in self.items], "words": self.words}


def cautions(panel: PanelData, effect: PanelEffect | None = None) -> Cautions:
    """Apply every rule.

    Parameters
    ----------
    panel : PanelData
    effect : PanelEffect, optional
        What was estimated on it; the rules about anticipation and about what was done use it.
    """
    found = [rule(panel, effect) for rule in RULES]
    return Cautions(tuple(item for item in found if item is not None))


def _short_past(panel: PanelData, effect: PanelEffect | None) -> Caution | None:
    past = panel.untreated[~panel.is_control].sum(axis=1)
    if past.min() >= SHORT_PAST:
        return None
    units = int((past < SHORT_PAST).sum())
    done = "donor weights and factors are not to be trusted, and differences in trends lead"
    if effect is not None:
        done = f"the base is '{effect.base.name}', and synthetic control is the weaker comparison"
    return Caution(
        "short past",
        f"{_units(units)} fewer than {SHORT_PAST} observed periods before treatment, the fewest "
        f"{int(past.min())}",
        done, "so short a past is matched by chance and tells little about trends",
    )  # fmt: skip


def _few_donors(panel: PanelData, effect: PanelEffect | None) -> Caution | None:
    n = int(panel.is_control.sum())
    if n >= FEW_DONORS:
        return None
    return Caution(
        "few donors", f"{n} never treated {'unit' if n == 1 else 'units'}",
        f"placebo p-values cannot fall below {1 / (1 + n):.2g} and bands lean on a law of errors",
        f"fewer than {FEW_DONORS} placebos say little about the tails of the errors",
    )  # fmt: skip


def _one_treated(panel: PanelData, effect: PanelEffect | None) -> Caution | None:
    treated = np.flatnonzero(~panel.is_control)
    if len(treated) != 1:
        return None
    return Caution(
        "one treated unit", str(panel.units[treated[0]]),
        "uncertainty comes from placebos among controls and not from a standard error",
        "one unit shows no sampling variation, and whatever else happened to it at that time is "
        "part of the effect",
    )  # fmt: skip


def _mostly_treated(panel: PanelData, effect: PanelEffect | None) -> Caution | None:
    share = 1 - float(panel.is_control.mean())
    if share <= MOST_TREATED:
        return None
    return Caution(
        "mostly treated", f"{share:.0%} of units are treated",
        f"counterfactuals of late periods lean on {int(panel.is_control.sum())} controls",
        "a comparison is as good as its smaller side",
    )  # fmt: skip


def _short_panel(panel: PanelData, effect: PanelEffect | None) -> Caution | None:
    n = panel.shape[1]
    after = n - int(panel.first[~panel.is_control].min())
    if n >= SHORT_PANEL and after > 1:
        return None
    found = f"{n} periods in all" if n < SHORT_PANEL else "one period after treatment"
    return Caution(
        "short panel", found, "effects that build up or fade are not told apart from their mean",
        "a path needs several periods",
    )  # fmt: skip


def _staggered(panel: PanelData, effect: PanelEffect | None) -> Caution | None:
    if len(panel.cohorts) < 2:
        return None
    return Caution(
        "staggered start", f"treatment starts in {len(panel.cohorts)} different periods",
        "treated cells are never used as controls, and effects are shown by time since treatment",
        "comparisons with units treated already would subtract their effects",
    )  # fmt: skip


def _missing(panel: PanelData, effect: PanelEffect | None) -> Caution | None:
    share = float((~panel.observed).mean())
    if share <= MUCH_MISSING:
        return None
    return Caution(
        "missing cells", f"{share:.0%} of cells have no outcome",
        "averages are over observed cells, and gaps are not filled",
        "units or periods may be missing for reasons that treatment changes",
    )  # fmt: skip


def _few_clusters(panel: PanelData, effect: PanelEffect | None) -> Caution | None:
    if panel.clusters is None:
        return None
    n = len(np.unique(panel.clusters))
    if n >= FEW_CLUSTERS:
        return None
    return Caution(
        "few clusters", f"{n} clusters", "intervals use t laws with few degrees of freedom",
        "standard errors from few clusters are too small on average",
    )  # fmt: skip


def _outside_range(panel: PanelData, effect: PanelEffect | None) -> Caution | None:
    """Treated units above all controls, or below all, in most periods before treatment."""
    if not panel.is_control.any():
        return None
    controls = np.where(panel.observed, panel.y, np.nan)[panel.is_control]
    known = np.isfinite(controls).any(axis=0)
    low, high = (f(controls[:, known], axis=0) for f in (np.nanmin, np.nanmax))
    treated = ~panel.is_control
    before = panel.untreated[treated][:, known]
    y = np.where(before, panel.y[treated][:, known], low)
    share = ((y < low) | (y > high)).sum(axis=1) / np.maximum(before.sum(axis=1), 1)
    if not (share > OUTSIDE).any():
        return None
    who = panel.units[treated][share > OUTSIDE]
    return Caution(
        "outside the range of controls",
        f"{panel.unit_name} {shown(who, 3)}, in most periods before treatment",
        "bases that match levels extrapolate, those that match changes lead",
        "no weighted mean of controls reaches a path beyond all of them",
    )  # fmt: skip


def _anticipation(panel: PanelData, effect: PanelEffect | None) -> Caution | None:
    """An effect in the last period before treatment."""
    if effect is None or "-1" not in effect.event_study.labels:
        return None
    at = effect.event_study.labels.index("-1")
    low, high = (np.atleast_1d(end)[at] for end in effect.event_study.interval())
    if low <= 0 <= high:
        return None
    value = effect.event_study.values[at]
    return Caution(
        "anticipation",
        f"an effect of {value:.3g} already in the last period before treatment, "
        f"{effect.event_study.level:.0%} interval {low:.3g} to {high:.3g}",
        "date the treatment from its announcement, or leave that period out, and compare",
        "units that act in advance, or spillovers, bend the path that the counterfactual is "
        "learnt from",
    )  # fmt: skip


def _units(n: int) -> str:
    return "1 treated unit has" if n == 1 else f"{n:,} treated units have"


Rule = Callable[[PanelData, PanelEffect | None], Caution | None]

RULES: Sequence[Rule] = (
    _one_treated, _short_past, _few_donors, _mostly_treated, _short_panel,
    _staggered, _outside_range, _anticipation, _missing, _few_clusters,
)  # fmt: skip
