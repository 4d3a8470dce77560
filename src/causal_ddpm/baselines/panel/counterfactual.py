r"""Methods that say what treated units would have been without treatment.

With y0_it the untreated outcome that a method gives for treated units,

    theta = mean_{cells} (y_it - y0_it)

over all treated cells, those of a cohort or those of an event time. Their standard error comes from
the panel itself, in the way of Arkhangelsky et al. (2021):

    placebo      (Algorithm 4) treated units are taken out, the same numbers of controls get their
                 starting dates, and theta is estimated again: each control once where one unit is
                 treated, otherwise at random. It takes controls to be as noisy as treated units.
    bootstrap    (Algorithm 2) where there are not more controls than treated units: units are drawn
                 again within each cohort

with cov the second moments of these draws about their mean. What a method chooses by
cross-validation (penalty, rank, predictor weights) is chosen once, on the data at hand.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.baselines.base import listening, load
from causal_ddpm.baselines.panel.method import (
    PanelBaseline,
    account,
    cohort_label,
    complete_controls,
)
from causal_ddpm.core.errors import ConvergenceError
from causal_ddpm.core.estimand import ATTByCohort, ATTByEventTime, Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.random import Seed, integer_seed, stream
from causal_ddpm.core.reported import reported_estimate

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

FEW_PLACEBOS = 20


@dataclass(frozen=True, eq=False)
class Cells:
    """A panel as plain arrays, cheap to draw again.

    Parameters
    ----------
    y : ndarray, shape (N, T)
        Outcome, NaN where it is not observed.
    x : ndarray, shape (N, T, p)
        Covariates.
    first : ndarray of int, shape (N,)
        Index of the first treated period, T for never.
    """

    y: Array
    x: Array
    first: Codes

    @property
    def n_periods(self) -> int:
        """T."""
        return self.y.shape[1]

    @property
    def is_control(self) -> NDArray[np.bool_]:
        """Never treated, shape (N,)."""
        return np.asarray(self.first == self.n_periods)

    @property
    def cohorts(self) -> Codes:
        """Distinct first treated periods, without never."""
        return np.unique(self.first[~self.is_control])

    def rows(self, index: NDArray[Any], first: Codes | None = None) -> Cells:
        """Units by position, perhaps with other starting dates."""
        start = self.first[index] if first is None else first
        return Cells(self.y[index], self.x[index], start)


@dataclass(frozen=True, eq=False)
class Untreated:
    """Untreated outcomes of treated units.

    Parameters
    ----------
    y0 : ndarray, shape (N, T)
        Read in rows of treated units, in all periods.
    chosen : mapping
        What cross-validation or a search chose, to be kept in placebos.
    details : mapping
        What the fit has to say, JSON-ready.
    """

    y0: Array
    chosen: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


class CounterfactualBaseline(PanelBaseline):
    """A method that gives untreated outcomes; averages and standard errors are the same for all.

    A method fills ``untreated`` besides the class attributes, and has a field ``replications``, the
    most placebos or bootstrap draws.
    """

    library: ClassVar[str]
    replications: int

    @abstractmethod
    def untreated(
        self, cells: Cells, chosen: Mapping[str, Any] | None, library: ModuleType, seed: int
    ) -> Untreated:
        """Untreated outcomes, with what was chosen before, or else choosing it."""

    def _answer(
        self, panel: PanelData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        """Averages of effects over treated cells, with placebo or bootstrap standard errors."""
        library = load(self.library, self.extra)
        cells = self._cells(panel)
        labels, keys = entries(panel, estimand)
        seed = integer_seed(random_state, self.name)
        with listening(self.library) as heard:
            fit = self.untreated(cells, None, library, seed)
        values = averages(cells, fit.y0, keys)
        with listening(self.library):  # what it says of placebos is not about the estimate
            draws = [
                averages(again, self.untreated(again, fit.chosen, library, seed).y0, keys)
                for again in drawn_again(cells, self.replications, random_state)
            ]
        spread = _whole(draws)
        if len(spread) < FEW_PLACEBOS:
            heard.append(f"the standard error rests on {len(spread)} draws of the panel")
        details = {
            **fit.details,
            **path_of(panel, cells, fit.y0),
            "standard_error": "placebo" if by_placebos(cells) else "bootstrap",
            "replications": len(spread),
        }
        about = account(self, panel, estimand, library, details, heard)
        cov = np.atleast_2d(np.cov(spread, rowvar=False, ddof=0))
        return reported_estimate(about, values, cov, labels, level=level)

    def _cells(self, panel: PanelData) -> Cells:
        """The panel's cells; without incomplete controls where the method cannot have gaps."""
        cells = Cells(panel.y, panel.x, panel.first)
        if self.scope.gaps:
            return cells
        return cells.rows(np.flatnonzero(~panel.is_control | complete_controls(panel)))


# -- averages --------------------------------------------------------------------------------
Key = tuple[str, int]
"""What a cell must be: ("all", 0), ("cohort", g) or ("event time", k)."""


