"""Tables of an effect on a panel as formatted text, for a terminal and for a page."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from causal_ddpm.core.truth import Truth
from causal_ddpm.estimators.panel.effect import PanelEffect
from causal_ddpm.report import prose
from causal_ddpm.report.displays.periods import written

LONG = 12
"""At most so many cohorts, and so many event times, spread over all of them."""

_Row = tuple[str, float, float, float]


def effects_frame(effect: PanelEffect, truth: Truth | None = None) -> pd.DataFrame:
    """ATT, what it adds up to, cohorts (where there are several) and event times from 0 on.

    Returns
    -------
    DataFrame
        Columns Effect, Estimate, Interval and, where it is known, Truth.
    """
    rows = list(_rows(effect))
    places = prose.decimals((rows[0][3] - rows[0][2]) / 4)
    table = pd.DataFrame(
        {
            "Effect": [label for label, *_ in rows],
            "Estimate": [prose.number(value, places) for _, value, _, _ in rows],
            "Interval": [
                f"{prose.number(low, places)} to {prose.number(high, places)}"
                for _, _, low, high in rows
            ],
        }
    )
    if truth is None:
        return table
    known = [truth.sample.get(_truth_key(label)) for label in table["Effect"]]
    return table.assign(Truth=["" if v is None else prose.number(v, places) for v in known])


def _rows(effect: PanelEffect) -> Iterator[_Row]:
    """Label, value and interval of every row."""
    low, high = effect.att.interval(effect.level)
    yield "ATT", float(effect.att.value), float(low), float(high)
    last = effect.cumulative.to_dict("records")[-1]
    label = f"Sum up to {written(last['period'])}"
    yield label, float(last["effect"]), float(last["low"]), float(last["high"])
    if len(effect.by_cohort.labels) > 1:
        yield from _some(effect, "by_cohort", "Cohort {}")
    yield from _some(effect, "event_study", "Event time {}")


def _some(effect: PanelEffect, name: str, words: str) -> Iterator[_Row]:
    """At most LONG entries of an estimate, those before treatment left out."""
    estimate = getattr(effect, name)
    low, high = (np.atleast_1d(end) for end in estimate.interval(effect.level))
    kept = [j for j, label in enumerate(estimate.labels) if not _is_lead(name, label)]
    chosen = np.unique(np.linspace(0, len(kept) - 1, min(LONG, len(kept))).round().astype(int))
    for j in (kept[c] for c in chosen):
        label = words.format(estimate.labels[j])
        yield label, float(estimate.values[j]), float(low[j]), float(high[j])


def _is_lead(name: str, label: str) -> bool:
    return name == "event_study" and label.startswith("-")


def _truth_key(label: str) -> str:
    """What a truth file calls a row of the table."""
    found = re.fullmatch(r"(Cohort|Event time) (.+)", label)
    if found is None:
        return label
    return f"ATT({found[1].lower().replace(' ', '_')}={found[2]})"
