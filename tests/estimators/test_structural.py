"""Structural curves: the algebra against formulas by hand, 2SLS, oracles and refusals."""

import json
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from causal_ddpm import (
    DataError,
    InstrumentData,
    NormalStages,
    NotIdentifiedError,
    WeakInstrumentWarning,
    structural_curve,
)
from causal_ddpm.core.natural_splines import NaturalSplines
from causal_ddpm.dgp.instrument_dose import DIFFERENCE, InstrumentDose
from causal_ddpm.nuisance.structural import StructuralNuisances

LINE = NormalStages(LinearRegression())
LEVELS = norm.ppf((np.arange(24) + 0.5) / 24)


@dataclass(frozen=True)
class Oracle:
    """True expectations of a design."""

    design: InstrumentDose
    data: InstrumentData

    def __call__(self, functions):
        x, z = self.data.covariates.values, self.data.instruments.values[:, 0]
        p = self.design.response(x)
        return (
            _mean(functions, 0.5 * x[:, 1] + p * z, np.ones(len(z))),
            _mean(functions, 0.5 * x[:, 1], np.sqrt(1 + p**2)),
        )

    def given_covariates(self, values):
        return np.zeros_like(values)


def _mean(functions, centre, spread):
    nodes = centre[:, None] + spread[:, None] * LEVELS
    return functions(nodes.ravel()).reshape(len(centre), len(LEVELS), -1).mean(axis=1)


def oracle(design, drawn):
    data, x = drawn.data, drawn.data.covariates.values
    _, curve = Oracle(design, data)(lambda d: design.g(d)[:, None])
    outcome = curve[:, 0] + 0.5 * x[:, 0] + 0.5 * x[:, 1] ** 2
    return StructuralNuisances(
        np.arange(data.n) % 5, outcome, Oracle(design, data), data.fingerprint
    )


def fitted(design, n=2000, seed=1, n_terms=None):
    drawn = design.draw(n, seed)
    return structural_curve(drawn.data, n_terms=n_terms, nuisances=oracle(design, drawn))


HUMP = InstrumentDose()


def test_an_oracle_first_stage_is_the_formula_by_hand():
    drawn = HUMP.draw(3000, 3)
    nuisances = oracle(HUMP, drawn)
    found = structural_curve(drawn.data, n_terms=3, nuisances=nuisances)
    basis = NaturalSplines.of(drawn.data.dose, 3)
    e, r = nuisances.expectations(basis)
    W, B = e - r, basis(drawn.data.dose) - r
    y = drawn.data.outcome - nuisances.outcome
    W, B, y = W - W.mean(axis=0), B - B.mean(axis=0), y - y.mean()
    beta = np.linalg.solve(W.T @ B, W.T @ y)
    np.testing.assert_allclose(found.fit.beta, beta, rtol=1e-10)
    L = (basis(np.array([1.0])) - basis(np.array([-1.0])))[0]
    score = (W * (y - B @ beta)[:, None]) @ np.linalg.inv(W.T @ B).T @ L
    difference = found.difference(-1, 1)
    assert difference.value == pytest.approx(L @ beta, rel=1e-10)
    assert difference.std_error == pytest.approx(np.sqrt((score**2).sum() * 3000 / 2999), rel=1e-10)


def test_the_mean_of_the_curve_over_the_rows_is_the_mean_outcome():
    found = fitted(HUMP)
    assert found.value(found.data.dose).mean() == pytest.approx(found.data.outcome.mean())


def test_with_an_oracle_the_curve_is_found_and_a_line_is_not():
    error, line, covered = [], [], []
    for seed in range(6):
        found = fitted(HUMP, seed=seed)
        doses = found.curve["dose"].to_numpy()
        true = HUMP.mean_outcome(doses)
        error.append(np.sqrt(np.mean((found.value(doses) - true) ** 2)))
        short = replace(found, fit=found.fits[0])
        line.append(np.sqrt(np.mean((short.value(doses) - true) ** 2)))
        low, high = found.difference(-1, 1).interval()
        covered.append(low <= HUMP.truth().value(DIFFERENCE) <= high)
        assert found.n_terms >= 3
    assert np.mean(error) < 0.5 * np.mean(line)
    assert np.mean(covered) >= 4 / 6


def test_a_line_without_covariates_is_two_stage_least_squares():
    linearmodels = pytest.importorskip("linearmodels")
    drawn = InstrumentDose(strength=0.8, curve="line", responders="all").draw(2000, 2)
    data = InstrumentData(drawn.frame, "d", "y", "z")
    found = structural_curve(data, model=LINE, n_terms=1)
    one = np.ones(data.n)
    peer = linearmodels.IV2SLS(data.outcome, one, data.dose, drawn.frame[["z"]]).fit(
        cov_type="robust"
    )
    slope = found.average_slope()
    assert slope.value == pytest.approx(peer.params["endog"], abs=0.1 * peer.std_errors["endog"])
    assert slope.std_error == pytest.approx(peer.std_errors["endog"], rel=0.02)


