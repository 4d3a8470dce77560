"""Bounds under the marginal sensitivity model: sharp, valid, AIPW at Lambda = 1."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from causal_ddpm import CausalData
from causal_ddpm.core.discrete import DiscreteLaw
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.core.errors import DataError
from causal_ddpm.dgp.hidden_confounder import HiddenConfounder
from causal_ddpm.evaluation.sensitivity.msm import effect_bound, marginal_bounds, tail_mean
from causal_ddpm.nuisance.crossfit import Nuisances
from causal_ddpm.testing import check_design

Z = 1.959963984540054
GROUPS = {"ATE": "all", "ATT": "treated", "ATU": "untreated"}


def test_the_design_is_what_it_says():
    check_design(HiddenConfounder(3.0))
    assert HiddenConfounder(1.0).shift == 0.0
    with pytest.raises(DataError, match="at least 1"):
        HiddenConfounder(0.5)


@pytest.mark.parametrize("name", list(GROUPS))
def test_without_hidden_confounding_it_is_the_aipw_estimate(name, drawn, nuisances, estimates):
    found = marginal_bounds(estimates[name], drawn.data, nuisances, [2.0])
    assert found.lower[0] == pytest.approx(estimates[name].value, abs=1e-10)
    assert found.upper[0] == pytest.approx(estimates[name].value, abs=1e-10)
    np.testing.assert_allclose(
        [found.ci_low[0], found.ci_high[0]], estimates[name].interval(), atol=1e-10
    )
    assert found.lower[1] < found.lower[0] < found.upper[1]


@pytest.mark.parametrize("group", list(GROUPS.values()))
@pytest.mark.parametrize("strength", [1.5, 3.0])
def test_the_bounds_are_sharp(group, strength, oracle):
    design = HiddenConfounder(strength)
    draw = design.draw(20_000, seed=2)
    given = oracle(draw, design)
    upper = effect_bound(draw.data, given, group, strength, 1, Z)
    error = (upper.confidence - upper.value) / Z
    assert abs(upper.value - (design.effect + design.shift)) < 4 * error
    lower = effect_bound(draw.data, given, group, strength, -1, Z)
    assert abs(lower.value - (design.effect - design.shift)) < 4 * error


def test_confidence_bounds_hold_the_truth_and_the_naive_interval_does_not(oracle):
    design = HiddenConfounder(2.0)
    hits, naive, n_draws = 0, 0, 100
    for seed in range(n_draws):
        draw = design.draw(400, seed=100 + seed)
        given, truth = oracle(draw, design), draw.truth.value("ATE")
        hits += effect_bound(draw.data, given, "all", 2.0, 1, Z).confidence >= truth
        naive += effect_bound(draw.data, given, "all", 1.0, 1, Z).confidence >= truth
    assert hits / n_draws > 0.975 - 3 * np.sqrt(0.975 * 0.025 / n_draws)
    assert naive / n_draws < 0.1


@pytest.mark.parametrize("wrong", ["quantiles", "means", "propensity"])
def test_a_wrong_nuisance_leaves_the_bounds_valid(wrong, oracle):
    # Doubly valid: with a wrong law they can only widen, as long as the propensity is right; with a
    # wrong propensity the right law carries them.
    design = HiddenConfounder(2.0)
    draw = design.draw(20_000, seed=4)
    given = oracle(draw, design)
    if wrong == "quantiles":
        laws = tuple(ConditionalLaw(law.nodes * 0 + law.nodes.mean()) for law in given.laws)
        given = replace(given, laws=laws)
    elif wrong == "means":
        given = replace(given, mean=given.mean * 0)
    else:
        given = replace(given, propensity=np.full_like(given.propensity, 0.5))
    upper = effect_bound(draw.data, given, "all", 2.0, 1, Z)
    error = (upper.confidence - upper.value) / Z
    assert upper.value > design.effect + design.shift - 3 * error
    if wrong == "quantiles":
        assert upper.value > design.effect + design.shift + 3 * error
    else:
        assert abs(upper.value - (design.effect + design.shift)) < 4 * error


def test_first_order_errors_of_the_nuisances_do_not_move_the_bound():
    # By integration: thirty x, both arms, two hundred outcomes each, weighted by the design's law.
    design = HiddenConfounder(2.0)
    points = np.random.default_rng(6).normal(size=(30, 3))
    e = design.propensity(points)
    weight = [np.repeat((1 - e) / 200, 200), np.repeat(e / 200, 200)]
    y = [design.observed_quantile(points, a, mid_levels(200)).ravel() for a in (0, 1)]
    x = np.tile(np.repeat(points, 200, axis=0), (2, 1))
    d = np.repeat([0, 1], 30 * 200)
    frame = pd.DataFrame(x, columns=["x0", "x1", "x2"]).assign(
        d=d, y=np.concatenate(y), w=np.concatenate(weight)
    )
    data = CausalData(frame, "d", "y", ["x0", "x1", "x2"], weights="w")
    mean = np.column_stack([design.observed_mean(x, a) for a in (0, 1)])
    e1, direction = design.propensity(x), np.tanh(x[:, 1])

    def value(of_mean=0.0, of_law=0.0, of_odds=0.0):
        odds = e1 / (1 - e1) * np.exp(of_odds * direction)
        moved = odds / (1 + odds)
        shift = of_law * direction[:, None]
        laws = tuple(
            ConditionalLaw(design.observed_quantile(x, a, mid_levels(200)) + shift) for a in (0, 1)
        )
        given = Nuisances(
            np.arange(len(d)) % 5, mean + of_mean * direction[:, None],
            np.column_stack([1 - moved, moved]), laws, data.fingerprint,
        )  # fmt: skip
        return effect_bound(data, given, "all", 2.0, 1, Z).value

    assert value() == pytest.approx(design.effect + design.shift, abs=5e-3)
    for name in ("of_mean", "of_law", "of_odds"):
        assert abs(value(**{name: 0.02}) - value(**{name: -0.02})) / 0.04 < 1e-3


def test_tail_means_of_known_laws():
    law = DiscreteLaw(np.array([0.0, 1.0]), np.array([[0.7, 0.3], [0.1, 0.9]]))
    # Above the 2/3 quantile lies a third of the mass: .3 / (1/3) ones, or nothing but ones.
    np.testing.assert_allclose(tail_mean(law, 2 / 3, 1), [0.9, 1.0], atol=0.02)
    np.testing.assert_allclose(tail_mean(law, 2 / 3, -1), [0.0, 0.7], atol=0.02)


def test_limits_are_where_the_bounds_meet_the_null(drawn, nuisances, estimates):
    estimate = estimates["ATE"]
    found = marginal_bounds(estimate, drawn.data, nuisances)
    assert (np.diff(found.lower) < 0).all()
    assert (np.diff(found.upper) > 0).all()
    at = effect_bound(drawn.data, nuisances, "all", found.lambda_limit, -1, Z)
    assert at.value == pytest.approx(0, abs=1e-4)
    at = effect_bound(drawn.data, nuisances, "all", found.lambda_limit_interval, -1, Z)
    assert at.confidence == pytest.approx(0, abs=1e-4)
    assert 1 < found.lambda_limit_interval < found.lambda_limit
    above = marginal_bounds(estimate, drawn.data, nuisances, null=estimate.value + 1)
    at = effect_bound(drawn.data, nuisances, "all", above.lambda_limit, 1, Z)
    assert at.value == pytest.approx(estimate.value + 1, abs=1e-4)
    none = marginal_bounds(estimate, drawn.data, nuisances, null=estimate.value)
    assert none.lambda_limit_interval == 1.0
    assert "even without any" in none.sentence()


def test_laws_are_needed(drawn, nuisances, estimates):
    with pytest.raises(DataError, match="learned means only"):
        marginal_bounds(estimates["ATE"], drawn.data, replace(nuisances, laws=None))
    with pytest.raises(DataError, match="values of Lambda"):
        marginal_bounds(estimates["ATE"], drawn.data, nuisances, [0.5])
