r"""The panel before any model: who is treated when, raw means, and how unlike the groups are.

Balance compares treated and never treated units over the periods before the first treatment, one
value a unit: the mean of the outcome and of each covariate, and the slope of the outcome per
period. With means m_1, m_0 and variances v_1, v_0 over units,

    standardised difference = (m_1 - m_0) / sqrt((v_1 + v_0) / 2)

With one treated unit v_1 is not known, and v_0 stands for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.panel_words import treatment_in_words

Array = NDArray[np.float64]

LARGE = 0.25
"""A standardised difference above this is named in words (Imbens and Rubin 2015)."""


@dataclass(frozen=True, eq=False)
class PanelDescription:
    """Cohorts, raw means and balance.

    Parameters
    ----------
    pattern : str
        Who is treated when, in words.
    cohorts : DataFrame
        cohort ("never" for controls), units, share, before, after (periods), missing (share of
        cells without an outcome).
    means : DataFrame
        cohort, period, mean, n: raw means over observed units.
    balance : DataFrame
        variable, treated, never_treated, difference, standardised; empty without controls.
    never_treated : float
        Share of units.
    """

    pattern: str
    cohorts: pd.DataFrame
    means: pd.DataFrame
    balance: pd.DataFrame
    never_treated: float

    def frame(self) -> pd.DataFrame:
        """One row a cohort."""
        return self.cohorts.copy()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields, with the words."""
        return {
            "pattern": self.pattern, "never_treated": self.never_treated, "words": self.words,
            "cohorts": self.cohorts.to_dict("records"), "means": self.means.to_dict("records"),
            "balance": self.balance.to_dict("records"),
        }  # fmt: skip

    @property
    def words(self) -> str:
        """The pattern, and what differs before treatment."""
        text = f"{self.pattern} ({self.never_treated:.0%} of units)."
        large = self.balance[self.balance["standardised"].abs() > LARGE]
        if not len(self.balance):
            return text
        if not len(large):
            return f"{text} Before treatment the groups are alike in all that is observed."
        parts = [
            f"{r.variable} {r.treated:.3g} against {r.never_treated:.3g} "
            f"({r.standardised:+.2f} standard deviations)"
            for r in large.itertuples()
        ]
        return f"{text} Before treatment, treated and never treated differ in {'; '.join(parts)}."


def describe_panel(panel: PanelData) -> PanelDescription:
    """Describe a panel without any model."""
    groups = [int(g) for g in np.unique(panel.first)]
    labels = {g: _label(panel, g) for g in groups}
    cohorts = pd.DataFrame([_cohort(panel, g, labels[g]) for g in groups])
    means = pd.concat([_means(panel, g, labels[g]) for g in groups], ignore_index=True)
    return PanelDescription(
        treatment_in_words(panel), cohorts, means, _balance(panel),
        float(panel.is_control.mean()),
    )  # fmt: skip


def _label(panel: PanelData, g: int) -> str:
    return "never" if g == panel.shape[1] else str(panel.periods[g])


def _cohort(panel: PanelData, g: int, label: str) -> dict[str, Any]:
    rows, last = panel.first == g, panel.shape[1]
    return {
        "cohort": label, "units": int(rows.sum()), "share": float(rows.mean()), "before": g,
        "after": last - g, "missing": float((~panel.observed[rows]).mean()),
    }  # fmt: skip


def _means(panel: PanelData, g: int, label: str) -> pd.DataFrame:
    rows = panel.first == g
    seen = panel.observed[rows]
    n = seen.sum(axis=0)
    total = np.where(seen, panel.y[rows], 0.0).sum(axis=0)
    return pd.DataFrame({
        "cohort": label, "period": panel.periods[n > 0], "mean": total[n > 0] / n[n > 0],
        "n": n[n > 0],
    })  # fmt: skip


def _balance(panel: PanelData) -> pd.DataFrame:
    """Differences before the first treatment."""
    names = ["variable", "treated", "never_treated", "difference", "standardised"]
    if not panel.is_control.any():
        return pd.DataFrame(columns=names)
    start = int(panel.first.min())
    seen = panel.observed[:, :start]
    columns = {f"mean of {panel.outcome_name}": _unit_means(panel.y[:, :start], seen)}
    if start > 1:
        columns[f"slope of {panel.outcome_name}"] = _unit_slopes(panel.y[:, :start], seen)
    for j, name in enumerate(panel.covariate_names):
        columns[f"mean of {name}"] = _unit_means(panel.x[:, :start, j], seen)
    rows = [_compare(name, values, panel.is_control) for name, values in columns.items()]
    return pd.DataFrame([row for row in rows if row is not None], columns=names)


def _compare(
    name: str, values: Array, control: NDArray[np.bool_]
) -> tuple[str, float, float, float, float] | None:
    """One row of the balance; None if a group has no value."""
    groups = [values[side & np.isfinite(values)] for side in (~control, control)]
    if min(len(g) for g in groups) == 0:
        return None
    m1, m0 = (float(g.mean()) for g in groups)
    variances = [g.var(ddof=1) for g in groups if len(g) > 1]
    s = float(np.sqrt(np.mean(variances))) if variances else 0.0
    difference = m1 - m0
    if s > 0:
        return name, m1, m0, difference, difference / s
    return name, m1, m0, difference, 0.0 if difference == 0 else float(np.sign(difference)) * np.inf


def _unit_means(values: Array, seen: NDArray[np.bool_]) -> Array:
    """Mean of each unit over seen cells, NaN without any, shape (N,)."""
    n = seen.sum(axis=1)
    total = np.where(seen, values, 0.0).sum(axis=1)
    return np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)


def _unit_slopes(values: Array, seen: NDArray[np.bool_]) -> Array:
    """Least-squares slope per period of each unit, NaN with fewer than two cells, shape (N,)."""
    t = np.broadcast_to(np.arange(values.shape[1], dtype=float), values.shape)
    away = np.where(seen, t - _unit_means(t, seen)[:, None], 0.0)
    power = (away**2).sum(axis=1)
    product = (away * np.where(seen, values, 0.0)).sum(axis=1)
    return np.divide(product, power, out=np.full(len(power), np.nan), where=power > 0)
