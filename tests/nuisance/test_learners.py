"""Members of the stack against known solutions."""

import builtins
from dataclasses import replace

import numpy as np
import pytest

from causal_ddpm.core.errors import DataError, MissingDependencyError
from causal_ddpm.nuisance import boosting
from causal_ddpm.nuisance.boosting import TreeSettings, boost_session, fit_trees
from causal_ddpm.nuisance.learners import (
    BoostedBCF,
    BoostedTrees,
    GreedySplines,
    LinkRidge,
    ResidualLearner,
    ShortBCF,
    SklearnLearner,
)
from causal_ddpm.nuisance.learners.boosted_trees import ARM_TREES
from causal_ddpm.nuisance.learners.link_ridge import fit_link, link_function
from causal_ddpm.nuisance.ridge import ridge_loo
from causal_ddpm.testing import check_learner

LINEAR = LinkRidge("linT", link=False, cross_index=False)
LEARNERS = [
    LINEAR,
    LinkRidge(),
    LinkRidge("cross", link=False),
    GreedySplines(bags=2),
    GreedySplines("gsT", per_arm=True, bags=1),
    BoostedTrees(),
    BoostedTrees("lgbT2", per_arm=True, trees=ARM_TREES),
    BoostedBCF(),
    ResidualLearner("lin_bcb", LINEAR, BoostedBCF()),
]


@pytest.fixture
def rows():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((400, 5))
    arm = (rng.random(400) < 0.4).astype(np.int64)
    return x, arm, rng


@pytest.fixture
def no_lightgbm(monkeypatch):
    """The world where LightGBM's OpenMP library cannot be loaded."""
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "lightgbm":
            raise OSError("libgomp.so.1: cannot open shared object file")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    boosting.boosting_backend.cache_clear()
    yield
    boosting.boosting_backend.cache_clear()


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda m: m.name)
def test_every_learner_conforms(learner):
    check_learner(learner)


@pytest.mark.usefixtures("no_lightgbm")
@pytest.mark.parametrize(
    "learner",
    [BoostedTrees(trees=replace(ARM_TREES, n_trees=60)), BoostedBCF(rounds=1)],
    ids=lambda m: m.name,
)
def test_boosters_conform_without_lightgbm(learner):
    assert boosting.boosting_backend() == "scikit-learn"
    assert "scikit-learn" in boosting.boosting_note()
    check_learner(learner)


# -- ridge ------------------------------------------------------------------------------------


def closed_form(x, y, w, penalty):
    z = np.column_stack([np.ones(len(x)), x])
    d = np.diag(np.r_[0, np.full(x.shape[1], penalty)])
    return np.linalg.solve((z * w[:, None]).T @ z + d, (z * w[:, None]).T @ y)


@pytest.mark.parametrize("shape", [(60, 5), (20, 40)])
def test_ridge_equals_its_closed_form_and_its_leave_one_out_error(shape):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(shape), rng.uniform(0.5, 2, shape[0])
    y = x[:, 0] + rng.standard_normal(shape[0])
    fit = ridge_loo(x, y, w, np.array([8.0]))
    theta = closed_form(x, y, w, 8.0)
    assert fit.intercept == pytest.approx(theta[0])
    assert fit.coef == pytest.approx(theta[1:])
    errors = []
    for i in range(shape[0]):
        keep = np.arange(shape[0]) != i
        left = closed_form(x[keep], y[keep], w[keep], 8.0)
        errors.append(y[i] - left[0] - x[i] @ left[1:])
    assert fit.loo == pytest.approx(np.average(np.square(errors), weights=w))


def test_plain_ridge_member_is_the_closed_form_in_each_arm(rows):
    x, arm, rng = rows
    y = x @ [1, 2, 0, 0, 0] + arm * (1 + x[:, 2]) + rng.standard_normal(400)
    predicted = LINEAR.fit(x, arm, y, None, 0).predict(x)
    for a in (0, 1):
        own = arm == a
        fit = ridge_loo(x[own], y[own], np.ones(own.sum()), np.logspace(-0.5, 2.5, 6))
        theta = closed_form(x[own], y[own], np.ones(own.sum()), fit.penalty)
        assert predicted[:, a] == pytest.approx(theta[0] + x @ theta[1:])


