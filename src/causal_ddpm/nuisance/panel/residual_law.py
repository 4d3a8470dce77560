r"""The recommended law of a panel: a base fit, and diffusion of what it leaves.

With the observed cells in K folds of blocks (:mod:`causal_ddpm.nuisance.panel.blocks`), m_-S the
base fitted without the folds S,

    r_it     = y_it - m_{-k,it}                          (i, t) in fold k: held-out residuals
    s_i      = moderated standard deviation of r_i.
    v_it^(k) = (y_it - m_{-jk,it}) / s_i                 (i, t) in fold j: rows that train network k
    b        = slope of r_it on s_i mean Q_v^(k)(c_it),  (i, t) in fold k
    kappa    = b (1 - se(b)^2 / b^2)_+  within [0, 1],   se(b) clustered by unit

In-sample residuals would be too small, and residuals m_{-j} would hand network k the noise of fold
k with a minus sign; hence fits without two folds. The final law has the base of all observed cells,
and the mean of the K networks (:mod:`causal_ddpm.nuisance.panel.law`). What the networks are told
of a cell is the base's own list (``features``). s_i and kappa are shared by all folds. Where the
base is right b is pure noise, hence the positive-part shrinkage of kappa: a correction of the mean
that chance explains is left out.

Where held-out residuals are below 1e-9 of the spread of the outcome there is no noise to learn.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.diffusion.batches import TrainingGroup
from causal_ddpm.diffusion.conditional import DiffusionSettings, train_conditional
from causal_ddpm.nuisance.panel.base import FittedBase, PanelBase
from causal_ddpm.nuisance.panel.blocks import block_folds
from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells
from causal_ddpm.nuisance.panel.law import PanelLaw
from causal_ddpm.nuisance.panel.two_way import TwoWay
from causal_ddpm.nuisance.panel.unit_scale import unit_scales

_NO_NOISE = 1e-9
_KAPPA_NODES = 8
RESIDUAL_STEPS = 300
"""Training steps where none are given: little of a residual can be learnt from its cell."""


@dataclass(frozen=True)
class ResidualPanelModel:
    """Settings of the law of the residuals of a base fit.

    Parameters
    ----------
    base : PanelBase
        :class:`TwoWay` or :class:`UnitTrend`, for one.
    diffusion : DiffusionSettings
        One network a fold and 300 steps where they are left open.
    n_folds : int
        K, at least 3.
    """

    base: PanelBase = field(default_factory=TwoWay)
    diffusion: DiffusionSettings = field(default_factory=DiffusionSettings)
    n_folds: int = 5

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"diffusion of residuals ({self.base.name})"

    def fit(self, cells: PanelCells, random_state: Seed = None) -> PanelLaw:
        """Learn the law from the observed cells.

        Raises
        ------
        NotIdentifiedError
            If the base is not identified.
        DataError
            For fewer than three folds, or too few cells to train on.
        ConvergenceError
            If training diverged.
        """
        root = seed_sequence(random_state)
        fits = _FoldFits.of(self.base, cells, block_folds(cells.observed, self.n_folds, root))
        residual = fits.held_out_residual()
        if np.sqrt(np.nanmean(residual**2)) <= _NO_NOISE * np.nanstd(cells.outcome):
            return self._law(cells, fits.whole, np.zeros(len(residual)), 0.0)
        scale = unit_scales(residual)
        groups = [fits.training_group(k, scale) for k in range(self.n_folds)]
        model = train_conditional(groups, self._settings(), root, n_arms=1)
        correction = np.full(cells.shape, np.nan)
        for k in range(self.n_folds):
            rows, condition = fits.held_out_rows(k)
            nodes = model.nodes(k, condition, 0, _KAPPA_NODES)
            correction[rows] = scale[np.nonzero(rows)[0]] * nodes.mean(axis=1)
        known = np.isfinite(correction) & np.isfinite(residual)
        kappa = earned_kappa(np.where(known, residual, 0.0), np.where(known, correction, 0.0))
        law = self._law(cells, fits.whole, scale, kappa)
        report = {"base": self.base.name, "kappa": kappa, "networks": [model.report]}
        return replace(law, diffusion=model, report=report)

    def _settings(self) -> DiffusionSettings:
        given, steps = self.diffusion, self.diffusion.n_steps
        if steps is None and given.n_epochs is None:
            steps = RESIDUAL_STEPS
        return replace(given, n_members=given.n_members or 1, n_steps=steps)

    def _law(self, cells: PanelCells, base: FittedBase, scale: Array, kappa: float) -> PanelLaw:
        spread = np.broadcast_to(scale[:, None], cells.shape)
        report = {"base": self.base.name, "kappa": kappa}
        features = base.features(cells)
        return PanelLaw(base.predict(cells), spread, features, kappa, None, report)


def earned_kappa(residual: Array, correction: Array) -> float:
    """Share of a correction of the mean that held-out residuals bear out, within [0, 1].

    Parameters
    ----------
    residual, correction : ndarray, shape (N, T)
        Zero in cells that do not count; errors within a row may depend on each other.
    """
    power = float(np.sum(correction**2))
    if power == 0:
        return 0.0
    slope = float(np.sum(residual * correction)) / power
    score = np.sum(correction * (residual - slope * correction), axis=1)
    variance = float(np.sum(score**2)) / power**2
    if slope <= 0 or variance >= slope**2:
        return 0.0
    return min(1.0, slope * (1 - variance / slope**2))


@dataclass(frozen=True, eq=False)
class _FoldFits:
    """Base fits without one fold, without two, and of all observed cells."""

    cells: PanelCells
    folds: NDArray[np.int64]
    whole: FittedBase
    without: dict[tuple[int, ...], FittedBase]

    @classmethod
    def of(cls, base: PanelBase, cells: PanelCells, folds: NDArray[np.int64]) -> _FoldFits:
        n_folds = int(folds.max()) + 1
        left_out = [c for size in (1, 2) for c in combinations(range(n_folds), size)]
        without = {c: base.fit(cells.without(np.isin(folds, c))) for c in left_out}
        return cls(cells, folds, base.fit(cells), without)

    def held_out_residual(self) -> Array:
        """Residuals of fits without the cell's own fold, NaN where there is none, (N, T)."""
        out = np.full(self.cells.shape, np.nan)
        for k in range(int(self.folds.max()) + 1):
            own = self.folds == k
            out[own] = (self.cells.outcome - self.without[(k,)].predict(self.cells))[own]
        return out

    def held_out_rows(self, k: int) -> tuple[Mask, Array]:
        """Cells of fold k that the fit without it identifies, and their conditions."""
        fit = self.without[(k,)]
        known = np.isfinite(fit.predict(self.cells)) & (self.folds == k)
        return known, fit.features(self.cells)[known]

    def training_group(self, k: int, scale: Array) -> TrainingGroup:
        """Rows of all folds but k: conditions and standardised pairwise residuals."""
        condition, target = [], []
        for j in sorted({*np.unique(self.folds).tolist()} - {-1, k}):
            fit = self.without[(min(j, k), max(j, k))]
            residual = (self.cells.outcome - fit.predict(self.cells)) / scale[:, None]
            rows = (self.folds == j) & np.isfinite(residual)
            condition.append(fit.features(self.cells)[rows])
            target.append(residual[rows])
        v = np.concatenate(target)
        return TrainingGroup(np.vstack(condition), np.zeros(len(v), dtype=np.int64), v)
