"""Group average treatment effects (GATE).

With psi the score of a row's effect (:mod:`causal_ddpm.estimators.effect_scores`) and G the group
of a row, each group solves sum w 1{G = g} (psi - theta_g) = 0:

    theta_g = E_w[psi | G = g],   phi_g = 1{G = g} (psi - theta_g) / P_w(G = g)

(Semenova and Chernozhukov 2021 for groups by confounders; Chernozhukov, Demirer, Duflo and
Fernandez-Val 2025, sorted group average effects, for groups by predicted effect).

**By a confounder** groups depend on confounders alone. Cut points at quantiles are those of the
rows at hand: the interval is for the effect between these very cut points.

**By predicted effect** a row's group is the place of its out-of-fold effect S among the rows of its
fold: neither the models nor the ranks know its outcome. theta_g is the mean effect of the units
that these models put in group g; phi_g less the influence of the overall mean is stretched, because
folds learn from each other (see :mod:`causal_ddpm.estimators.effect_scores`).
``details["monotonised"]`` holds the sorted estimates, which are never farther from effects that do
ascend (Chernozhukov, Fernandez-Val and Galichon 2009), inside the sorted simultaneous interval.

Refused: a group with fewer than 5 rows in an arm. Noted: fewer than 25.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Column
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, NotIdentifiedError, SmallSampleWarning
from causal_ddpm.core.estimand import GATE
from causal_ddpm.core.estimand.groups import EFFECT
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.estimators.effect_scores import EffectScores, confounder, group_means
from causal_ddpm.estimators.inference import Note, Result, Sampling, build_estimate
from causal_ddpm.estimators.ranking import Ranking
from causal_ddpm.estimators.scores import Array, centred
from causal_ddpm.nuisance.crossfit import Nuisances

MIN_ROWS_IN_ARM = 5
FEW_ROWS_IN_ARM = 25
MAX_VALUES = 10
DEFAULT_GROUPS = 4


@dataclass(frozen=True, eq=False)
class Grouping:
    """The group of each row.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
    labels : tuple of str
        One a group.
    values : ndarray, shape (n,)
        What the rows were grouped by: a confounder (codes of its levels) or the predicted effect.
    """

    codes: NDArray[np.int64]
    labels: tuple[str, ...]
    values: Array


@dataclass(frozen=True)
class GroupEffects:
    """Estimator of effects in groups.

    Parameters
    ----------
    estimand : GATE
    """

    estimand: GATE

    def estimate(self, data: CausalData, nuisances: Nuisances, level: float = 0.95) -> Estimate:
        """Average the scores in each group.

        Raises
        ------
        DataError
            If the confounder is unknown or cannot be cut, or a group lacks rows of an arm.
        NotIdentifiedError
            If the predicted effects do not differ enough for the groups.
        OverlapError
            If the arms cannot be compared.
        """
        scored = EffectScores.of(self.estimand, data, nuisances, self.estimand.calibrated)
        grouping = self._grouping(data, scored)
        w, sampling = data.weights, scored.sampling
        rows = rows_by_arm(grouping, data.treatment, sampling)
        notes = [*scored.notes, *_group_notes(grouping.labels, rows)]
        member = (grouping.codes[:, None] == np.arange(len(grouping.labels))).astype(float)
        share = w @ member / w.sum()
        values, phi = group_means(scored.effect, member, w, scored.wide_effect)
        if self.estimand.by == EFFECT:
            level_of_all = centred(scored.wide_effect, w)
            phi = level_of_all[:, None] + scored.stretch * (phi - level_of_all[:, None])
        details = {**scored.details, "groups": _described(grouping, rows, share)}
        result = Result(grouping.labels, values, phi, notes, details)
        estimate = build_estimate(result, data, nuisances, self.estimand, sampling, level)
        return _with_order(estimate) if self.estimand.by == EFFECT else estimate

    def _grouping(self, data: CausalData, scored: EffectScores) -> Grouping:
        if self.estimand.by != EFFECT:
            return grouped_by_confounder(self.estimand, data)
        if EFFECT in data.confounder_names:
            raise DataError(
                "a confounder has the name that stands for the predicted effect",
                "another name",
                column=EFFECT,
            )
        codes = effect_groups(
            scored.predicted, scored.fold_ids, data.weights, self.estimand.n_groups or 0
        )
        return Grouping(codes, self.estimand.labels_by_rank, scored.predicted)


def effect_groups(
    predicted: Array, fold_ids: NDArray[np.int64], w: Array, n_groups: int
) -> NDArray[np.int64]:
    """Groups 0 .. n_groups - 1 by predicted effect, from low to high, within folds.

    Raises
    ------
    NotIdentifiedError
        If equal predictions leave a group empty.
    """
    codes = Ranking.of(predicted, w, fold_ids).groups(n_groups)
    n_found = len(np.unique(codes[w > 0]))
    if n_found < n_groups:
        raise NotIdentifiedError(
            f"The predicted effects take so few values that they fill {n_found} of {n_groups} "
            "groups; expected effects that differ. Ask for fewer groups, for the ATE, or for GATE "
            "by a confounder."
        )
    return codes


def grouped_by_confounder(estimand: GATE, data: CausalData) -> Grouping:
    """Groups by one column.

    Raises
    ------
    DataError
        If there is no such confounder, or it cannot be cut as asked.
    """
    column, values = confounder(estimand.by, data)
    seen = ~np.isnan(values)
    codes, labels = _coded(estimand, column, values, seen, data.weights)
    if not seen.all():
        codes = np.where(seen, codes, len(labels))
        labels = (*labels, f"GATE({column.name} missing)")
    return Grouping(codes, labels, values)


def _coded(
    estimand: GATE, column: Column, values: Array, seen: NDArray[np.bool_], w: Array
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Group of each row and labels; rows without a value get any group."""
    if column.kind != "numeric" and (estimand.cuts or estimand.n_groups):
        raise DataError(
            f"the confounder is {column.kind}",
            "a numeric one for cut points or groups of equal size",
            f"GATE('{column.name}') takes its levels as they are.",
            column=column.name,
        )
    if estimand.cuts is not None:
        return estimand.codes_by_cuts(values), estimand.labels_by_cuts
    levels = np.unique(values[seen & (w > 0)])
    if estimand.n_groups is None and (column.kind != "numeric" or len(levels) <= MAX_VALUES):
        names = [_level_name(column, v) for v in levels]
        codes = np.searchsorted(levels, np.where(seen, values, levels[0]))
        return np.minimum(codes, len(levels) - 1), tuple(f"GATE({name})" for name in names)
    asked = GATE(estimand.by, n_groups=estimand.n_groups or DEFAULT_GROUPS)
    ranked = Ranking.of(-values[seen], w[seen], np.zeros(int(seen.sum()), dtype=np.int64))
    codes = np.zeros(len(values), dtype=np.int64)
    n_groups = asked.n_groups or 0
    codes[seen] = n_groups - 1 - ranked.groups(n_groups)
    if len(np.unique(codes[seen & (w > 0)])) < n_groups:
        raise DataError(
            f"{len(levels)} values are too few, or one too frequent, for {n_groups} groups",
            "fewer groups",
            f"Pass cut points: GATE('{column.name}', cuts=[...]).",
            column=column.name,
        )
    return codes, asked.labels_by_rank


