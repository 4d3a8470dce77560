"""How near a predicted conditional law comes to the known one.

Every law is given by mid-quantile nodes q_1 <= ... <= q_Q of each row, the true one likewise:

    W1      mean_j |q_j - q*_j|
    CRPS    E|X - Y| - E|X - X'| / 2 with X from the law and Y from the truth (so that no test
            outcome has to be drawn; the truth itself scores E|Y - Y'| / 2)
    density at the middle of two nodes, (1 / Q) / (q_{j+1} - q_j)

A density has two modes when it has exactly two peaks; between two peaks it must fall to less than
``VALLEY`` of the lower one. The truth has two *separated* modes when it falls to less than half.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

N_NODES = 200
LEVELS: Array = (np.arange(N_NODES) + 0.5) / N_NODES
VALLEY, SEPARATED = 0.9, 0.5
_OUTER = 3


def w1(nodes: Array, truth: Array) -> Array:
    """Wasserstein distance of each row."""
    return np.abs(nodes - truth).mean(axis=-1)


def mean_distance(a: Array, b: Array) -> Array:
    """E|X - Y| of each row for independent X, Y with the given nodes."""
    out = np.empty(len(a))
    for i, (p, q) in enumerate(zip(a, b, strict=True)):
        out[i] = np.abs(p[:, None] - q[None, :]).mean()
    return out


def crps(nodes: Array, truth: Array) -> Array:
    """Expected CRPS of each row's law when the outcome follows the truth."""
    return mean_distance(nodes, truth) - mean_distance(nodes, nodes) / 2


def interval(nodes: Array, level: float = 0.9) -> Array:
    """Ends of the central interval of each row, shape (n, 2)."""
    tail = (1 - level) / 2
    ends = [np.array([np.interp(p, LEVELS, row) for row in nodes]) for p in (tail, 1 - tail)]
    return np.column_stack(ends)


def n_modes(nodes: Array, valley: float) -> NDArray[np.int64]:
    """Number of peaks of each row's density, a valley between two of them counting only if deep."""
    return np.array([_peaks(row, valley) for row in nodes])


def _peaks(row: Array, valley: float) -> int:
    gaps = np.diff(row)
    density = 1 / np.maximum(gaps, 1e-9 * (row[-1] - row[0] + 1e-300))
    density = density[_OUTER:-_OUTER]
    count, top, low, rising = 0, density[0], density[0], True
    for value in density[1:]:
        if rising:
            top = max(top, value)
            if value < valley * top:
                count, low, rising = count + 1, value, False
        else:
            low = min(low, value)
            if valley * value > low:
                top, rising = value, True
    return count + rising
