"""Least squares for factorial experiments against statsmodels, hand algebra and simulation."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from causal_ddpm import FactorialModel
from causal_ddpm.core.coding import all_cells, columns, conversion, terms_to
from causal_ddpm.core.combine import combine_estimates
from causal_ddpm.core.errors import DataError, NotIdentifiedError, SmallSampleWarning
from causal_ddpm.core.estimate import influence_covariance
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.core.synthetic import SYNTHETIC_MARKER
from causal_ddpm.estimators.factorial_ols import factorial_ols

ABC = ["a", "b", "c"]
P = [0.3, 0.5, 0.6]


def draw(seed=0, n=400, k=3, p=P, sigma=1.0, degree=2, **settings):
    model = FactorialModel(n, p_t=p, k=k, degree=degree, sigma=sigma, sparsity=0.2, beta_seed=5)
    t, y = model.sample(seed)
    noise = np.random.default_rng(seed).standard_normal(n) * t[:, 0]  # unequal variances
    names = [chr(97 + j) for j in range(k)]
    frame = pd.DataFrame(t, columns=names).assign(
        y=y + noise, town=np.arange(n) // 8, w=1.0 + np.arange(n) % 3
    )
    return model, FactorialData(frame, names, "y", probability=p, **settings)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_values_and_hc2_errors_equal_statsmodels(order):
    data = draw()[1]
    fit = factorial_ols(data, order)
    x = columns(data.z, terms_to(3, order), data.p)
    theirs = sm.OLS(data.outcome, x).fit(cov_type="HC2", use_t=True)
    np.testing.assert_allclose(fit.coefficients.values, theirs.params)
    np.testing.assert_allclose(fit.coefficients.cov, theirs.cov_params())
    low, high = fit.coefficients.interval()
    np.testing.assert_allclose(np.column_stack([low, high]), theirs.conf_int())
    np.testing.assert_allclose(
        influence_covariance(fit.coefficients.influence), fit.coefficients.cov
    )


def test_clustered_errors_equal_statsmodels():
    data = draw(clusters="town")[1]
    fit = factorial_ols(data)
    x = columns(data.z, terms_to(3, 2), data.p)
    theirs = sm.OLS(data.outcome, x).fit(
        cov_type="cluster", cov_kwds={"groups": data.clusters}, use_t=True
    )
    np.testing.assert_allclose(fit.coefficients.cov, theirs.cov_params())
    assert fit.coefficients.df == 49
    assert "cluster-robust" in fit.method


def test_weights_equal_statsmodels():
    data = draw(weights="w")[1]
    fit = factorial_ols(data)
    x = columns(data.z, terms_to(3, 2), data.p)
    theirs = sm.WLS(data.outcome, x, weights=data.weights).fit(cov_type="HC2")
    np.testing.assert_allclose(fit.coefficients.values, theirs.params)
    np.testing.assert_allclose(fit.coefficients.cov, theirs.cov_params())


def test_simple_effects_are_the_regression_on_0_1_columns():
    data = draw()[1]
    estimate = factorial_ols(data, 3).effects("01")
    x = columns(data.z, terms_to(3, 3))
    theirs = sm.OLS(data.outcome, x).fit(cov_type="HC2")
    assert estimate.labels == ("a", "b", "c", "a:b", "a:c", "b:c", "a:b:c")
    assert estimate.estimand == "0/1 coefficients"
    np.testing.assert_allclose(estimate.values, theirs.params[1:])
    np.testing.assert_allclose(estimate.std_error, theirs.bse[1:])


def test_saturated_cell_means_are_averages_with_neyman_errors():
    data = draw()[1]
    means = factorial_ols(data, 3).cell_means()
    cells = all_cells(3)
    assert means.labels[4] == "mean(a=1,b=0,c=0)"
    for j, cell in enumerate(cells):
        y = data.outcome[(data.z == cell).all(axis=1)]
        assert means.values[j] == pytest.approx(y.mean())
        assert np.sqrt(means.cov[j, j]) == pytest.approx(y.std(ddof=1) / np.sqrt(len(y)))
    off_diagonal = means.cov - np.diag(np.diag(means.cov))
    np.testing.assert_allclose(off_diagonal, 0, atol=1e-12)


def test_average_effects_weigh_cells_by_their_probabilities():
    data = draw()[1]
    fit = factorial_ols(data, 3)
    means = fit.cell_means()
    weight = np.prod(np.where(all_cells(3)[:, 1:] == 1, data.p[1:], 1 - data.p[1:]), axis=1)
    sign = np.where(all_cells(3)[:, 0] == 1, 1, -1)
    by_hand = means.contrast(weight * sign, ["a"])
    effect = fit.effects(order=1)
    assert len(effect) == 3
    assert effect.values[0] == pytest.approx(by_hand.value)
    assert effect.std_error[0] == pytest.approx(by_hand.std_error)
    assert effect.details["probability"] == {"a": 0.3, "b": 0.5, "c": 0.6}


def test_marginal_means_average_cells_over_the_other_factors():
    data = draw()[1]
    fit = factorial_ols(data, 3)
    means = fit.marginal_means(["c", "a"])
    assert means.labels[1] == "mean(c=0,a=1)"
    cells, chance = all_cells(3), [1 - data.p[1], data.p[1]]
    for (c, a), value in zip(all_cells(2), means.values, strict=True):
        inside = (cells[:, 2] == c) & (cells[:, 0] == a)
        assert value == pytest.approx(fit.cell_means().values[inside] @ chance)
    gap = fit.marginal_means(["b"]).contrast([-1, 1])
    assert gap.value == pytest.approx(fit.effects().values[1])
    assert gap.std_error == pytest.approx(fit.effects().std_error[1])
    with pytest.raises(
        DataError, match="the factors are 'a' and 'a'; expected different ones of a"
    ):
        fit.marginal_means(["a", "a"])


def test_effects_and_cells_combine_and_are_adjusted_for_multiplicity():
    data = draw()[1]
    fit = factorial_ols(data)
    both = combine_estimates([fit.effects(order=1), fit.cell_means([[0, 0, 0], [1, 0, 0]])])
    gap = both.contrast([0, 0, 0, -1, 1], ["simple effect of a"])
    assert gap.value == pytest.approx(fit.effects("01").values[0])
    assert gap.std_error == pytest.approx(fit.effects("01").std_error[0], rel=1e-6)
    table = fit.effects().test(adjust="romano-wolf")
    assert (table["p_adjusted"] >= table["p_value"]).all()
    low, high = fit.effects().interval(simultaneous=True)
    alone = fit.effects().interval()
    assert (low < alone[0]).all()
    assert (high > alone[1]).all()


def test_intervals_cover_the_truth_of_both_codings():
    terms = terms_to(3, 2)
    to_average = conversion(terms, P, "01", "ame")[1:]
    hits = {"01": [], "ame": []}
    for seed in range(80):
        model, data = draw(seed, n=200)
        beta = model.beta.astype(float)
        truth = {"01": beta[1:], "ame": to_average @ beta}
        fit = factorial_ols(data)
        for coding, values in truth.items():
            low, high = fit.effects(coding).interval()
            hits[coding].append((low <= values) & (values <= high))
    for coding, inside in hits.items():
        assert 0.92 < np.mean(inside) < 0.985, coding


def test_factors_of_texts_state_their_levels():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"name": rng.choice(["Emily", "Lakisha"], 200), "y": rng.normal(size=200)})
    fit = factorial_ols(FactorialData(frame, ["name"], "y", baseline={"name": "Lakisha"}))
    estimate = fit.effects()
    assert estimate.details["levels"] == {"name": {"0": "Lakisha", "1": "Emily"}}
    gap = frame.groupby("name")["y"].mean()
    assert estimate.value == pytest.approx(gap["Emily"] - gap["Lakisha"])


def test_a_fraction_predicts_cells_that_were_never_run():
    model = FactorialModel(320, k=4, degree=1, sigma=0.1, sparsity=0.0)
    t, _ = model.sample(3)
    t[:, 3] = t[:, :3].sum(axis=1) % 2
    y = model.xfm.transform(t) @ model.beta + 0.1 * np.random.default_rng(0).standard_normal(320)
    data = FactorialData(pd.DataFrame(t, columns=list("abcd")).assign(y=y), list("abcd"), "y")
    unrun = all_cells(4)[all_cells(4).sum(axis=1) % 2 == 1]
    means = factorial_ols(data, 1).cell_means(unrun)
    truth = model.xfm.transform(unrun) @ model.beta
    assert np.abs((means.values - truth) / means.std_error).max() < 4
    with pytest.raises(NotIdentifiedError, match=r"a:b = c:d; a:c = b:d.* Order 1 can be"):
        factorial_ols(data, 2)


def test_confounded_main_effects_are_refused():
    frame = pd.DataFrame({"a": [0, 1] * 20, "b": [0, 1] * 20, "y": np.arange(40.0)})
    with pytest.raises(NotIdentifiedError, match="Not even all main effects can be estimated"):
        factorial_ols(FactorialData(frame, ["a", "b"], "y"), 1)


def test_unreplicated_runs_are_sent_to_lenth():
    frame = pd.DataFrame(all_cells(3), columns=ABC).assign(y=np.arange(8.0))
    data = FactorialData(frame, ABC, "y")
    with pytest.raises(DataError, match=r"8 rows for 8 coefficients.*lenth_test"):
        factorial_ols(data, 3)
    assert len(factorial_ols(data, 1).effects()) == 3


def test_a_cell_of_one_row_is_refused_in_a_saturated_model():
    cells = np.vstack([all_cells(2)[:3]] * 5 + [[[1, 1]]])
    frame = pd.DataFrame(cells, columns=["a", "b"]).assign(y=np.arange(16.0) % 5)
    with pytest.raises(
        DataError, match=r"only row that tells of mean\(a=1,b=1\) is fitted exactly"
    ):
        factorial_ols(FactorialData(frame, ["a", "b"], "y"))


def test_few_clusters_are_warned_of_and_fewer_refused():
    _, data = draw(n=160, clusters="town")
    with pytest.warns(SmallSampleWarning, match="with 20 clusters"):
        fit = factorial_ols(data)
    assert fit.effects().warnings[-1].startswith("with 20 clusters")
    with pytest.raises(DataError, match="'town': there are only 4 clusters; expected at least 5"):
        factorial_ols(draw(n=32, clusters="town")[1], 1)


@pytest.mark.parametrize(("order", "sentence"), [(0, "order of interactions is 0; expected")])
def test_unusable_orders_are_refused(order, sentence):
    with pytest.raises(DataError, match=sentence):
        factorial_ols(draw()[1], order)


def test_unusable_questions_are_refused():
    fit = factorial_ols(draw()[1])
    with pytest.raises(DataError, match="effects of order 3 were asked for; expected 1 to 2"):
        fit.effects(order=3)
    with pytest.raises(DataError, match="the coding is 'x'; expected '01' or 'ame'"):
        fit.effects("x")
    with pytest.raises(DataError, match=r"the cells have the shape \(2,\); expected \(n_cells, 3"):
        fit.cell_means([0, 1])
    wide = factorial_ols(draw(n=600, k=11, p=0.5, degree=1)[1], 1)
    with pytest.raises(DataError, match="all 2,048 cell means were asked for"):
        wide.cell_means()
    with pytest.raises(DataError, match="order 11 of 11 factors has 2,048 coefficients; expected"):
        factorial_ols(wide.data, 11)


def test_marked_rows_are_refused():
    frame = pd.DataFrame({"a": [0, 1] * 20, "y": np.arange(40.0), SYNTHETIC_MARKER: True})
    with pytest.raises(Exception, match="40 rows are marked as synthetic"):
        factorial_ols(FactorialData(frame, ["a"], "y"))