def _level_name(column: Column, value: float) -> str:
    if column.kind == "categorical":
        known = int(value) < len(column.categories)
        return f"{column.name} = {column.categories[int(value)] if known else 'other'}"
    return f"{column.name} = {value:g}"


def rows_by_arm(grouping: Grouping, d: NDArray[np.int64], sampling: Sampling) -> NDArray[np.int64]:
    """Rows of positive weight by group and arm, shape (n_groups, 2).

    Raises
    ------
    DataError
        If a group has fewer than five rows in an arm.
    """
    rows = np.zeros((len(grouping.labels), 2))
    np.add.at(rows, (grouping.codes, d), sampling.counts)
    small = np.flatnonzero(rows.min(axis=1) < MIN_ROWS_IN_ARM)
    if len(small):
        g = small[0]
        raise DataError(
            f"the group of {grouping.labels[g]} has {int(rows[g, 1]):,} treated and "
            f"{int(rows[g, 0]):,} untreated rows",
            f"at least {MIN_ROWS_IN_ARM} of each in every group",
            "Merge groups, or leave out the rows of this one.",
        )
    return rows.astype(np.int64)


def _group_notes(labels: tuple[str, ...], rows: NDArray[np.int64]) -> list[Note]:
    few = np.flatnonzero(rows.min(axis=1) < FEW_ROWS_IN_ARM)
    if not len(few):
        return []
    counted = "; ".join(
        f"{labels[g]} with {rows[g, 1]} treated and {rows[g, 0]} untreated rows" for g in few[:5]
    )
    more = f"; and {len(few) - 5} more" if len(few) > 5 else ""
    text = f"Small groups: {counted}{more}; intervals of so few rows may be too narrow."
    return [Note(SmallSampleWarning, text)]


def _described(grouping: Grouping, rows: NDArray[np.int64], share: Array) -> list[dict[str, Any]]:
    """One dictionary a group: rows by arm, share, and the range of what it was formed by."""
    described = []
    for g, label in enumerate(grouping.labels):
        values = grouping.values[grouping.codes == g]
        known = values[~np.isnan(values)]
        described.append({
            "label": label,
            "n_untreated": int(rows[g, 0]),
            "n_treated": int(rows[g, 1]),
            "share": float(share[g]),
            "lowest": float(known.min()) if len(known) else None,
            "highest": float(known.max()) if len(known) else None,
        })  # fmt: skip
    return described


def _with_order(estimate: Estimate) -> Estimate:
    """Add what supposes an order of the groups: sorted effects, and the top less the bottom."""
    low, high = estimate.interval(simultaneous=True)
    difference = np.zeros(len(estimate))
    difference[0], difference[-1] = -1.0, 1.0
    (gap,) = estimate.contrast(difference, ["top - bottom"]).records()
    test = estimate.contrast(difference, ["top - bottom"]).test()
    order = {
        "monotonised": {
            "value": np.sort(estimate.values).tolist(),
            "ci_low": np.sort(low).tolist(),
            "ci_high": np.sort(high).tolist(),
        },
        "top_minus_bottom": {
            **{k: gap[k] for k in ("value", "std_error", "ci_low", "ci_high", "level")},
            "p_value": float(test["p_value"].iloc[0]),
        },
    }
    return replace(estimate, details={**estimate.details, **order})