def entries(panel: PanelData, estimand: Estimand) -> tuple[list[str], list[Key]]:
    """Labels of an estimand's entries, and the treated cells that each is about."""
    seen = panel.observed & panel.treated
    if isinstance(estimand, ATTByCohort):
        groups = np.unique(panel.first[seen.any(axis=1)])
        return [cohort_label(panel, g) for g in groups], [("cohort", int(g)) for g in groups]
    if isinstance(estimand, ATTByEventTime):
        times = np.unique(panel.event_time[seen])
        return [str(k) for k in times], [("event time", int(k)) for k in times]
    return ["ATT"], [("all", 0)]


def averages(cells: Cells, y0: Array, keys: list[Key]) -> Array:
    """theta of each entry, shape (p,); NaN where there is no cell."""
    event_time = np.arange(cells.n_periods) - cells.first[:, None]
    treated = (event_time >= 0) & np.isfinite(cells.y)
    i, t = np.nonzero(treated)
    effect = cells.y[i, t] - y0[i, t]
    place = {"all": np.zeros_like(i), "cohort": cells.first[i], "event time": event_time[i, t]}
    found = np.full(len(keys), np.nan)
    for j, (kind, value) in enumerate(keys):
        chosen = place[kind] == value
        if chosen.any():
            found[j] = effect[chosen].mean()
    return found


def path_of(panel: PanelData, cells: Cells, y0: Array) -> dict[str, Any]:
    """Mean paths of the treated units, observed and untreated, and the fit before treatment.

    Returns
    -------
    dict
        ``path``: period, observed, counterfactual (means over treated units observed then), and
        ``pre_fit``: the root mean squared gap of cohort means over periods before treatment.
    """
    treated = ~cells.is_control
    gaps = [_mean((cells.y - y0)[cells.first == g, :g]) for g in cells.cohorts]
    before = np.concatenate(gaps)
    observed = _mean(cells.y[treated])
    imputed = _mean(np.where(np.isfinite(cells.y), y0, np.nan)[treated])
    seen = np.isfinite(observed) & np.isfinite(imputed)
    return {
        "path": {
            "period": [str(label) for label in panel.periods[seen]],
            "observed": observed[seen].tolist(),
            "counterfactual": imputed[seen].tolist(),
        },
        "pre_fit": float(np.sqrt(np.nanmean(before**2))),
    }


def _mean(values: Array) -> Array:
    """Mean of units by period over finite values, NaN without any, shape (T,)."""
    finite = np.isfinite(values)
    total, n = np.where(finite, values, 0.0).sum(axis=0), finite.sum(axis=0)
    return np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)


def _whole(draws: list[Array]) -> Array:
    """Draws all of whose entries are numbers, shape (R, p).

    Raises
    ------
    ConvergenceError
        If there are fewer than two.
    """
    table = np.array(draws)
    kept = table[np.isfinite(table).all(axis=1)] if draws else table
    if len(kept) < 2:
        raise ConvergenceError("fewer than two placebos or bootstrap draws gave a number.")
    return kept


# -- drawing again ---------------------------------------------------------------------------
def by_placebos(cells: Cells) -> bool:
    """Whether controls are enough to stand in for the treated units."""
    return int(cells.is_control.sum()) > int((~cells.is_control).sum()) + 1


def drawn_again(cells: Cells, replications: int, random_state: Seed) -> Iterator[Cells]:
    """Panels of placebos, or bootstrap panels; see the module page."""
    rng = stream(random_state, "placebos")
    controls, treated = np.flatnonzero(cells.is_control), np.flatnonzero(~cells.is_control)
    if not by_placebos(cells):
        groups = [np.flatnonzero(cells.first == g) for g in np.unique(cells.first)]
        for _ in range(replications):
            yield cells.rows(np.concatenate([rng.choice(group, len(group)) for group in groups]))
        return
    pretended = np.full(len(controls), cells.n_periods)
    if len(treated) == 1:
        for place in np.sort(rng.permutation(len(controls))[:replications]):
            first = pretended.copy()
            first[place] = cells.first[treated[0]]
            yield cells.rows(controls, first)
        return
    for _ in range(replications):
        first = pretended.copy()
        first[rng.permutation(len(controls))[: len(treated)]] = cells.first[treated]
        yield cells.rows(controls, first)


# -- one cohort at a time --------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Block:
    """One cohort beside the controls, all observed.

    Parameters
    ----------
    controls : ndarray, shape (N0, T)
    treated : ndarray, shape (N1, T)
    first : int
        Periods before treatment.
    x : ndarray, shape (N0 + N1, T, p)
        Covariates, controls first.
    """

    controls: Array
    treated: Array
    first: int
    x: Array

    @property
    def y(self) -> Array:
        """Controls, then treated units, shape (N0 + N1, T)."""
        return np.concatenate([self.controls, self.treated])


def blocks(cells: Cells) -> Iterator[tuple[NDArray[np.bool_], Block]]:
    """Each cohort: which units it is, and its block."""
    control = cells.is_control
    for g in cells.cohorts:
        members = cells.first == g
        x = np.concatenate([cells.x[control], cells.x[members]])
        yield members, Block(cells.y[control], cells.y[members], int(g), x)


def with_gap(cells: Cells, members: NDArray[np.bool_], path: Array) -> Array:
    """Untreated outcomes of a cohort whose mean would have been ``path``, shape (N1, T)."""
    y = cells.y[members]
    return np.asarray(y - (y.mean(axis=0) - path))
