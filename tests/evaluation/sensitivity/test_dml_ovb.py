"""Omitted-variable bounds of average effects: formulas by hand, the jackknife, and a peer."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm import ATE, ATT, CausalData
from causal_ddpm.estimators.api import estimate_with
from causal_ddpm.evaluation.sensitivity.dml_ovb import bias_scale, dml_ovb
from causal_ddpm.nuisance.crossfit import Nuisances

Z = 1.959963984540054


def _by_hand(y, d, e, mu, name, strength):
    """Bounds from the formulas written out for each estimand, no clipping."""
    e1, e0 = e[:, 1], e[:, 0]
    residual = y - np.where(d == 1, mu[:, 1], mu[:, 0])
    if name == "ATE":
        theta = np.mean(mu[:, 1] - mu[:, 0] + (d / e1 - (1 - d) / e0) * residual)
        alpha, m = d / e1 - (1 - d) / e0, 1 / e1 + 1 / e0
    elif name == "ATT":
        p = d.mean()
        theta = np.mean((d - (1 - d) * e1 / e0) * (y - mu[:, 0])) / p
        alpha, m = (d - (1 - d) * e1 / e0) / p, d * (1 + e1 / e0) / p**2
    else:
        p = 1 - d.mean()
        theta = np.mean((d * e0 / e1 - (1 - d)) * (y - mu[:, 1])) / p
        alpha, m = (d * e0 / e1 - (1 - d)) / p, (1 - d) * (1 + e0 / e1) / p**2
    s2 = np.mean(residual**2) * np.mean(2 * m - alpha**2)
    return theta - strength * np.sqrt(s2), theta + strength * np.sqrt(s2)


@pytest.mark.parametrize("name", ["ATE", "ATT", "ATU"])
def test_bounds_are_the_formula_and_their_errors_those_of_the_jackknife(
    name, drawn, nuisances, estimates
):
    data = drawn.data
    found = dml_ovb(estimates[name], data, nuisances, r2_outcome=0.2, r2_treatment=0.1, rho=0.9)
    strength = 0.9 * np.sqrt(0.2 * 0.1 / 0.9)
    parts = (data.outcome, data.treatment, nuisances.propensity, nuisances.mean)
    by_hand = _by_hand(*parts, name, strength)
    np.testing.assert_allclose([found.lower, found.upper], by_hand, atol=1e-10)
    left_out = np.array([
        _by_hand(*(np.delete(part, i, axis=0) for part in parts), name, strength)
        for i in range(data.n)
    ])  # fmt: skip
    errors = np.sqrt((data.n - 1) / data.n * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    ours = [(found.lower - found.ci_low) / Z, (found.ci_high - found.upper) / Z]
    np.testing.assert_allclose(ours, errors, rtol=2e-3)


@pytest.mark.parametrize("null", [0.0, 3.0])
def test_robustness_values_reach_the_null_and_strength_zero_is_the_estimate(
    null, drawn, nuisances, estimates
):
    estimate = estimates["ATE"]
    found = dml_ovb(estimate, drawn.data, nuisances, null=null)
    side = 0 if estimate.value > null else 1
    assert found.bounds(found.rv, found.rv)[side] == pytest.approx(null, abs=1e-9)
    assert found.bounds(found.rv_alpha, found.rv_alpha)[2 + side] == pytest.approx(null, abs=1e-7)
    assert 0 < found.rv_alpha < found.rv < 1
    low, high = estimate.interval()
    np.testing.assert_allclose(found.bounds(0.0, 0.0)[2:], [low, high], atol=1e-12)
    assert float(found.adjusted(found.rv, found.rv)) == pytest.approx(null, abs=1e-9)


def test_an_interval_that_holds_the_null_needs_no_confounder(drawn, nuisances, estimates):
    estimate = estimates["ATE"]
    found = dml_ovb(estimate, drawn.data, nuisances, null=estimate.value + estimate.std_error)
    assert found.rv_alpha == 0.0
    assert found.rv > 0


def test_no_correlation_means_no_bias(drawn, nuisances, estimates):
    found = dml_ovb(estimates["ATE"], drawn.data, nuisances, 0.5, 0.5, rho=0.0)
    assert found.lower == found.upper == found.estimate
    assert found.rv == found.rv_alpha == 1.0


def test_negative_second_moments_fall_back_to_the_plug_in():
    # One treated row with a tiny propensity dominates alpha^2.
    rng = np.random.default_rng(0)
    n = 100
    d = np.arange(n) % 2
    e1 = np.full(n, 0.5)
    e1[1::2] = 0.03
    frame = pd.DataFrame({"d": d, "y": rng.normal(size=n), "x": rng.normal(size=n)})
    data = CausalData(frame, "d", "y", ["x"])
    given = Nuisances(
        np.arange(n) % 5, np.zeros((n, 2)), np.column_stack([1 - e1, e1]), None, data.fingerprint
    )
    scale = bias_scale(data, given, "all")
    alpha = np.where(d == 1, 1 / e1, -1 / (1 - e1))
    assert scale.plug_in
    assert scale.nu2 == pytest.approx(np.mean(alpha**2))


def test_frequency_weights_are_copies(drawn, nuisances):
    weights = np.arange(drawn.data.n) % 3 + 1
    picked = np.repeat(np.arange(drawn.data.n), weights)
    found = []
    for rows, roles in ((slice(None), {"weights": "w", "weights_type": "frequency"}), (picked, {})):
        frame = drawn.frame.assign(w=weights).iloc[rows]
        data = CausalData(frame, "d", "y", ["x0", "x1", "x2"], **roles)
        own = Nuisances(
            nuisances.fold_ids[rows], nuisances.mean[rows], nuisances.propensity[rows], None,
            data.fingerprint,
        )  # fmt: skip
        [att] = estimate_with(data, ATT(), own)
        found.append(dml_ovb(att, data, own, 0.1, 0.1).to_dict())
    assert found[0] == pytest.approx(found[1], rel=1e-9)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimand", "score"), [(ATE(calibrated=False), "ATE"), (ATT(calibrated=False), "ATTE")]
)
def test_doubleml_finds_the_same_bounds(estimand, score, drawn, nuisances):
    """On the same nuisances and with textbook scores: bounds and robustness value to 1e-6.

    Its standard errors of the lower and of the upper bound are exchanged (version 0.11.4 scales the
    score to -phi), and for the ATT they treat the share of treated rows as known: for the ATE ours
    are compared end for end, for the ATT the jackknife above decides.
    """
    doubleml = pytest.importorskip("doubleml")
    from sklearn.linear_model import LinearRegression, LogisticRegression

    data = drawn.data
    frame = doubleml.DoubleMLData.from_arrays(data.covariates.values, data.outcome, data.treatment)
    model = doubleml.DoubleMLIRM(frame, LinearRegression(), LogisticRegression(), score=score)
    folds = nuisances.fold_ids
    model.set_sample_splitting(
        [[(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in np.unique(folds)]]
    )
    model.fit(external_predictions={"d": {
        "ml_g0": nuisances.mean[:, :1], "ml_g1": nuisances.mean[:, 1:],
        "ml_m": nuisances.propensity[:, 1:],
    }})  # fmt: skip
    model.sensitivity_analysis(cf_y=0.2, cf_d=0.1, rho=0.9, level=0.975)
    theirs, elements = model.sensitivity_params, model.framework.sensitivity_elements
    [estimate] = estimate_with(data, estimand, nuisances)
    ours = dml_ovb(estimate, data, nuisances, 0.2, 0.1, 0.9)
    assert ours.scale.sigma2 == pytest.approx(elements["sigma2"].item(), rel=1e-6)
    assert ours.scale.nu2 == pytest.approx(elements["nu2"].item(), rel=1e-6)
    assert ours.lower == pytest.approx(theirs["theta"]["lower"][0], abs=1e-6)
    assert ours.upper == pytest.approx(theirs["theta"]["upper"][0], abs=1e-6)
    assert ours.rv == pytest.approx(theirs["rv"][0], abs=1e-5)  # theirs minimises a square
    if score == "ATE":
        correction = np.sqrt(data.n / (data.n - 1))
        ends = [(ours.lower - ours.ci_low) / Z, (ours.ci_high - ours.upper) / Z]
        exchanged = [theirs["se"]["upper"][0], theirs["se"]["lower"][0]]
        np.testing.assert_allclose(ends, np.array(exchanged) * correction, atol=1e-6)
