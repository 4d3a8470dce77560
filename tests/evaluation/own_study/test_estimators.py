"""The estimators of the study equal the textbook, and cover where they should."""

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.treatment.treatment_effects import TreatmentEffect

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE, ATT, ATU
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.evaluation.own_study.estimators import (
    SHIPPED,
    NamedEstimator,
    _features,
    estimators_of,
    ipw,
    lin,
    ols,
)
from causal_ddpm.nuisance.logistic import fit_logistic


@pytest.fixture(scope="module")
def sample(light):
    return light.people(800, seed=3, missing=False)


def _independent(z):
    """Without columns that are sums of earlier ones."""
    return z[:, np.abs(np.linalg.qr(z)[1].diagonal()) > 1e-8]


def test_ols_is_that_of_statsmodels(sample):
    design = _independent(np.column_stack([np.ones(sample.n), sample.treatment, _features(sample)]))
    theirs = sm.OLS(sample.outcome, design).fit(cov_type="HC2")
    found = ols(sample, ATE(), 0)
    assert found.value == pytest.approx(theirs.params[1], rel=1e-9)
    assert found.std_error == pytest.approx(theirs.bse[1], rel=3e-3)  # N / (N - 1) beside


@pytest.mark.parametrize("estimand", [ATE(), ATT(), ATU()])
def test_lin_is_two_regressions_averaged_over_the_group(sample, estimand):
    z, d = np.column_stack([np.ones(sample.n), _features(sample)]), sample.treatment
    lines = [np.linalg.lstsq(z[d == a], sample.outcome[d == a], rcond=None)[0] for a in (0, 1)]
    rows = {"ATE": d >= 0, "ATT": d == 1, "ATU": d == 0}[estimand.name]
    expected = (z[rows] @ (lines[1] - lines[0])).mean()
    assert lin(sample, estimand, 0).value == pytest.approx(expected, rel=1e-8)


def test_ipw_is_close_to_that_of_statsmodels(sample):
    """Theirs has no penalty and stacks the same moments."""
    z = _independent(np.column_stack([np.ones(sample.n), _features(sample)]))
    logit = sm.Logit(sample.treatment, z).fit(disp=0)
    outcome = sm.OLS(sample.outcome, z)
    theirs = TreatmentEffect(outcome, sample.treatment, results_select=logit).ipw()
    found = ipw(sample, ATE(), 0)
    assert found.value == pytest.approx(np.ravel(theirs.effect)[0], abs=0.02)
    assert found.std_error == pytest.approx(np.ravel(theirs.results_gmm.bse)[0], rel=0.03)


@pytest.mark.parametrize("estimand", [ATE(), ATT(), ATU()])
def test_the_correction_of_ipw_is_the_derivative_in_the_propensity(sample, estimand):
    """The estimate after a small step of the coefficients, against the analytic gradient."""
    from causal_ddpm.evaluation.own_study.estimators import _weights
    from causal_ddpm.nuisance.logistic import expit

    x, d, y = _features(sample), sample.treatment, sample.outcome
    fitted = fit_logistic(x, d, None, 1.0)

    def value(step):
        e = expit(fitted.intercept + x @ fitted.coef + step * x[:, 1])
        w1, w0, *_ = _weights(estimand, d, e)
        return w1 @ y / w1.sum() - w0 @ y / w0.sum()

    e = fitted.predict(x)
    w1, w0, slope1, slope0 = _weights(estimand, d, e)
    m1, m0 = w1 @ y / w1.sum(), w0 @ y / w0.sum()
    part1, part0 = slope1 * (y - m1) / w1.mean(), slope0 * (y - m0) / w0.mean()
    analytic = np.mean((part1 - part0) * x[:, 1])
    assert analytic == pytest.approx((value(1e-5) - value(-1e-5)) / 2e-5, rel=1e-5)


@pytest.mark.parametrize("name", [name for name, e in SHIPPED.items() if not e.slow])
def test_all_return_records_with_influences(sample, name):
    found = SHIPPED[name].estimate(sample, ATT(), 0)
    assert isinstance(found, Estimate)
    assert (found.estimand, found.n) == ("ATT", sample.n)
    assert found.influence.shape == (sample.n, 1)
    again = np.sqrt(np.sum(found.influence**2)) / sample.n
    assert again == pytest.approx(found.std_error, rel=0.02)


def test_estimators_are_named_handed_in_or_refused():
    def mine(data, estimand, random_state): ...

    class Theirs:
        name = "theirs"

        def estimate(self, data, estimand, random_state): ...

    found = estimators_of(["ols", mine, Theirs(), NamedEstimator("again", mine)])
    assert [e.name for e in found] == ["ols", "mine", "theirs", "again"]
    assert [e.name for e in estimators_of(None)] == list(SHIPPED)
    for wrong, sentence in (
        (["olss"], "no estimator 'olss'"), (["ols", "ols"], "occurs twice"),
        ([], "no estimator was named"), ([3], "is a int"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=sentence):
            estimators_of(wrong)