def test_weight_two_is_nearly_a_repeated_row(rows):
    x, arm, rng = rows
    y = x[:, 0] + arm + rng.standard_normal(400)
    w = 1.0 + (np.arange(400) < 200)
    again = np.repeat(np.arange(400), w.astype(int))
    weighted = LINEAR.fit(x, arm, y, w, 0).predict(x)
    repeated = LINEAR.fit(x[again], arm[again], y[again], None, 0).predict(x)
    assert np.sqrt(np.mean((weighted - repeated) ** 2)) < 0.05


# -- link -------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [-0.7, 1e-6, 0.5])
def test_link_derivatives_are_right(k):
    eta, h = np.linspace(-1, 1, 7), 1e-6
    _, by_eta, by_k = link_function(k, eta)
    slope = (link_function(k, eta + h)[0] - link_function(k, eta - h)[0]) / (2 * h)
    assert by_eta == pytest.approx(slope, abs=1e-5)
    if abs(k) > 1e-4:
        turn = (link_function(k + h, eta)[0] - link_function(k - h, eta)[0]) / (2 * h)
        assert by_k == pytest.approx(turn, abs=1e-5)


def test_link_fit_finds_the_exponent():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((400, 3))
    eta = x @ [0.8, -0.4, 0.0]
    y = 1 + (np.exp(0.9 * eta) - 1) / 0.9 + 0.05 * rng.standard_normal(400)
    model = fit_link(x, y, np.ones(400), np.ones(3), np.logspace(-0.5, 2.5, 6))
    assert model.link == pytest.approx(0.9, abs=0.1)
    assert model.coef == pytest.approx([0.8, -0.4, 0.0], abs=0.05)


def test_linked_ridge_recovers_an_exponential_surface_and_lends_it_to_the_small_arm():
    rng = np.random.default_rng(2)
    x, new = rng.standard_normal((500, 8)), rng.standard_normal((2000, 8))
    w = np.array([0.4, 0.3, -0.3, 0.2, 0.2, 0.0, 0.0, 0.0])
    arm = (np.arange(500) % 10 == 0).astype(np.int64)

    def truth(z):
        return np.column_stack([np.exp(z @ w), 3 + 2 * (z @ w)])

    y = truth(x)[np.arange(500), arm] + 0.5 * rng.standard_normal(500)

    def error(learner):
        gap = learner.fit(x, arm, y, None, 0).predict(new) - truth(new)
        return np.sqrt(np.mean(gap**2, axis=0))

    linked, alone, linear = error(LinkRidge()), error(LinkRidge(cross_index=False)), error(LINEAR)
    assert linked[0] < 0.5 * linear[0]
    assert linked[1] < 0.8 * alone[1]


def test_wide_data_are_fitted_on_principal_axes():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((90, 130))
    arm = (np.arange(90) % 2).astype(np.int64)
    predicted = LinkRidge().fit(x, arm, x[:, 0] + arm, None, 0).predict(x)
    assert np.isfinite(predicted).all()


# -- splines ----------------------------------------------------------------------------------


def test_splines_find_an_interaction_with_the_treatment_and_between_covariates():
    rng = np.random.default_rng(5)
    x, new = rng.uniform(-2, 2, (600, 4)), rng.uniform(-2, 2, (1000, 4))
    arm = (rng.random(600) < 0.5).astype(np.int64)

    def truth(z):
        base = np.abs(z[:, 0]) + z[:, 1] * (1 + z[:, 2])
        return np.column_stack([base, base + 2 * (z[:, 3] > 0)])

    y = truth(x)[np.arange(600), arm] + 0.3 * rng.standard_normal(600)
    predicted = GreedySplines().fit(x, arm, y, None, 0).predict(new)
    assert np.sqrt(np.mean((predicted - truth(new)) ** 2)) < 0.3
    effect, true = predicted[:, 1] - predicted[:, 0], 2.0 * (new[:, 3] > 0)
    assert np.corrcoef(effect, true)[0, 1] > 0.95


