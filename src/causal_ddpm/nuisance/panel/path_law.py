r"""The law of the error path of a base fit: what a counterfactual path may still do.

Paths e_j (H,) are errors of held-out predictions of controls that were hidden as the treated units
are, j = 1..P; with s_j their scale (:mod:`causal_ddpm.nuisance.panel.path_scale`),

    v_j = e_j / s_j,        v | history ~ one of
        a vector diffusion conditional on the history (serial dependence, tails, modes)
        a normal law with serial dependence
        the paths that were seen, drawn again

Below 200 paths the diffusion learns each path twice, once with all signs turned (those of the
signed columns of its history too): its law is then odd in them. The laws
are compared by the energy score of paths that they did not see (units in K folds),

    ES_j = mean |V - v_j| - mean |V - V'| / 2,        V, V' ~ law without the fold of j

over the known horizons of v_j, divided by the square root of their number. A law is preferred to a
plainer one (in the order normal law, seen paths, diffusion) where its mean score is lower by more
than one standard error of the paired difference. The diffusion is tried from 20 units on. Its
conditional mean c(history) moves a prediction only by the share kappa of it that held-out paths
bear out (:func:`causal_ddpm.nuisance.panel.residual_law.earned_kappa`); otherwise draws are
centred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.diffusion.vector import VectorDiffusion, train_vector
from causal_ddpm.nuisance.panel.cells import Array, Mask
from causal_ddpm.nuisance.panel.gaussian_paths import SeenPaths, gaussian_paths
from causal_ddpm.nuisance.panel.history import SIGNED_COLUMNS
from causal_ddpm.nuisance.panel.residual_law import earned_kappa
from causal_ddpm.nuisance.residual_recipe import residual_settings

N_FOLDS = 5
MIN_UNITS = 20
"""Units from which on a network is tried."""

MAX_PATHS = 5_000
"""Paths that a network is trained on at most."""

_SCORE_DRAWS = 100
_MAX_SCORED = 300
_FEW_PATHS = 200
_CLIP = 8.0
_PLAIN = 2


class PathDraws(Protocol):
    """A law of standardised error paths."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def sample(self, history: Array, n_samples: int, random_state: Seed = None) -> Array:
        """Draws of v given histories (n, q), shape (n, n_samples, H)."""
        ...


