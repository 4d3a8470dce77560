"""Folds: balance, clusters, refusals."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, SmallSampleWarning
from causal_ddpm.nuisance.folds import draw_folds


def example(treatment, clusters=None):
    n = len(treatment)
    frame = pd.DataFrame({"d": treatment, "y": np.arange(n) % 7, "x": np.sin(np.arange(n))})
    if clusters is not None:
        frame["g"] = clusters
    return CausalData(frame, "d", "y", ["x"], clusters=None if clusters is None else "g")


def test_folds_are_even_overall_and_within_arms():
    data = example((np.arange(203) < 61).astype(int))
    folds = draw_folds(data, 5, 0)
    for rows in (slice(None), data.treatment == 0, data.treatment == 1):
        assert np.ptp(np.bincount(folds[rows], minlength=5)) <= 1
    assert np.array_equal(folds, draw_folds(data, 5, 0))
    assert not np.array_equal(folds, draw_folds(data, 5, 1))


def test_clusters_stay_together_and_arms_stay_balanced():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(60), rng.integers(2, 20, 60))
    treated = rng.integers(0, 2, 60)[clusters]
    folds = draw_folds(example(treated, clusters), 5, 0)
    assert all(len(np.unique(folds[clusters == g])) == 1 for g in range(60))
    for a in (0, 1):
        counts = np.bincount(folds[treated == a], minlength=5)
        assert counts.min() > 0.7 * counts.mean()


def test_an_arm_too_small_for_the_folds_is_refused():
    with pytest.raises(DataError, match="only 9 treated rows; expected at least 10 for 5 folds"):
        draw_folds(example((np.arange(60) < 9).astype(int)), 5, 0)


def test_one_fold_is_refused():
    with pytest.raises(DataError, match="at least 2 folds"):
        draw_folds(example(np.arange(60) % 2), 1, 0)


@pytest.mark.parametrize(("n_clusters", "n_folds"), [(4, 3), (6, 8)])
def test_too_few_clusters_are_refused(n_clusters, n_folds):
    with pytest.raises(DataError, match=f"there are {n_clusters} clusters"):
        draw_folds(example(np.arange(80) % 2, np.arange(80) // 2 % n_clusters), n_folds, 0)


def test_few_clusters_bring_a_warning():
    with pytest.warns(SmallSampleWarning, match="only 12 clusters"):
        draw_folds(example(np.arange(60) % 2, np.arange(60) // 2 % 12), 5, 0)


def test_a_treatment_given_to_two_clusters_is_refused():
    clusters = np.arange(320) // 10
    treated = (clusters < 2).astype(int)
    with pytest.raises(DataError, match="treated rows lie in too few clusters"):
        draw_folds(example(treated, clusters), 5, 0)
