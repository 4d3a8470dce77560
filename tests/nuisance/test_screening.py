"""Columns that trees look at: what counts, what is left alone, and files."""

import numpy as np
import pytest

from causal_ddpm.diffusion.persistence import load_model, save_model
from causal_ddpm.nuisance.boosting import TreeSettings
from causal_ddpm.nuisance.learners.boosted_bcf import BoostedBCF
from causal_ddpm.nuisance.learners.boosted_trees import BoostedTrees
from causal_ddpm.nuisance.screening import BINS, KEPT, MANY, Screen, screen

FEW = TreeSettings(n_trees=5, learning_rate=0.3, leaves=4, min_leaf=5)
LEARNERS = [
    BoostedTrees(trees=FEW),
    BoostedTrees(per_arm=True, trees=FEW),
    BoostedBCF(rounds=1, prognostic=FEW, effect=FEW),
]


def rows(p, n=400, seed=0):
    rng = np.random.default_rng(seed)
    x, arm = rng.normal(size=(n, p)), rng.integers(0, 2, n)
    y = x[:, 3] ** 2 + x[:, p - 1] + 2 * arm * x[:, 7] + rng.normal(size=n)
    return x, arm, y


def test_few_columns_are_left_alone():
    x, arm, y = rows(MANY)
    assert screen(x, arm, y, None).columns is None
    assert Screen()(x) is x


def test_bends_slopes_and_differences_between_arms_stay():
    x, arm, y = rows(MANY + 1)
    kept = screen(x, arm, y, None)
    assert len(kept.columns) == KEPT
    assert (np.diff(kept.columns) > 0).all()
    assert {3, 7, MANY} <= set(kept.columns.tolist())
    np.testing.assert_array_equal(kept(x), x[:, kept.columns])


def test_the_order_is_that_of_analysis_of_variance_within_arms():
    from sklearn.feature_selection import f_classif

    x, arm, y = rows(MANY + 1)
    explained = np.zeros(x.shape[1])
    for a in (0, 1):
        own = arm == a
        bins = x[own].argsort(axis=0).argsort(axis=0) * BINS // own.sum()
        centred = y[own] - y[own].mean()
        for j in range(x.shape[1]):
            ratio = f_classif(centred[:, None], bins[:, j])[0][0]
            between = ratio * (BINS - 1) / (own.sum() - BINS)
            explained[j] += (centred**2).sum() * between / (1 + between)
    best = np.sort(np.argsort(-explained)[:KEPT])
    np.testing.assert_array_equal(screen(x, arm, y, None).columns, best)


def test_rows_without_weight_choose_nothing():
    x, arm, y = rows(MANY + 1)
    w = np.r_[np.zeros(100), np.ones(300)]
    moved = np.r_[y[:100] + 50 * x[:100, 11], y[100:]]
    np.testing.assert_array_equal(screen(x, arm, y, w).columns, screen(x, arm, moved, w).columns)


@pytest.mark.parametrize("learner", LEARNERS, ids=["pooled", "per arm", "bcf"])
def test_learners_see_the_screened_columns_only_and_can_be_stored(learner, tmp_path):
    x, arm, y = rows(MANY + 1)
    fitted = learner.fit(x, arm, y, None, 0)
    dropped = np.setdiff1d(np.arange(MANY + 1), fitted.screen.columns)
    other = x.copy()
    other[:, dropped] += 10
    if not isinstance(learner, BoostedBCF):  # its propensity sees every column
        np.testing.assert_array_equal(fitted.predict(other), fitted.predict(x))
    again = load_model(save_model(fitted, tmp_path / "learner"))
    np.testing.assert_array_equal(again.predict(x), fitted.predict(x))
