r"""The law of the untreated outcome of every cell of a panel.

    Q_it(u) = m_it + s_it (Q_v(u | c_it) - (1 - kappa) mean Q_v(. | c_it))

m and s are the location and scale of a cell, c its condition, Q_v the quantile function of the
standardised residual, averaged over the groups of a diffusion, and kappa says how far the diffusion
may move the mean. Without a diffusion (a panel without noise) the law is the location itself.

The law is that of one cell: draws of different cells are independent given the fit, so the spread
of their mean leaves out what the cells of a unit share, the error of the fit included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from causal_ddpm.core.distribution import ConditionalLaw
from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.diffusion.conditional import ConditionalDiffusion
from causal_ddpm.diffusion.reading import mid_latents
from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells

MEAN_NODES = 16
"""Quantile nodes behind a mean."""


@dataclass(frozen=True, eq=False)
class PanelLaw:
    """A fitted law of untreated outcomes.

    Parameters
    ----------
    location : ndarray, shape (N, T)
        m, NaN where it is not identified.
    scale : ndarray, shape (N, T)
        s.
    condition : ndarray, shape (N, T, q)
        c.
    kappa : float
    diffusion : ConditionalDiffusion or None
        Of one arm; its groups are averaged.
    report : mapping
        What the fit has to say, JSON-ready.
    """

    location: Array
    scale: Array
    condition: Array
    kappa: float
    diffusion: ConditionalDiffusion | None
    report: Mapping[str, Any] = field(default_factory=dict)

    def nodes(self, where: Mask, n_nodes: int = 32) -> Array:
        """Mid-quantiles of the cells of a mask in row-major order, shape (m, n_nodes)."""
        return self.transport(where, mid_latents(n_nodes))

    def mean(self, where: Mask) -> Array:
        """E[Y(0)] of the cells of a mask, m + s kappa mean Q_v, shape (m,)."""
        location, scale, condition = self._cells(where)
        if self.diffusion is None or self.kappa == 0:
            return location
        return location + scale * self.kappa * self._centre(condition)

    def predictive(self, where: Mask, n_nodes: int = 64) -> ConditionalLaw:
        """The laws of the cells of a mask."""
        return ConditionalLaw(self.nodes(where, n_nodes))

    def sample(self, where: Mask, n_samples: int = 1, random_state: Seed = None) -> Array:
        """Draws of the cells of a mask, independent given the fit, shape (m, n_samples)."""
        if n_samples < 1:
            raise DataError(f"n_samples is {n_samples}", "a whole number from 1 upwards")
        rng = stream(random_state, "panel draws")
        return self.transport(where, rng.standard_normal((int(np.sum(where)), n_samples)))

    def transport(self, where: Mask, z: Array) -> Array:
        """Outcomes at standard-normal latents z, shape (Q,) or (m, Q); (m, Q).

        Raises
        ------
        DataError
            If the mask is not one of the panel, or holds no cell.
        NotIdentifiedError
            If no chain of observed cells links a cell's unit and period.
        """
        location, scale, condition = self._cells(where)
        shape = (len(location), np.shape(z)[-1])
        if self.diffusion is None:
            return np.broadcast_to(location[:, None], shape).copy()
        v = self._standardised(condition, z)
        if self.kappa != 1:
            v = v - (1 - self.kappa) * self._centre(condition)[:, None]
        return location[:, None] + scale[:, None] * v

    def _standardised(self, condition: Array, z: Array) -> Array:
        """Q_v at latents, averaged over the groups."""
        assert self.diffusion is not None
        model = self.diffusion
        return np.mean([model.transport(k, condition, 0, z) for k in range(model.n_groups)], axis=0)

    def _centre(self, condition: Array) -> Array:
        """mean Q_v."""
        return self._standardised(condition, mid_latents(MEAN_NODES)).mean(axis=1)

    def _cells(self, where: Mask) -> tuple[Array, Array, Array]:
        mask = np.asarray(where)
        if mask.shape != self.location.shape or mask.dtype != bool or not mask.any():
            raise DataError(
                f"the mask of cells has shape {mask.shape} and {int(mask.sum())} cells",
                f"at least one cell of a panel of shape {self.location.shape}",
            )
        location = self.location[mask]
        lost = int(np.isnan(location).sum())
        if lost:
            raise NotIdentifiedError(
                f"The untreated outcome of {lost} of {len(location)} cells is not identified: no "
                "chain of untreated cells links their unit and period. Leave out those periods, "
                "or state a trend."
            )
        return location, self.scale[mask], self.condition[mask]


class PanelModel(Protocol):
    """Settings of a model of untreated outcomes."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def fit(self, cells: PanelCells, random_state: Seed = None) -> PanelLaw:
        """Learn the law from the observed cells."""
        ...