def test_splines_on_pure_noise_stay_near_the_mean(rows):
    x, arm, rng = rows
    y = rng.standard_normal(400)
    assert GreedySplines().fit(x, arm, y, None, 0).predict(x).std() < 0.35


def test_splines_stay_within_reach_of_the_data(rows):
    x, arm, _ = rows
    y = x[:, 0]
    far = GreedySplines(bags=2).fit(x, arm, y, None, 0).predict(100 * x)
    assert far.min() >= y.min() - 0.1001 * np.ptp(y)
    assert far.max() <= y.max() + 0.1001 * np.ptp(y)


def test_rows_of_weight_zero_play_no_part_in_the_coefficients(rows):
    x, arm, rng = rows
    y = x[:, 0] + 0.1 * rng.standard_normal(400)
    spoilt, w = y.copy(), np.ones(400)
    spoilt[:40], w[:40] = y[:40] + 5, 0.0
    learner = GreedySplines(bags=4)
    clean = learner.fit(x, arm, y, w, 0).predict(x)
    assert np.corrcoef(learner.fit(x, arm, spoilt, w, 0).predict(x)[:, 0], clean[:, 0])[0, 1] > 0.99


# -- boosting ---------------------------------------------------------------------------------


def test_boosted_bcf_finds_a_constant_effect_under_confounding():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((1500, 4))
    arm = (rng.random(1500) < 1 / (1 + np.exp(-1.5 * x[:, 0]))).astype(np.int64)
    y = 2 * x[:, 0] + 1.5 * arm + 0.5 * rng.standard_normal(1500)
    predicted = BoostedBCF().fit(x, arm, y, None, 0).predict(x)
    effect = predicted[:, 1] - predicted[:, 0]
    assert effect.mean() == pytest.approx(1.5, abs=0.12)
    assert effect.std() < 0.2
    assert y[arm == 1].mean() - y[arm == 0].mean() > 2.5


@pytest.mark.parametrize("backend", ["lightgbm", "scikit-learn"])
def test_a_session_in_instalments_nears_the_target(backend, request):
    if backend == "scikit-learn":
        request.getfixturevalue("no_lightgbm")
    rng = np.random.default_rng(7)
    x = rng.standard_normal((300, 2))
    y = 5 + np.sign(x[:, 0])
    settings = TreeSettings(n_trees=20, learning_rate=0.1, leaves=4, min_leaf=5)
    session = boost_session(x, settings, 0)
    errors = []
    for _ in range(4):
        session.advance(y)
        errors.append(np.mean((session.scores - y) ** 2))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02
    scores = session.scores
    assert session.freeze().predict(x) == pytest.approx(scores, abs=1e-6)


@pytest.mark.parametrize("backend", ["lightgbm", "scikit-learn"])
@pytest.mark.parametrize("loss", ["binary", "gamma"])
def test_scores_are_log_odds_and_log_means(backend, loss, request):
    if backend == "scikit-learn":
        request.getfixturevalue("no_lightgbm")
    rng = np.random.default_rng(8)
    x = np.repeat([[0.0], [1.0]], 500, axis=0)
    level = np.where(x[:, 0] > 0, 0.7, 0.2)
    y = (rng.random(1000) < level) * 1.0 if loss == "binary" else level * rng.exponential(size=1000)
    settings = TreeSettings(n_trees=150, learning_rate=0.1, leaves=2, min_leaf=5, loss=loss)
    score = fit_trees(x, y, None, settings, 0).predict(np.array([[0.0], [1.0]]))
    means = np.array([y[:500].mean(), y[500:].mean()])
    want = np.log(means / (1 - means)) if loss == "binary" else np.log(means)
    assert score == pytest.approx(want, abs=0.02)


def test_a_session_survives_columns_that_do_not_vary():
    session = boost_session(np.zeros((50, 1)), TreeSettings(5, 0.1, 4, 5), 0)
    session.advance(np.arange(50.0))
    assert session.scores == pytest.approx(np.full(50, 24.5))


