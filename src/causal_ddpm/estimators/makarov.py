"""What the data do say about the effect on a unit: Makarov bounds, corrected doubly robustly.

The joint law of Y(1) and Y(0) is not identified, but it cannot be anything: for every unit with
covariates x and any points a, b with a - b <= delta,

    {Y(1) <= a} and {Y(0) >= b}   imply   Y(1) - Y(0) <= delta,

so that H(delta | x) = P(Y(1) - Y(0) <= delta | x) is bounded by (Makarov 1982; Fan and Park 2010)

    L(delta | x) =     max(0, max_a F1(a | x) - F0(b- | x)),    b = a - delta,
    U(delta | x) = 1 + min(0, min_a F1(a | x) - F0(b  | x)).

F0(b-) is P(Y(0) < b): for an outcome with atoms < and <= differ. Averages over x of the two are the
sharp bounds of H(delta) given the covariates, tighter than those of the marginal laws.

**Honest whatever the law.** The best points a*(x), b*(x) are read from the out-of-fold laws, but
the inequality holds for *any* points. With them fixed by other folds, the average of

    psi = g (F1(a*) - F0(b*)) + 1{D = 1} omega (1{Y <= a*} - F1(a*))
                              - 1{D = 0} omega (1{Y <= b*} - F0(b*))

(g, omega of :mod:`causal_ddpm.estimators.scores`; zero where no point beats the trivial bound)
estimates E[F1(a*) - F0(b*)], which never exceeds the sharp lower bound, nor falls below the upper
one less 1: a wrong law makes the bounds wider, not wrong, as long as the propensity (or the law) is
right (Ji, Lei and Spector 2023, "Model-agnostic covariate-assisted inference on partially
identified causal effects"). Strict inequalities are points lower by ``resolution``, a negligible
part of the outcome's range: effects that differ by less count as equal.

**Quantiles of the effect.** H(delta) >= u for every delta >= q(u), and < u below. Of a grid of
delta the lower limit of q(u) is therefore the first point where U + z se >= u, less one step, and
the upper limit the last one where L - z se < u, plus one step: each holds with the probability of
the one-sided test at a single delta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from causal_ddpm.core.discrete import RowLaw
from causal_ddpm.core.distribution import mid_levels
from causal_ddpm.estimators.scores import Array

RESOLUTION = 1e-10
_LEVELS = ndtr(np.concatenate([[-np.inf], np.linspace(-2.6, 2.6, 18), [np.inf]]))
_GRID_LEVELS = np.concatenate([[0.0], mid_levels(64), [1.0]])
_REACH = 3.2
_CHUNK = 64


@dataclass(frozen=True, eq=False)
class Rows:
    """What a bound is computed from.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Observed outcomes.
    g : ndarray, shape (n,)
        One for the units meant.
    omega : tuple of two ndarrays, shape (n,)
        1{D = a} omega for a = 0, 1.
    laws : tuple of two RowLaw
        Out-of-fold laws of Y(0) and Y(1).
    """

    y: Array
    g: Array
    omega: tuple[Array, Array]
    laws: tuple[RowLaw, RowLaw]

    @property
    def resolution(self) -> float:
        """Differences below it count as none, in units of the outcome."""
        return RESOLUTION * float(np.ptp(self.y))

    def part(self, index: slice) -> Rows:
        """Some of the rows."""
        omega0, omega1 = (omega[index] for omega in self.omega)
        law0, law1 = (law.rows(index) for law in self.laws)
        return Rows(self.y[index], self.g[index], (omega0, omega1), (law0, law1))


def bound_scores(rows: Rows, deltas: Array) -> Array:
    """psi of the lower and of the upper bound of H(delta), shape (2, n, G).

    Parameters
    ----------
    rows : Rows
    deltas : ndarray, shape (G,)
        Effects at which the distribution function of the effect is bounded.
    """
    starts = range(0, len(rows.y), _CHUNK)
    parts = [
        _chunk_scores(rows.part(slice(s, s + _CHUNK)), deltas, rows.resolution) for s in starts
    ]
    return np.concatenate(parts, axis=1)


def _chunk_scores(rows: Rows, deltas: Array, resolution: float) -> Array:
    """psi at the best of 2 K candidate points: the points of either law, carried to the other."""
    q0, q1 = (law.quantile(_LEVELS)[:, None, :] for law in rows.laws)
    step = deltas[:, None]
    a = np.concatenate(np.broadcast_arrays(q1, q0 + step), axis=2)
    b = np.concatenate(np.broadcast_arrays(q1 - step, q0), axis=2)
    at, below = (a, b), (a - resolution, b - resolution)
    f_at, f_below = _distribution(rows, *at), _distribution(rows, *below)
    lower = _score(rows, (at[0], below[1]), (f_at[0], f_below[1]), sign=1.0)
    candidates = [np.concatenate(pair, axis=2) for pair in zip(at, below, strict=True)]
    values = [np.concatenate(pair, axis=2) for pair in zip(f_at, f_below, strict=True)]
    upper = _score(rows, candidates, values, sign=-1.0)
    return np.array([lower, rows.g[:, None] + upper])


def _distribution(rows: Rows, a: Array, b: Array) -> tuple[Array, Array]:
    """F1(a | x) and F0(b | x) at points of shape (n, G, K)."""
    f1, f0 = (
        law.cdf(points.reshape(len(points), -1)).reshape(points.shape)
        for law, points in ((rows.laws[1], a), (rows.laws[0], b))
    )
    return f1, f0


def _score(rows: Rows, points: Sequence[Array], values: Sequence[Array], sign: float) -> Array:
    """psi at the candidate with the largest sign (F1 - F0), shape (n, G); zero where none helps."""
    gain = sign * (values[0] - values[1])
    best = gain.argmax(axis=2)[:, :, None]
    a, b, f1, f0 = (np.take_along_axis(x, best, 2)[:, :, 0] for x in (*points, *values))
    y, g, omega0, omega1 = (x[:, None] for x in (rows.y, rows.g, *rows.omega))
    psi = g * (f1 - f0) + omega1 * ((y <= a) - f1) - omega0 * ((y <= b) - f0)
    return np.where(gain.max(axis=2) > 0, psi, 0.0)


def effect_grid(rows: Rows, w: Array, n_points: int) -> Array:
    """Effects from the smallest to the largest that the laws allow, ascending.

    Quantiles of Q1(u) - Q0(1 - u), the coupling that spreads effects most, over rows of weight
    w (n,) and levels u, equally spaced on the Gaussian scale; the differences of atoms, and the
    points just before them.
    """
    q0, q1 = (law.quantile(_GRID_LEVELS)[w > 0] for law in rows.laws)
    ends = [(q1[:, 0] - q0[:, -1]).min(), (q1[:, -1] - q0[:, 0]).max()]
    spread = q1[:, 1:-1] - q0[:, -2:0:-1]
    inner = np.quantile(spread, ndtr(np.linspace(-_REACH, _REACH, n_points)))
    jumps = np.unique(np.subtract.outer(_atoms(q1), _atoms(q0)))
    jumps = jumps[:: 1 + len(jumps) // n_points]
    return np.unique(np.concatenate([ends, inner, jumps, jumps - 2 * rows.resolution]))


def _atoms(q: Array) -> Array:
    """Values that two neighbouring quantiles of a row share."""
    return np.unique(q[:, 1:][q[:, 1:] == q[:, :-1]])


def quantile_bounds(deltas: Array, lower: Array, upper: Array, levels: Array) -> Array:
    """Bounds of the quantiles of the effect from bounds of H at deltas (G,), shape (2, p)."""
    ends = (np.maximum.accumulate(bound) for bound in (upper, lower))
    return np.array([np.interp(levels, bound, deltas) for bound in ends])


def quantile_limits(deltas: Array, lower: Array, upper: Array, levels: Array) -> Array:
    """Limits of the quantiles of the effect from limits of its distribution function.

    Parameters
    ----------
    deltas, lower, upper : ndarray, shape (G,)
        A grid of effects, and limits of H there.
    levels : ndarray, shape (p,)

    Returns
    -------
    ndarray, shape (2, p)
        Infinite where the grid does not reach far enough.
    """
    edges = np.concatenate([[-np.inf], deltas, [np.inf]])
    limits = np.empty((2, len(levels)))
    for j, u in enumerate(levels):
        possible, too_low = np.flatnonzero(upper >= u), np.flatnonzero(lower < u)
        limits[0, j] = edges[possible[0]] if len(possible) else deltas[-1]
        limits[1, j] = edges[too_low[-1] + 2] if len(too_low) else deltas[0]
    return limits
