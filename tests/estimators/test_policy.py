"""Values of rules: formulas, budgets met to the row, influence, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE, BudgetRule, PolicyValue
from causal_ddpm.dgp.confounded import GAUSS
from causal_ddpm.estimators.ate import MeanEffect
from causal_ddpm.estimators.effect_scores import EffectScores
from causal_ddpm.estimators.policy import RuleValue
from causal_ddpm.estimators.registry import estimator_for

EXACT = 1e-10
N = 600
DRAW = GAUSS.draw(N, seed=51)
COST = 1 + np.abs(DRAW.data.covariates.values[:, 1])


def test_a_given_rule_by_hand(oracle):
    nuisances = oracle(DRAW)
    pi = np.random.default_rng(1).uniform(size=N)
    found = dict(zip(*_labelled(PolicyValue(pi, calibrated=False), nuisances), strict=True))
    y, d, mu, e = DRAW.data.outcome, DRAW.data.treatment, DRAW.mean, DRAW.propensity
    gamma0 = mu[:, 0] + (1 - d) * (y - mu[:, 0]) / e[:, 0]
    gamma1 = mu[:, 1] + d * (y - mu[:, 1]) / e[:, 1]
    value = (pi * gamma1 + (1 - pi) * gamma0).mean()
    assert found["V(rule)"] == pytest.approx(value, abs=EXACT)
    assert found["V(none)"] == pytest.approx(gamma0.mean(), abs=EXACT)
    assert found["V(observed)"] == pytest.approx(y.mean(), abs=EXACT)
    assert found["V(rule) - V(all)"] == pytest.approx(value - gamma1.mean(), abs=EXACT)
    random = pi.mean() * gamma1.mean() + (1 - pi.mean()) * gamma0.mean()
    assert found["V(rule) - V(random)"] == pytest.approx(value - random, abs=EXACT)
    estimate = RuleValue(PolicyValue(pi, calibrated=False)).estimate(DRAW.data, nuisances)
    se = (pi * gamma1 + (1 - pi) * gamma0).std(ddof=1) / N**0.5
    assert estimate.std_error[0] == pytest.approx(se, abs=EXACT)


def _labelled(estimand, nuisances):
    estimate = RuleValue(estimand).estimate(DRAW.data, nuisances)
    return estimate.labels, estimate.values


def test_treating_everyone_gains_the_average_effect_and_has_no_regret(oracle):
    nuisances = oracle(DRAW)
    estimate = RuleValue(PolicyValue(np.ones(N))).estimate(DRAW.data, nuisances)
    found = dict(zip(estimate.labels, estimate.values, strict=True))
    errors = dict(zip(estimate.labels, estimate.std_error, strict=True))
    ate = MeanEffect(ATE()).estimate(DRAW.data, nuisances)
    assert found["V(rule) - V(none)"] == pytest.approx(ate.value, abs=EXACT)
    assert errors["V(rule) - V(none)"] == pytest.approx(ate.std_error, abs=EXACT)
    assert found["V(rule) - V(all)"] == errors["V(rule) - V(all)"] == 0.0
    assert found["V(rule) - V(random)"] == errors["V(rule) - V(random)"] == 0.0


def test_threshold_rule_treats_whom_the_models_predict_to_gain(oracle):
    nuisances = oracle(DRAW)
    predicted = DRAW.mean[:, 1] - DRAW.mean[:, 0]
    a = RuleValue(PolicyValue(threshold=1.2)).estimate(DRAW.data, nuisances)
    b = RuleValue(PolicyValue((predicted > 1.2).astype(float))).estimate(DRAW.data, nuisances)
    np.testing.assert_allclose(a.values, b.values, atol=EXACT)
    # the same rule, learnt: what it gains over a random one is less sure
    stretch = EffectScores.of(ATE(), DRAW.data, nuisances, calibrated=True).stretch
    assert a.std_error[7] == pytest.approx(stretch * b.std_error[7], abs=EXACT)
    np.testing.assert_allclose(a.cov[1:4, 1:4], b.cov[1:4, 1:4], atol=EXACT)
    assert a.details["share_treated"] == pytest.approx((predicted > 1.2).mean())
    assert RuleValue(PolicyValue()).estimate(DRAW.data, nuisances).details["threshold"] == 0.0


@pytest.mark.parametrize("cost", [None, COST], ids=["heads", "cost"])
@pytest.mark.parametrize("budget", [0.1, 0.33])
def test_the_budget_is_met_and_spent_on_the_largest_effects(cost, budget, oracle):
    nuisances = oracle(DRAW)
    estimate = RuleValue(BudgetRule(budget, cost)).estimate(DRAW.data, nuisances)
    details = estimate.details
    assert details["share_of_cost_spent"] == pytest.approx(budget)
    assert details["share_of_rows_where_it_binds"] == 1.0
    price = np.ones(N) if cost is None else cost
    worth = (DRAW.mean[:, 1] - DRAW.mean[:, 0]) / price
    threshold = np.array(details["thresholds"])[nuisances.fold_ids]
    pi = (worth > threshold).astype(float)
    for k in range(5):  # the marginal row of each fold is treated in part
        own = nuisances.fold_ids == k
        last = own & (worth == threshold)
        left = budget * price[own].sum() - (pi * price)[own].sum()
        pi[last] = left / price[last]
        assert 0 <= pi[last].item() <= 1
    by_hand = RuleValue(PolicyValue(np.clip(pi, 0, 1))).estimate(DRAW.data, nuisances)
    np.testing.assert_allclose(estimate.values, by_hand.values, atol=1e-9)
    # a budget that is kept leaves less to chance than a rule whose share of treated may vary
    assert estimate.std_error[4] < by_hand.std_error[4]


def test_a_budget_for_all_treats_those_who_gain(oracle):
    nuisances = oracle(DRAW)
    a = RuleValue(BudgetRule(1.0)).estimate(DRAW.data, nuisances)
    b = RuleValue(PolicyValue()).estimate(DRAW.data, nuisances)
    np.testing.assert_allclose(a.values, b.values, atol=EXACT)
    np.testing.assert_allclose(a.cov, b.cov, atol=EXACT)


def test_influence_of_a_budget_rule_predicts_what_weight_on_a_row_does(oracle):
    """Outcomes without noise in one fold of 4,000 rows, so that rows near the margin are alike."""
    draw = GAUSS.draw(4000, seed=52)
    nuisances = replace(oracle(draw), fold_ids=np.zeros(4000, dtype=np.int64))
    cost = 1 + np.abs(draw.data.covariates.values[:, 1])
    own = draw.mean[np.arange(4000), draw.data.treatment]

    def at(weights):
        frame = draw.frame.assign(w=weights, y=own)
        data = CausalData(frame, "d", "y", draw.data.confounder_names, weights="w")
        same = replace(nuisances, fingerprint=data.fingerprint)
        return RuleValue(BudgetRule(0.3, cost)).estimate(data, same)

    start, step = at(np.ones(4000)), 20.0
    for i in (10, 500, 2000):
        w = np.ones(4000)
        w[i] += step
        change = (at(w).values - start.values) / step * (4000 + step)
        np.testing.assert_allclose(change, start.influence[i], atol=0.03)


@pytest.mark.parametrize("weights_type", ["frequency", "sampling"])
def test_weights_equal_row_duplication(weights_type, small_sample, as_data, given):
    frame, mean, e, _ = small_sample(200)
    frame["x"] = np.abs(frame["x"])
    index = np.repeat(np.arange(200), frame["w"])
    weighted = as_data(frame, weights="w", weights_type=weights_type)
    rows = frame.iloc[index].assign(origin=index).reset_index(drop=True)
    doubled = as_data(rows, clusters="origin" if weights_type == "sampling" else None)
    copies = given(doubled, mean[index], e[index])
    copies.fold_ids[:] = index % 5
    for estimand in (BudgetRule(0.4), BudgetRule(0.4, cost="x"), PolicyValue(threshold=0.2)):
        a = estimator_for(estimand).estimate(weighted, given(weighted, mean, e))
        b = estimator_for(estimand).estimate(doubled, copies)
        np.testing.assert_allclose(a.values, b.values, atol=EXACT)
        np.testing.assert_allclose(a.std_error, b.std_error, atol=EXACT)


def test_scores_of_the_arms_make_the_score_of_the_effect(oracle):
    scored = EffectScores.of(ATE(), DRAW.data, oracle(DRAW), calibrated=False)
    ate = MeanEffect(ATE(calibrated=False)).estimate(DRAW.data, oracle(DRAW))
    np.testing.assert_allclose(
        scored.effect - scored.effect.mean(), ate.influence[:, 0], atol=EXACT
    )


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: PolicyValue([0, 1], threshold=0.0), "a rule and a threshold were given"),
        (lambda: PolicyValue([0, 2]), "the rule runs from 0 to 2; expected probabilities"),
        (lambda: PolicyValue([[0, 1]]), "the rule is no row of them"),
        (lambda: PolicyValue(threshold="high"), "the threshold is 'high'; expected a number"),
        (lambda: BudgetRule(), r"the budget is None; expected a share in \(0, 1\]"),
        (lambda: BudgetRule(1.5), "the budget is 1.5"),
        (lambda: BudgetRule(0.5, cost=[1, 0]), "the cost runs from 0 to 1; expected positive"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, sentence):
    with pytest.raises(DataError, match=sentence):
        make()


def test_rules_that_do_not_fit_the_rows_are_refused(oracle):
    nuisances = oracle(DRAW)
    for estimand, sentence in (
        (PolicyValue([0, 1]), "the rule has 2 entries; expected one a row, 600"),
        (PolicyValue("x1"), "column 'x1': the rule runs from"),
        (PolicyValue("age"), "there is no confounder 'age'"),
        (PolicyValue(DRAW.data.treatment), "the rule is the observed treatment, or its opposite"),
        (PolicyValue(1 - DRAW.data.treatment), "the rule is the observed treatment"),
        (BudgetRule(0.5, cost=np.ones(7)), "the cost has 7 entries"),
        (BudgetRule(0.5, cost="x1"), "column 'x1': the cost runs from"),
    ):
        with pytest.raises(DataError, match=sentence):
            RuleValue(estimand).estimate(DRAW.data, nuisances)
