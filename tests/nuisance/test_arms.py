"""The stack and the law for one arm and for many."""

import numpy as np
import pytest

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.conditional import DiffusionSettings
from causal_ddpm.nuisance.arms import FittedContrasts, fit_arms, single_arm_members, stack_for
from causal_ddpm.nuisance.continuous import ContinuousSettings
from causal_ddpm.nuisance.learners import BoostedBCF, LinkRidge
from causal_ddpm.nuisance.location import Sample
from causal_ddpm.nuisance.stack import LocationStack
from causal_ddpm.nuisance.two_part import TwoPartSettings, cross_fit_parts

LIGHT = DiffusionSettings(n_members=1, n_steps=60, hidden_dim=16)
LINEAR = LocationStack(members=(LinkRidge("linear", link=False, cross_index=False),))


def rows(n, n_arms, seed=0):
    rng = np.random.default_rng(seed)
    x, arm = rng.standard_normal((n, 3)), np.arange(n) % n_arms
    mean = 5 + x[:, 0] + arm * (1 + 0.5 * x[:, 1])
    y = mean + 0.3 * rng.standard_normal(n)
    return Covariates.from_array(x), arm, y


@pytest.mark.parametrize("n_arms", [3, 5])
def test_each_contrast_finds_its_arm_and_the_control_is_common(n_arms):
    covariates, arm, y = rows(100 * n_arms, n_arms)
    fitted = fit_arms(LINEAR, covariates, arm, y, None, 0)
    assert isinstance(fitted, FittedContrasts)
    assert sum(fitted.shares) == pytest.approx(1.0)
    predicted = fitted.predict(covariates)
    assert predicted.shape == (len(y), n_arms, 1)
    x = covariates.values
    truth = 5 + x[:, :1] + np.arange(n_arms) * (1 + 0.5 * x[:, 1:2])
    assert predicted[:, :, 0] == pytest.approx(truth, abs=0.35)


def test_an_arm_is_read_from_its_own_contrast_alone():
    """Outcomes of arm 2 reach the control's mean, but not that of arm 1."""
    covariates, arm, y = rows(300, 3)
    moved = np.where(arm == 2, y + 7.0, y)
    before, after = (
        fit_arms(LINEAR, covariates, arm, v, None, 0).predict(covariates) for v in (y, moved)
    )
    assert np.array_equal(before[:, 1], after[:, 1])
    assert after[:, 2] == pytest.approx(before[:, 2] + 7.0, abs=0.2)


def test_two_arms_are_the_stack_itself():
    covariates, arm, y = rows(120, 2)
    plain = LINEAR.fit(covariates, arm, y, None, 3).predict(covariates)
    assert np.array_equal(fit_arms(LINEAR, covariates, arm, y, None, 3).predict(covariates), plain)


def test_members_for_one_arm_are_regressions_of_the_outcome():
    covariates, arm, y = rows(400, 1)
    stack = stack_for(LocationStack(accuracy="high"), 1)
    assert stack.names == tuple(m.name for m in single_arm_members())
    predicted = stack.fit(covariates, arm, y, None, 0).predict(covariates)
    assert predicted.shape == (400, 1, len(stack.names))
    truth = 5 + covariates.values[:, 0]
    error = np.sqrt(np.mean((predicted[:, 0] - truth[:, None]) ** 2, axis=0))
    assert (error < 0.2).all(), dict(zip(stack.names, error, strict=True))


def test_given_members_stay_and_those_that_need_two_arms_say_so():
    covariates, arm, y = rows(60, 1)
    assert stack_for(LINEAR, 1) is LINEAR
    assert stack_for(LINEAR, 4) is LINEAR
    with pytest.raises(DataError, match="rows of one arm"):
        LocationStack((BoostedBCF(),)).fit(covariates, arm, y, None, 0)


@pytest.mark.parametrize("n_arms", [1, 3])
@pytest.mark.parametrize("location", [LINEAR, None])
def test_the_law_recovers_known_means_and_spreads(n_arms, location):
    covariates, arm, y = rows(240 * n_arms, n_arms)
    fold_ids = np.arange(len(y)) // n_arms % 3
    ones = np.ones(len(y), dtype=bool)
    sample = Sample(covariates, arm, y, None, fold_ids, ones, n_arms)
    steps = 60 if location else 400
    diffusion = DiffusionSettings(n_members=1, n_steps=steps, hidden_dim=32)
    continuous = ContinuousSettings(location, diffusion, None, None)
    parts = cross_fit_parts(TwoPartSettings(LINEAR, continuous), sample, 0, 1, lambda *_: None)
    x = covariates.values
    for a in range(n_arms):
        law, truth = parts.law(a), 5 + x[:, 0] + a * (1 + 0.5 * x[:, 1])
        tolerance = 0.2 if location else 0.45
        assert np.sqrt(np.mean((law.mean() - truth) ** 2)) < tolerance
        assert np.isfinite(law.nodes).all()
