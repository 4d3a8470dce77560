"""The effect of every unit's kind, tau(x_i) = E[Y(1) - Y(0) | x_i], out of fold and recalibrated.

For row i of fold k let S_i be the effect predicted by models fitted without fold k, psi_i the score
of its effect (:mod:`causal_ddpm.estimators.effect_scores`), and over the rows outside fold k

    shift_k = mean of (psi - S),      slope_k = slope of the line of psi on S,

with standard errors. Then, with (x)+ = max(x, 0) and S centred in its fold,

    tau_i = S_i + kept(shift_k) + kept(slope_k - 1) (S_i - mean of S in fold k)
    kept(departure) = departure (1 - (2 std_error / departure)^2)+.

A departure within two standard errors is noise and is left out, a clear one is taken almost whole
(positive-part shrinkage, James and Stein 1961). The line as it is, without shrinkage, cost accuracy
at n = 500: see docs/inference.md. The score of row i itself enters neither its prediction nor its
line; through the nuisances behind the scores of other folds its outcome does have an influence on
the line, of order 1/n.

The record holds some arrays of length n and no influence matrix, so that a million rows are no
burden. It holds no intervals: those of groups are GATE's, those of the line BLP's, and
:mod:`causal_ddpm.estimators.cate_interval` has some that cover on average over x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData, require_data
from causal_ddpm.core.estimand import BLP
from causal_ddpm.core.estimate import refuse_synthetic
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed
from causal_ddpm.estimators.effect_scores import EffectScores, centred_in_folds, effect_line
from causal_ddpm.estimators.inference import Sampling
from causal_ddpm.estimators.scores import Array
from causal_ddpm.nuisance.crossfit import Nuisances, check_nuisances, fit_nuisances

BELIEVED_BEYOND = 2.0
"""Standard errors from which on a departure from calibration is believed."""

SUMMARY_LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)

NO_UNIT_INTERVALS = (
    "Point estimates: bands around the effects of single units are not calibrated here. "
    "conditional_intervals covers on average over x; groups (GATE) and the line (BLP) have "
    "intervals that hold their level."
)


@dataclass(frozen=True, eq=False)
class ConditionalEffects:
    """Out-of-fold effects of all rows.

    Parameters
    ----------
    effect : ndarray, shape (n,)
        Recalibrated effects, in units of the outcome.
    predicted : ndarray, shape (n,)
        S, the effects before recalibration.
    score : ndarray, shape (n,)
        psi, one noisy but unbiased measurement of each effect.
    fold_ids : ndarray of int, shape (n,)
    shift, slope : ndarray, shape (n_folds,)
        What was added to the predictions of each fold, and by what their spread was multiplied.
    sampling : Sampling
        Row weights and clusters.
    row_ids : ndarray, shape (n,)
    fingerprint, method : str
        The data, and how the nuisances were learnt.
    warnings : tuple of str
    note : str
        What the effects must not be used for.
    """

    effect: Array
    predicted: Array
    score: Array
    fold_ids: NDArray[np.int64]
    shift: Array
    slope: Array
    sampling: Sampling
    row_ids: NDArray[Any]
    fingerprint: str
    method: str
    warnings: tuple[str, ...] = ()
    note: str = NO_UNIT_INTERVALS

    def __len__(self) -> int:
        return len(self.effect)

    def to_frame(self) -> pd.DataFrame:
        """One row a unit: unit, effect, predicted_effect, score, fold."""
        return pd.DataFrame({
            "unit": self.row_ids,
            "effect": self.effect,
            "predicted_effect": self.predicted,
            "score": self.score,
            "fold": self.fold_ids,
        })  # fmt: skip

    def summary(self) -> Mapping[str, float]:
        """Mean, spread and quantiles of the effects, under the row weights."""
        w = self.sampling.weights
        mean = float(w @ self.effect / w.sum())
        order = np.argsort(self.effect, kind="stable")
        reached = np.cumsum(w[order]) / w.sum()
        place = np.searchsorted(reached, SUMMARY_LEVELS).clip(max=len(order) - 1)
        quantiles = self.effect[order[place]]
        return {
            "mean": mean,
            "sd": float(np.sqrt(w @ (self.effect - mean) ** 2 / w.sum())),
            **{f"q{u:g}": float(q) for u, q in zip(SUMMARY_LEVELS, quantiles, strict=True)},
        }

    def __repr__(self) -> str:
        numbers = ", ".join(f"{k} {v:.4g}" for k, v in self.summary().items())
        lines = [
            f"Effects of {len(self):,} units, {self.method}",
            f"  {numbers}",
            f"  recalibrated: slope {self.slope.min():.3g} to {self.slope.max():.3g}, shift "
            f"{self.shift.min():.3g} to {self.shift.max():.3g} over {len(self.slope)} folds",
            f"  {self.note}",
        ]
        return "\n".join(lines + [f"  warning: {text}" for text in self.warnings])


def conditional_effects(
    data: CausalData,
    nuisances: Nuisances | None = None,
    *,
    random_state: Seed = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> ConditionalEffects:
    """The effect of every row, from models that never saw it.

    Parameters
    ----------
    data : CausalData
        With a binary treatment.
    nuisances : Nuisances, optional
        Of :func:`~causal_ddpm.nuisance.crossfit.fit_nuisances` for these data; fitted with its
        defaults when not given.
    random_state, n_jobs, progress
        For the fit of the nuisances.

    Raises
    ------
    DataError
        If the treatment is not binary, or the nuisances belong to other data.
    NotIdentifiedError
        If the models predict one effect for all.
    OverlapError
        If the arms cannot be compared.
    """
    require_data(data)
    refuse_synthetic(data.n_synthetic)
    BLP().check_treatment(data.treatment_schema)
    if nuisances is None:
        nuisances = fit_nuisances(data, random_state=random_state, n_jobs=n_jobs, progress=progress)
    check_nuisances(data, nuisances)
    scored = EffectScores.of(BLP(), data, nuisances, calibrated=False)
    effect, shift, slope = recalibrated(scored)
    return ConditionalEffects(
        effect=effect,
        predicted=scored.predicted,
        score=scored.effect,
        fold_ids=scored.fold_ids,
        shift=shift,
        slope=slope,
        sampling=scored.sampling,
        row_ids=data.row_ids,
        fingerprint=data.fingerprint,
        method=nuisances.method,
        warnings=tuple(note.text for note in scored.notes),
    )


def recalibrated(scored: EffectScores) -> tuple[Array, Array, Array]:
    """Effects (n,), and the shift and slope applied in each fold (n_folds,)."""
    w, s, psi = scored.sampling.weights, scored.predicted, scored.effect
    centred = centred_in_folds(s, scored.fold_ids, w)
    folds = np.unique(scored.fold_ids)
    effect, shifts, slopes = s.copy(), np.zeros(len(folds)), np.ones(len(folds))
    for k, fold in enumerate(folds):
        own = scored.fold_ids == fold
        others = _rows_of(scored.sampling, ~own)
        shift = np.average(psi[~own] - s[~own], weights=others.weights)
        line, phi = effect_line(psi[~own], centred[~own], others.weights)
        phi[:, 0] = psi[~own] - s[~own] - shift
        errors = np.sqrt(np.diag(others.covariance(others.influence(phi))))
        shifts[k], departure = kept(np.array([shift, line[1] - 1.0]), errors)
        slopes[k] += departure
        effect[own] += shifts[k] + departure * centred[own]
    return effect, shifts, slopes


def kept(departure: Array, std_error: Array) -> Array:
    """The part of each departure that is believed; see the module page."""
    noise = BELIEVED_BEYOND * std_error
    beyond = np.abs(departure) > noise
    ratio = np.divide(noise, departure, out=np.ones_like(departure), where=beyond)
    return departure * (1.0 - ratio**2)


def _rows_of(sampling: Sampling, rows: NDArray[np.bool_]) -> Sampling:
    clusters = None if sampling.clusters is None else sampling.clusters[rows]
    return Sampling(sampling.weights[rows], clusters, sampling.frequency)
