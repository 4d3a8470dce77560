import json

import numpy as np
import pytest

from causal_ddpm.core.combine import combine_estimates
from causal_ddpm.core.errors import ConvergenceError, DataError
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.reported import Account, reported_estimate

ACCOUNT = Account("ATT", "treated units", "a method", n=40, fingerprint="f", warnings=("few",))


def test_an_interval_of_its_own_shape_is_kept_at_its_level():
    estimate = reported_estimate(ACCOUNT, -2.0, 0.5, ["ATT"], interval=(-4.0, -1.8), level=0.9)
    assert estimate.interval() == (-4.0, -1.8)
    assert estimate.interval(0.9) == (-4.0, -1.8)
    assert estimate.interval(0.95) == pytest.approx((-2 - 1.959964 * 0.5, -2 + 1.959964 * 0.5))
    assert estimate.records()[0]["ci_low"] == -4.0
    assert (float(estimate), estimate.std_error, estimate.n) == (-2.0, 0.5, 40)
    assert estimate.warnings == ("few",)


def test_without_one_the_interval_is_normal_or_t():
    normal = reported_estimate(ACCOUNT, [1.0, 2.0], [0.1, 0.2], ["a", "b"])
    low, high = normal.interval()
    assert low == pytest.approx([1 - 0.1959964, 2 - 0.3919928])
    assert high == pytest.approx([1 + 0.1959964, 2 + 0.3919928])
    few = reported_estimate(ACCOUNT, 1.0, 0.1, ["a"], df=5)
    assert few.interval()[1] == pytest.approx(1 + 2.570582 * 0.1)


def test_a_covariance_carries_over_to_contrasts_and_bounds_do_not():
    cov = np.array([[4.0, 1.0], [1.0, 9.0]])
    both = reported_estimate(ACCOUNT, [1.0, 3.0], cov, ["a", "b"], ([0.0, 0.0], [2.0, 9.0]))
    difference = both.contrast([-1.0, 1.0])
    assert (difference.value, difference.std_error) == pytest.approx((2.0, np.sqrt(11.0)))
    assert difference.bounds is None


def test_it_survives_json():
    estimate = reported_estimate(ACCOUNT, [1.0, 2.0], [0.1, 0.2], ["a", "b"], ([0, 1], [3, 4]))
    back = Estimate.from_dict(json.loads(json.dumps(estimate.to_dict())))
    assert back.interval()[1] == pytest.approx([3.0, 4.0])
    assert back.influence.shape == (0, 2)
    assert back.contrast([1.0, 1.0]).value == 3.0


def test_it_cannot_be_joined_with_others_whose_correlation_is_unknown():
    one, two = (reported_estimate(ACCOUNT, v, 1.0, ["ATT"]) for v in (1.0, 3.0))
    with pytest.raises(DataError, match="no influence functions"):
        two - one
    with pytest.raises(DataError, match="no influence functions"):
        combine_estimates([one, two])
    assert two.combine(one, -1.0, independent=True).std_error == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize(
    ("value", "std_error", "interval"),
    [(np.nan, 1.0, None), (1.0, np.inf, None), (1.0, -1.0, None), (1.0, 1.0, (np.nan, 2.0))],
)
def test_numbers_that_are_none_are_refused(value, std_error, interval):
    with pytest.raises(ConvergenceError, match="a method returned"):
        reported_estimate(ACCOUNT, value, std_error, ["ATT"], interval)


def test_shapes_and_levels_are_checked():
    with pytest.raises(DataError, match="2 values, 1 labels"):
        reported_estimate(ACCOUNT, [1.0, 2.0], [1.0, 1.0], ["ATT"])
    with pytest.raises(DataError, match=r"standard errors of shape \(3,\)"):
        reported_estimate(ACCOUNT, [1.0, 2.0], [1.0, 1.0, 1.0], ["a", "b"])
    with pytest.raises(DataError, match="confidence level is 95"):
        reported_estimate(ACCOUNT, 1.0, 1.0, ["ATT"], level=95)
