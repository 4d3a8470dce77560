r"""Errors of untreated paths: a scale for each unit, a law of the standardised path, draws.

    e_jh = s_j v_jh,     s from the unit's history (:mod:`causal_ddpm.nuisance.panel.path_scale`),
                         v from :mod:`causal_ddpm.nuisance.panel.path_law`

What is said of a treated unit comes from a scale and a law of all placebos, what is said of a
placebo from those of the other units: both are learnt again without it, but for a network, of which
there is one a fold. Where placebo errors are below 1e-9 of the spread of the
outcome, the base is exact and there is no law: every draw is zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.estimators.panel.placebos import Paths
from causal_ddpm.nuisance.panel.history import SCALE_COLUMNS
from causal_ddpm.nuisance.panel.path_law import PathLaw, fit_path_law
from causal_ddpm.nuisance.panel.path_scale import PathScale, fit_path_scale

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

_NO_NOISE = 1e-9
_MOST_FOLDS = 60
_FEW_FOLDS = 10


@dataclass(frozen=True, eq=False)
class ErrorLaw:
    """The law of error paths; made by :func:`fit_error_law`.

    Parameters
    ----------
    placebos : Paths
    scale : ndarray, shape (P,)
        s of each placebo, told by the others.
    whole : PathScale or None
        Learnt from all; None for an exact base.
    law : PathLaw or None
    smallest : float
        Errors below this are rounding.
    seed : SeedSequence
    """

    placebos: Paths
    scale: Array
    whole: PathScale | None
    law: PathLaw | None
    smallest: float
    seed: np.random.SeedSequence

    @property
    def words(self) -> str:
        """Which law, and why."""
        return "none, the base is exact on the placebos." if self.law is None else self.law.why

    @property
    def details(self) -> dict[str, Any]:
        """Scores and reports, JSON-ready."""
        return {} if self.law is None else {"scores": self.law.scores, **self.law.report}

    def scale_of(self, paths: Paths) -> Array:
        """s of other units, shape (K,)."""
        if self.whole is None:
            return np.zeros(len(paths))
        return self.whole.of(paths.history[:, :SCALE_COLUMNS])

    def draws(self, paths: Paths, n_draws: int) -> Array:
        """Errors of units outside the placebos, independent between units, (K, n_draws, H)."""
        if self.law is None:
            return np.zeros((len(paths), n_draws, paths.error.shape[1]))
        seed = seed_sequence(self.seed, "treated")
        v = self.law.sample(paths.history, n_draws, seed)
        return self.scale_of(paths)[:, None, None] * _shuffled(v, seed)

    def placebo_draws(self, which: Codes, n_draws: int) -> Array:
        """Errors of some placebos, beside which those of treated units are set, (m, n_draws, H).

        The scale is that of all placebos, and so is a plain law; a network is one that did not see
        the path, since it might know it too well.
        """
        if self.law is None or self.whole is None:
            return np.zeros((len(which), n_draws, self.placebos.error.shape[1]))
        history, seed = self.placebos.history[which], seed_sequence(self.seed, "placebos")
        v = (
            self.law.held_out(history, which, n_draws, seed)
            if self.law.is_network
            else self.law.sample(history, n_draws, seed)
        )
        scale = self.whole.of(history[:, :SCALE_COLUMNS])
        return scale[:, None, None] * _shuffled(v, seed)

    def network_draws(self, which: Codes, n_draws: int) -> Array | None:
        """Standardised draws of placebos by networks that did not see them; None of a plain law."""
        if self.law is None or not self.law.is_network:
            return None
        seed = seed_sequence(self.seed, "without")
        return self.law.held_out(self.placebos.history[which], which, n_draws, seed)

    def without(self, rows: Mask, which: Codes, n_draws: int, v: Array | None) -> Array:
        """Errors of placebos by what is learnt without some of them, (m, n_draws, H).

        Parameters
        ----------
        rows : ndarray of bool, shape (P,)
            Paths to do without.
        which : ndarray of int, shape (m,)
            Paths to draw.
        n_draws : int
        v : ndarray, shape (m, n_draws, H), or None
            The :meth:`network_draws` of those paths.
        """
        paths = self.placebos
        if self.law is None:
            return np.zeros((len(which), n_draws, paths.error.shape[1]))
        z = paths.history[:, :SCALE_COLUMNS]
        scale = fit_path_scale(paths.error[~rows], z[~rows])
        if v is None:
            others = paths.error[~rows] / scale.of(z[~rows])[:, None]
            seed = seed_sequence(self.seed, "without")
            v = self.law.again(others, seed).sample(paths.history[which], n_draws, seed)
        return scale.of(z[which])[:, None, None] * v


def _shuffled(v: Array, seed: np.random.SeedSequence) -> Array:
    """Draws in another order for each unit but the first, so that units are independent."""
    rng = stream(seed, "order")
    orders = [np.arange(v.shape[1]), *(rng.permutation(v.shape[1]) for _ in range(len(v) - 1))]
    return np.stack([rows[order] for rows, order in zip(v, orders, strict=True)])


def fit_error_law(
    placebos: Paths,
    spread: float,
    diffusion: DiffusionSettings | None = None,
    random_state: Seed = None,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> ErrorLaw:
    """Learn scales and the law of placebo errors.

    Parameters
    ----------
    placebos : Paths
    spread : float
        Standard deviation of the outcome, which says what counts as no error.
    diffusion : DiffusionSettings, optional
    random_state, n_jobs, progress
    """
    seed, error = seed_sequence(random_state), placebos.error
    smallest = max(_NO_NOISE * spread, np.finfo(float).tiny)
    if np.sqrt(np.nanmean(error**2)) <= smallest:
        placebos = replace(placebos, error=0.0 * error)
        return ErrorLaw(placebos, np.zeros(len(placebos)), None, None, smallest, seed)
    z = placebos.history[:, :SCALE_COLUMNS]
    scale = _held_out_scale(error, z, placebos.unit, seed)
    v = error / scale[:, None]
    law = fit_path_law(v, placebos.history, placebos.unit, diffusion, seed, n_jobs, progress)
    return ErrorLaw(placebos, scale, fit_path_scale(error, z), law, smallest, seed)


def _held_out_scale(error: Array, z: Array, unit: Codes, seed: np.random.SeedSequence) -> Array:
    """s of each path from the paths of other units, shape (P,)."""
    out = np.empty(len(error))
    for own in own_folds(unit, seed):
        out[own] = fit_path_scale(error[~own], z[~own]).of(z[own])
    return out


def own_folds(unit: Codes, seed: np.random.SeedSequence) -> list[Mask]:
    """Paths of one unit at a time, or, of more than 60 units, of a tenth of them, (P,) each."""
    names, code = np.unique(unit, return_inverse=True)
    n_folds = len(names) if len(names) <= _MOST_FOLDS else _FEW_FOLDS
    fold = (stream(seed, "scale folds").permutation(len(names)) % n_folds)[code]
    return [np.asarray(fold == k) for k in range(n_folds)]
