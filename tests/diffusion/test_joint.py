"""Whole rows: round trips, supports, closed-form conditionals, a known assignment, refusals."""

from dataclasses import replace

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from causal_ddpm.core.errors import DataError, ModelFileError, SyntheticDataError
from causal_ddpm.diffusion.joint import FittedJoint, JointDiffusion
from causal_ddpm.diffusion.settings import DiffusionSettings

QUICK = JointDiffusion(DiffusionSettings(n_steps=25, hidden_dim=16, batch_size=64))


def mixed(n=300, seed=0):
    """Counts, an atom, a category, a truth value, a binary number, a constant, missing cells."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(n)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 60, n),
            "region": rng.choice(["north", "south", "west"], n, p=[0.6, 0.3, 0.1]),
            "earnings": np.where(rng.random(n) < 0.4, 0.0, np.exp(8 + 0.5 * z)).round(2),
            "married": rng.random(n) < 0.5,
            "treated": (rng.random(n) < 0.3).astype(int),
            "year": 1978,
            "income": np.where(rng.random(n) < 0.2, np.nan, z),
            "sector": np.where(rng.random(n) < 0.1, None, rng.choice(["a", "b"], n)),
        }
    )


@pytest.fixture(scope="module")
def frame():
    return mixed()


@pytest.fixture(scope="module")
def model(frame):
    return QUICK.fit(frame, random_state=0)


@pytest.fixture(scope="module")
def gaussian():
    """Fitted on a trivariate normal, with its covariance."""
    cov = np.array([[1.0, 0.7, 0.4], [0.7, 1.0, 0.1], [0.4, 0.1, 1.0]])
    rows = np.random.default_rng(3).multivariate_normal([0, 0, 0], cov, 2500)
    settings = DiffusionSettings(n_steps=250, hidden_dim=32)
    return JointDiffusion(settings).fit(pd.DataFrame(rows, columns=["a", "b", "c"]), None, 0), cov


# -- supports -------------------------------------------------------------------------------
def test_generated_rows_look_like_the_table(frame, model):
    rows = model.sample(2000, 1)
    assert list(rows.columns) == [*frame.columns, "__synthetic__"]
    assert rows["__synthetic__"].all()
    assert (rows.dtypes[frame.columns] == frame.dtypes).all()
    assert set(rows["age"]) <= set(range(18, 60))
    assert set(rows["region"]) <= {"north", "south", "west"}
    assert set(rows["treated"]) == {0, 1}
    assert set(rows["year"]) == {1978}
    assert rows["earnings"].max() <= frame["earnings"].max()
    assert rows["income"].min() >= frame["income"].min()
    assert (
        not rows[["age", "region", "earnings", "married", "treated", "year"]].isna().any(axis=None)
    )


def test_atoms_missing_cells_and_shares_come_as_often_as_in_the_data(frame, model):
    rows = model.sample(4000, 2)
    zeros = (frame["earnings"] == 0).mean()
    assert (rows["earnings"] == 0).mean() == pytest.approx(zeros, abs=0.06)
    for column in ("income", "sector"):
        assert rows[column].isna().mean() == pytest.approx(frame[column].isna().mean(), abs=0.05)
    shares = frame["region"].value_counts(normalize=True)
    np.testing.assert_allclose(
        rows["region"].value_counts(normalize=True)[shares.index], shares, atol=0.06
    )


def test_without_missing_cells_none_is_missing(model):
    assert not model.sample(300, 1, missing=False).isna().any(axis=None)


@pytest.mark.parametrize("convert", [pd.DataFrame, pl.from_pandas, pa.Table.from_pandas])
def test_the_kind_of_frame_that_came_in_comes_out(frame, convert):
    native = convert(frame[["age", "region", "income"]])
    model = QUICK.fit(native, random_state=0)
    assert type(model.sample(5, 0)) is type(native)
    some = convert(frame[["age", "region"]].head(4))
    assert type(model.sample_given(some, 2, 0)) is type(native)
    assert nw.from_native(model.impute(native, 0), eager_only=True)["income"].null_count() == 0


# -- given some cells -----------------------------------------------------------------------
def test_given_cells_are_kept_and_the_rest_is_drawn(frame, model):
    known = frame[["age", "treated", "income"]].head(20)
    rows = model.sample_given(known, 3, 0)
    assert len(rows) == 60
    assert not rows.isna().any(axis=None)
    np.testing.assert_array_equal(rows["age"], known["age"].repeat(3))
    here = known["income"].notna().repeat(3).to_numpy()
    np.testing.assert_array_equal(rows["income"][here], known["income"].repeat(3)[here])


def test_a_column_can_be_set_whatever_it_was(frame, model):
    known = frame[["age", "region"]].head(30).assign(treated=1)
    assert (model.sample_given(known, 1, 0)["treated"] == 1).all()


def test_impute_fills_holes_and_nothing_else(frame, model):
    filled = model.impute(frame, 0)
    assert not filled.isna().any(axis=None)
    assert "__synthetic__" not in filled
    for column in frame.columns:
        here = frame[column].notna()
        assert (filled.loc[here, column] == frame.loc[here, column]).all()


def test_conditional_law_of_a_gaussian_is_the_closed_form(gaussian):
    model, cov = gaussian
    for known, rest in ((["a"], ["b", "c"]), (["b", "c"], ["a"]), (["c"], ["a", "b"])):
        place = ["abc".index(k) for k in known], ["abc".index(k) for k in rest]
        point = np.array([[1.0, -0.5]])[:, : len(known)]
        draws = model.sample_given(pd.DataFrame(point, columns=known), 3000, 1)[rest].to_numpy()
        slope = np.linalg.solve(cov[np.ix_(place[0], place[0])], cov[np.ix_(*place)])
        left = cov[np.ix_(place[1], place[1])] - cov[np.ix_(place[1], place[0])] @ slope
        np.testing.assert_allclose(draws.mean(0), (point @ slope)[0], atol=0.12)
        np.testing.assert_allclose(np.cov(draws.T), np.squeeze(left), atol=0.13)


def test_regression_on_generated_rows_is_that_of_the_training_rows():
    rng = np.random.default_rng(11)
    x = rng.standard_normal(2000)
    y = 0.1 + 1.5 * x + rng.standard_normal(2000)
    settings = DiffusionSettings(n_steps=300, hidden_dim=64)
    rows = JointDiffusion(settings).fit(pd.DataFrame({"x": x, "y": y}), random_state=0)
    rows = rows.sample(20_000, 1)
    slope, intercept = np.polyfit(rows["x"], rows["y"], 1)
    own_slope, own_intercept = np.polyfit(x, y, 1)
    error = 1 / np.sqrt(2000)
    assert abs(slope - own_slope) < 2 * error
    assert abs(intercept - own_intercept) < 2 * error
    left = np.std(rows["y"] - intercept - slope * rows["x"])
    assert left == pytest.approx(np.std(y - own_intercept - own_slope * x), rel=0.03)


def test_probability_is_the_assignment_that_made_the_data():
    rng = np.random.default_rng(5)
    x, g = rng.standard_normal(3000), rng.random(3000) < 0.4
    p = 1 / (1 + np.exp(-(x - 0.8 * g)))
    frame = pd.DataFrame({"x": x, "g": g, "t": (rng.random(3000) < p).astype(int)})
    settings = DiffusionSettings(n_steps=400, hidden_dim=32)
    model = JointDiffusion(settings).fit(frame, random_state=0)
    learnt = model.probability(frame, "t")
    assert model.levels("t") == (0.0, 1.0)
    np.testing.assert_allclose(learnt.sum(1), 1, atol=1e-6)
    assert np.sqrt(np.mean((learnt[:, 1] - p) ** 2)) < 0.06
    alone = model.probability(frame[["g"]].head(1), "t")[0, 1]
    assert alone == pytest.approx(frame["t"][frame["g"] == frame["g"][0]].mean(), abs=0.06)


def test_up_to_a_hundred_levels_and_the_rarest_of_more_are_grouped():
    rng = np.random.default_rng(0)
    many = pd.DataFrame({"k": rng.integers(0, 100, 600).astype(str), "x": rng.standard_normal(600)})
    assert len(QUICK.fit(many, random_state=0).levels("k")) == many["k"].nunique()
    more = many.assign(k=rng.integers(0, 130, 600).astype(str))
    with pytest.warns(UserWarning, match="rarest"):
        model = QUICK.fit(more, random_state=0)
    assert len(model.levels("k")) == 100
    assert "other" in set(model.sample(500, 0)["k"])


def test_numbers_can_be_read_as_categories(frame):
    model = replace(QUICK, categorical=("age",)).fit(frame[["age", "income"]], random_state=0)
    assert model.levels("age") == tuple(sorted(set(frame["age"].astype(float))))
    assert model.sample(20, 0)["age"].dtype == frame["age"].dtype


# -- equalities -----------------------------------------------------------------------------
def test_same_seed_same_bits(frame, model):
    again = QUICK.fit(frame, random_state=0)
    pd.testing.assert_frame_equal(again.sample(40, 3), model.sample(40, 3))
    assert not again.sample(40, 4).equals(model.sample(40, 3))


def test_save_and_load(tmp_path, frame, model):
    again = FittedJoint.load(model.save(tmp_path / "rows.model"))
    pd.testing.assert_frame_equal(again.sample(40, 3), model.sample(40, 3))
    np.testing.assert_array_equal(
        again.probability(frame.head(9), "region"), model.probability(frame.head(9), "region")
    )
    (tmp_path / "damaged").write_text("no model")
    with pytest.raises(ModelFileError):
        FittedJoint.load(tmp_path / "damaged")


# -- refusals -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"day": pd.Timestamp("2020-01-01")}, "dates or times"),
        ({"day": "2020-01-31"}, "dates or times"),
        ({"name": [f"person {i}" for i in range(300)]}, "distinct texts"),
        ({"x": np.inf}, "infinite"),
        ({"x": np.nan}, "every value is missing"),
        ({"x": [[1]] * 300}, "column 'x'"),
    ],
)
def test_refuses_columns_that_it_cannot_model(frame, change, words):
    with pytest.raises(DataError, match=words):
        QUICK.fit(frame.assign(**change))


def test_refuses_unusable_tables(frame):
    with pytest.raises(DataError, match="at least 40"):
        QUICK.fit(frame.head(10))
    with pytest.raises(DataError, match="constant"):
        QUICK.fit(frame[["year"]])
    with pytest.raises(DataError, match="no column 'agee'"):
        QUICK.fit(frame, columns=["agee"])
    with pytest.raises(DataError, match="polars"):
        QUICK.fit(frame.to_numpy())
    with pytest.raises(SyntheticDataError):
        QUICK.fit(frame.assign(__synthetic__=True))


def test_refuses_bad_questions(frame, model):
    with pytest.raises(DataError, match="n is 0"):
        model.sample(0)
    with pytest.raises(DataError, match="no column of the model"):
        model.sample_given(frame[["age"]].rename(columns={"age": "height"}))
    with pytest.raises(DataError, match="level 'east' is unknown"):
        model.sample_given(pd.DataFrame({"region": ["east"]}))
    with pytest.raises(DataError, match="a category"):
        model.probability(frame, "income")
    with pytest.raises(DataError, match="no column 'wage'"):
        model.probability(frame, "wage")
    with pytest.raises(DataError, match="lacks the column"):
        model.impute(frame.drop(columns="age"))
