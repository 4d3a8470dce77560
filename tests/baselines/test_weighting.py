"""Inverse probability weighting: another library, duplication, the bootstrap, thin overlap."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.treatment.treatment_effects import TreatmentEffect

from causal_ddpm.baselines.weighting import IPW
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import OverlapError
from causal_ddpm.core.estimand import ATE, ATT, ATU


@pytest.mark.parametrize("estimand", [ATE(), ATT(), ATU()])
def test_equals_the_moment_estimator_of_statsmodels(simulated, roles, estimand):
    frame = simulated()
    frame["age"] = frame["age"].fillna(40)
    data = CausalData(frame, "d", "y", ["age", "z"])
    z = sm.add_constant(frame[["age", "z"]].to_numpy())
    logit = sm.Logit(frame["d"].to_numpy(), z).fit(disp=0)
    group = {"all": "all", "treated": 1, "untreated": 0}[estimand.group]
    theirs = TreatmentEffect(
        sm.OLS(frame["y"].to_numpy(), z), frame["d"].to_numpy(), results_select=logit
    ).ipw(effect_group=group)
    found = IPW().estimate(data, estimand)
    assert found.value == pytest.approx(theirs.effect[0], rel=1e-4)
    assert found.std_error == pytest.approx(theirs.results_gmm.bse[0], rel=0.01)


def test_frequency_weights_are_rows(simulated, roles):
    frame = simulated()
    repeated = frame.loc[frame.index.repeat(frame["w"])].reset_index(drop=True)
    weighted = IPW().estimate(roles(frame, weights="w", weights_type="frequency"), ATT())
    plain = IPW().estimate(roles(repeated), ATT())
    clustered = IPW().estimate(roles(repeated.assign(g=repeated.index), clusters="g"), ATT())
    sampling = IPW().estimate(roles(frame, weights="w"), ATT())
    assert weighted.value == pytest.approx(plain.value, rel=1e-7)
    assert weighted.std_error == pytest.approx(plain.std_error, rel=1e-7)
    assert clustered.std_error == pytest.approx(plain.std_error, rel=1e-7)
    assert sampling.value == pytest.approx(plain.value, rel=1e-7)
    assert sampling.std_error > 1.1 * plain.std_error


def test_standard_error_is_that_of_the_bootstrap(simulated, roles):
    frame = simulated(300, seed=4)
    rng = np.random.default_rng(0)
    draws = [
        IPW().estimate(roles(frame.iloc[rng.integers(300, size=300)]), ATE()).value
        for _ in range(200)
    ]
    assert IPW().estimate(roles(frame), ATE()).std_error == pytest.approx(np.std(draws), rel=0.2)


def test_groups_that_do_not_overlap_are_refused():
    x = np.linspace(-1, 1, 60)
    frame = pd.DataFrame({"d": (x > 0).astype(int), "y": x**2, "x": x})
    with pytest.raises(OverlapError, match="propensities are zero or one"):
        IPW().estimate(CausalData(frame, "d", "y", ["x"]), ATE())


def test_a_row_that_carries_its_arm_is_named():
    rng = np.random.default_rng(1)
    x = np.sort(rng.normal(size=200))
    d = (x + 0.3 * rng.normal(size=200) > 1).astype(int)
    data = CausalData(pd.DataFrame({"d": d, "y": x + d, "x": x}), "d", "y", ["x"])
    found = IPW().estimate(data, ATE())
    assert any("treated row carries" in text for text in found.warnings)
    assert found.details["effective_treated"] < 0.7 * d.sum()
