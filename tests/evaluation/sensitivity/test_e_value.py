"""E-values against published ones, and of our estimates."""

import math

import numpy as np
import pandas as pd
import pytest

from causal_ddpm import ATE, ATT, CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.estimators.api import estimate_with
from causal_ddpm.evaluation.sensitivity.e_value import (
    e_value,
    e_value_of_difference,
    e_value_of_ratio,
)
from causal_ddpm.nuisance.crossfit import Nuisances


@pytest.mark.parametrize(
    ("ratio", "low", "high", "value", "of_interval"),
    [
        (3.9, 1.8, 8.7, 7.26, 3.00),  # formula feeding and infant deaths: VanderWeele and Ding 2017
        (0.80, 0.71, 0.91, 1.81, 1.43),  # breastfeeding and childhood leukaemia: the same
        (10.73, 8.02, 14.36, 20.95, 15.52),  # smoking and lung cancer: Hammond and Horn 1958
        (1.0, 1.0, 1.0, 1.0, 1.0),
        (1.2, 0.9, 1.6, 1.69, 1.0),
    ],
)
def test_published_e_values_of_risk_ratios(ratio, low, high, value, of_interval):
    found = e_value_of_ratio(ratio, low, high)
    assert round(found.value, 2) == value
    assert round(found.value_of_interval, 2) == of_interval


def test_e_value_of_a_standardised_difference():
    # The example of the authors' package: d = .5 with standard error .25.
    found = e_value_of_difference(0.5, 0.25)
    ratio = math.exp(0.91 * 0.5)
    assert found.ratio == pytest.approx(ratio)
    assert found.value == pytest.approx(ratio + math.sqrt(ratio * (ratio - 1)))
    assert found.ratio_low == pytest.approx(math.exp(0.91 * 0.5 - 1.78 * 0.25), rel=1e-3)
    assert found.value_of_interval == pytest.approx(1.1115, abs=2e-2)
    mirrored = e_value_of_difference(-0.5, 0.25)
    assert mirrored.value == pytest.approx(found.value)
    assert mirrored.value_of_interval == pytest.approx(found.value_of_interval)


def test_another_null_divides_the_ratio():
    # VanderWeele and Ding's general formula, (RR + sqrt(RR (RR - RR_0))) / RR_0.
    rr, rr0 = math.exp(0.91 * 0.5), math.exp(0.91 * 0.1)
    expected = (rr + math.sqrt(rr * (rr - rr0))) / rr0
    assert e_value_of_difference(0.5, 0.25, null=0.1).value == pytest.approx(expected)


def test_a_mean_effect_is_standardised_by_the_spread_within_arms(drawn, estimates):
    estimate, data = estimates["ATT"], drawn.data
    d = data.treatment
    residual = data.outcome - np.where(
        d == 1, data.outcome[d == 1].mean(), data.outcome[d == 0].mean()
    )
    s = residual.std()
    found = e_value(estimate, data, None)
    expected = e_value_of_difference(estimate.value / s, estimate.std_error / s)
    assert found.value == pytest.approx(expected.value)
    assert found.value_of_interval == pytest.approx(expected.value_of_interval)


def _trial(n=4_000, seed=0):
    """A randomised binary outcome: 30 % against 10 %."""
    rng = np.random.default_rng(seed)
    d = rng.integers(0, 2, n)
    y = (rng.random(n) < np.where(d == 1, 0.3, 0.1)).astype(int)
    data = CausalData(pd.DataFrame({"d": d, "y": y, "x": rng.normal(size=n)}), "d", "y", ["x"])
    share = d.mean()
    mean = np.column_stack([np.full(n, y[d == a].mean()) for a in (0, 1)])
    nuisances = Nuisances(
        np.arange(n) % 5, mean, np.tile([1 - share, share], (n, 1)), None, data.fingerprint
    )
    return data, nuisances


@pytest.mark.parametrize("estimand", [ATE(), ATT()])
def test_a_binary_outcome_has_a_risk_ratio(estimand):
    data, nuisances = _trial()
    [estimate] = estimate_with(data, estimand, nuisances)
    found = e_value(estimate, data, nuisances)
    y, d = data.outcome, data.treatment
    p1, p0 = y[d == 1].mean(), y[d == 0].mean()
    assert found.scale == "risk ratio"
    assert found.ratio == pytest.approx(p1 / p0)
    if isinstance(estimand, ATE):  # the usual interval of a ratio of two independent shares
        se = math.sqrt((1 - p1) / (p1 * d.sum()) + (1 - p0) / (p0 * (1 - d).sum()))
        width = math.log(found.ratio_high / found.ratio_low)
        assert width == pytest.approx(2 * 1.96 * se, rel=2e-3)


def test_unusable_ratios_are_refused(estimates):
    for numbers in ((-1.0, 0.5, 2.0), (1.0, 1.5, 2.0), (1.0, 0.5, math.inf)):
        with pytest.raises(DataError, match="positive numbers in ascending order"):
            e_value_of_ratio(*numbers)
    data, nuisances = _trial(400)
    [estimate] = estimate_with(data, ATE(), nuisances)
    for arguments in ((None, 0.0), (nuisances, 0.1)):
        with pytest.raises(DataError, match="null of no effect"):
            e_value(estimate, data, *arguments)
