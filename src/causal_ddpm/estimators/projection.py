"""Best linear predictors of the effect.

Least squares of the score psi of each row's effect
(:mod:`causal_ddpm.estimators.effect_scores`), with the influence values of least squares:

- ``BLP()``: on a constant and the out-of-fold predicted effect, centred in its fold. The average
  effect and the slope; a slope of one says that predictions are right on average, zero that they
  tell nothing (Chernozhukov, Demirer, Duflo and Fernandez-Val 2025, with the doubly robust score
  in place of the reweighted outcome). The influence of the slope is stretched because folds learn
  from each other.
- ``BLP(on=[...])``: on a constant and confounders (Semenova and Chernozhukov 2021). Numbers enter
  as they are, so that the constant is the effect where all of them are zero; a category enters as
  differences from its first level; a missing number enters as zero, beside an indicator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_ddpm.core.covariates import Column
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import BLP
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.estimators.effect_scores import (
    EffectScores,
    centred_in_folds,
    confounder,
    effect_line,
    least_squares,
)
from causal_ddpm.estimators.inference import Result, build_estimate
from causal_ddpm.estimators.scores import Array
from causal_ddpm.nuisance.crossfit import Nuisances

LINE_LABELS = ("BLP(average)", "BLP(slope)")
_RANK_TOLERANCE = 1e-9


@dataclass(frozen=True)
class LinearPredictor:
    """Estimator of a best linear predictor of the effect.

    Parameters
    ----------
    estimand : BLP
    """

    estimand: BLP

    def estimate(self, data: CausalData, nuisances: Nuisances, level: float = 0.95) -> Estimate:
        """Regress the scores.

        Raises
        ------
        DataError
            If a confounder is unknown, or those given are collinear.
        NotIdentifiedError
            If the predicted effects do not differ.
        OverlapError
            If the arms cannot be compared.
        """
        names, z = (("",), None) if self.estimand.on is None else regressors(data, self.estimand.on)
        scored = EffectScores.of(self.estimand, data, nuisances, self.estimand.calibrated)
        w = data.weights
        if z is None:
            centred = centred_in_folds(scored.predicted, scored.fold_ids, w)
            coef, phi = effect_line(scored.effect, centred, w, scored.wide_effect)
            phi[:, 1] *= scored.stretch
            labels: tuple[str, ...] = LINE_LABELS
        else:
            coef, phi = least_squares(scored.effect, z, w, scored.wide_effect)
            labels = tuple(f"BLP({name})" for name in names)
        result = Result(labels, coef, phi, scored.notes, scored.details)
        return build_estimate(result, data, nuisances, self.estimand, scored.sampling, level)


def regressors(data: CausalData, on: tuple[str, ...]) -> tuple[tuple[str, ...], Array]:
    """Names and columns of the projection, shape (n, q), the constant first.

    Raises
    ------
    DataError
        If a confounder is unknown, or the columns are collinear.
    """
    names, columns = ["constant"], [np.ones(data.n)]
    for wanted in on:
        added = _columns(*confounder(wanted, data))
        names += added
        columns += added.values()
    z = np.column_stack(columns)
    _refuse_collinear(names, z, data.weights)
    return tuple(names), z


def _columns(column: Column, values: Array) -> dict[str, Array]:
    missing = np.isnan(values)
    if column.kind == "categorical":
        found = {
            f"{column.name} = {level}": np.where(missing, 0.0, values == code)
            for code, level in enumerate(column.categories)
            if code > 0
        }
    else:
        found = {column.name: np.where(missing, 0.0, values)}
    if missing.any():
        found[f"{column.name} missing"] = missing.astype(float)
    return found


def _refuse_collinear(names: list[str], z: Array, w: Array) -> None:
    """Name the first column that the ones before it determine."""
    weighted = z * np.sqrt(w)[:, None]
    size = np.sqrt((weighted**2).sum(axis=0))
    triangle = np.linalg.qr(weighted / np.where(size > 0, size, 1.0), mode="r")
    left = np.abs(np.diag(triangle))
    dependent = np.flatnonzero(left < _RANK_TOLERANCE) if len(left) == len(names) else [len(left)]
    if len(dependent):
        raise DataError(
            f"'{names[dependent[0]]}' is determined by the columns before it",
            "columns that are not collinear",
            "Leave it out of BLP(on=...).",
        )
