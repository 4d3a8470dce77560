"""Intervals of conditional effects: formulas by hand, coverage over x, warnings, refusals."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from causal_ddpm import conditional_intervals, fit_replicates
from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, NotCalibratedWarning
from causal_ddpm.estimators.cate_interval import fit_error_scale, squared_errors
from causal_ddpm.nuisance.crossfit import Nuisances
from causal_ddpm.nuisance.learners import LinkRidge
from causal_ddpm.nuisance.replicates import EffectReplicates
from causal_ddpm.nuisance.stack import LocationStack

LINES = LocationStack(members=[LinkRidge("lines", link=False, cross_index=False)])
NAMES = ["x0", "x1"]


def drawn(n, seed):
    """A confounded linear design; its effect is 1 + x1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    d = (rng.random(n) < expit(0.5 * x[:, 0])).astype(int)
    tau = 1 + x[:, 1]
    frame = pd.DataFrame(x, columns=NAMES)
    frame["d"], frame["y"] = d, x[:, 0] + d * tau + rng.normal(size=n)
    return CausalData(frame, "d", "y", NAMES), tau


def lines_out_of_fold(data):
    """Least squares in each arm, out of fold."""
    x = np.column_stack([np.ones(data.n), data.covariates.values])
    folds, mean = np.arange(data.n) % 5, np.empty((data.n, 2))
    for k in range(5):
        for a in (0, 1):
            train = (folds != k) & (data.treatment == a)
            coef, *_ = np.linalg.lstsq(x[train], data.outcome[train], rcond=None)
            mean[folds == k, a] = x[folds == k] @ coef
    return Nuisances(folds, mean, np.full((data.n, 2), 0.5), None, data.fingerprint)


def numeric(x):
    return Covariates(tuple(Column(f"x{j}", "numeric") for j in range(x.shape[1])), x)


@pytest.fixture(scope="module")
def case():
    data, tau = drawn(300, 0)
    nuisances = lines_out_of_fold(data)
    return data, tau, nuisances, fit_replicates(data, nuisances, LINES)


def test_squared_errors_by_hand():
    t, effect = np.array([[1.0, 2.0, 6.0]]), np.array([2.0])
    assert squared_errors(t, effect)[0] == pytest.approx(4 + 1 + 9 + 1)
    assert squared_errors(t, effect, "subgroups")[0] == pytest.approx(1 + 0 + 16)


def test_the_scale_is_the_gamma_regression_it_says():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20_000, 3))
    z = np.abs((x - x.mean(axis=0)) / x.std(axis=0))
    truth = np.exp(-1 + 0.8 * z[:, 0])
    scale = fit_error_scale(numeric(x), truth * rng.chisquare(3, 20_000) / 3)
    assert np.allclose(scale.slopes, [0.8, 0, 0], atol=0.05)
    assert np.allclose(scale.at(x) ** 2 / truth, 1, atol=0.25)


def test_the_scale_moves_with_the_units_of_the_outcome():
    rng = np.random.default_rng(2)
    x, v = rng.normal(size=(200, 2)), rng.chisquare(3, 200)
    one, thousand = (fit_error_scale(numeric(x), v * f**2).at(x) for f in (1.0, 1000.0))
    assert np.allclose(thousand, 1000 * one, rtol=1e-6)


def test_intervals_cover_on_average_over_x():
    shares, ratios = [], []
    for seed in range(12):
        data, tau = drawn(300, seed)
        nuisances = lines_out_of_fold(data)
        found = conditional_intervals(data, nuisances, fit_replicates(data, nuisances, LINES))
        shares.append(np.mean((found.lower <= tau) & (tau <= found.upper)))
        ratios.append(np.mean(found.error_scale) / np.std(found.effect - tau))
    assert np.mean(shares) >= 0.93
    assert 0.9 < np.mean(ratios) < 1.7


def test_more_is_asked_of_subgroups(case):
    data, _, nuisances, replicates = case
    average = conditional_intervals(data, nuisances, replicates)
    subgroups = conditional_intervals(data, nuisances, replicates, cover="subgroups")
    assert subgroups.error_scale.mean() > average.error_scale.mean()
    assert "within large subgroups" in repr(subgroups)


def test_new_rows_get_the_scale_of_rows_like_them(case):
    data, _, nuisances, replicates = case
    found = conditional_intervals(data, nuisances, replicates, level=0.9)
    frame = pd.DataFrame(data.covariates.values, columns=NAMES)
    again = found.at(frame, found.effect)
    assert np.allclose(again, found.to_frame())
    assert np.allclose(found.lower, found.to_frame()["lower"])
    wider = found.at(frame, found.effect, level=0.99)
    assert (wider["lower"] < again["lower"]).all()
    with pytest.raises(DataError, match="effects have shape"):
        found.at(frame, [1.0])


def test_other_effects_can_stand_in_the_middle(case):
    data, _, nuisances, replicates = case
    own = nuisances.mean[:, 1] - nuisances.mean[:, 0]
    found = conditional_intervals(data, nuisances, replicates, effect=0.9 * own)
    assert np.allclose((found.lower + found.upper) / 2, 0.9 * own)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("rows", "fewer than the 250"),
        ("clusters", "rows in clusters"),
        ("binary", "kind 'binary'"),
        ("folds", "10 folds"),
    ],
)
def test_what_was_not_shown_is_said(change, sentence):
    frame = pd.DataFrame({"x": np.linspace(-1, 1, 300), "d": np.arange(300) % 2})
    frame["y"] = np.sin(np.arange(300)) + frame["x"]
    frame = frame.iloc[:200] if change == "rows" else frame
    frame = frame.assign(y=(frame["y"] > 0).astype(int)) if change == "binary" else frame
    frame = frame.assign(g=np.arange(len(frame)) // 6)
    data = CausalData(frame, "d", "y", ["x"], clusters="g" if change == "clusters" else None)
    n = data.n
    noise = np.random.default_rng(0).normal(size=(n, 9 if change == "folds" else 4))
    nuisances = Nuisances(
        np.arange(n) % 5, np.zeros((n, 2)), np.full((n, 2), 0.5), None, data.fingerprint
    )
    with pytest.warns(NotCalibratedWarning, match=sentence):
        found = conditional_intervals(
            data, nuisances, EffectReplicates(noise, (1.0,), data.fingerprint)
        )
    assert sentence in found.warnings[0]


def test_refusals(case):
    data, _, nuisances, replicates = case
    other, _ = drawn(300, 99)
    with pytest.raises(DataError, match="nuisances belong to other data"):
        conditional_intervals(other, nuisances, replicates)
    foreign = EffectReplicates(replicates.effect, (1.0,), "another")
    with pytest.raises(DataError, match="replicates belong to other data"):
        conditional_intervals(data, nuisances, foreign)
    with pytest.raises(DataError, match="confidence level is 2"):
        conditional_intervals(data, nuisances, replicates, level=2)
    with pytest.raises(DataError, match="cover is 'all'"):
        conditional_intervals(data, nuisances, replicates, cover="all")
    with pytest.raises(DataError, match="one finite number a row"):
        conditional_intervals(data, nuisances, replicates, effect=[1.0, np.nan])
    still = EffectReplicates(np.zeros((300, 4)), (1.0,), data.fingerprint)
    with pytest.raises(DataError, match="replicates are equal"), warnings.catch_warnings():
        conditional_intervals(data, nuisances, still, effect=np.zeros(300))
