r"""Which controls the counterfactual rests on, and what becomes of the effect without each.

**Weights** of any base: by how much the average counterfactual of treated cells would rise if
donor j's outcome were one unit higher in every period in which somebody is treated,

    w_j = d mean_{treated cells} y_it(0)^ / d y_j,treated periods

by a small difference. They are the donor weights of a synthetic control, the coefficients of a
ridge, 1 / J for two-way effects with J donors; for an average of bases, the average of their
weights. The effective number of donors is (sum |w|)^2 / sum w^2.

**Nearest donors**: root mean squared distance between the paths before treatment, each less its
mean there.

**Leave one donor out**: the average effect from the panel without that donor (Abadie, Diamond and
Hainmueller 2015).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.estimators.panel.placebos import untreated_cells
from causal_ddpm.nuisance.panel.base import PanelBase
from causal_ddpm.nuisance.panel.cells import PanelCells

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

MAX_DONORS = 50
"""Donors that are looked at, nearest first, where there are more."""

NUDGE = 0.01
"""Of a donor's outcome, in standard deviations of untreated outcomes."""

CONCENTRATED = 0.5
"""A share of the absolute weight above which one donor is said to dominate."""


@dataclass(frozen=True, eq=False)
class Donors:
    """The donors behind a counterfactual.

    Parameters
    ----------
    table : DataFrame
        unit, weight, distance, att_without, change: one row a donor, the largest absolute weight
        first.
    att : float
        With all donors.
    n_donors : int
        All controls, also those not looked at.
    effective : float
        Effective number of donors among those looked at.
    """

    table: pd.DataFrame
    att: float
    n_donors: int
    effective: float

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest effect without one donor."""
        without = self.table["att_without"]
        return float(without.min()), float(without.max())

    @property
    def nearest(self) -> pd.DataFrame:
        """unit, distance: the nearest path before treatment first."""
        return self.table[["unit", "distance"]].sort_values("distance", ignore_index=True)

    def frame(self) -> pd.DataFrame:
        """One row a donor."""
        return self.table.copy()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields, with the words."""
        low, high = self.range
        return {
            "att": self.att, "att_without_low": low, "att_without_high": high,
            "n_donors": self.n_donors, "effective": self.effective, "words": self.words,
            "donors": self.table.to_dict("records"),
        }  # fmt: skip

    @property
    def words(self) -> str:
        """Who carries the counterfactual, who is near, and the range without one donor."""
        low, high = self.range
        head = self.table.iloc[0]
        share = abs(head["weight"]) / self.table["weight"].abs().sum()
        text = f"{self._weights_in_words(share)} {self._nearest_in_words()} "
        text += (
            f"Without any one donor the average effect {self.att:.3g} lies between {low:.3g} and "
            f"{high:.3g}"
        )
        if low * high <= 0:
            worst = self.table["unit"].iloc[int(self.table["change"].abs().to_numpy().argmax())]
            return f"{text}: its sign HANGS on a single donor ({worst})."
        return text + "."

    def _weights_in_words(self, share: float) -> str:
        weights = self.table["weight"]
        if np.ptp(weights) < 0.02 * weights.abs().max():
            return f"All {len(weights)} donors weigh the same."
        named = [f"{r.unit} {r.weight:.2f}" for r in self.table.head(5).itertuples()]
        text = (
            f"The counterfactual rests on {', '.join(named)} (effective number of donors "
            f"{self.effective:.1f} of {self.n_donors})."
        )
        if share > CONCENTRATED:
            text += f" {self.table.iloc[0]['unit']} alone carries {share:.0%} of the weight."
        return text

    def _nearest_in_words(self) -> str:
        named = ", ".join(str(unit) for unit in self.nearest["unit"].head(3))
        return f"Paths before treatment are nearest in {named}."


