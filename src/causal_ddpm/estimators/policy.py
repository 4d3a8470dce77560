"""Value of treatment rules.

With the scores Gamma_a of Y(a) and psi = Gamma_1 - Gamma_0
(:mod:`causal_ddpm.estimators.effect_scores`), a rule that treats row i with probability pi_i has

    V(rule) = E[Gamma_0 + pi psi],   V(none) = E[Gamma_0],   V(all) = E[Gamma_1],
    V(observed) = E[Y],              V(random) = E[Gamma_0] + E[pi] E[psi]

(Dudik, Langford and Li 2011; Athey and Wager 2021). All are means of scores, and so are their
differences; V(all) - V(rule) is the regret of treating everyone.

**A learnt rule** is scored out of fold: pi_i rests on the predicted effect S of models that never
saw row i. The estimand is the value of what these models prescribe, not of the best rule there is.
The influence of what the rule gains over a random one is stretched, because folds learn from each
other.

**Under a budget** b the value is largest when units are treated in the order of tau / cost, as long
as tau > 0 and the budget lasts (Luedtke and van der Laan 2016; Bhattacharya and Dupas 2012). Rows
are treated in the order of S / cost within their fold until the share b of the fold's cost is
spent; the marginal row is treated in part. Because the threshold moves so that the budget is met, a
mean E[pi h] has the influence

    pi h - E[pi h] - lambda_h (pi - b) cost,   lambda_h = E[h | margin] / E[cost | margin]

where the budget binds: h at the marginal row is what the budget's last unit buys
(:mod:`causal_ddpm.estimators.ranking`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import BudgetRule, PolicyValue
from causal_ddpm.core.estimand.policies import POLICY_LABELS, checked_cost, checked_rule
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.estimators.effect_scores import EffectScores, confounder
from causal_ddpm.estimators.inference import Result, build_estimate
from causal_ddpm.estimators.ranking import Ranking
from causal_ddpm.estimators.scores import Array, centred
from causal_ddpm.nuisance.crossfit import Nuisances


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule on the rows at hand.

    Parameters
    ----------
    treated : ndarray, shape (n,)
        pi.
    cost : ndarray, shape (n,)
    spending : ndarray, shape (n,)
        (pi - b) cost in folds where the budget binds, zero elsewhere.
    margin : ndarray, shape (n,)
        Weight of each row among the marginal ones; zeros where no budget binds.
    details : mapping
        JSON-ready.
    stretch : float
        f of :mod:`causal_ddpm.estimators.effect_scores` for a learnt rule, 1 for a given one.
    """

    treated: Array
    cost: Array
    spending: Array
    margin: Array
    details: dict[str, Any]
    stretch: float = 1.0

    @classmethod
    def fixed(cls, treated: Array, details: dict[str, Any], stretch: float = 1.0) -> Rule:
        """A rule that no budget bounds."""
        zero = np.zeros_like(treated)
        return cls(treated, np.ones_like(treated), zero, zero, details, stretch)

    def mean_of(
        self, h: Array, w: Array, other: float = 0.0, wide: Array | None = None
    ) -> tuple[float, Array]:
        """E_w[(pi - other) h] and its influence values (n,), for a given probability ``other``.

        ``wide`` is h for influence values.
        """
        share = self.treated - other
        gained = share * (h if wide is None else wide)
        price = float(self.margin @ h / (self.margin @ self.cost)) if self.margin.any() else 0.0
        return _mean(share * h, w), gained - _mean(gained, w) - price * self.spending


@dataclass(frozen=True)
class RuleValue:
    """Estimator of the value of a rule.

    Parameters
    ----------
    estimand : PolicyValue or BudgetRule
    """

    estimand: PolicyValue | BudgetRule

    def estimate(self, data: CausalData, nuisances: Nuisances, level: float = 0.95) -> Estimate:
        """Average the scores under the rule.

        Raises
        ------
        DataError
            If the rule or the cost does not fit the rows.
        OverlapError
            If the arms cannot be compared.
        """
        e = self.estimand
        scored = EffectScores.of(e, data, nuisances, e.calibrated)
        rule = (
            given_rule(e, data, scored) if isinstance(e, PolicyValue) else budget(e, data, scored)
        )
        values, phi = policy_values(rule, scored, data.outcome, data.weights)
        w = data.weights
        share = float(w @ rule.treated / w.sum())
        details = {**scored.details, "share_treated": share, **rule.details}
        result = Result(POLICY_LABELS, values, phi, scored.notes, details)
        return build_estimate(result, data, nuisances, e, scored.sampling, level)