@pytest.mark.parametrize("treated", [2, 8])
@pytest.mark.parametrize("learner", LEARNERS, ids=lambda m: m.name)
def test_tiny_arms_do_not_break_a_learner(learner, treated):
    rng = np.random.default_rng(9)
    x = np.column_stack([rng.standard_normal((80, 3)), np.ones(80), rng.integers(0, 2, 80)])
    arm = (np.arange(80) < treated).astype(np.int64)
    y = rng.standard_t(2, 80)
    assert np.isfinite(learner.fit(x, arm, y, None, 0).predict(x)).all()


# -- residual, scikit-learn, BCF --------------------------------------------------------------


def test_residual_learner_adds_what_the_first_stage_left(rows):
    x, arm, rng = rows
    y = 3 * x[:, 0] + 2.0 * (x[:, 1] > 0.5) + 0.2 * rng.standard_normal(400)
    second = BoostedTrees(trees=replace(ARM_TREES, n_trees=150))
    both = ResidualLearner("lin_trees", LINEAR, second).fit(x, arm, y, None, 0)
    first = both.first.predict(x)
    assert both.predict(x) == pytest.approx(first + both.second.predict(x))
    own = np.arange(400), arm
    assert np.var(y - both.predict(x)[own]) < 0.3 * np.var(y - first[own])


def test_scikit_learn_estimators_are_cloned_seeded_and_weighted(rows):
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, arm, rng = rows
    y = x[:, 0] + arm + 0.1 * rng.standard_normal(400)
    forest = RandomForestRegressor(n_estimators=5)
    for estimator in (forest, make_pipeline(StandardScaler(), forest)):
        learner = SklearnLearner(estimator, arms="joint")
        w = np.where(arm == 1, 3.0, 1.0)
        first, again = (learner.fit(x, arm, y, w, 4).predict(x) for _ in range(2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, learner.fit(x, arm, y, w, 5).predict(x))
    assert not hasattr(forest, "estimators_")
    assert forest.random_state is None


def test_scikit_learn_learner_equals_separate_regressions(rows):
    from sklearn.linear_model import LinearRegression

    x, arm, rng = rows
    y = x[:, 0] + arm * x[:, 1] + 0.1 * rng.standard_normal(400)
    predicted = SklearnLearner(LinearRegression()).fit(x, arm, y, None, 0).predict(x)
    for a in (0, 1):
        z = np.column_stack([np.ones((arm == a).sum()), x[arm == a]])
        theta = np.linalg.lstsq(z, y[arm == a], rcond=None)[0]
        assert predicted[:, a] == pytest.approx(theta[0] + x @ theta[1:])


def test_weights_are_refused_where_the_estimator_cannot_use_them(rows):
    from sklearn.neighbors import KNeighborsRegressor

    x, arm, _ = rows
    with pytest.raises(DataError, match="takes no sample_weight"):
        SklearnLearner(KNeighborsRegressor()).fit(x, arm, x[:, 0], np.ones(400), 0)


def test_what_is_no_regressor_is_refused():
    with pytest.raises(DataError, match="a scikit-learn regressor"):
        SklearnLearner("ridge")
    with pytest.raises(DataError, match="'separate' or 'joint'"):
        SklearnLearner(LinearLike(), arms="both")


class LinearLike:
    """Just enough to pass for an estimator."""

    def fit(self):
        """Nothing."""

    get_params = set_params = fit


def test_a_missing_stochtree_is_named(rows, monkeypatch):
    import sys

    x, arm, _ = rows
    monkeypatch.setitem(sys.modules, "stochtree", None)
    with pytest.raises(MissingDependencyError, match="causal-ddpm\\[high\\]"):
        ShortBCF().fit(x, arm, x[:, 0], None, 0)


@pytest.mark.peers
def test_short_bcf_finds_the_effect(rows):
    x, arm, rng = rows
    y = x[:, 0] + 2 * arm + 0.3 * rng.standard_normal(400)
    predicted = ShortBCF().fit(x, arm, y, np.ones(400), 0).predict(x)
    assert (predicted[:, 1] - predicted[:, 0]).mean() == pytest.approx(2, abs=0.15)
