"""One call: what is run, what is left out, what is refused."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from causal_ddpm import ATE, QTE, CausalData, sensitivity
from causal_ddpm.core.errors import DataError
from causal_ddpm.estimators.api import estimate_with
from causal_ddpm.evaluation.sensitivity import METHODS, Strengths
from causal_ddpm.evaluation.sensitivity.linear_ovb import linear_ovb
from causal_ddpm.nuisance.crossfit import Nuisances


def test_everything_that_applies_is_run(drawn, nuisances, estimates):
    found = sensitivity(estimates["ATE"], drawn.data, nuisances, benchmarks=["x0"])
    assert tuple(found.parts) == METHODS
    assert not found.left_out
    table = found.to_frame()
    assert list(table.columns) == ["method", "quantity", "value"]
    assert np.isfinite(table["value"]).all()
    assert len(found.sentences) == 5
    assert all(sentence.endswith(".") for sentence in found.sentences)
    assert set(found.details) == set(METHODS)
    assert json.loads(json.dumps(found.to_dict()))["estimand"] == "ATE"
    shown = repr(found)
    assert all(sentence in shown for sentence in found.sentences)
    for part in found.parts.values():
        assert isinstance(part.to_frame(), pd.DataFrame)


def test_without_nuisances_the_record_says_what_is_missing(drawn, estimates):
    found = sensitivity(estimates["ATT"], drawn.data)
    assert set(found.parts) == {"linear_ovb", "e_value", "rosenbaum"}
    assert set(found.left_out) == {"dml_ovb", "msm"}
    assert "fit_nuisances" in found.left_out["msm"]
    assert "msm left out" in repr(found)
    with pytest.raises(DataError, match="no part 'msm'"):
        found["msm"]
    with pytest.raises(DataError, match="which 'msm' needs"):
        sensitivity(estimates["ATT"], drawn.data, methods="msm")


def test_one_method_with_its_strengths(drawn, nuisances, estimates):
    strengths = Strengths(lambdas=(1.5,), r2_outcome=0.1)
    found = sensitivity(estimates["ATE"], drawn.data, nuisances, methods="msm", strengths=strengths)
    np.testing.assert_array_equal(found["msm"].lambdas, [1.0, 1.5])
    assert list(found.parts) == ["msm"]


def test_what_does_not_belong_together_is_refused(drawn, nuisances, estimates):
    estimate, data = estimates["ATE"], drawn.data
    with pytest.raises(DataError, match="an Estimate and the CausalData"):
        sensitivity(data, estimate)
    [quantiles] = estimate_with(data, QTE([0.5]), nuisances)
    with pytest.raises(DataError, match="one ATE, ATT or ATU"):
        sensitivity(quantiles, data, nuisances)
    other = CausalData(drawn.frame.iloc[:500], "d", "y", ["x0", "x1", "x2"])
    with pytest.raises(DataError, match="fingerprints differ"):
        sensitivity(estimate, other)
    with pytest.raises(DataError, match="fingerprints differ"):
        sensitivity(estimate, data, replace(nuisances, fingerprint="other"))
    for methods in ("omitted", []):
        with pytest.raises(DataError, match=r"linear_ovb, dml_ovb"):
            sensitivity(estimate, data, methods=methods)
    with pytest.raises(DataError, match="'x9' is no confounder"):
        sensitivity(estimate, data, benchmarks=["x9"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("r2_outcome", 1.0),
        ("r2_treatment", -0.1),
        ("rho", 1.5),
        ("multiples", (0.0,)),
        ("gammas", (0.5,)),
        ("lambdas", (np.inf,)),
        ("rho", np.nan),
    ],
)
def test_impossible_strengths_are_refused(field, value):
    with pytest.raises(DataError, match=field):
        Strengths(**{field: value})


def test_outcomes_without_noise_are_refused_or_left_out():
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    d = (rng.random(400) < 0.5).astype(int)
    data = CausalData(pd.DataFrame({"d": d, "x": x, "y": 2 * x + d * (1 + x)}), "d", "y", ["x"])
    perfect = Nuisances(
        np.arange(400) % 5, np.column_stack([2 * x, 3 * x + 1]), np.full((400, 2), 0.5), None,
        data.fingerprint,
    )  # fmt: skip
    [ate] = estimate_with(data, ATE(), perfect)
    found = sensitivity(ate, data, perfect)
    assert "leaves no residuals" in found.left_out["dml_ovb"]
    assert np.isfinite(found.to_frame()["value"]).all()
    exact = CausalData(pd.DataFrame({"d": d, "x": x, "y": 2 * x + d}), "d", "y", ["x"])
    with pytest.raises(DataError, match="determine the outcome"):
        linear_ovb(exact)
    with pytest.raises(DataError, match="standard error of the estimate is zero"):
        sensitivity(replace(ate, cov=np.zeros((1, 1))), data)
