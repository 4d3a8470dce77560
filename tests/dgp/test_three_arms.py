"""The design with three arms: its truth is that of its own potential outcomes."""

import numpy as np
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE, ArmContrast, ArmMeans
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.dgp.three_arms import ARMS, ThreeArms, means, spreads

DESIGN = ThreeArms()
DRAW = DESIGN.draw(40_000, 3)


def test_the_catalogue_knows_it():
    assert design_by_name("three-arms") == DESIGN


def test_truth_is_the_mean_of_the_potential_outcomes():
    outcomes, d = DRAW.potential_outcomes, DRAW.data.treatment
    for estimand in (
        ArmMeans(), ArmMeans(among="letter"), ArmContrast("visit", "letter"),
        ArmContrast("visit", "control", among="visit"),
    ):  # fmt: skip
        schema = DRAW.data.treatment_schema
        t = estimand.meant(schema)
        rows = outcomes if t is None else outcomes[d == t]
        values = rows[:, list(estimand.asked(schema))]
        if isinstance(estimand, ArmContrast):
            values = values[:, :1] - values[:, 1:]
        errors = values.std(axis=0) / np.sqrt(len(values))
        truth = DESIGN.truth_of(estimand)
        assert tuple(truth) == estimand.labels(schema)
        assert (np.abs(values.mean(axis=0) - list(truth.values())) < 4 * errors).all()


def test_draws_say_what_they_are():
    assert DRAW.data.arms == ARMS
    assert DRAW.truth.sample["E[Y(visit)]"] == pytest.approx(DRAW.potential_outcomes[:, 2].mean())
    gap = (DRAW.potential_outcomes[:, 2] - DRAW.potential_outcomes[:, 1]).mean()
    assert DRAW.truth.sample["E[Y(visit) - Y(letter)]"] == pytest.approx(gap)
    assert DRAW.truth.population["E[Y(visit) - Y(control)]"] == pytest.approx(1.3, abs=1e-3)
    assert DESIGN.draw(50, 7).frame.equals(DESIGN.draw(50, 7).frame)
    assert not DESIGN.draw(50, 7).frame.equals(DESIGN.draw(50, 8).frame)
    own = DRAW.potential_outcomes[np.arange(40_000), DRAW.data.treatment]
    np.testing.assert_array_equal(DRAW.data.outcome, own)


def test_arms_follow_their_propensities_and_outcomes_their_laws():
    d, e, x = DRAW.data.treatment, DRAW.propensity, DRAW.data.covariates.values
    np.testing.assert_allclose(e.sum(axis=1), 1)
    assert e.min() > 0.001
    for arm in range(3):
        surprise = ((d == arm) - e[:, arm])[:, None] * np.column_stack([np.ones(len(d)), x])
        z = surprise.mean(axis=0) / (surprise.std(axis=0) / 200)
        assert np.abs(z).max() < 4
    z = (DRAW.potential_outcomes - means(x)) / spreads(x)
    assert np.abs(z.mean(axis=0)).max() < 0.02
    assert np.abs(z.std(axis=0) - 1).max() < 0.02


def test_questions_about_other_arms_are_refused():
    with pytest.raises(DataError, match="the arm is 'call'"):
        DESIGN.truth_of(ArmContrast("call", "visit"))
    with pytest.raises(DataError, match="no truth of the ATE is known here"):
        DESIGN.truth_of(ATE())
