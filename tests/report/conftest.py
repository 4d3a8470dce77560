"""One analysis with nuisance models that fit in milliseconds, for all tests of reports."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.special import ndtri
from sklearn.linear_model import LogisticRegression, RidgeCV

from causal_ddpm import ATE, ATT, QTE, CausalData
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.core.progress import silent
from causal_ddpm.dgp.ai_adoption import simulate
from causal_ddpm.evaluation.analysis import AnalysisSettings, analyse
from causal_ddpm.evaluation.provenance import Reference, Source
from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel, LearnerPropensityModel


@dataclass(frozen=True)
class GaussianRidge:
    """Ridge means and a Gaussian law with one variance an arm."""

    name: str = "ridge with Gaussian errors"

    def cross_fit(self, data, fold_ids, random_state, n_jobs=1, progress=silent):
        found = LearnerOutcomeModel(RidgeCV()).cross_fit(
            data, fold_ids, random_state, n_jobs, progress
        )
        z = ndtri(mid_levels(32))
        laws = []
        for arm in (0, 1):
            rows = data.treatment == arm
            sd = np.std(data.outcome[rows] - found.mean[rows, arm])
            laws.append(ConditionalLaw(found.mean[:, [arm]] + sd * z))
        return replace(found, laws=tuple(laws))


def settings_of(**fields):
    """Ridge and logistic nuisances instead of the diffusion law."""
    propensity = LearnerPropensityModel(LogisticRegression(max_iter=1000))
    return AnalysisSettings(outcome_model=GaussianRidge(), propensity_model=propensity, **fields)


CONFOUNDERS = ["industry", "industry_size", "rd_intensity", "education"]


@pytest.fixture(scope="session")
def firms():
    return simulate(600, 1)


@pytest.fixture(scope="session")
def data(firms):
    return CausalData(firms.frame, "ai_adoption", "productivity", CONFOUNDERS, unit_id="firm_id")


@pytest.fixture(scope="session")
def simulated(data, firms):
    """Analysis of rows that are known to be simulated."""
    source = Source("firms.csv", "thousand dollars per worker", firms.truth)
    return analyse(data, [ATE(), ATT(), QTE([0.5])], settings_of(), source)


@pytest.fixture(scope="session")
def observed(data):
    """The same rows, without anything known about their origin, and a number from elsewhere."""
    source = Source("firms.csv", references=(Reference("A trial", 4.0, 1.0),))
    return analyse(data, [ATT()], settings_of(level=0.9), source)


@pytest.fixture(scope="session")
def light_settings():
    """Makes settings with ridge and logistic nuisances instead of the diffusion law."""
    return settings_of
