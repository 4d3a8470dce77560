r"""The averages that a panel estimate is asked for, as weights on the cells of the treated units.

Cell (k, h) is horizon h of treated unit k; with omega_k its weight, an average is

    theta_f = sum_kh C_fkh x_kh,      C_f proportional to omega_k on the cells that belong to it,

over all treated cells whose effect is known (ATT), those of a cohort, of an event time, of a
period. The same weights average effects, and errors of placebos that stand in the slots k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_CHUNK_NUMBERS = 4_000_000


@dataclass(frozen=True, eq=False)
class Averages:
    """Families of averages; made by :func:`averages`.

    Parameters
    ----------
    weights : dict of str to ndarray, shape (F, K, H)
        C of the families "att", "cohort", "event" and "period".
    cohorts, events, periods : ndarray of int
        What the entries of the last three stand for: first treated period, event time, period.
    """

    weights: dict[str, Array]
    cohorts: Codes
    events: Codes
    periods: Codes

    def of(self, family: str, cells: Array) -> Array:
        """Averages of cells (..., K, H) that are known, NaN where none is, shape (..., F)."""
        C, known = self.weights[family], np.isfinite(cells)
        total = np.einsum("fkh,...kh->...f", C, np.where(known, cells, 0.0))
        mass = np.einsum("fkh,...kh->...f", C, known.astype(float))
        return np.divide(total, mass, out=np.full(total.shape, np.nan), where=mass > 0)

    def of_draws(self, family: str, draws: Array) -> Array:
        """Averages of draws (K, S, H), shape (S, F)."""
        return np.asarray(np.einsum("fkh,ksh->sf", self.weights[family], draws, optimize=True))


def averages(effect: Array, first: Codes, weight: Array, moved: Codes | None = None) -> Averages:
    """Weights of all averages.

    Parameters
    ----------
    effect : ndarray, shape (K, H)
        Effects by horizon, NaN where one is not known.
    first : ndarray of int, shape (K,)
    weight : ndarray, shape (K,)
        omega.
    moved : ndarray of int, shape (K,), optional
        Periods between the first one and treatment: event times then begin below zero.
    """
    mass = np.isfinite(effect) * weight[:, None]
    horizon = np.broadcast_to(np.arange(effect.shape[1]), effect.shape)
    cohort = np.broadcast_to(first[:, None], effect.shape)
    event = horizon if moved is None else horizon - moved[:, None]
    found = {}
    members = {"att": cohort * 0, "cohort": cohort, "event": event, "period": cohort + horizon}
    labels = {}
    for family, label in members.items():
        values = np.unique(label[mass > 0])
        C = (label == values[:, None, None]) * mass
        labels[family] = values
        found[family] = C / C.sum(axis=(1, 2), keepdims=True)
    return Averages(found, labels["cohort"], labels["event"], labels["period"])


def group_cells(values: Array, group: Codes, slot: Codes, size: int) -> Array:
    """Rows (P, H) of paths in their groups and slots, NaN where one is missing, (G, size, H)."""
    names, place = np.unique(group, return_inverse=True)
    out = np.full((len(names), size, values.shape[1]), np.nan)
    out[place, slot] = values
    return out
