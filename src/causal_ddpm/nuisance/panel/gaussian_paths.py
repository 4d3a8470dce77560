r"""Two plain laws of a standardised error path: the normal one, and the paths that were seen.

v (H,) is the error path of a unit divided by its scale. The normal law is centred,

    v = p * (L w) sqrt(nu / c),    w ~ N(0, I),  c ~ chi^2(nu),    L L' = R

with p the profile of horizons, nu the number of paths that it was learnt from, and R correlations
shrunk towards their mean at each lag (Schaefer and Strimmer 2005, target "constant by lag"): with
few paths the dependence over horizons is that of a stationary series, with many it is free. Draws
come in pairs v, -v. The other law draws whole paths that were seen, with either sign.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_ddpm.core.random import Seed, stream
from causal_ddpm.nuisance.panel.cells import Array
from causal_ddpm.nuisance.panel.path_scale import horizon_profile

_FLOOR = 1e-6


@dataclass(frozen=True, eq=False)
class GaussianPaths:
    """The normal law; made by :func:`gaussian_paths`.

    Parameters
    ----------
    profile : ndarray, shape (H,)
        p.
    correlation : ndarray, shape (H, H)
        R.
    n_paths : int
        nu.
    """

    profile: Array
    correlation: Array
    n_paths: int

    @property
    def name(self) -> str:
        """What tables call it."""
        return "normal law"

    def sample(self, history: Array, n_samples: int, random_state: Seed = None) -> Array:
        """Draws, the same for every history, shape (n, n_samples, H)."""
        rng = stream(random_state, "normal paths")
        half, H = -(-n_samples // 2), len(self.profile)
        values, vectors = np.linalg.eigh(self.correlation)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        tail = np.sqrt(self.n_paths / rng.chisquare(self.n_paths, size=(half, 1)))
        v = self.profile * (rng.standard_normal((half, H)) @ root.T) * tail
        draws = np.concatenate([v, -v])[:n_samples]
        return np.broadcast_to(draws, (len(history), *draws.shape))

    def filled(self, paths: Array, random_state: Seed = None) -> Array:
        """Paths with gaps filled by one draw given what is known of each, shape (P, H)."""
        rng, out = stream(random_state, "gaps"), paths.copy()
        R = self.correlation * np.outer(self.profile, self.profile)
        patterns, which = np.unique(np.isfinite(paths), axis=0, return_inverse=True)
        for k, known in enumerate(patterns):
            rows = np.flatnonzero(which == k)
            if known.all() or not len(rows):
                continue
            weights = np.linalg.solve(R[np.ix_(known, known)], R[np.ix_(known, ~known)])
            left = R[np.ix_(~known, ~known)] - R[np.ix_(~known, known)] @ weights
            noise = rng.multivariate_normal(np.zeros(len(left)), left, len(rows), method="eigh")
            out[np.ix_(rows, ~known)] = paths[np.ix_(rows, known)] @ weights + noise
        return out


@dataclass(frozen=True, eq=False)
class SeenPaths:
    """The law that draws whole paths that were seen, with either sign.

    Parameters
    ----------
    paths : ndarray, shape (P, H)
        Without gaps.
    """

    paths: Array

    @property
    def name(self) -> str:
        """What tables call it."""
        return "placebo paths drawn again"

    def sample(self, history: Array, n_samples: int, random_state: Seed = None) -> Array:
        """Draws, the same for every history, shape (n, n_samples, H)."""
        rng = stream(random_state, "seen paths")
        half = -(-n_samples // 2)
        v = self.paths[rng.integers(len(self.paths), size=half)]
        draws = np.concatenate([v, -v])[:n_samples]
        return np.broadcast_to(draws, (len(history), *draws.shape))


def gaussian_paths(paths: Array) -> GaussianPaths:
    """The normal law of paths (P, H), NaN where an error is not known."""
    profile = horizon_profile(paths)
    profile = profile * np.sqrt(np.nanmean((paths / profile) ** 2))
    return GaussianPaths(profile, _correlation(paths / profile), len(paths))


def _correlation(v: Array) -> Array:
    """R of paths whose horizons have about unit variance."""
    H = v.shape[1]
    known = np.isfinite(v)
    u = np.where(known, v, 0.0)
    n = np.maximum(known.T.astype(float) @ known, 1.0)
    moment = u.T @ u / n
    sd = np.sqrt(np.maximum(np.diag(moment), _FLOOR))
    r = np.clip(moment / np.outer(sd, sd), -1.0, 1.0)
    lag = np.abs(np.subtract.outer(np.arange(H), np.arange(H)))
    by_lag = np.bincount(lag.ravel(), (n * r).ravel()) / np.bincount(lag.ravel(), n.ravel())
    target = _valid(by_lag[lag])
    noise = np.where(lag > 0, (1 - r**2) ** 2 / n, 0.0).sum()
    away = np.where(lag > 0, (r - target) ** 2, 0.0).sum()
    w = min(1.0, noise / away) if away > 0 else 1.0
    return _valid(w * target + (1 - w) * r)


def _valid(r: Array) -> Array:
    """The matrix with eigenvalues of at least 1e-6, and ones on its diagonal again."""
    values, vectors = np.linalg.eigh((r + r.T) / 2)
    R = (vectors * np.maximum(values, _FLOOR)) @ vectors.T
    sd = np.sqrt(np.diag(R))
    return np.asarray(R / np.outer(sd, sd))
