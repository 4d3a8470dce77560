"""Ranks within folds: ties, weights, groups, and rank-weighted averages against their formulas."""

import numpy as np
import pytest

from causal_ddpm.estimators.ranking import Ranking, rank_weighted

RNG = np.random.default_rng(3)
N = 60
VALUES, PSI = RNG.normal(size=N), RNG.normal(size=N)
FOLDS = np.arange(N) % 3
ONES = np.ones(N)


def test_intervals_tile_each_fold_from_the_largest_value_down():
    ranking = Ranking.of(VALUES, ONES, FOLDS)
    for k in range(3):
        own = np.flatnonzero(k == FOLDS)
        order = own[np.argsort(-VALUES[own])]
        np.testing.assert_allclose(ranking.above[order], np.arange(20) / 20)
        np.testing.assert_allclose(ranking.through[order], np.arange(1, 21) / 20)


def test_equal_values_share_an_interval_whatever_their_order():
    values = np.array([2.0, 1.0, 1.0, 0.0])
    ranking = Ranking.of(values, np.ones(4), np.zeros(4, dtype=np.int64))
    np.testing.assert_allclose(ranking.above, [0, 0.25, 0.25, 0.75])
    np.testing.assert_allclose(ranking.top(0.5), [1, 0.5, 0.5, 0])


@pytest.mark.parametrize("share", [0.1, 0.33, 1.0])
def test_the_top_share_is_a_share_of_every_fold(share):
    w = RNG.uniform(0.5, 2, N)
    top = Ranking.of(VALUES, w, FOLDS).top(share)
    for k in range(3):
        own = k == FOLDS
        assert w[own] @ top[own] == pytest.approx(share * w[own].sum())


def test_groups_ascend_and_are_of_equal_size():
    codes = Ranking.of(VALUES, ONES, FOLDS).groups(4)
    for k in range(3):
        own = k == FOLDS
        assert np.bincount(codes[own]).tolist() == [5, 5, 5, 5]
        tops = [VALUES[own][codes[own] == g].max() for g in range(4)]
        bottoms = [VALUES[own][codes[own] == g].min() for g in range(4)]
        assert all(a < b for a, b in zip(tops[:-1], bottoms[1:], strict=True))


def test_qini_and_autoc_are_areas_under_toc():
    strata = np.zeros(N, dtype=np.int64)
    ranking = Ranking.of(VALUES, ONES, strata)
    order = np.argsort(-VALUES)
    mean = PSI.mean()

    def toc(u):  # the scores laid out as a step function over ranks
        weight = np.clip(u * N - np.arange(N), 0, 1)
        return weight @ PSI[order] / (u * N) - mean

    grid = (np.arange(200_000) + 0.5) / 200_000
    curve = np.array([toc(u) for u in grid[::20]])
    assert rank_weighted(PSI, ranking, "AUTOC")[0] == pytest.approx(curve.mean(), abs=2e-3)
    qini = (grid[::20] * curve).mean()
    assert rank_weighted(PSI, ranking, "Qini")[0] == pytest.approx(qini, abs=1e-4)


@pytest.mark.parametrize("kind", ["AUTOC", "Qini"])
def test_an_effect_that_is_one_number_scores_zero(kind):
    value, phi = rank_weighted(np.full(N, 3.0), Ranking.of(VALUES, ONES, FOLDS), kind)
    assert value == pytest.approx(0, abs=1e-12)
    # no row carries influence: to order a constant is to do nothing
    np.testing.assert_allclose(phi, 0, atol=1e-10)


@pytest.mark.parametrize("kind", ["AUTOC", "Qini"])
def test_influence_values_predict_what_a_row_more_does(kind):
    rng = np.random.default_rng(8)
    values = rng.normal(size=4000)
    psi, strata = values + rng.normal(size=4000), np.zeros(4000, dtype=np.int64)
    theta, phi = rank_weighted(psi, Ranking.of(values, np.ones(4000), strata), kind)
    step = 1e-5
    for i in (3, 77, 1500):
        w = np.ones(4000)
        w[i] += step
        moved, _ = rank_weighted(psi, Ranking.of(values, w, strata), kind)
        assert (moved - theta) / step * 4000 == pytest.approx(phi[i], abs=1e-2)


@pytest.mark.parametrize("kind", ["AUTOC", "Qini"])
def test_a_row_of_weight_two_is_two_rows(kind):
    w = RNG.integers(0, 4, N).astype(float)
    index = np.repeat(np.arange(N), w.astype(int))
    a, phi = rank_weighted(PSI, Ranking.of(VALUES, w, FOLDS), kind)
    twice = Ranking.of(VALUES[index], np.ones(len(index)), FOLDS[index])
    b, phi_twice = rank_weighted(PSI[index], twice, kind)
    assert a == pytest.approx(b, abs=1e-12)
    np.testing.assert_allclose(phi[index], phi_twice, atol=1e-10)
