"""Differences and regressions: published figures, duplication, clusters, standard errors."""

import numpy as np
import pytest
import statsmodels.api as sm

from causal_ddpm.baselines.least_squares import OLS, DifferenceInMeans, InteractedOLS
from causal_ddpm.core.errors import ConvergenceError
from causal_ddpm.core.estimand import ATE, ATT, ATU, DoseResponse

SLOPE = DoseResponse([12], derivative=True)


@pytest.mark.parametrize(("vcov", "std_error"), [("iid", 632.85), ("HC2", 671.00), ("HC3", 672.68)])
def test_experiment_of_lalonde(classics, vcov, std_error):
    found = DifferenceInMeans(vcov).estimate(classics.nsw, ATE())
    assert found.value == pytest.approx(1794.34, abs=0.01)
    assert found.std_error == pytest.approx(std_error, abs=0.01)


def test_experiment_without_its_controls(classics):
    found = DifferenceInMeans("iid").estimate(classics.cps, ATT())
    assert (found.value, found.std_error) == pytest.approx((-8497.52, 712.02), abs=0.01)


def test_schooling_of_card(classics):
    found = OLS("iid").estimate(classics.card, SLOPE)
    assert (found.value, found.std_error) == pytest.approx((0.0747, 0.0035), abs=5e-5)
    assert found.labels == ("slope at 12",)


def test_naive_pension_effect(classics):
    found = DifferenceInMeans().estimate(classics.eligible, ATE())
    assert (found.value, found.std_error) == pytest.approx((18.86, 1.44), abs=0.005)


@pytest.mark.parametrize("method", [OLS("HC1"), InteractedOLS("HC1")])
def test_frequency_weights_are_rows(simulated, roles, method):
    frame = simulated()
    repeated = frame.loc[frame.index.repeat(frame["w"])].reset_index(drop=True)
    weighted = method.estimate(roles(frame, weights="w", weights_type="frequency"), ATT())
    plain = method.estimate(roles(repeated), ATT())
    assert (weighted.value, weighted.std_error) == pytest.approx(
        (plain.value, plain.std_error), rel=1e-10
    )
    sampling = method.estimate(roles(frame, weights="w"), ATT())
    assert sampling.value == pytest.approx(plain.value, rel=1e-10)
    assert sampling.std_error > 1.1 * plain.std_error


def test_clusters_move_the_standard_error_and_its_degrees_of_freedom(simulated, roles):
    frame = simulated()
    frame["y"] += np.random.default_rng(5).normal(size=25)[frame["g"]]
    frame["d"] = (frame["g"] % 2).astype(int)
    plain = DifferenceInMeans().estimate(roles(frame), ATE())
    clustered = DifferenceInMeans().estimate(roles(frame, clusters="g"), ATE())
    by_hand = sm.OLS(frame["y"], sm.add_constant(frame["d"])).fit(
        cov_type="cluster", cov_kwds={"groups": frame["g"]}
    )
    assert clustered.std_error == pytest.approx(by_hand.bse["d"], rel=1e-6)
    assert clustered.std_error > 1.5 * plain.std_error
    assert (plain.df, clustered.df) == (398, 24)


def test_interacted_regression_is_the_mean_difference_of_two_regressions(simulated, roles):
    frame = simulated()
    frame["age"] = frame["age"].fillna(40)
    frame.loc[frame["d"] == 1, "y"] += 0.2 * (frame["age"] - 40)
    x = np.column_stack(
        [np.ones(len(frame)), frame["age"], frame["region"] == "south", frame["region"] == "east"]
    )
    d, y = frame["d"].to_numpy(), frame["y"].to_numpy()
    arms = [np.linalg.lstsq(x[d == a], y[d == a], rcond=None)[0] for a in (0, 1)]
    gain = x @ (arms[1] - arms[0])
    for estimand, rows in ((ATE(), d >= 0), (ATT(), d == 1), (ATU(), d == 0)):
        found = InteractedOLS().estimate(roles(frame), estimand)
        assert found.value == pytest.approx(gain[rows].mean(), rel=1e-9)


def test_standard_error_of_the_interacted_regression_knows_that_units_are_a_sample(
    simulated, roles
):
    found = []
    for seed in range(80):
        frame = simulated(200, seed)
        frame["age"] = frame["age"].fillna(40)
        frame["y"] += frame["d"] * 0.3 * (frame["age"] - 40)
        estimate = InteractedOLS().estimate(roles(frame), ATE())
        found.append((estimate.value, estimate.std_error))
    values, errors = np.array(found).T
    assert np.mean(errors) / np.std(values) == pytest.approx(1.0, abs=0.2)
    assert abs(values.mean() - 1.0) < 3 * values.std() / np.sqrt(80)


def test_a_confounder_that_varies_in_one_arm_only_is_refused_by_products(simulated, roles):
    frame = simulated(200)
    frame["region"] = np.where(frame["d"] == 1, "north", frame["region"])
    with pytest.raises(ConvergenceError, match="does not vary in one of the arms"):
        InteractedOLS().estimate(roles(frame), ATE())
    assert np.isfinite(OLS().estimate(roles(frame), ATE()).std_error)
