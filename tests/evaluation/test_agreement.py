"""The rule by which methods agree."""

import numpy as np
import pytest

from causal_ddpm.evaluation.agreement import Agreement, precision_weighted_median


def test_median_goes_where_the_precision_is():
    assert precision_weighted_median([1.0, 2.0, 9.0], [1.0, 1.0, 1.0]) == 2.0
    assert precision_weighted_median([1.0, 2.0, 9.0], [1.0, 1.0, 0.1]) == 9.0
    assert precision_weighted_median([9.0, 1.0, 2.0], [10.0, 1.0, 0.2]) == 2.0
    assert precision_weighted_median([3.0, 1.0], [0.0, 1.0]) == 1.0


def test_four_of_five_agree_and_three_of_five_do_not():
    values = np.array([1.0, 1.1, 0.9, 1.0, 5.0])
    errors = np.full(5, 0.2)
    found = Agreement.of(values, errors, values - 0.4, values + 0.4)
    assert found.centre == 1.0
    assert found.share == pytest.approx(0.8)
    assert found.agree
    assert found.spread == pytest.approx(4.1 / 0.2)
    assert "agree: 4 of 5 intervals" in found.in_words()
    values[3] = 3.0
    apart = Agreement.of(values, errors, values - 0.4, values + 0.4)
    assert not apart.agree
    assert "do not agree: 3 of 5" in apart.in_words()
    assert apart.to_dict()["agree"] is False


def test_one_method_has_nothing_to_agree_with():
    assert Agreement.of([1.0], [1.0], [0.0], [2.0]) is None


def test_a_method_that_outweighs_all_others_is_named_and_left_out():
    values, errors = np.array([-16.0, -20.0, -18.0, -4.4]), np.array([7.0, 10.0, 9.0, 3.0])
    found = Agreement.of(values, errors, values - 1.645 * errors, values + 1.645 * errors)
    weights = 1 / errors**2
    assert found.centre == -4.4
    assert found.leans_on == 3
    assert found.weight == pytest.approx(weights[3] / weights.sum())
    assert found.others.centre == precision_weighted_median(values[:3], errors[:3])
    assert found.others.n_methods == 3
    words = found.in_words(["ours", "SC", "SDID", "time series"])
    assert "leans on time series" in words
    assert "without it 3 of 3 intervals hold -18" in words
    assert found.to_dict()["others"]["centre"] == -18
    even = Agreement.of(values, np.full(4, 7.0), values - 12, values + 12)
    assert even.leans_on is None
    assert "leans" not in even.in_words()


def test_unbiased_methods_on_the_same_rows_hardly_ever_disagree():
    rng = np.random.default_rng(0)
    verdicts = []
    for _ in range(300):
        shared = rng.normal()
        values = shared + 0.7 * rng.normal(size=10)
        errors = np.full(10, np.hypot(1, 0.7))
        verdicts.append(
            Agreement.of(values, errors, values - 1.96 * errors, values + 1.96 * errors).agree
        )
    assert np.mean(verdicts) > 0.98