def policy_values(rule: Rule, scored: EffectScores, y: Array, w: Array) -> tuple[Array, Array]:
    """Values (8,) in the order of ``POLICY_LABELS`` and influence values (n, 8)."""
    psi, wide = scored.effect, scored.wide_effect
    none, every, observed = (_mean(x, w) for x in (*scored.arms.T, y))
    share, phi_share = rule.mean_of(np.ones_like(y), w)
    gain, phi_gain = rule.mean_of(psi, w, wide=wide)
    regret, phi_regret = rule.mean_of(psi, w, other=1.0, wide=wide)
    aim, phi_aim = rule.mean_of(psi, w, other=share, wide=wide)
    phi_none, phi_all = (centred(arm, w) for arm in scored.wide_arms.T)
    phi_aim -= (every - none) * phi_share
    learning = (rule.stretch - 1.0) * phi_aim
    phi_gain, phi_regret, phi_aim = (x + learning for x in (phi_gain, phi_regret, phi_aim))
    phi_rule = phi_none + phi_gain
    found = {
        "V(rule)": (none + gain, phi_rule),
        "V(none)": (none, phi_none),
        "V(all)": (every, phi_all),
        "V(observed)": (observed, y - observed),
        "V(rule) - V(none)": (gain, phi_gain),
        "V(rule) - V(all)": (regret, phi_regret),
        "V(rule) - V(observed)": (none + gain - observed, phi_rule - (y - observed)),
        "V(rule) - V(random)": (aim, phi_aim),
    }
    values, phi = zip(*(found[label] for label in POLICY_LABELS), strict=True)
    return np.array(values), np.column_stack(phi)


def _mean(values: Array, w: Array) -> float:
    """Weighted mean; exactly one when every value is one."""
    return float((w * values).sum() / w.sum())


def given_rule(estimand: PolicyValue, data: CausalData, scored: EffectScores) -> Rule:
    """A rule from a column, from numbers, or from a threshold on the predicted effect.

    Raises
    ------
    DataError
        If it does not fit the rows.
    """
    if estimand.rule is None:
        treated = (scored.predicted > (estimand.threshold or 0.0)).astype(float)
        details = {"threshold": estimand.threshold, "learnt": "out of fold"}
        return Rule.fixed(treated, details, scored.stretch)
    treated = checked_rule(_rows(estimand.rule, data, "rule"), _name(estimand.rule))
    if (treated == data.treatment).all() or (treated == 1 - data.treatment).all():
        raise DataError(
            "the rule is the observed treatment, or its opposite",
            "a rule that follows from the confounders",
            "V(observed) is in every estimate.",
        )
    return Rule.fixed(treated, {"learnt": "given"})


def budget(estimand: BudgetRule, data: CausalData, scored: EffectScores) -> Rule:
    """Treat in the order of predicted effect per cost until the budget is spent.

    Raises
    ------
    DataError
        If a cost is not positive, or there is not one a row.
    """
    share, w, predicted = float(estimand.budget or 0.0), data.weights, scored.predicted
    cost = np.ones(data.n)
    if estimand.cost is not None:
        cost = checked_cost(_rows(estimand.cost, data, "cost"), _name(estimand.cost))
    ranking = Ranking.of(predicted / cost, w * cost, scored.fold_ids)
    treated = ranking.top(share) * (predicted > 0)
    binds = _binds(ranking, predicted, share)
    return Rule(
        treated=treated,
        cost=cost,
        spending=np.where(binds, (treated - share) * cost, 0.0),
        margin=ranking.near(share) * binds / cost,
        details={
            "budget": share,
            "share_of_cost_spent": _mean(treated * cost, w) / _mean(cost, w),
            "share_of_rows_where_it_binds": _mean(binds.astype(float), w),
            "thresholds": _thresholds(treated, predicted / cost, ranking),
            "learnt": "out of fold",
        },
        stretch=scored.stretch,
    )


def _binds(ranking: Ranking, predicted: Array, share: float) -> NDArray[np.bool_]:
    """Whether the budget of the row's fold ends before the units predicted to gain do, (n,)."""
    gaining = np.where(predicted > 0, ranking.through, 0.0)
    reach = np.zeros(int(ranking.strata.max()) + 1)
    np.maximum.at(reach, ranking.strata, gaining)
    return (reach >= share)[ranking.strata] & (share < 1.0)


def _thresholds(treated: Array, value: Array, ranking: Ranking) -> list[float | None]:
    """Smallest predicted effect (per cost) that is treated, a fold each."""
    found: list[float | None] = []
    for k in range(int(ranking.strata.max()) + 1):
        own = value[(ranking.strata == k) & (treated > 0)]
        found.append(float(own.min()) if len(own) else None)
    return found


def _name(source: str | ArrayLike) -> str | None:
    return source if isinstance(source, str) else None


def _rows(source: str | ArrayLike, data: CausalData, what: str) -> ArrayLike:
    """One number a row from a confounder or an array."""
    if isinstance(source, str):
        column, values = confounder(source, data)
        if column.kind == "categorical":
            raise DataError(f"the {what} is a category", "numbers", column=source)
        return values
    if len(np.asarray(source)) != data.n:
        raise DataError(
            f"the {what} has {len(np.asarray(source)):,} entries", f"one a row, {data.n:,}"
        )
    return source
