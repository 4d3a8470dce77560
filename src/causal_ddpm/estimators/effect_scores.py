"""The doubly robust score of each row's effect, and least squares on it.

With mu_a, e_a the out-of-fold nuisances of :mod:`causal_ddpm.estimators.scores` and c its bound,

    Gamma_a = mu_a + 1{D = a} (Y - mu_a) / max(e_a, c),   psi = Gamma_1 - Gamma_0,

E[psi | x] = tau(x) = E[Y(1) - Y(0) | x] if either nuisance is right (Robins and Rotnitzky 1995).
Whatever is a mean, a regression or a sum of tau over groups of x is the same of psi, and its error
is that of psi as if psi had been observed (Semenova and Chernozhukov 2021; Athey and Wager 2021).

By default mu_a is put on the line of least variance first, as for the ATE, so that groups average
to the ATE; influence values are those of the *wide* scores, whose residuals Y - mu_a are divided by
sqrt(1 - leverage) (:mod:`causal_ddpm.estimators.calibration`).

The predicted effect is S = mu_1 - mu_0, out of fold.

**Least squares** of psi on z (n, q) under row weights w: coef = Q^-1 E_w[z psi], Q = E_w[z z'],

    phi = Q^-1 z (psi - z'coef),  psi the wide one.

**The line** of the effect on its prediction (Chernozhukov, Demirer, Duflo and Fernandez-Val 2025),

    tau ~ beta_1 + beta_2 (S - mean of S in the row's fold),

has beta_1 = E[tau] with influence psi - beta_1 (the centring is estimated as well) and the slope
beta_2 with that of least squares; beta_2 = 1 if predictions are right on average, 0 if they tell
nothing. S is centred in its fold for the reason given in :mod:`causal_ddpm.estimators.ranking`.

**Folds that learn from each other.** Whatever compares the rows of a fold by S (the slope, groups,
ranks, learnt rules) sums over folds products of the noise in S_k, which comes from the other folds,
and the noise of fold k. Each pair of folds enters twice, once in each role, so the terms of the sum
are correlated: with noise e_k and S_k = signal + mean of the other e_l, the variance is that of
independent terms plus once more the part that the noise in S contributes, up to twice in all when S
is nothing but noise (Luedtke and van der Laan 2016 and Wager 2024 avoid it: they train in
sequence). Influence values of such comparisons are therefore stretched by

    f = sqrt(2 - clip(beta_2 - 2 std_error, 0, 1)),

1 where S is surely right, sqrt(2) where it may be noise. The overall level, which S does not touch,
is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Column
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import ConvergenceError, DataError, NotIdentifiedError
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.estimators import scores
from causal_ddpm.estimators.calibration import Calibrated, calibrated_means
from causal_ddpm.estimators.inference import Note, Sampling
from causal_ddpm.estimators.overlap import check_overlap
from causal_ddpm.estimators.scores import Array
from causal_ddpm.nuisance.crossfit import Nuisances


@dataclass(frozen=True, eq=False)
class EffectScores:
    """Scores of the rows of one data set.

    Parameters
    ----------
    arms : ndarray, shape (n, 2)
        Gamma_0 and Gamma_1.
    wide_arms : ndarray, shape (n, 2)
        The same for influence values; equal to ``arms`` where the means are not calibrated.
    predicted : ndarray, shape (n,)
        S.
    fold_ids : ndarray of int, shape (n,)
    sampling : Sampling
    notes : list of Note
        Warnings about overlap.
    details : mapping
        The bound, how well the arms can be compared, lines of calibration; JSON-ready.
    """

    arms: Array
    wide_arms: Array
    predicted: Array
    fold_ids: NDArray[np.int64]
    sampling: Sampling
    notes: list[Note]
    details: Mapping[str, Any]

    @classmethod
    def of(
        cls, estimand: Estimand, data: CausalData, nuisances: Nuisances, calibrated: bool
    ) -> EffectScores:
        """Score every row, with calibrated means or with those of the models.

        Raises
        ------
        DataError
            If the treatment is not binary, or there are fewer than five clusters.
        OverlapError
            If the arms cannot be compared.
        ConvergenceError
            If the nuisances are no finite numbers.
        """
        estimand.check_treatment(data.treatment_schema)
        sampling = Sampling.of(data)
        d, y, mu, e = data.treatment, data.outcome, nuisances.mean, nuisances.propensity
        comparisons, notes = check_overlap(estimand, d, e, sampling)
        c = scores.clip_bound(d, data.weights)
        found = Calibrated(mu, np.ones(len(y)), {})
        if calibrated:
            found = calibrated_means(y, d, mu, e, sampling, c, (0, 1))
        omega = scores.ate_weights(d, e, c)
        arms = _arm_scores(y, d, found.mean, omega)
        if not np.isfinite(arms).all():
            raise ConvergenceError(
                f"The {estimand.name} cannot be computed: the nuisances ({nuisances.method}) hold "
                "missing or infinite values; expected finite ones. Check the outcome and "
                "propensity models with causal_ddpm.testing."
            )
        details = {
            "clip_bound": c,
            "n_clipped": sum(k.n_clipped for k in comparisons),
            "overlap": [k.to_dict() for k in comparisons],
            "calibration": {str(a): list(line) for a, line in found.lines.items()},
        }
        return cls(
            arms=arms,
            wide_arms=_arm_scores(found.inflated(y, d), d, found.mean, omega),
            predicted=mu[:, 1] - mu[:, 0],
            fold_ids=nuisances.fold_ids,
            sampling=sampling,
            notes=notes,
            details=details,
        )

    @property
    def effect(self) -> Array:
        """psi of each row, shape (n,)."""
        return self.arms[:, 1] - self.arms[:, 0]

    @property
    def wide_effect(self) -> Array:
        """psi of each row for influence values, shape (n,)."""
        return self.wide_arms[:, 1] - self.wide_arms[:, 0]

    @property
    def stretch(self) -> float:
        """f, for comparisons of the rows of a fold by S."""
        return stretch_of_folds(self.effect, self.predicted, self.fold_ids, self.sampling)


def _arm_scores(y: Array, d: NDArray[np.int64], mu: Array, omega: Array) -> Array:
    """Gamma_0 and Gamma_1, shape (n, 2), from weights omega (n,)."""
    residual = omega * (y - mu[np.arange(len(y)), d])
    return np.asarray(mu + (d[:, None] == np.arange(2)) * residual[:, None])


def confounder(name: str, data: CausalData) -> tuple[Column, Array]:
    """A confounder's schema and values, shape (n,).

    Raises
    ------
    DataError
        If there is none of that name.
    """
    if name not in data.confounder_names:
        raise DataError(
            f"there is no confounder '{name}'",
            "one of " + ", ".join(data.confounder_names),
            "Name the column among the confounders of CausalData.",
        )
    place = data.confounder_names.index(name)
    return data.covariates.columns[place], data.covariates.values[:, place]


def least_squares(psi: Array, z: Array, w: Array, wide: Array | None = None) -> tuple[Array, Array]:
    """Coefficients (q,) and influence values (n, q) of psi (n,) on z (n, q).

    z must have full rank; ``wide`` is psi for influence values.
    """
    q = (z * w[:, None]).T @ z / w.sum()
    coef = np.linalg.solve(q, z.T @ (w * psi) / w.sum())
    phi = np.linalg.solve(q, (z * ((psi if wide is None else wide) - z @ coef)[:, None]).T).T
    return coef, _centred(phi, w)


def centred_in_folds(values: Array, fold_ids: NDArray[np.int64], w: Array) -> Array:
    """Values (n,) less their weighted mean in the row's fold."""
    codes = np.unique(fold_ids, return_inverse=True)[1]
    totals = np.bincount(codes, weights=w)
    sums = np.bincount(codes, weights=w * values)
    return values - np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)[codes]


