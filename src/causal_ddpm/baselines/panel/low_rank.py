"""Untreated outcomes as unit effects, period effects and a few factors (pyfector).

    y_it(0) = a_i + d_t + c'x_it + l_i'f_t + e_it

    IFE     r factors by least squares (Bai 2009; Xu 2017)
    MC-NNM  a matrix of small nuclear norm in place of l_i'f_t (Athey et al. 2021)

learnt from untreated cells alone. The number of factors and the penalty are chosen by
cross-validation on all untreated cells: on the treated units' few cells before treatment, the
library's default, the choice is noise.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from causal_ddpm.baselines.panel.counterfactual import Cells, CounterfactualBaseline, Untreated
from causal_ddpm.baselines.panel.method import PanelScope


class LowRank(CounterfactualBaseline):
    """A model of pyfector."""

    library: ClassVar[str] = "pyfector"

    def untreated(
        self, cells: Cells, chosen: Mapping[str, Any] | None, library: ModuleType, seed: int
    ) -> Untreated:
        """The fitted surface, with the rank or penalty chosen, or kept."""
        frame, covariates = _frame(cells)
        settings = self._search() | {"CV": True} if chosen is None else {**chosen, "CV": False}
        fit = library.fect(
            frame, Y="y", D="treated", index=("unit", "period"), X=covariates or None,
            cv_treat=False, se=False, n_jobs=1, seed=seed, **settings,
        )  # fmt: skip
        y0 = np.full(cells.y.shape, np.nan)
        place = [int(unit) for unit in fit.panel.unit_ids]
        y0[np.ix_(place, [int(t) for t in fit.panel.time_ids])] = np.asarray(fit.Y_ct).T
        kept = self._found(fit)
        return Untreated(y0, kept, {"chosen": {k: v for k, v in kept.items() if k != "method"}})

    @abstractmethod
    def _search(self) -> dict[str, Any]:
        """Arguments of the first fit, which chooses."""

    @abstractmethod
    def _found(self, fit: Any) -> dict[str, Any]:
        """Arguments that repeat the choice."""


@dataclass(frozen=True)
class InteractiveFixedEffects(LowRank):
    """Factors by least squares, their number by cross-validation.

    Parameters
    ----------
    most_factors : int
        Largest number tried; fewer where few periods precede treatment.
    replications : int
        Most placebos or bootstrap draws.
    """

    most_factors: int = 5
    replications: int = 100
    name: ClassVar[str] = "ife"
    title: ClassVar[str] = "Interactive fixed effects"
    assumes: ClassVar[str] = "a few common factors; treatment independent of what they leave"
    scope: ClassVar[PanelScope] = PanelScope(never_treated=3, before=3, covariates=True)

    def _search(self) -> dict[str, Any]:
        return {"method": "ife", "r": (0, self.most_factors)}

    def _found(self, fit: Any) -> dict[str, Any]:
        return {"method": "ife", "r": int(fit.r_cv)}


@dataclass(frozen=True)
class MatrixCompletion(LowRank):
    """A matrix of small nuclear norm, the penalty by cross-validation.

    Parameters
    ----------
    replications : int
        Most placebos or bootstrap draws.
    """

    replications: int = 100
    name: ClassVar[str] = "mc-nnm"
    title: ClassVar[str] = "Matrix completion (MC-NNM)"
    assumes: ClassVar[str] = "untreated outcomes close to low rank beside unit and period effects"
    scope: ClassVar[PanelScope] = PanelScope(never_treated=3, before=2, covariates=True)

    def _search(self) -> dict[str, Any]:
        return {"method": "mc"}

    def _found(self, fit: Any) -> dict[str, Any]:
        return {"method": "mc", "lam": float(fit.lambda_cv)}


def _frame(cells: Cells) -> tuple[pd.DataFrame, list[str]]:
    """Observed cells in long form, and the names of the covariates."""
    i, t = np.nonzero(np.isfinite(cells.y))
    treated = (t >= cells.first[i]).astype(int)
    frame = pd.DataFrame({"unit": i, "period": t, "y": cells.y[i, t], "treated": treated})
    names = [f"x{j}" for j in range(cells.x.shape[2])]
    for j, name in enumerate(names):
        frame[name] = cells.x[i, t, j]
    return frame, names
