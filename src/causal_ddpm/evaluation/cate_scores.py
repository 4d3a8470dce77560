"""How good effects of units are, judged by rows whose outcomes did not make them.

t(x) is the effect to be judged, tau(x) the true one, psi the doubly robust score of a row
(:mod:`causal_ddpm.estimators.effect_scores`), E[psi | x] = tau(x), m = E[psi] the average effect.

**R2.** The noise of psi drops out of a difference of squared errors,

    gain = E[(psi - m)^2] - E[(psi - t)^2] = Var(tau) - E[(t - tau)^2],   R2 = gain / Var(psi).

A positive gain says that t is nearer to the truth than the average effect is; sqrt(gain) has the
unit of the outcome. R2 can never reach one: its ceiling is Var(tau) / Var(psi), the share of the
score's variance that effects explain, which no data tell without a perfect t. Two candidates are
compared by the difference of their gains on the same rows.

**TOC, AUTOC, Qini** (Yadlowsky, Fleming, Shah, Brunskill and Wager 2025). With U the rank of t,
from the largest (0) to the smallest (1),

    TOC(u) = E[psi | U <= u] - m,   AUTOC = integral of TOC(u) du,   Qini = integral of u TOC(u) du,

how much more than average the top share u gains. All three are zero when t tells nothing about
tau: AUTOC and Qini test that there is heterogeneity and t finds it. Ranks, and influence values
that count the ranking: :mod:`causal_ddpm.estimators.ranking`.

Effects that were cross-fitted learn from each other's folds: the influence of all that compares
rows by t is stretched (:mod:`causal_ddpm.estimators.effect_scores`). Those of a model that never
saw the rows are not.

**Calibration.** Groups of equal size by t: the mean of t in a group against the mean of psi.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.data import CausalData, require_data
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.estimate import EffectCurve, Estimate, refuse_synthetic
from causal_ddpm.estimators.cate import ConditionalEffects, conditional_effects
from causal_ddpm.estimators.effect_scores import EffectScores, group_means, stretch_of_folds
from causal_ddpm.estimators.groups import effect_groups
from causal_ddpm.estimators.inference import Result, build_estimate
from causal_ddpm.estimators.ranking import RANK_WEIGHTS, Ranking, rank_weighted
from causal_ddpm.estimators.scores import Array
from causal_ddpm.nuisance.crossfit import Nuisances, check_nuisances

SCORE_LABELS = ("R2", "gain", "AUTOC", "Qini")
SHARES = tuple(np.round(np.arange(0.05, 1.0, 0.05), 2).tolist())
N_GROUPS = 5


@dataclass(frozen=True)
class ScoreOfEffects(Estimand):
    """How good effects of units are; see :func:`score_effects`."""

    name = "CATE score"


@dataclass(frozen=True, eq=False)
class Calibration:
    """Mean predicted and mean doubly robust effect in groups of equal size.

    Parameters
    ----------
    predicted : ndarray, shape (G,)
        Mean of t, ascending groups.
    measured : Estimate
        Mean of psi in the same groups, with intervals.
    """

    predicted: Array
    measured: Estimate

    def frame(self, level: float | None = None) -> pd.DataFrame:
        """One row a group: predicted, value, std_error, ci_low, ci_high."""
        table = self.measured.to_frame(level)[["label", "value", "std_error", "ci_low", "ci_high"]]
        table.insert(1, "predicted", self.predicted)
        return table


@dataclass(frozen=True, eq=False)
class CateScores:
    """Scores of the effects of units.

    Parameters
    ----------
    scores : Estimate
        Entries R2, gain, AUTOC, Qini.
    toc : EffectCurve
        TOC(u) on a grid of shares u, with a band for the whole curve.
    calibration : Calibration
    """

    scores: Estimate
    toc: EffectCurve
    calibration: Calibration

    def to_frame(self, level: float | None = None) -> pd.DataFrame:
        """One row a score."""
        return self.scores.to_frame(level)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: scores, toc and calibration as lists of rows."""
        return {
            "scores": self.scores.records(),
            "toc": self.toc.to_frame().to_dict(orient="records"),
            "calibration": self.calibration.frame().to_dict(orient="records"),
            "warnings": list(self.scores.warnings),
        }

    def __repr__(self) -> str:
        calibration = self.calibration.frame().to_string(index=False, float_format="{:.4g}".format)
        return f"{self.scores!r}\n{calibration}"


