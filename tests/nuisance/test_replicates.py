"""Replicates of effects: which rows they have seen, reproducibility, refusals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from causal_ddpm import fit_replicates
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.nuisance.crossfit import Nuisances
from causal_ddpm.nuisance.learners import LinkRidge
from causal_ddpm.nuisance.stack import LocationStack

LINES = LocationStack(members=[LinkRidge("lines", link=False, cross_index=False)])
FOLDS = np.arange(200) % 4


def case(bump=None):
    """Data in four folds; the outcomes of fold ``bump`` are moved."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
    frame["d"] = rng.integers(0, 2, 200)
    frame["y"] = frame["a"] + frame["d"] * frame["b"] + rng.normal(size=200)
    frame.loc[bump == FOLDS, "y"] += 5 * frame["d"]
    data = CausalData(frame, "d", "y", ["a", "b"])
    return data, given(data, FOLDS)


def given(data, folds):
    n = data.n
    return Nuisances(folds, np.zeros((n, 2)), np.full((n, 2), 0.5), None, data.fingerprint)


def test_a_replicate_has_seen_neither_its_own_fold_nor_one_more():
    before = fit_replicates(*case(), LINES).effect
    after = fit_replicates(*case(bump=2), LINES).effect
    assert before.shape == (200, 3)
    for k in range(4):
        others = [j for j in range(4) if j != k]
        for column, j in enumerate(others):
            same = before[k == FOLDS, column] == after[k == FOLDS, column]
            assert same.all() if 2 in (j, k) else not same.any()


def test_the_same_seed_gives_the_same_bits_and_progress_ends_at_one():
    told = []
    first = fit_replicates(*case(), LINES, progress=lambda stage, share: told.append(share))
    again = fit_replicates(*case(), LINES)
    assert np.array_equal(first.effect, again.effect)
    assert told == pytest.approx(np.arange(1, 7) / 6)


@dataclass(frozen=True)
class Nothing:
    """A learner that predicts the mean."""

    name: str = "nothing"

    def fit(self, x, arm, y, weights, seed):
        return self

    def predict(self, x):
        return np.zeros((len(x), 2))


def test_members_are_weighted_by_their_residuals():
    found = fit_replicates(*case(), LocationStack(members=[*LINES.members, Nothing()]))
    assert sum(found.stack_weights) == pytest.approx(1)
    assert found.stack_weights[0] > 0.8


def test_refusals():
    data, nuisances = case()
    with pytest.raises(DataError, match="belong to other data"):
        fit_replicates(case(bump=1)[0], nuisances, LINES)
    with pytest.raises(DataError, match="2 folds"):
        fit_replicates(data, given(data, FOLDS % 2), LINES)
    frame = pd.DataFrame({"y": np.arange(90.0), "d": list("abc") * 30, "x": np.arange(90.0)})
    three = CausalData(frame, "d", "y", ["x"], treatment_kind="arms")
    with pytest.raises(DataError, match="binary treatment"):
        fit_replicates(three, given(three, np.arange(90) % 5), LINES)
