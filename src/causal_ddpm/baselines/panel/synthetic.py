"""Differences, synthetic controls and synthetic difference-in-differences, cohort by cohort.

With ybar_t the mean of a cohort's treated units, omega weights of controls and lambda weights of
the periods before treatment (both non-negative, adding up to one),

    y0_t = sum_i omega_i y_it + sum_{s < g} lambda_s (ybar_s - sum_i omega_i y_is)

    DID    omega and lambda equal
    SC     omega fits the path before treatment, lambda = 0 (Abadie, Diamond, Hainmueller 2010)
    SDID   omega fits it up to a level, with a ridge; lambda makes periods before treatment like
           those after it for controls (Arkhangelsky et al. 2021)

DID and SC are computed by synthdid-py, SDID by diff-diff, in which one fit takes a tenth of the
time; both give -15.604 for Proposition 99.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.baselines.panel.counterfactual import (
    Block,
    Cells,
    CounterfactualBaseline,
    Untreated,
    blocks,
    with_gap,
)
from causal_ddpm.baselines.panel.method import PanelScope

Array = NDArray[np.float64]


class WeightedControls(CounterfactualBaseline):
    """Weights of controls and of periods, for each cohort."""

    def untreated(
        self, cells: Cells, chosen: Mapping[str, Any] | None, library: ModuleType, seed: int
    ) -> Untreated:
        """Paths of weighted controls; see the module page."""
        y0 = np.full(cells.y.shape, np.nan)
        for members, block in blocks(cells):
            omega, lam = self._weights(block, library)
            y0[members] = with_gap(cells, members, weighted_path(block, omega, lam))
        return Untreated(y0)

    @abstractmethod
    def _weights(self, block: Block, library: ModuleType) -> tuple[Array, Array]:
        """omega (N0,) and lambda (g,)."""


def weighted_path(block: Block, omega: Array, lam: Array) -> Array:
    """y0 of the module page, shape (T,)."""
    synthetic = omega @ block.controls
    before = slice(None, block.first)
    return np.asarray(synthetic + lam @ (block.treated.mean(axis=0) - synthetic)[before])


@dataclass(frozen=True)
class DifferenceInDifferences(WeightedControls):
    """Means of treated units and controls before and after.

    Parameters
    ----------
    replications : int
        Most placebos or bootstrap draws.
    """

    replications: int = 200
    name: ClassVar[str] = "did"
    title: ClassVar[str] = "Difference-in-differences"
    assumes: ClassVar[str] = "parallel trends of treated units and all controls"
    library: ClassVar[str] = "synthdid"
    scope: ClassVar[PanelScope] = PanelScope(never_treated=3, gaps=False)

    def _weights(self, block: Block, library: ModuleType) -> tuple[Array, Array]:
        # Its noise level, unknown with one period before treatment, plays no part here.
        fit = library.did_estimate(block.y, N0=len(block.controls), T0=block.first, noise_level=1.0)
        return fit.weights.omega, fit.weights.lambda_


@dataclass(frozen=True)
class SyntheticControl(WeightedControls):
    """Controls weighted to the treated path before treatment, by outcomes alone.

    Parameters
    ----------
    replications : int
        Most placebos or bootstrap draws.
    """

    replications: int = 50
    name: ClassVar[str] = "sc"
    title: ClassVar[str] = "Synthetic control"
    assumes: ClassVar[str] = (
        "the treated path lies among those of controls, and weights that fit before treatment go "
        "on fitting"
    )
    library: ClassVar[str] = "synthdid"
    scope: ClassVar[PanelScope] = PanelScope(never_treated=3, before=2, gaps=False)

    def _weights(self, block: Block, library: ModuleType) -> tuple[Array, Array]:
        fit = library.sc_estimate(block.y, N0=len(block.controls), T0=block.first)
        return fit.weights.omega, fit.weights.lambda_


@dataclass(frozen=True)
class SyntheticDiD(WeightedControls):
    """Controls weighted to be parallel before treatment, periods to be like those after.

    Parameters
    ----------
    replications : int
        Most placebos or bootstrap draws.
    """

    replications: int = 100
    name: ClassVar[str] = "sdid"
    title: ClassVar[str] = "Synthetic DID"
    assumes: ClassVar[str] = "weighted controls would have moved in parallel with the treated units"
    library: ClassVar[str] = "diff_diff"
    scope: ClassVar[PanelScope] = PanelScope(never_treated=3, before=2, gaps=False)

    def _weights(self, block: Block, library: ModuleType) -> tuple[Array, Array]:
        n, n_periods = block.y.shape
        unit, period = np.indices(block.y.shape)
        n_controls, n_treated = len(block.controls), len(block.treated)
        frame = pd.DataFrame({"unit": unit.ravel(), "period": period.ravel(), "y": block.y.ravel()})
        frame["treated"] = (frame["unit"] >= n_controls).astype(int)
        # The library wants a standard error of its own; its smallest is taken and not read.
        variance = "placebo" if n_controls > n_treated else "jackknife"
        fit = library.SyntheticDiD(variance_method=variance, n_bootstrap=2, seed=0).fit(
            data=frame, outcome="y", treatment="treated", unit="unit", time="period",
            post_periods=list(range(block.first, n_periods)),
        )  # fmt: skip
        omega = np.array([fit.unit_weights.get(i, 0.0) for i in range(n - len(block.treated))])
        lam = np.array([fit.time_weights.get(t, 0.0) for t in range(block.first)])
        return omega, lam
