"""The slope of a straight dose-response curve beside the partially linear model of EconML."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import DoseResponse
from causal_ddpm.estimators.api import estimate_effects
from causal_ddpm.nuisance.dose_learners import GaussianDoseDensity, LearnerDoseMean

pytestmark = pytest.mark.peers


@pytest.mark.filterwarnings("ignore")
def test_slope_of_a_straight_line_is_that_of_double_machine_learning():
    dml = pytest.importorskip("econml.dml")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 2))
    a = x[:, 0] + rng.normal(size=1500)
    y = 1.5 * a + 2 * x[:, 0] - x[:, 1] + rng.normal(size=1500)
    frame = pd.DataFrame({"x0": x[:, 0], "x1": x[:, 1], "a": a, "y": y})
    data = CausalData(frame, "a", "y", ["x0", "x1"], treatment_kind="dose")
    (ours,) = estimate_effects(
        data,
        DoseResponse([-1, 0, 1], derivative=True),
        outcome_model=LearnerDoseMean(LinearRegression()),
        propensity_model=GaussianDoseDensity(LinearRegression()),
    )
    peer = dml.LinearDML(
        model_y=LinearRegression(), model_t=LinearRegression(), random_state=0
    ).fit(y, a, X=None, W=x)
    mean = ours.contrast([1 / 3, 1 / 3, 1 / 3])
    theirs = float(np.ravel(peer.intercept_)[0])
    assert theirs == pytest.approx(1.5, abs=0.1)
    assert mean.value == pytest.approx(theirs, abs=3 * mean.std_error)
    assert mean.std_error < 0.15
    assert (np.abs(ours.values - 1.5) < 3 * ours.std_error).all()
