"""DiffusionRegressor: scikit-learn's own checks, and laws with a known answer."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from causal_ddpm import DiffusionRegressor
from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.errors import DataError, ModelFileError
from causal_ddpm.nuisance.regressor import ordered_rows

LIGHT = {"n_members": 1, "n_steps": 20, "hidden_dim": 16}


ESSENTIAL = (
    "check_fit_idempotent",
    "check_methods_subset_invariance",
    "check_methods_sample_order_invariance",
    "check_sample_weight_equivalence_on_dense_data",
    "check_estimators_pickle",
    "check_fit2d_1feature",
)


@parametrize_with_checks([DiffusionRegressor(location="none", **LIGHT | {"n_steps": 120})])
def test_scikit_learn_accepts_the_diffusion_alone(estimator, check):
    check(estimator)


@parametrize_with_checks([DiffusionRegressor(**LIGHT)])
def test_scikit_learn_accepts_the_stack(estimator, check):
    if check.func.__name__ not in ESSENTIAL:
        pytest.skip("all checks of the stack run with the slow tests")
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [DiffusionRegressor(**LIGHT), DiffusionRegressor(), DiffusionRegressor(location="none")]
)
def test_scikit_learn_accepts_it_in_full(estimator, check):
    check(estimator)


def line(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x[:, None], 0.1 + 1.5 * x + rng.normal(size=n)


@pytest.fixture(scope="module")
def fitted() -> DiffusionRegressor:
    return DiffusionRegressor(n_members=1, n_steps=150, n_folds=3, random_state=0).fit(
        *line(800, 0)
    )


def test_the_law_of_a_gaussian_line(fitted):
    x, _ = line(200, 1)
    truth = 0.1 + 1.5 * x[:, 0]
    assert np.sqrt(np.mean((fitted.predict(x) - truth) ** 2)) < 0.15
    low, high = fitted.predict_interval(x, level=0.8).T
    half = stats.norm.ppf(0.9)
    np.testing.assert_allclose(np.mean(low - truth), -half, atol=0.15)
    np.testing.assert_allclose(np.mean(high - truth), half, atol=0.15)
    median = fitted.predict_quantiles(x, [0.5])[:, 0]
    assert np.sqrt(np.mean((median - truth) ** 2)) < 0.2
    draws = fitted.sample(x[:20], 2000, random_state=1)
    np.testing.assert_allclose(draws.mean(axis=1), fitted.predict(x[:20]), atol=0.1)
    np.testing.assert_array_equal(draws, fitted.sample(x[:20], 2000, random_state=1))


def test_end_to_end_keeps_the_slope():
    """The diffusion alone: its means are not pulled towards zero."""
    x, y = line(1000, 3)
    model = DiffusionRegressor(location="none", n_folds=2, n_members=1, random_state=0).fit(x, y)
    grid = np.linspace(-1.5, 1.5, 7)
    slope = np.polyfit(grid, model.predict(grid[:, None]), 1)[0]
    assert slope == pytest.approx(np.polyfit(x[:, 0], y, 1)[0], abs=0.07)


@pytest.mark.parametrize("convert", [lambda df: df, pl.from_pandas])
def test_frames_with_categories_and_missing_values(convert):
    rng = np.random.default_rng(2)
    n = 300
    df = pd.DataFrame({"size": rng.normal(size=n), "sector": rng.choice(["a", "b", "c"], n)})
    y = df["size"] + 2.0 * (df["sector"] == "b") + 0.2 * rng.normal(size=n)
    df.loc[::20, "size"] = np.nan
    model = DiffusionRegressor(**LIGHT, n_folds=3, random_state=0).fit(convert(df), y.to_numpy())
    assert model.score(convert(df), y.to_numpy()) > 0.8
    assert list(model.feature_names_in_) == ["size", "sector"]
    new = convert(df.assign(sector="unseen"))
    assert np.isfinite(model.predict(new)).all()
    with pytest.raises(ValueError, match="feature names"):
        model.predict(convert(df[["sector", "size"]]))


def test_saving_and_loading_is_the_identity(fitted, tmp_path):
    x, _ = line(20, 4)
    again = DiffusionRegressor.load(fitted.save(tmp_path / "model.cddpm"))
    np.testing.assert_array_equal(
        again.predict_quantiles(x, [0.1, 0.9]), fitted.predict_quantiles(x, [0.1, 0.9])
    )
    assert again.get_params() == fitted.get_params()
    assert again.n_features_in_ == 1
    with pytest.raises(ModelFileError, match="holds a PotentialOutcomeLaw"):
        DiffusionRegressor.load(fitted.law_.save(tmp_path / "law.cddpm"))


def test_the_kind_of_the_outcome_is_kept():
    x, y = line(200, 5)
    counts = np.maximum(np.round(y + 3), 0)
    model = DiffusionRegressor(**LIGHT, n_folds=3, outcome_kind="count", random_state=0)
    draws = model.fit(x, counts).sample(x[:10], 50, random_state=0)
    assert (draws >= 0).all()
    np.testing.assert_array_equal(draws, np.round(draws))


def test_it_works_where_regressors_work():
    x, y = line(60, 6)
    model = DiffusionRegressor(**LIGHT, n_folds=3, random_state=np.random.RandomState(0))
    assert cross_val_score(clone(model), x, y, cv=2).mean() > 0.2


@pytest.mark.parametrize(
    ("settings", "rows", "words"),
    [
        ({"location": "forest"}, 40, "'stack' or 'none'"),
        ({"dropout": 2.0}, 40, "a share"),
        ({"outcome_kind": "poisson"}, 40, "'auto' or one of"),
        ({"n_folds": 2}, 40, "at least 3"),
        ({}, 9, "minimum of 10"),
    ],
)
def test_what_cannot_be_fitted_is_refused(settings, rows, words):
    with pytest.raises(ValueError, match=words):
        DiffusionRegressor(**settings).fit(*line(rows, 0))


def test_refusals_of_frames_and_of_files(tmp_path):
    x, y = line(8, 0)
    with pytest.raises(DataError, match="at least 10"):
        DiffusionRegressor().fit(pd.DataFrame(x, columns=["x"]), y)
    x, y = line(40, 0)
    with pytest.raises(DataError, match="constant"):
        DiffusionRegressor().fit(x, np.ones(40))
    model = DiffusionRegressor(**LIGHT, random_state=np.random.RandomState(0)).fit(x, y)
    with pytest.raises(DataError, match="random_state"):
        model.save(tmp_path / "model")
    with pytest.raises(DataError, match="positive weight"):
        model.fit(x, y, sample_weight=np.r_[np.ones(9), np.zeros(31)])


# -- the order and the weight of rows -------------------------------------------------------------


def sorted_rows(x, y, weights=None):
    covariates, target, w = ordered_rows(Covariates.from_array(x), y, weights)
    return covariates.values, target, w


def test_rows_come_in_an_order_of_their_own():
    x, y = np.random.default_rng(0).integers(0, 3, (2, 40)).astype(float)
    shuffled = np.random.default_rng(1).permutation(40)
    once, again = sorted_rows(x[:, None], y), sorted_rows(x[shuffled, None], y[shuffled])
    for a, b in zip(once[:2], again[:2], strict=True):
        np.testing.assert_array_equal(a, b)


def test_whole_weights_are_repetitions_and_others_are_not():
    x, y = line(30, 0)
    counts = np.arange(30) % 3
    weighted = sorted_rows(x, y, counts.astype(float))
    repeated = sorted_rows(np.repeat(x, counts, axis=0), np.repeat(y, counts))
    for a, b in zip(weighted[:2], repeated[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    assert weighted[2] is None
    halves = sorted_rows(x, y, counts / 2)
    assert len(halves[0]) == np.count_nonzero(counts)
    assert set(halves[2]) == {0.5, 1.0}
    heavy = sorted_rows(x, y, 1000.0 * counts)
    assert len(heavy[0]) == np.count_nonzero(counts)
    assert sorted_rows(x, y, np.full(30, 0.7))[2] is None
