"""Factors that placebos tell, against order statistics by hand."""

import numpy as np
import pytest

from causal_ddpm.estimators.panel.conformal import (
    Central,
    calibrate,
    calibrate_uniform,
    factor_of,
    told_level,
)


def test_one_number_a_group_is_the_rank_of_split_conformal():
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 40.0))[:, None]
    assert factor_of(scores, 0.9) == pytest.approx(36.0)
    assert factor_of(scores, 0.95) == pytest.approx(38.0)


def test_share_missed_of_paths_is_controlled():
    rng = np.random.default_rng(1)
    scores = np.abs(rng.standard_normal((60, 8)))
    factor = factor_of(scores, 0.9)
    assert (scores <= factor).mean() == pytest.approx(1 - (0.1 * 61 - 0.5) / 60, abs=1 / 480)


def test_cells_that_are_not_known_do_not_count():
    scores = np.abs(np.random.default_rng(2).standard_normal((50, 4)))
    with_gaps = np.column_stack([scores, np.full(50, np.nan)])
    assert factor_of(with_gaps, 0.8) == factor_of(scores, 0.8)


@pytest.mark.parametrize(
    ("level", "groups", "numbers", "told"),
    [(0.9, 39, 1, 0.9), (0.95, 15, 1, 14 / 16), (0.9, 15, 10, 0.9), (0.99, 15, 10, 15.25 / 16)],
)
def test_levels_that_so_many_groups_can_tell(level, groups, numbers, told):
    assert told_level(level, groups, numbers) == pytest.approx(told)


def test_a_law_too_narrow_is_stretched_to_cover_new_groups():
    rng = np.random.default_rng(4)
    draws = rng.standard_normal((200, 400, 5))
    stretch = calibrate(3.0 * rng.standard_normal((200, 5)), draws, 0.9)
    assert stretch.factor == pytest.approx(3.0, rel=0.1)
    low, high = stretch.band(rng.standard_normal((4000, 5)))
    new = 3.0 * rng.standard_normal((4000, 5))
    assert ((low < new) & (new < high)).mean() == pytest.approx(0.9, abs=0.02)


def test_uniform_bands_hold_everywhere_at_once():
    rng = np.random.default_rng(5)
    path = rng.standard_normal((400, 1)) + rng.standard_normal((400, 6))
    draws = rng.standard_normal((400, 300, 1)) + rng.standard_normal((400, 300, 6))
    factor, told = calibrate_uniform(path, draws, 0.9)
    assert told == 0.9
    assert factor == pytest.approx(1.0, abs=0.15)


def test_an_exact_law_covers_zero_errors_only():
    central = Central.of(np.zeros((2, 50, 1)), 0.9)
    np.testing.assert_array_equal(central.scores(np.array([[0.0], [1.0]])), [[0.0], [np.inf]])
