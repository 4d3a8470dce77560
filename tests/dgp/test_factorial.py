"""The factorial model: published digits, its laws, its refusals."""

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.preprocessing import PolynomialFeatures

from causal_ddpm import FactorialModel
from causal_ddpm.core.errors import DataError


@pytest.fixture(scope="module")
def published():
    model = FactorialModel(n=1000, k=3, degree=3, sigma=0.1, sparsity=0.5, beta_seed=42)
    t, y = model.sample(seed=23)
    return model, t, y


def test_coefficients_to_the_digit(published):
    beta = published[0].beta
    assert beta.dtype == np.float32
    digits = np.array([0, -1.0399841, 0, 0, -1.9510351, 0, 0.1278404, -0.3162426], np.float32)
    np.testing.assert_array_equal(beta, digits)


def test_least_squares_to_the_digit(published):
    model, t, y = published
    fit = sm.OLS(y, model.xfm.fit_transform(t)).fit()
    assert f"{fit.rsquared:.3f}" == "0.994"
    assert f"{fit.fvalue:.3e}" == "2.245e+04"
    assert f"{fit.llf:.2f}" == "887.06"
    assert (round(fit.aic), round(fit.bic)) == (-1758, -1719)
    expected = [0.0141, -1.0622, -0.0079, -0.0155, -1.9316, 0.0298, 0.1542, -0.3478]
    np.testing.assert_array_equal(fit.params.round(4), expected)
    assert f"{fit.bse[0]:.3f} {fit.tvalues[0]:.3f}" == "0.009 1.492"


def test_a_sample_leaves_its_parts(published):
    model, t, y = published
    assert t.shape == (1000, 3)
    np.testing.assert_array_equal(y, model.mu + model.eps)
    np.testing.assert_allclose(model.mu, model.xfm.transform(t) @ model.beta)
    assert (model.n, model.p_t, model.k, model.degree) == (1000, 0.5, 3, 3)
    assert (model.sigma, model.sparsity, model.beta_seed) == (0.1, 0.5, 42)
    assert isinstance(model.rng, np.random.Generator)
    assert isinstance(model.rng_beta, np.random.Generator)
    again = model.sample(23)
    np.testing.assert_array_equal(again[1], y)
    assert not np.array_equal(model.sample(24)[1], y)


def test_features_are_those_of_scikit_learn():
    t = np.random.default_rng(0).integers(0, 2, (20, 5))
    for degree in (1, 2, 4):
        theirs = PolynomialFeatures(degree, interaction_only=True).fit(t)
        ours = FactorialModel(20, k=5, degree=degree).xfm
        np.testing.assert_array_equal(ours.fit_transform(t), theirs.transform(t))
        np.testing.assert_array_equal(ours.get_feature_names_out(), theirs.get_feature_names_out())
        names = list("abcde")
        np.testing.assert_array_equal(
            ours.get_feature_names_out(names), theirs.get_feature_names_out(names)
        )


@pytest.mark.parametrize(("sparsity", "zeros"), [(0.0, 0), (0.7, 25), (1.0, 37)])
def test_sparsity_counts_every_feature(sparsity, zeros):
    model = FactorialModel(10, k=8, degree=2, sparsity=sparsity)
    assert np.sum(model.beta == 0) == zeros


def test_heredity_keeps_interactions_of_active_factors_only():
    plain = FactorialModel(10, k=8, degree=3, sparsity=0.4, beta_seed=1)
    strong = FactorialModel(10, k=8, degree=3, sparsity=0.4, beta_seed=1, heredity=True)
    active = {s[0] for s, b in zip(plain.xfm.terms, plain.beta, strict=True) if len(s) == 1 and b}
    assert 0 < len(active) < 8
    for term, before, after in zip(plain.xfm.terms, plain.beta, strong.beta, strict=True):
        allowed = len(term) < 2 or set(term) <= active
        assert after == (before if allowed else 0)
    assert np.sum(strong.beta != 0) < np.sum(plain.beta != 0)


def test_factors_have_their_probabilities():
    t, _ = FactorialModel(20_000, p_t=[0.2, 0.9], k=2).sample(0)
    np.testing.assert_allclose(t.mean(axis=0), [0.2, 0.9], atol=0.012)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n": 0}, "n is 0; expected a whole number of at least 1"),
        ({"k": 2.5}, "k is 2.5; expected a whole number"),
        ({"k": 2, "degree": 3}, "degree is 3 with k = 2 factors; expected a degree from 1 to 2"),
        ({"p_t": 1.0}, "an assignment probability is 1; expected numbers strictly between 0 and 1"),
        ({"p_t": [0.5, 0.5, 0.5]}, "3 assignment probabilities were given; expected one, or 2"),
        ({"sigma": -0.1}, "sigma is -0.1; expected a finite standard deviation"),
        ({"sigma": float("nan")}, "sigma is nan; expected a finite standard deviation"),
        ({"sparsity": 1.5}, "sparsity is 1.5; expected a share between 0 and 1"),
        ({"beta_seed": -1}, "beta_seed is -1; expected a non-negative integer"),
        ({"n": 10**6, "k": 20, "degree": 20}, "features were asked for"),
    ],
)
def test_parameters_outside_their_range_are_refused(settings, sentence):
    with pytest.raises(DataError, match=sentence):
        FactorialModel(**{"n": 10, **settings})


def test_a_seed_that_is_none_is_refused():
    with pytest.raises(DataError, match="seed is 'a'; expected a non-negative integer"):
        FactorialModel(10).sample("a")


def test_features_need_one_column_a_factor():
    with pytest.raises(DataError, match=r"the factors have the shape \(4, 3\); expected \(n, 2\)"):
        FactorialModel(10).xfm.transform(np.zeros((4, 3)))
