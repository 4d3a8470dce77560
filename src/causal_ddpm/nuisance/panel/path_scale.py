r"""How far the error path of a unit goes: its scale from its history, and the profile of horizons.

With e_jh the error of path j at horizon h (NaN where it is not known) and z_j the two scale columns
of its history, standardised over the paths,

    e_jh ~ s_j p_h,    log s_j = a + z_j' b,    b = (Z'Z + r I)^-1 Z' (log rms_h(e_jh / p_h))

p and (a, b) are found in turn. r = 10 paths' worth of shrinkage leaves one common scale to few
donors and the regression to many. p_h is between the root mean square of horizon h, which n_h
paths tell, and a line of its logarithm in log(1 + h), with weight n_h / (n_h + 300) on the former.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_ddpm.nuisance.panel.cells import Array

RIDGE = 10.0
_PROFILE_PATHS = 300.0
_ROUNDS = 3
_SMALL = 1e-3


@dataclass(frozen=True, eq=False)
class PathScale:
    """A fitted scale of error paths.

    Parameters
    ----------
    level : float
        a.
    slope, centre, spread : ndarray, shape (q,)
        b, and what standardises z.
    lowest, highest : ndarray, shape (q,)
        Range of the standardised z learnt from; beyond it s does not change.
    profile : ndarray, shape (H,)
        p.
    """

    level: float
    slope: Array
    centre: Array
    spread: Array
    lowest: Array
    highest: Array
    profile: Array

    def of(self, z: Array) -> Array:
        """s of histories (n, q), shape (n,)."""
        inside = np.clip((z - self.centre) / self.spread, self.lowest, self.highest)
        return np.asarray(np.exp(self.level + inside @ self.slope))


def fit_path_scale(error: Array, z: Array, ridge: float = RIDGE) -> PathScale:
    """Learn s and p from error paths (P, H) and the scale columns of their histories (P, q).

    Every path needs a known error, and one error must not be zero.
    """
    centre, spread = z.mean(axis=0), z.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    Z = (z - centre) / spread
    gram = Z.T @ Z + ridge * np.eye(Z.shape[1])
    scale, slope = np.full(len(error), np.sqrt(np.nanmean(error**2))), np.zeros(Z.shape[1])
    profile = np.ones(error.shape[1])
    for _ in range(_ROUNDS):
        profile = horizon_profile(error / scale[:, None])
        size = np.sqrt(np.nanmean((error / profile) ** 2, axis=1))
        size = np.log(np.maximum(size, _SMALL * np.median(size) + np.finfo(float).tiny))
        slope = np.linalg.solve(gram, Z.T @ (size - size.mean()))
        scale = np.exp(Z @ slope)
        scale *= np.sqrt(np.nanmean((error / (scale[:, None] * profile)) ** 2))
    level = float(np.mean(np.log(scale) - Z @ slope))
    return PathScale(level, slope, centre, spread, Z.min(axis=0), Z.max(axis=0), profile)


def horizon_profile(v: Array) -> Array:
    """p_h of standardised paths (P, H), of root mean square 1, shape (H,)."""
    n, n_horizons = np.isfinite(v).sum(axis=0), v.shape[1]
    size = np.sqrt(np.nansum(v**2, axis=0) / np.maximum(n, 1))
    size = np.log(np.maximum(size, _SMALL * size.max()))
    root = np.sqrt(n)
    line = np.full(n_horizons, size @ n / n.sum())
    if (n > 0).sum() > 2:
        A = np.column_stack([np.ones(n_horizons), np.log1p(np.arange(n_horizons))])
        line = A @ np.linalg.lstsq(A * root[:, None], size * root, rcond=None)[0]
    elif n.all():
        line = size
    w = n / (n + _PROFILE_PATHS)
    profile = np.exp(w * size + (1 - w) * line)
    return np.asarray(profile / np.sqrt(np.mean(profile**2)))