def score_effects(
    data: CausalData,
    nuisances: Nuisances,
    effects: ConditionalEffects | ArrayLike | None = None,
    *,
    n_groups: int = N_GROUPS,
    shares: Sequence[float] = SHARES,
    level: float = 0.95,
) -> CateScores:
    """Judge effects of units.

    Parameters
    ----------
    data : CausalData
    nuisances : Nuisances
        Of :func:`~causal_ddpm.nuisance.crossfit.fit_nuisances` for these data.
    effects : ConditionalEffects or array_like, shape (n,), optional
        Out-of-fold effects of these rows, or one number a row from a model that never saw them;
        :func:`~causal_ddpm.estimators.cate.conditional_effects` by default.
    n_groups : int
        Groups of the calibration.
    shares : sequence of float
        Grid of TOC, in (0, 1].
    level : float
        Confidence level.

    Raises
    ------
    DataError
        If the effects do not belong to these rows, or the grid leaves (0, 1].
    NotIdentifiedError
        If the effects do not differ.
    OverlapError
        If the arms cannot be compared.
    """
    require_data(data)
    refuse_synthetic(data.n_synthetic)
    check_nuisances(data, nuisances)
    grid = _checked_shares(shares)
    scored = EffectScores.of(ScoreOfEffects(), data, nuisances, calibrated=False)
    t, strata = _judged(data, nuisances, effects)
    ranking = Ranking.of(t, data.weights, strata)
    codes = effect_groups(t, strata, data.weights, n_groups)

    def estimate(
        labels: tuple[str, ...], values: Array, phi: Array, level_of_all: Array | float = 0.0
    ) -> Estimate:
        phi = level_of_all + stretch * (phi - level_of_all)
        result = Result(labels, values, phi, scored.notes, scored.details)
        sampling = scored.sampling
        return build_estimate(result, data, nuisances, ScoreOfEffects(), sampling, level)

    psi, w = scored.effect, data.weights
    crossed = len(np.unique(strata)) > 1
    stretch = stretch_of_folds(psi, t, strata, scored.sampling) if crossed else 1.0
    overall = (psi - np.average(psi, weights=w))[:, None]
    curve = estimate(tuple(f"TOC({u:g})" for u in grid), *toc(psi, ranking, grid))
    lower, upper = (np.atleast_1d(x) for x in curve.interval(level, simultaneous=True))
    names = tuple(f"group {g + 1} of {n_groups}" for g in range(n_groups))
    member = (codes[:, None] == np.arange(n_groups)) / 1.0
    predicted, _ = group_means(t, member, w)
    return CateScores(
        scores=estimate(SCORE_LABELS, *summary_scores(psi, t, w, ranking)),
        toc=EffectCurve(grid, curve, lower, upper, uniform=True),
        calibration=Calibration(predicted, estimate(names, *group_means(psi, member, w), overall)),
    )


def summary_scores(psi: Array, t: Array, w: Array, ranking: Ranking) -> tuple[Array, Array]:
    """R2, gain, AUTOC and Qini, shape (4,), and their influence values, shape (n, 4)."""
    spread = (psi - np.average(psi, weights=w)) ** 2
    total = float(np.average(spread, weights=w))
    gained = spread - (psi - t) ** 2
    gain = float(np.average(gained, weights=w))
    r2 = gain / total
    phi_r2 = (gained - gain - r2 * (spread - total)) / total
    areas = [rank_weighted(psi, ranking, kind) for kind in RANK_WEIGHTS]
    values = [r2, gain, *(value for value, _ in areas)]
    return np.array(values), np.column_stack([phi_r2, gained - gain, *(phi for _, phi in areas)])


def toc(psi: Array, ranking: Ranking, grid: Array) -> tuple[Array, Array]:
    """TOC on a grid of shares (G,), and its influence values (n, G).

    With pi the part of each row in the top share u and H = E[pi psi], phi = (pi psi - H -
    m(u) (pi - u)) / u - (psi - m): the share is kept, so a row that enters the top drives the
    marginal row out.
    """
    w = ranking.weights
    mean = float(np.average(psi, weights=w))
    values, phi = np.empty(len(grid)), np.empty((len(psi), len(grid)))
    for j, u in enumerate(grid):
        top = ranking.top(u)
        h = float(np.average(top * psi, weights=w))
        values[j] = h / u - mean
        moved = top * psi - h - ranking.mean_near(psi, u) * (top - u)
        phi[:, j] = moved / u - (psi - mean)
    return values, phi


def _judged(
    data: CausalData, nuisances: Nuisances, effects: ConditionalEffects | ArrayLike | None
) -> tuple[Array, NDArray[np.int64]]:
    """The effects to judge and the strata within which they are ranked."""
    if effects is None:
        effects = conditional_effects(data, nuisances)
    if isinstance(effects, ConditionalEffects):
        if effects.fingerprint != data.fingerprint:
            raise DataError("the effects belong to other data", "effects of these rows")
        return effects.effect, effects.fold_ids
    t = np.asarray(effects, dtype=float)
    if t.shape != (data.n,) or not np.isfinite(t).all():
        raise DataError(
            f"the effects have shape {t.shape}, {int((~np.isfinite(t)).sum())} of them not finite",
            f"{data.n:,} finite numbers, one a row",
        )
    return t, np.zeros(data.n, dtype=np.int64)


def _checked_shares(shares: Sequence[float]) -> Array:
    grid = np.asarray(shares, dtype=float)
    if grid.ndim != 1 or not len(grid) or not ((grid > 0) & (grid <= 1)).all():
        raise DataError(f"the shares are {list(shares)}", "numbers in (0, 1], such as [0.1, 0.5]")
    return grid
