"""The law of several outcomes at once, and its constraints in original units."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.constraints import LinearEquality, bounds, budget, shares
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.nuisance.learners.sklearn_learner import SklearnLearner
from causal_ddpm.nuisance.stack import LocationStack
from causal_ddpm.nuisance.vector_law import VectorOutcomeLaw, VectorOutcomeModel

GOODS = ["food", "rent", "rest"]
LIGHT = {
    "stack": LocationStack((SklearnLearner(LinearRegression()),)),
    "diffusion": DiffusionSettings(n_steps=200, hidden_dim=32),
}
N = 600


@pytest.fixture(scope="module")
def frame():
    """Spending that adds up to income, two outcomes with correlated noise, a treatment."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, 2))
    d = (rng.random(N) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    part = np.exp(0.3 * rng.standard_normal((N, 3)) + np.column_stack([0.3 * d, x[:, 1] / 3, d]))
    part /= part.sum(axis=1, keepdims=True)
    income = 20 + 5 * rng.random(N)
    noise = rng.standard_normal((N, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    linear = np.column_stack([x[:, 0] + 2 * d, 3 * x[:, 1] - d]) + noise
    return pd.DataFrame(x, columns=["x0", "x1"]).assign(
        d=d, income=income, y=linear[:, 0], z=linear[:, 1],
        **dict(zip(GOODS, (part * income[:, None]).T, strict=True)),
        **dict(zip("abc", part.T, strict=True)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def plain(frame):
    return VectorOutcomeModel(**LIGHT).fit(frame, "d", ["y", "z"], ["x0", "x1"])


@pytest.fixture(scope="module")
def spending(frame):
    model = VectorOutcomeModel([budget(GOODS, "income"), bounds("food", low=0)], **LIGHT)
    return model.fit(frame, "d", GOODS, ["x0", "x1", "income"])


def test_effects_and_dependence_of_a_linear_model(plain, frame):
    effect = plain.cate(frame).mean(axis=0)
    np.testing.assert_allclose(effect, [2, -1], atol=0.3)
    drawn = plain.sample(frame.head(100), 1, 200, 1)
    assert drawn.shape == (100, 200, 2)
    away = (drawn - drawn.mean(axis=1, keepdims=True)).reshape(-1, 2)
    assert abs(np.corrcoef(away.T)[0, 1] - 0.8) < 0.12
    np.testing.assert_allclose(away.std(axis=0), 1, atol=0.2)


def test_quantiles_are_those_of_draws(plain, frame):
    rows, levels = frame.head(5), [0.1, 0.5, 0.9]
    q = plain.quantile(rows, 0, levels, n_samples=100, random_state=3)
    by_hand = np.quantile(plain.sample(rows, 0, 100, 3), levels, axis=1)
    np.testing.assert_allclose(q, by_hand.transpose(1, 0, 2))
    assert (np.diff(q, axis=1) > 0).all()


def test_a_budget_that_holds_in_the_data_holds_in_every_draw(spending, frame):
    rows = frame.head(40)
    drawn = spending.sample(rows, 1, 50, 0)
    np.testing.assert_allclose(
        drawn.sum(axis=2), rows["income"].to_numpy()[:, None] + 0 * drawn[..., 0], rtol=1e-12
    )
    assert (drawn[..., 0] >= 0).all()
    assert spending.report["equalities_built_in"] == 1
    np.testing.assert_allclose(spending.mean(rows, 1).sum(axis=1), rows["income"], rtol=1e-12)


def test_an_equality_that_nobody_declared_is_found(frame):
    law = VectorOutcomeModel(**LIGHT).fit(frame, "d", list("abc"), ["x0", "x1"])
    assert law.report["equalities_built_in"] == 1
    np.testing.assert_allclose(law.sample(frame.head(20), 0, 20, 0).sum(axis=2), 1, rtol=1e-12)
    with_signs = law.draws(frame.head(20), 0, 20, 0, constraints=[shares(list("abc"))])
    assert (with_signs.x >= 0).all()


def test_an_imposed_equality_joins_the_one_in_the_data(spending, frame):
    rows = frame.head(6)
    equal = LinearEquality([1, -1], 0, ["food", "rent"])
    draws = spending.draws(rows, 1, 32, 0, constraints=[budget(GOODS, "income"), equal])
    np.testing.assert_allclose(draws.x[..., 0], draws.x[..., 1], rtol=1e-9)
    np.testing.assert_allclose(
        draws.x.sum(axis=2), rows["income"].to_numpy()[:, None].repeat(32, 1), rtol=1e-9
    )
    assert draws.effective_share.min() > 0.05


def test_same_seed_same_draws_and_a_file_keeps_the_law(spending, frame, tmp_path):
    rows = frame.head(8)
    loaded = VectorOutcomeLaw.load(spending.save(tmp_path / "law.zip"))
    np.testing.assert_array_equal(loaded.sample(rows, 0, 10, 4), spending.sample(rows, 0, 10, 4))
    assert "food, rent, rest" in repr(loaded)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f, law: VectorOutcomeModel(["sum to one"]), "constraints hold"),
        (lambda f, law: VectorOutcomeModel(n_folds=1), "n_folds is 1"),
        (lambda f, law: VectorOutcomeModel().fit(f, "d", ["y"], ["x0"]), "two different columns"),
        (
            lambda f, law: VectorOutcomeModel([budget(GOODS, "incme")]).fit(
                f, "d", GOODS, ["income"]
            ),
            "Did you mean 'income'",
        ),
        (lambda f, law: law.sample(f, 2, 1), "2"),
        (lambda f, law: law.sample(f, 1, 0), "n_samples is 0"),
        (lambda f, law: law.quantile(f, 1, [1.0]), "strictly between 0 and 1"),
        (
            lambda f, law: law.draws(f.head(2), 1, 2, constraints=[budget(GOODS, 1.0)]),
            "contradicts an equality that holds in the data",
        ),
    ],
)
def test_refusals(make, message, spending, frame):
    with pytest.raises(DataError, match=message):
        make(frame, spending)