def donors(panel: PanelData, base: PanelBase, max_donors: int = MAX_DONORS) -> Donors:
    """Weights of donors, their distance, and the effect without each.

    Parameters
    ----------
    panel : PanelData
    base : PanelBase
        Of the untreated outcome.
    max_donors : int
        Looked at, nearest first.

    Raises
    ------
    DataError
        With fewer than two units that are never treated.
    NotIdentifiedError
        If no treated cell is identified by the base.
    """
    controls = np.flatnonzero(panel.is_control)
    if len(controls) < 2:
        raise DataError(
            f"{len(controls)} {'unit is' if len(controls) == 1 else 'units are'} never treated",
            "at least two, so that one can be left out",
        )
    distance = _distances(panel, controls)
    kept = np.sort(np.argsort(distance, kind="stable")[:max_donors])
    chosen, distance = controls[kept], distance[kept]
    cells, asked = untreated_cells(panel), panel.observed & panel.treated
    predicted = base.fit(cells).predict(cells)
    share = _shares(panel, asked, predicted)
    att = _mean(share, panel.y - predicted)
    weight = _weights(panel, base, cells, chosen, share)
    without = _effects_without(panel, base, cells, chosen, share)
    table = pd.DataFrame({
        "unit": panel.units[chosen], "weight": weight, "distance": distance,
        "att_without": without, "change": without - att,
    })  # fmt: skip
    order = table["weight"].abs().sort_values(ascending=False, kind="stable").index
    effective = float(np.abs(weight).sum() ** 2 / np.sum(weight**2)) if weight.any() else 0.0
    return Donors(table.loc[order].reset_index(drop=True), att, len(controls), effective)


def _shares(panel: PanelData, asked: Mask, predicted: Array) -> Array:
    """Weight of each treated cell in the average effect, shape (N, T); they add to 1."""
    unit = np.ones(len(panel)) if panel.weights is None else panel.weights
    share = np.where(asked & np.isfinite(predicted), unit[:, None], 0.0)
    if not share.any():
        raise NotIdentifiedError(
            "No treated cell has an untreated outcome that the base can tell; expected units that "
            "are not treated yet in the same periods."
        )
    return np.asarray(share / share.sum())


def _mean(share: Array, table: Array) -> float:
    """The mean of a table over treated cells; cells that are lost are left out."""
    known = (share > 0) & np.isfinite(table)
    return float(np.sum(share[known] * table[known]) / share[known].sum())


def _weights(
    panel: PanelData, base: PanelBase, cells: PanelCells, chosen: Codes, share: Array
) -> Array:
    """w, shape (J,)."""
    step = NUDGE * float(panel.y[panel.untreated].std())
    periods = np.any(share > 0, axis=0)
    middle = _mean(share, base.fit(cells).predict(cells))
    out = np.empty(len(chosen))
    for k, j in enumerate(chosen):
        outcome = cells.outcome.copy()
        outcome[j, periods] += step
        nudged = replace(cells, outcome=outcome)
        out[k] = (_mean(share, base.fit(nudged).predict(nudged)) - middle) / step
    return out


def _effects_without(
    panel: PanelData, base: PanelBase, cells: PanelCells, chosen: Codes, share: Array
) -> Array:
    """The average effect without each donor, shape (J,)."""
    out = np.empty(len(chosen))
    for k, j in enumerate(chosen):
        rows = np.delete(np.arange(len(panel)), j)
        part = PanelCells(
            cells.outcome[rows], cells.covariates[rows], cells.observed[rows], cells.period
        )
        out[k] = _mean(share[rows], panel.y[rows] - base.fit(part).predict(part))
    return out


def _distances(panel: PanelData, controls: Codes) -> Array:
    """Distance of the controls' paths before treatment from those of treated units, (J,).

    Root mean squares over the cells before treatment that both sides know, each path less its
    mean there; averaged over treated units.
    """
    total = np.zeros(len(controls))
    treated = np.flatnonzero(~panel.is_control)
    for i in treated:
        both = panel.untreated[i] & panel.observed[controls]
        gap = np.where(both, panel.y[controls] - panel.y[i], np.nan)
        n = both.sum(axis=1)
        mean = np.nansum(gap, axis=1) / np.maximum(n, 1)
        square = np.nansum((gap - mean[:, None]) ** 2, axis=1) / np.maximum(n, 1)
        total += np.where(n > 1, np.sqrt(square), np.nanmax(np.abs(panel.y)))
    return total / len(treated)
