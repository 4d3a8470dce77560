"""Event studies taken apart: coefficients before and after, their weights, degrees of freedom.

A variance has the degrees of freedom that the estimate states for it. Where it states none, n_1
treated clusters and n_0 untreated ones stand behind a coefficient, the treated carry the share
h = n_0 / (n_0 + n_1) of its variance, and

    df = 1 / (h^2 / (n_1 - 1) + (1 - h)^2 / (n_0 - 1))                              (Welch 1947)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.panel_data import PanelData

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

REFERENCE = -1
"""Event time that coefficients are measured from."""

MIN_DF = 3.5
"""Degrees of freedom, those of about five treated units, below which a variance is no guide."""


@dataclass(frozen=True, eq=False)
class EventTimes:
    """Coefficients of an event study in the order of time.

    Parameters
    ----------
    times : ndarray of int, shape (p,)
        Event times, a reference without error left out.
    values : ndarray, shape (p,)
    cov : ndarray, shape (p, p)
    cells : ndarray, shape (p,)
        Weight of the treated cells at each event time, 1 where it is not known.
    df : ndarray, shape (p,)
        Degrees of freedom of each variance, infinite for a known one.
    place : ndarray of int, shape (p,)
        Positions in the estimate.
    too_few : tuple of int
        Event times left out for want of treated units.
    """

    times: Codes
    values: Array
    cov: Array
    cells: Array
    df: Array
    place: Codes
    too_few: tuple[int, ...] = ()

    @property
    def n_pre(self) -> int:
        """Coefficients before treatment, K."""
        return int((self.times < 0).sum())

    @property
    def weights(self) -> Array:
        """Shares of the event times after treatment in the average effect; they add to 1."""
        after = self.cells[self.n_pre :]
        return np.asarray(after / after.sum())

    @property
    def average(self) -> float:
        """The weighted mean of the effects after treatment."""
        return float(self.weights @ self.values[self.n_pre :])

    def only(self, kept: NDArray[np.bool_]) -> EventTimes:
        """Some of the coefficients.

        Raises
        ------
        NotIdentifiedError
            If none before, or none after treatment is left.
        """
        times = self.times[kept]
        n_before, n_after = int((times < 0).sum()), int((times >= 0).sum())
        if not n_before or not n_after:
            few = (
                ", of those that rest on at least five treated units or clusters" if self.too_few
                else ""
            )  # fmt: skip
            raise NotIdentifiedError(
                f"The event study has {n_before} coefficients before and {n_after} after "
                f"treatment{few}; expected at least one of each. Trends before treatment need two "
                "periods before it, and several treated units; with few, see the placebos."
            )
        return EventTimes(
            times, self.values[kept], self.cov[np.ix_(kept, kept)], self.cells[kept],
            self.df[kept], self.place[kept], self.too_few,
        )  # fmt: skip

    def trusted(self) -> EventTimes:
        """As many coefficients before, nearest first, as keep K <= df / 2 of each of them.

        A covariance of more coefficients than that is too noisy to be inverted.
        """
        df = np.minimum.accumulate(self.df[: self.n_pre][::-1])
        most = int(np.flatnonzero(np.arange(1, self.n_pre + 1) <= df / 2).max()) + 1
        return self.only(np.arange(len(self.times)) >= self.n_pre - most)

    def left_out_words(self) -> str:
        """Which event times were left out, as a sentence, or nothing."""
        if not self.too_few:
            return ""
        shown = ", ".join(str(k) for k in self.too_few)
        return (
            " Event times left out because fewer than five treated units or clusters carry them: "
            f"{shown}."
        )


def event_times(study: Estimate, panel: PanelData | None = None) -> EventTimes:
    """Read an event study whose labels are event times.

    Parameters
    ----------
    study : Estimate
        A coefficient without error is the reference, and left out.
    panel : PanelData, optional
        Event times after treatment weigh as many treated cells as they have, and degrees of freedom
        follow from its clusters; without it all weigh the same, with variances known. Coefficients
        with fewer than about five treated units (or clusters) are left out.

    Raises
    ------
    DataError
        If a label is no event time.
    NotIdentifiedError
        If there is no coefficient before, or none after treatment.
    """
    try:
        times = np.array([int(float(label)) for label in study.labels], dtype=np.int64)
    except ValueError:
        raise DataError(
            f"the estimate has the labels {', '.join(study.labels[:4])}, ...",
            "event times such as -2, -1, 0, 1",
            "Pass the event study of the effect.",
        ) from None
    place = np.argsort(times, kind="stable")
    place = place[np.diag(study.cov)[place] > 0]
    times = times[place]
    cells, df = np.ones(len(times)), np.full(len(times), np.inf)
    if panel is not None:
        cells, n_treated = _support(panel, times)
        df = _welch(n_treated, panel)
    if study.df is not None:
        df = np.broadcast_to(np.asarray(study.df, dtype=float), len(study))[place]
    kept = df >= MIN_DF
    whole = EventTimes(
        times, study.values[place], study.cov[np.ix_(place, place)], cells, df, place,
        tuple(int(k) for k in times[~kept]),
    )  # fmt: skip
    return whole.only(kept)


def consecutive(whole: EventTimes) -> EventTimes:
    """The run of event times without gaps around the reference.

    Raises
    ------
    NotIdentifiedError
        If the periods next to the reference are missing.
    """
    known = set(whole.times.tolist()) | {REFERENCE}
    low = high = REFERENCE
    while low - 1 in known:
        low -= 1
    while high + 1 in known:
        high += 1
    return whole.only((whole.times >= low) & (whole.times <= high) & (whole.times != REFERENCE))


def _support(panel: PanelData, times: Codes) -> tuple[Array, Array]:
    """Weight of treated units' observed cells at each event time, and clusters behind them."""
    weight = np.ones(len(panel)) if panel.weights is None else panel.weights
    cluster = np.arange(len(panel)) if panel.clusters is None else panel.clusters
    seen = panel.observed & ~panel.is_control[:, None]
    unit, period = np.nonzero(seen)
    event = panel.event_time[unit, period]
    cells = np.array([weight[unit[event == k]].sum() for k in times])
    behind = np.array([len(np.unique(cluster[unit[event == k]])) for k in times], dtype=float)
    return cells, behind


def _welch(n_treated: Array, panel: PanelData) -> Array:
    """Degrees of freedom of coefficients with so many treated clusters behind them."""
    cluster = np.arange(len(panel)) if panel.clusters is None else panel.clusters
    n0 = max(2, len(np.unique(cluster[panel.is_control])))
    h = n0 / (n0 + n_treated)
    own = np.divide(h**2, n_treated - 1, out=np.full(len(h), np.inf), where=n_treated > 1)
    return np.asarray(1 / (own + (1 - h) ** 2 / (n0 - 1)))