@dataclass(frozen=True, eq=False)
class DiffusionPaths:
    """The diffusion; draws are centred but for the share kappa of their mean.

    Parameters
    ----------
    model : VectorDiffusion
    profile : ndarray, shape (H,)
        What the network's coordinates are multiplied by.
    kappa : float
    """

    model: VectorDiffusion
    profile: Array
    kappa: float = 0.0

    @property
    def name(self) -> str:
        """What tables call it."""
        return "diffusion of the path"

    def raw(self, history: Array, n_samples: int, random_state: Seed = None) -> Array:
        """Draws with the whole conditional mean, shape (n, n_samples, H)."""
        return self.profile * self.model.sample(history, n_samples, random_state)

    def sample(self, history: Array, n_samples: int, random_state: Seed = None) -> Array:
        """Draws of v, shape (n, n_samples, H)."""
        v = self.raw(history, n_samples, random_state)
        return v - (1 - self.kappa) * v.mean(axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class PathLaw:
    """The chosen law of v, and its copies that did not see a fold.

    Parameters
    ----------
    law : PathDraws
        Learnt from all paths.
    without : tuple of PathDraws
        Learnt without fold k.
    fold : ndarray of int, shape (P,)
        Fold of each path.
    scores : dict
        Mean energy score of each law that was tried.
    why : str
        What was chosen and why, in a sentence.
    report : dict
        kappa and the training reports, JSON-ready.
    """

    law: PathDraws
    without: tuple[PathDraws, ...]
    fold: NDArray[np.int64]
    scores: dict[str, float]
    why: str
    report: dict[str, Any] = field(default_factory=dict)

    def sample(self, history: Array, n_samples: int, random_state: Seed = None) -> Array:
        """Draws for units outside the placebos, shape (n, n_samples, H)."""
        return self.law.sample(history, n_samples, random_state)

    @property
    def is_network(self) -> bool:
        """Whether the law is one that is not learnt again."""
        return isinstance(self.law, DiffusionPaths)

    def again(self, paths: Array, random_state: Seed = None) -> PathDraws:
        """The same kind of plain law, of other paths (P, H); NaN where an error is not known."""
        paths = np.clip(paths, -_CLIP, _CLIP)
        normal = gaussian_paths(paths)
        if isinstance(self.law, SeenPaths):
            return SeenPaths(normal.filled(paths, random_state))
        return normal

    def held_out(
        self, history: Array, which: NDArray[np.int64], n_samples: int, random_state: Seed = None
    ) -> Array:
        """Draws for some of the P paths from laws that did not see them.

        Parameters
        ----------
        history : ndarray, shape (m, q)
            Of those paths.
        which : ndarray of int, shape (m,)
            Positions among the P paths.
        n_samples : int
        random_state : seed

        Returns
        -------
        ndarray, shape (m, n_samples, H)
        """
        return by_fold(self.without, self.fold[which], history, n_samples, random_state)


def fit_path_law(
    paths: Array,
    history: Array,
    unit: NDArray[np.int64],
    diffusion: DiffusionSettings | None = None,
    random_state: Seed = None,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> PathLaw:
    """Learn the laws of standardised paths, and choose one.

    Parameters
    ----------
    paths : ndarray, shape (P, H)
        v, NaN where an error is not known; every row and column has a known one.
    history : ndarray, shape (P, q)
    unit : ndarray of int, shape (P,)
        Paths of one unit are left out together; at least two units.
    diffusion : DiffusionSettings or None
        None tries the plain laws only.
    random_state : int, SeedSequence or None
    n_jobs : int
        Networks trained at a time; results do not depend on it.
    progress : callable
    """
    root = seed_sequence(random_state)
    paths, fold = np.clip(paths, -_CLIP, _CLIP), unit_folds(unit, root)
    whole = np.ones(len(paths), dtype=bool)
    parts: list[Mask] = [*(fold != k for k in range(int(fold.max()) + 1)), whole]
    full = gaussian_paths(paths).filled(paths, root)
    normal: list[PathDraws] = [gaussian_paths(paths[part]) for part in parts]
    tried: list[Sequence[PathDraws]] = [normal, [SeenPaths(full[part]) for part in parts]]
    n_units = len(np.unique(unit))
    report: dict[str, Any] = {}
    if diffusion is not None and n_units >= MIN_UNITS:
        nets = _networks(full, history, parts, diffusion, root, n_jobs, progress)
        kappa = _kappa(paths, history, nets[:-1], fold, root)
        tried.append([replace(net, kappa=kappa) for net in nets])
        report = {"kappa": kappa, "network": dict(nets[-1].model.report)}
    scores = [_energy(paths, history, laws[:-1], fold, root) for laws in tried]
    best = _preferred(scores)
    names = [laws[-1].name for laws in tried]
    return PathLaw(
        tried[best][-1], tuple(tried[best][:-1]), fold,
        {name: float(score.mean()) for name, score in zip(names, scores, strict=True)},
        _reason(best, names, scores, n_units), report,
    )  # fmt: skip


def unit_folds(unit: NDArray[np.int64], random_state: Seed) -> NDArray[np.int64]:
    """Folds of paths, all of a unit in one, shape (P,); at most as many as units."""
    names, code = np.unique(unit, return_inverse=True)
    order = stream(random_state, "path folds").permutation(len(names))
    return np.asarray((order % min(N_FOLDS, len(names)))[code], dtype=np.int64)


def _networks(
    full: Array,
    history: Array,
    parts: Sequence[Mask],
    settings: DiffusionSettings,
    root: np.random.SeedSequence,
    n_jobs: int,
    progress: Progress,
) -> list[DiffusionPaths]:
    """One network a part of the paths."""
    jobs = []
    for k, part in enumerate(parts):
        rows = np.flatnonzero(part)
        if len(rows) > MAX_PATHS:
            rng = stream(root, "rows", k)
            rows = np.sort(rng.choice(rows, MAX_PATHS, replace=False))
        jobs.append((full[rows], history[rows], settings, seed_sequence(root, "network", k)))
    nets = []
    for k, net in enumerate(run_jobs(_train, jobs, n_jobs)):
        nets.append(net)
        progress("law of the error path", (k + 1) / len(jobs))
    return nets


def _train(
    paths: Array, history: Array, settings: DiffusionSettings, seed: np.random.SeedSequence
) -> DiffusionPaths:
    """A network of paths without gaps."""
    if len(paths) < _FEW_PATHS:
        turned = history * np.where(np.isin(np.arange(history.shape[1]), SIGNED_COLUMNS), -1, 1)
        paths, history = np.concatenate([paths, -paths]), np.concatenate([history, turned])
    profile = np.sqrt(np.mean(paths**2, axis=0))
    recipe = residual_settings(settings, len(paths))
    return DiffusionPaths(train_vector(paths / profile, history, recipe, seed), profile)


def _kappa(
    paths: Array,
    history: Array,
    nets: Sequence[DiffusionPaths],
    fold: NDArray[np.int64],
    root: np.random.SeedSequence,
) -> float:
    """Share of the networks' conditional mean that paths they did not see bear out."""
    raw, rows = [replace(net, kappa=1.0) for net in nets], _some(len(paths), root)
    mean = by_fold(raw, fold[rows], history[rows], _SCORE_DRAWS, root).mean(axis=1)
    known = np.isfinite(paths[rows])
    return earned_kappa(np.where(known, paths[rows], 0.0), np.where(known, mean, 0.0))


def _some(n_paths: int, root: np.random.SeedSequence) -> NDArray[np.int64]:
    """Positions of the paths that laws are scored on."""
    if n_paths <= _MAX_SCORED:
        return np.arange(n_paths)
    return np.sort(stream(root, "scored").choice(n_paths, _MAX_SCORED, replace=False))


def by_fold(
    laws: Sequence[PathDraws],
    fold: NDArray[np.int64],
    history: Array,
    n_samples: int,
    random_state: Seed,
) -> Array:
    """Draws for rows of histories, each from the law of its fold, shape (n, n_samples, H)."""
    parts = {int(k): np.flatnonzero(fold == k) for k in np.unique(fold)}
    drawn = {
        k: laws[k].sample(history[rows], n_samples, seed_sequence(random_state, "fold", k))
        for k, rows in parts.items()
    }
    out = np.empty((len(fold), n_samples, next(iter(drawn.values())).shape[2]))
    for k, rows in parts.items():
        out[rows] = drawn[k]
    return out


def _energy(
    paths: Array,
    history: Array,
    laws: Sequence[PathDraws],
    fold: NDArray[np.int64],
    root: np.random.SeedSequence,
) -> Array:
    """ES of each path under the law that did not see it, shape (P,)."""
    rows = _some(len(paths), root)
    draws = by_fold(laws, fold[rows], history[rows], 2 * _SCORE_DRAWS, root)
    known = np.isfinite(paths[rows])[:, None]
    away = np.where(known, draws - np.nan_to_num(paths[rows])[:, None], 0.0)
    order = stream(root, "pairs").permutation(2 * _SCORE_DRAWS)
    apart = away - away[:, order]
    size = np.linalg.norm(away, axis=2).mean(axis=1)
    spread = np.linalg.norm(apart, axis=2).sum(axis=1) / np.sum(order != np.arange(len(order)))
    return np.asarray((size - spread / 2) / np.sqrt(known[:, 0].sum(axis=1)))


def _preferred(scores: Sequence[Array]) -> int:
    """The last law that gains more than one standard error on the one preferred before it."""
    best = 0
    for k in range(1, len(scores)):
        gain = scores[best] - scores[k]
        if gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)):
            best = k
    return best


def _reason(best: int, names: Sequence[str], scores: Sequence[Array], n_units: int) -> str:
    """What was chosen and why."""
    told = ", ".join(
        f"{name} {score.mean():.4g}" for name, score in zip(names, scores, strict=True)
    )
    words = f"{names[best]}; mean energy score of held-out paths (lower is better): {told}."
    if len(names) > _PLAIN or n_units >= MIN_UNITS:
        return words
    return f"{words} With {n_units} units to learn from, fewer than {MIN_UNITS}, no network."
