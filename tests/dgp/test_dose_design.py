"""The dose design: its curve is the mean of its outcomes, its density that of its doses."""

import numpy as np
import pytest
from scipy.stats import kstest, norm

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE, DoseResponse
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.dgp.dose_design import DOSE, DOSE_SD, DOSES

LARGE = DOSE.draw(40_000, seed=2)
X = LARGE.data.covariates.values


def test_truth_is_the_mean_over_the_confounders():
    truth = DOSE.truth_of(DoseResponse(DOSES))
    for dose in DOSES:
        mean = DOSE.mean(X, dose)
        assert truth[f"E[Y({dose:g})]"] == pytest.approx(mean.mean(), abs=4 * mean.std() / 200)


def test_slopes_are_derivatives_of_the_curve():
    h = 1e-5
    for dose, slope in zip(DOSES, DOSE.truth_of(DoseResponse(DOSES, True)).values(), strict=True):
        low, high = DOSE.truth_of(DoseResponse([dose - h, dose + h])).values()
        assert slope == pytest.approx((high - low) / (2 * h), abs=1e-6)


def test_outcomes_and_doses_follow_their_laws():
    residual = LARGE.data.outcome - LARGE.mean
    assert abs(residual.mean()) < 4 * 0.8 / 200
    assert np.std(residual) == pytest.approx(0.8, rel=0.02)
    z = (LARGE.data.treatment - DOSE.dose_mean(X)) / DOSE_SD
    assert kstest(z, "norm").pvalue > 0.01
    np.testing.assert_allclose(LARGE.density, norm.pdf(z) / DOSE_SD)


def test_the_dose_is_confounded():
    near = np.abs(LARGE.data.treatment - 7) < 0.1
    naive = LARGE.data.outcome[near].mean()
    assert naive - DOSE.truth_of(DoseResponse(7))["E[Y(7)]"] > 0.3


def test_same_seed_same_draw():
    first, again, other = DOSE.draw(50, 7), DOSE.draw(50, 7), DOSE.draw(50, 8)
    assert first.frame.equals(again.frame)
    assert first.truth == again.truth
    assert not np.array_equal(first.data.outcome, other.data.outcome)
    assert first.truth.value("slope(5)") == pytest.approx(1.5)


def test_it_is_in_the_catalog_and_refuses_what_it_does_not_know():
    assert design_by_name("dose") is DOSE
    with pytest.raises(DataError, match="no truth of the ATE is known here"):
        DOSE.truth_of(ATE())
    with pytest.raises(DataError, match="points that depend on the data; expected doses"):
        DOSE.truth_of(DoseResponse())
