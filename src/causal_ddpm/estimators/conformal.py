"""Intervals for the effect on one unit, Y(1) - Y(0), by weighted conformal prediction.

tau(x) is an average over units with equal x. The effect on one unit also holds what x does not
say, so its interval is much wider. Symbols: q_a(u | x) the quantile function of the out-of-fold law
of Y(a) given x (the diffusion's), e_a(x) = P(D = a | x), alpha = 1 - level.

**A unit of the sample** was observed in arm d; a = 1 - d is the world it was not in. The rows of
arm a calibrate the law of Y(a) (conformalised quantile regression, Romano, Patterson and Candes
2019) and are made to look like units of arm d by weights (Tibshirani et al. 2019; Lei and Candes
2021):

    score    V_k = max(q_a(alpha/2 | x_k) - Y_k, Y_k - q_a(1 - alpha/2 | x_k)),    D_k = a
    weight   w(x) = e_d(x) / e_a(x)
    Q_i    = the level-quantile of sum_k p_k delta(V_k) + p_i delta(infinity),  p in proportion to w
    Y_i(a) in [q_a(alpha/2 | x_i) - Q_i,  q_a(1 - alpha/2 | x_i) + Q_i]

The observed outcome turns that into an interval for Y(1) - Y(0). It holds with probability at least
``level`` within each arm if the law does not matter and the propensity is right, and asymptotically
if either is right (their theorems 1 and 3). Nothing is assumed about how Y(0) and Y(1) go together.

**A new unit** was observed in no arm. Each Y(a) gets an interval at level 1 - alpha/2 with weights
1 / e_a(x), and the effect lies between the differences of their ends (section 4.1, the naive
combination). It holds under every coupling of the two outcomes, hence is wide.

**Folds.** V_k is read from a law that never saw row k, and the interval of row i from one that
never saw row i. Scores of all folds are pooled (cross-conformal prediction, Vovk 2015): the exact
guarantee holds for each fold by itself, with a fifth of the scores, and often infinite ends. Pooled
coverage is measured in ``benchmarks/results/unit_intervals.md``.

**Weak overlap.** Where p_i alone exceeds alpha the interval is infinite: no comparable unit was
seen. Ends never leave the range that the kind of the outcome allows.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from causal_ddpm.core.data import CausalData, require_data
from causal_ddpm.core.discrete import RowLaw
from causal_ddpm.core.errors import DataError, NotCalibratedWarning, OverlapWarning
from causal_ddpm.core.estimate import refuse_synthetic
from causal_ddpm.core.outcome import Outcome
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.treatment import require_binary
from causal_ddpm.estimators.inference import Sampling
from causal_ddpm.estimators.scores import Array, clip_bound
from causal_ddpm.nuisance.crossfit import Nuisances, check_nuisances


class NewRowsLaw(Protocol):
    """What a law of new rows must answer; ``PotentialOutcomeLaw`` does."""

    def predictive(self, X: Any, arm: Any) -> RowLaw:
        """The law of Y(arm) for each row of X."""
        ...


@dataclass(frozen=True, eq=False)
class UnitEffectIntervals:
    """Intervals for the effects on single units.

    Parameters
    ----------
    effect : ndarray, shape (n,)
        A point inside the question, not an estimate of it: for a unit of the sample the effect if
        units of equal x keep their rank from one world to the other (an assumption that no data
        test), for a new unit the mean effect given x.
    lower, upper : ndarray, shape (n,)
        Of Y(1) - Y(0), infinite where no comparable unit was seen.
    outcomes : DataFrame, n rows
        Intervals of the outcomes they were made of.
    level : float
    new : bool
        Whether the units are new.
    warnings : tuple of str
    """

    effect: Array
    lower: Array
    upper: Array
    outcomes: pd.DataFrame
    level: float
    new: bool
    warnings: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """One line a unit: effect, lower, upper, then the outcomes they were made of."""
        own = {"effect": self.effect, "lower": self.lower, "upper": self.upper}
        return pd.concat([pd.DataFrame(own, index=self.outcomes.index), self.outcomes], axis=1)

    @property
    def n_infinite(self) -> int:
        """Units without a finite interval."""
        return int((~np.isfinite(self.upper - self.lower)).sum())

    def __repr__(self) -> str:
        finite = np.isfinite(self.upper - self.lower)
        width = np.median((self.upper - self.lower)[finite]) if finite.any() else np.inf
        what = "new units, under every coupling" if self.new else "units of the sample"
        return (
            f"{self.level:.0%} intervals for Y(1) - Y(0) of {len(self.effect):,} {what}; median "
            f"width {width:.4g}, {self.n_infinite} of them infinite"
        )


def unit_effect_intervals(
    data: CausalData, nuisances: Nuisances, level: float = 0.95, random_state: Seed = 0
) -> UnitEffectIntervals:
    """Intervals for Y(1) - Y(0) of each row, given its observed outcome.

    Parameters
    ----------
    data : CausalData
        With a binary treatment.
    nuisances : Nuisances
        With laws; of :func:`~causal_ddpm.nuisance.crossfit.fit_nuisances` for these data.
    level : float
        Share of units, among the treated and among the untreated, whose effect the intervals are
        to hold.
    random_state : int, SeedSequence or None
        For ranks within the jumps of a law (outcomes with an atom, counts, levels).

    Raises
    ------
    DataError
        If the nuisances belong to other data or have no laws, the treatment is not binary, or a
        number is out of range.

    Warns
    -----
    OverlapWarning
        Where intervals are infinite.
    NotCalibratedWarning
        With clusters.
    """
    laws = _checked(data, nuisances, level)
    d, y = data.treatment, data.outcome
    ends, kept = np.empty((data.n, 2)), np.empty(data.n)
    for a in (0, 1):
        units = np.flatnonzero(d != a)
        calibration = _Calibration.of(data, nuisances, a, odds=True)
        band = calibration.band(laws[a].rows(units), nuisances.propensity[units], level)
        ends[units] = _within(band, data.outcome_schema)
        rank = laws[1 - a].rows(units).rank(y[units], stream(random_state, "rank", a))
        kept[units] = laws[a].rows(units).inverse(rank[:, None])[:, 0]
    sign = np.where(d == 1, 1.0, -1.0)
    effects = np.sort(sign[:, None] * (y[:, None] - ends), axis=1)
    columns = {
        "treatment": d,
        "observed": y,
        "other_outcome": kept,
        "other_lower": ends[:, 0],
        "other_upper": ends[:, 1],
    }
    outcomes = pd.DataFrame(columns, index=pd.Index(data.row_ids, name="row"))
    notes = _told(_notes(data, ends))
    return UnitEffectIntervals(
        sign * (y - kept), effects[:, 0], effects[:, 1], outcomes, float(level), False, notes
    )


def new_unit_effect_intervals(
    data: CausalData,
    nuisances: Nuisances,
    law: NewRowsLaw,
    X: Any,
    level: float = 0.95,
    *,
    propensity: ArrayLike | None = None,
    random_state: Seed = 0,
) -> UnitEffectIntervals:
    """Intervals for Y(1) - Y(0) of units that were observed in neither arm.

    Parameters
    ----------
    data : CausalData
        The rows that calibrate.
    nuisances : Nuisances
        Their nuisances, with laws.
    law : PotentialOutcomeLaw
        Fitted on ``data`` by the same outcome model, for new rows.
    X : frame, Covariates or numeric array
        Confounders of the new units.
    level : float
    propensity : array_like, shape (m, 2), optional
        P(D = a | x) of the new units; by default ``PropensityMix`` is fitted on ``data``.
    random_state : int, SeedSequence or None
        Of the propensity.

    Raises
    ------
    DataError
        As :func:`unit_effect_intervals`.

    Warns
    -----
    OverlapWarning, NotCalibratedWarning
        As :func:`unit_effect_intervals`.
    """
    _checked(data, nuisances, level)
    if propensity is None:
        from causal_ddpm.nuisance.propensity import PropensityMix

        propensity = PropensityMix().fit(data, random_state).predict(X)
    e = np.asarray(propensity, dtype=float)
    each = (1 + level) / 2
    bands, means = [], []
    for a in (0, 1):
        predicted = law.predictive(X, a)
        if e.shape != (len(predicted), 2):
            raise DataError(f"the propensity has shape {e.shape}", f"({len(predicted)}, 2)")
        calibration = _Calibration.of(data, nuisances, a, odds=False)
        bands.append(_within(calibration.band(predicted, e, each), data.outcome_schema))
        means.append(predicted.mean())
    columns = {
        f"y{a}_{side}": bands[a][:, k] for a in (0, 1) for k, side in enumerate(("lower", "upper"))
    }
    notes = _told(_notes(data, np.hstack(bands)))
    return UnitEffectIntervals(
        effect=means[1] - means[0],
        lower=bands[1][:, 0] - bands[0][:, 1],
        upper=bands[1][:, 1] - bands[0][:, 0],
        outcomes=pd.DataFrame(columns),
        level=float(level),
        new=True,
        warnings=notes,
    )


@dataclass(frozen=True, eq=False)
class _Calibration:
    """The rows of one arm, standing in for others.

    Parameters
    ----------
    arm : int
    law : RowLaw
        Out-of-fold law of Y(arm) of the rows of the arm.
    outcome : ndarray, shape (m,)
    weights : ndarray, shape (m,)
    odds : bool
        True: they stand in for the other arm; False: for everyone.
    bound : float
        Least denominator of a weight.
    """

    arm: int
    law: RowLaw
    outcome: Array
    weights: Array
    odds: bool
    bound: float

    @classmethod
    def of(cls, data: CausalData, nuisances: Nuisances, arm: int, odds: bool) -> _Calibration:
        assert nuisances.laws is not None
        sampling = Sampling.of(data)
        rows = np.flatnonzero((data.treatment == arm) & (data.weights > 0))
        bound = clip_bound(data.treatment, sampling.weights)
        own = cls(arm, nuisances.laws[arm].rows(rows), data.outcome[rows], np.empty(0), odds, bound)
        scale = sampling.weights[rows] * (1.0 if sampling.frequency else 1 / data.weights.mean())
        weights = scale * own.shift(nuisances.propensity[rows])
        return cls(arm, own.law, own.outcome, weights, odds, bound)

    def shift(self, e: Array) -> Array:
        """w(x) for propensities (m, 2)."""
        above = e[:, 1 - self.arm] if self.odds else 1.0
        return np.asarray(above / np.maximum(e[:, self.arm], self.bound))

    def band(self, law: RowLaw, e: Array, level: float) -> Array:
        """Intervals of Y(arm) of other units, shape (m, 2), from their laws and propensities."""
        u = [(1 - level) / 2, (1 + level) / 2]
        q = self.law.quantile(u)
        scores = np.maximum(q[:, 0] - self.outcome, self.outcome - q[:, 1])
        reach = conformal_quantile(scores, self.weights, self.shift(e), level)
        around = law.quantile(u)
        # A law that is much too wide is narrowed, at most to its middle.
        reach = np.maximum(reach, -np.diff(around, axis=1)[:, 0] / 2)
        return around + np.column_stack([-reach, reach])


def conformal_quantile(scores: Array, weights: Array, own: Array, level: float) -> Array:
    """Weighted conformal quantiles Q of scores (m,), one for each own weight (t,).

    The smallest score up to which the weights make the share ``level`` of sum(weights) + own;
    infinite where there is none.
    """
    order = np.argsort(scores, kind="stable")
    mass = np.cumsum(weights[order])
    wanted = level * (mass[-1] + own) - 1e-12 * mass[-1]
    position = np.searchsorted(mass, wanted)
    last = len(scores) - 1
    return np.where(position <= last, scores[order][np.minimum(position, last)], np.inf)


def _within(band: Array, outcome: Outcome) -> Array:
    """Ends inside the range that the kind of the outcome allows."""
    if outcome.values:
        return np.clip(band, min(outcome.values), max(outcome.values))
    return np.maximum(band, 0.0) if outcome.kind == "count" else band


def _notes(data: CausalData, ends: Array) -> list[tuple[type[Warning], str]]:
    notes: list[tuple[type[Warning], str]] = []
    n_infinite = int((~np.isfinite(ends).all(axis=1)).sum())
    if n_infinite:
        text = (
            f"Unit effects: {n_infinite:,} of {len(ends):,} intervals are infinite, because hardly "
            "any unit like these was seen in the other arm. Nothing short of more data, or a lower "
            "level, makes them finite."
        )
        notes.append((OverlapWarning, text))
    if data.clusters is not None:
        text = (
            "Unit effects: the rows come in clusters; the coverage of these intervals rests on "
            "rows that are exchangeable given x."
        )
        notes.append((NotCalibratedWarning, text))
    return notes


def _told(notes: list[tuple[type[Warning], str]]) -> tuple[str, ...]:
    """Issue the notes as warnings of the public function, and return their sentences."""
    for category, text in notes:
        warnings.warn(text, category, stacklevel=3)
    return tuple(text for _, text in notes)


def _checked(data: CausalData, nuisances: Nuisances, level: float) -> tuple[RowLaw, ...]:
    require_data(data)
    refuse_synthetic(data.n_synthetic)
    require_binary(data.treatment_schema, "effects on single units")
    data.outcome_schema.check_order(data.outcome_name)
    if not 0.0 < level < 1.0:
        raise DataError(f"the confidence level is {level}", "a number between 0 and 1, e.g. 0.95")
    check_nuisances(data, nuisances)
    return nuisances.known_laws()
