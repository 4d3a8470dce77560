"""The location stack and its weights."""

import numpy as np
import pytest

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.errors import DataError
from causal_ddpm.nuisance.learners import BoostedBCF, GreedySplines, LinkRidge, ResidualLearner
from causal_ddpm.nuisance.stack import LocationStack, default_members, stack_weights

LINEAR = LinkRidge("linT", link=False, cross_index=False)
MEMBERS = ("linkX", "linT", "lgbS2", "lgbT2", "bcb", "gsB", "gsB_bcb", "gsT_lgbT")


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 4))
    arm = (rng.random(200) < 0.5).astype(np.int64)
    y = 50 + 10 * (x[:, 0] + arm + 0.3 * rng.standard_normal(200))
    return Covariates.from_array(x), arm, y


class Counting:
    """A learner that counts its fits."""

    name = "counting"

    def __init__(self):
        self.fits = 0

    def fit(self, x, arm, y, weights, seed):
        self.fits += 1
        return LINEAR.fit(x, arm, y, weights, seed)


def test_default_members_and_their_predictions(rows):
    covariates, arm, y = rows
    stack = LocationStack()
    assert stack.names == MEMBERS
    assert LocationStack(accuracy="high").names == (*MEMBERS, "bcf")
    predicted = stack.fit(covariates, arm, y, None, 0).predict(covariates)
    assert predicted.shape == (200, 2, 8)
    effect = (predicted[:, 1] - predicted[:, 0]).mean(axis=0)
    assert effect == pytest.approx(np.full(8, 10.0), abs=3)
    again = stack.fit(covariates, arm, y, None, 0).predict(covariates)
    assert np.array_equal(predicted, again)
    other = stack.fit(covariates, arm, y, None, 1).predict(covariates)
    assert not np.array_equal(predicted, other)


def test_predictions_follow_units_of_the_outcome(rows):
    covariates, arm, y = rows
    stack = LocationStack((LINEAR, GreedySplines(bags=2)))
    first = stack.fit(covariates, arm, y, None, 0).predict(covariates)
    moved = stack.fit(covariates, arm, 8 * y - 1000, None, 0).predict(covariates)
    assert moved == pytest.approx(8 * first - 1000, rel=1e-6)


def test_only_ratios_of_weights_matter(rows):
    covariates, arm, y = rows
    w = np.random.default_rng(1).uniform(0.5, 2, 200)
    stack = LocationStack((LINEAR,))
    light = stack.fit(covariates, arm, y, w, 0).predict(covariates)
    heavy = stack.fit(covariates, arm, y, 1000 * w, 0).predict(covariates)
    plain = stack.fit(covariates, arm, y, None, 0).predict(covariates)
    assert light == pytest.approx(heavy)
    assert not np.allclose(light, plain)


def test_a_shared_first_stage_is_fitted_once_and_equals_separate_fits(rows):
    covariates, arm, y = rows
    first = Counting()
    both = ResidualLearner("both", first, BoostedBCF())
    together = LocationStack((first, both)).fit(covariates, arm, y, None, 0).predict(covariates)
    assert first.fits == 1
    alone = LocationStack((both,)).fit(covariates, arm, y, None, 0).predict(covariates)
    assert np.array_equal(together[:, :, 1], alone[:, :, 0])


def test_a_member_does_not_depend_on_its_neighbours(rows):
    covariates, arm, y = rows
    full = LocationStack().fit(covariates, arm, y, None, 0).predict(covariates)
    for j, member in enumerate(default_members()):
        own = LocationStack((member,)).fit(covariates, arm, y, None, 0).predict(covariates)
        assert np.array_equal(own[:, :, 0], full[:, :, j]), member.name


def test_no_member_runs_away_from_the_training_outcomes(rows):
    covariates, arm, y = rows
    fitted = LocationStack((LINEAR,)).fit(covariates, arm, y, None, 0)
    far = fitted.predict(Covariates.from_array(1e3 * covariates.values))
    assert far.max() <= y.max() + 0.5 * np.ptp(y)
    assert far.min() >= y.min() - 0.5 * np.ptp(y)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"accuracy": "best"}, "'standard' or 'high'"),
        ({"members": (LINEAR,), "accuracy": "high"}, "one of the two"),
        ({"members": ()}, "at least one learner"),
        ({"members": (LINEAR, LINEAR)}, "distinct names"),
    ],
)
def test_settings_that_make_no_stack_are_refused(settings, message):
    with pytest.raises(DataError, match=message):
        LocationStack(**settings)


# -- weights ----------------------------------------------------------------------------------


def residuals(n, sds, correlation=0.0, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n, 1))
    own = rng.standard_normal((n, len(sds)))
    return (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own) * np.asarray(sds)


@pytest.mark.parametrize("n", [20, 200, 5000])
def test_weights_lie_on_the_simplex(n):
    w = stack_weights(residuals(n, [1.0, 1.1, 2.0, 0.9]))
    assert w.sum() == pytest.approx(1)
    assert (w >= 0).all()


def test_the_right_member_is_picked():
    w = stack_weights(residuals(2000, [1.0, 1.4, 1.4], correlation=0.95))
    assert w[0] > 0.95


def test_many_rows_give_the_variance_minimising_mixture():
    sds = np.array([1.0, 1.2])
    w = stack_weights(residuals(200_000, sds))
    want = sds**-2 / np.sum(sds**-2)
    assert w == pytest.approx(want, abs=0.01)


def test_weights_of_rows_count_as_repetitions():
    r = residuals(3000, [1.0, 1.2, 1.1])
    counts = np.random.default_rng(2).integers(1, 4, 3000)
    weighted = stack_weights(r, counts.astype(float))
    repeated = stack_weights(np.repeat(r, counts, axis=0))
    assert weighted == pytest.approx(repeated, abs=0.03)
    assert stack_weights(r, np.full(3000, 7.0)) == pytest.approx(stack_weights(r))


def test_a_perfect_member_takes_all_and_one_member_needs_no_choice():
    r = residuals(50, [1.0, 1.0])
    r[:, 1] = 0
    assert np.array_equal(stack_weights(r), [0.0, 1.0])
    assert stack_weights(r[:, :1]) == pytest.approx([1.0])
    assert stack_weights(np.zeros((10, 2))).sum() == 1