def test_a_weak_instrument_is_told_and_its_set_is_wide():
    drawn = InstrumentDose(strength=0.03, curve="line", responders="all").draw(300, 4)
    with pytest.warns(WeakInstrumentWarning, match=r"first-stage F = .*Anderson-Rubin set of"):
        found = structural_curve(drawn.data, model=LINE)
    assert found.n_terms == 1
    assert not found.anderson_rubin().bounded
    assert not found.anderson_rubin(-1, 1).bounded
    assert "Weak instrument" in found.summary()
    assert "too narrow" in found.summary()
    assert json.loads(json.dumps(found.to_dict()))["anderson_rubin"]["bounded"] is False


def test_the_set_of_a_slope_holds_the_truth_with_a_weak_instrument():
    design, held = InstrumentDose(strength=0.1, curve="line", responders="all"), []
    for seed in range(30):
        drawn = design.draw(300, seed)
        data = InstrumentData(drawn.frame, "d", "y", "z")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", WeakInstrumentWarning)
            found = structural_curve(data, model=LINE, n_terms=1, n_folds=2)
        held.append(1.0 in found.anderson_rubin())
    assert np.mean(held) >= 0.95 - 2.6 * np.sqrt(0.95 * 0.05 / 30)


def test_the_same_seed_gives_the_same_curve():
    drawn = HUMP.draw(300, 5)
    data = InstrumentData(drawn.frame, "d", "y", "z", ["x0"])
    light = NormalStages(make_pipeline(PolynomialFeatures(2), RidgeCV()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WeakInstrumentWarning)
        a, b, c = (structural_curve(data, model=light, random_state=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(a.curve, b.curve)
    assert not a.curve.equals(c.curve)


def test_the_curve_has_no_interval_and_functionals_have():
    found = fitted(HUMP, n_terms=3)
    assert set(found.curve["interval"]) == {"no valid interval"}
    slope = found.average_slope()
    assert slope.std_error > 0
    middle = found.functional([0.0], [1.0], derivative=True)
    assert middle.value == pytest.approx(found.difference(-0.001, 0.001).value / 0.002, rel=1e-4)
    assert found.first_stage["chosen"].sum() == 1
    assert found.difference(-1, 1).value in found.anderson_rubin(-1, 1)
    assert "no valid interval" in repr(found)


def test_one_term_more_is_a_caution_beside_the_answer():
    found = fitted(HUMP)
    longer = found.one_term_more
    assert longer.n_terms == found.n_terms + 1
    slope = longer.average_slope()
    assert f"with one term more, F {longer.fit.strength:.1f}: {slope.value:.4g}" in found.summary()
    assert found.to_dict()["average_slope_one_term_more"]["value"] == slope.value
    assert fitted(HUMP, n_terms=2).one_term_more is None
    assert "one term more" not in fitted(HUMP, n_terms=2).summary()


def test_clusters_and_weights_reach_the_errors():
    drawn = InstrumentDose(strength=0.8, curve="line", responders="all").draw(300, 6)
    frame = pd.concat([drawn.frame] * 2, ignore_index=True).assign(g=np.tile(np.arange(300), 2))
    frame["w"] = 1.0
    plain = InstrumentData(frame, "d", "y", "z")
    clustered = InstrumentData(frame, "d", "y", "z", clusters="g", weights="w")
    one, two = (structural_curve(data, model=LINE, n_terms=1) for data in (plain, clustered))
    ratio = two.average_slope().std_error / one.average_slope().std_error
    assert ratio == pytest.approx(np.sqrt(2), rel=0.1)
    assert two.average_slope().df == 299
    with pytest.raises(DataError, match="the rows are clustered"):
        two.anderson_rubin(-1, 1)


def test_refusals():
    drawn = InstrumentDose(strength=0.8, curve="line", responders="all").draw(300, 7)
    data, found = drawn.data, structural_curve(drawn.data, model=LINE, n_terms=1)
    with pytest.raises(DataError, match="the weights sum to 1"):
        found.functional([0.0, 1.0], [0.0, 1.0])
    with pytest.raises(DataError, match="the doses observed"):
        found.difference(-100, 0)
    with pytest.raises(DataError, match="weights have shape"):
        found.functional([0.0, 1.0], [1.0])
    with pytest.raises(DataError, match="one end of a difference"):
        found.anderson_rubin(low=0.0)
    with pytest.raises(DataError, match="confidence level is 2"):
        structural_curve(data, model=LINE, level=2)
    with pytest.raises(DataError, match="the model is a LinearRegression"):
        structural_curve(data, model=LinearRegression())
    with pytest.raises(DataError, match="the learner is a str"):
        NormalStages("line")
    with pytest.raises(DataError, match="n_folds is 1"):
        structural_curve(data, model=LINE, n_folds=1)
    with pytest.raises(DataError, match="n_folds is 2; expected at least 3"):
        structural_curve(data, n_folds=2)
    with pytest.raises(DataError, match="belong to other data"):
        structural_curve(data, nuisances=replace(found.nuisances, fingerprint="?"))
    with pytest.raises(DataError, match="the data are a DataFrame; expected InstrumentData"):
        structural_curve(drawn.frame)
    with pytest.raises(DataError, match="the curve is 'bump'"):
        InstrumentDose(curve="bump")


def test_instruments_that_move_nothing_identify_nothing():
    drawn = HUMP.draw(300, 8)
    nuisances = oracle(InstrumentDose(strength=0.0), drawn)
    with pytest.raises(NotIdentifiedError, match="do not move the dose"):
        structural_curve(drawn.data, nuisances=nuisances)
