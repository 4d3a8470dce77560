"""What every base fit of untreated outcomes offers: a prediction, and what supports it."""

from __future__ import annotations

from typing import Protocol

from causal_ddpm.nuisance.panel.cells import Array, PanelCells


class FittedBase(Protocol):
    """A fitted regression of untreated outcomes."""

    @property
    def unit(self) -> Array:
        """Effect of each unit, NaN where it is not identified, shape (N,)."""
        ...

    @property
    def coef(self) -> Array:
        """Coefficients of the covariates, shape (p,)."""
        ...

    def predict(self, cells: PanelCells) -> Array:
        """E[Y(0)] of every cell, NaN where it is not identified, shape (N, T)."""
        ...

    def features(self, cells: PanelCells) -> Array:
        """What the noise of a cell may depend on, shape (N, T, q).

        Only quantities whose values at the cells to be predicted lie among those learnt from:
        calendar time, for one, is left out by a base that extrapolates in it.
        """
        ...


class PanelBase(Protocol):
    """Settings of a base fit; fitting returns a new object."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def fit(self, cells: PanelCells) -> FittedBase:
        """Fit on the observed cells of a panel."""
        ...