def effect_line(
    psi: Array, centred: Array, w: Array, wide: Array | None = None
) -> tuple[Array, Array]:
    """beta_1 and beta_2, shape (2,), and their influence values, shape (n, 2).

    Parameters
    ----------
    psi, centred, w : ndarray, shape (n,)
        Scores, predictions less their fold's mean, row weights.
    wide : ndarray, shape (n,), optional
        psi for influence values.

    Raises
    ------
    NotIdentifiedError
        If the predictions do not differ.
    """
    if not differ(centred, psi, w):
        raise NotIdentifiedError(
            "The models predict the same effect for every unit of a fold; expected effects that "
            "differ, for a slope or groups by predicted effect. Ask for the ATE, or for GATE and "
            "BLP(on=...) by confounders."
        )
    wide = psi if wide is None else wide
    coef, phi = least_squares(psi, np.column_stack([np.ones_like(psi), centred]), w, wide)
    phi[:, 0] = wide - np.average(wide, weights=w)
    return coef, phi


def stretch_of_folds(
    psi: Array, predicted: Array, fold_ids: NDArray[np.int64], sampling: Sampling
) -> float:
    """f of the module page; one where the predictions do not differ."""
    w = sampling.weights
    centred = centred_in_folds(predicted, fold_ids, w)
    if not differ(centred, psi, w):
        return 1.0
    coef, phi = effect_line(psi, centred, w)
    error = float(np.sqrt(sampling.covariance(sampling.influence(phi))[1, 1]))
    return float(np.sqrt(2.0 - np.clip(coef[1] - 2.0 * error, 0.0, 1.0)))


def differ(centred: Array, psi: Array, w: Array) -> bool:
    """Whether predictions, centred in their folds, differ by more than rounding."""
    scale = float(np.sqrt(w @ centred**2 / w.sum()))
    return scale > 1e-12 * float(np.abs(psi).max())


def group_means(
    values: Array, member: Array, w: Array, wide: Array | None = None
) -> tuple[Array, Array]:
    """Means of values (n,) in groups, shape (G,), and their influence values, shape (n, G).

    ``member`` (n, G) is one where a row belongs to a group; ``wide`` are values for influence.
    """
    share = w @ member / w.sum()
    wide = values if wide is None else wide
    means, centres = ((w * v) @ member / w.sum() / share for v in (values, wide))
    return means, member * (wide[:, None] - centres) / share


def _centred(phi: Array, w: Array) -> Array:
    """Influence values (n, p) less their weighted means."""
    return np.asarray(phi - np.average(phi, axis=0, weights=w))
