"""Training and reading from Parquet: the location by hand, the law, columns, refusals."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion import parquet, stream
from causal_ddpm.diffusion.conditional import DiffusionSettings
from causal_ddpm.diffusion.parquet import ParquetTable, encode, survey
from causal_ddpm.diffusion.stream import ParquetDiffusion, location_and_scale, train_parquet

QUICK = DiffusionSettings(n_steps=40, hidden_dim=8, batch_size=64)
NAMES = ["a", "b", "city"]


def frame(n=1500, seed=0):
    """y is linear in a; its noise has two modes under arm 1; b has gaps that matter."""
    rng = np.random.default_rng(seed)
    a, b, city = rng.standard_normal(n), rng.standard_normal(n), rng.choice(["x", "y", "z"], n)
    d, gap = rng.integers(0, 2, n), rng.random(n) < 0.2
    noise = np.where(d == 1, 2 * rng.choice([-1.0, 1.0], n), 0) + 0.5 * rng.standard_normal(n)
    y = 10 + 3 * a + np.where(gap, 4, b) + (city == "z") * d + noise
    return pd.DataFrame({"a": a, "b": np.where(gap, np.nan, b), "city": city, "d": d, "y": y})


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    target = tmp_path_factory.mktemp("rows") / "rows.parquet"
    frame().to_parquet(target, row_group_size=400)
    return target


@pytest.fixture(scope="module")
def model(path):
    return train_parquet(path, "y", NAMES, "d", QUICK, random_state=0)


# -- columns --------------------------------------------------------------------------------
def test_survey_finds_the_moments(path):
    df = frame()
    columns, n = survey(ParquetTable(path), [*NAMES, "d"], ["d"])
    a, b, city, d = columns
    assert n == len(df)
    assert (a.mean, a.sd) == pytest.approx((df["a"].mean(), df["a"].std(ddof=0)))
    assert (b.mean, b.sd) == pytest.approx((df["b"].mean(), df["b"].std(ddof=0)))
    assert (a.missing_share, b.missing_share) == (0.0, df["b"].isna().mean())
    assert city.levels == ("x", "y", "z")
    assert d.levels == (0, 1)
    assert d.shares == pytest.approx((1 - df["d"].mean(), df["d"].mean()))


def test_moments_describe_what_is_encoded(path):
    """Means and standard deviations of the encoded numbers, gaps and indicators included."""
    columns, _ = survey(ParquetTable(path), NAMES)
    x = encode(columns, pa.table(frame()))
    mean, sd = (np.concatenate(p) for p in zip(*(c.moments for c in columns), strict=True))
    np.testing.assert_allclose(x.mean(0), mean, atol=1e-12)
    np.testing.assert_allclose(x.std(0), sd, atol=1e-12)
    np.testing.assert_array_equal(x[:, 2], frame()["b"].isna())


def test_kinds_of_numbers(tmp_path):
    small, text = pa.array([1, 2, 4], pa.float32()), pa.array(["u", "v", "u"]).dictionary_encode()
    table = pa.table(
        {"bool": [True, False, True], "int": [1, 2, None], "small": small, "text": text}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    columns, _ = survey(ParquetTable(tmp_path / "t.parquet"), table.schema.names)
    expected = [[1, 1, 0, 1, 1, 0], [0, 2, 0, 2, 0, 1], [1, 1.5, 1, 4, 1, 0]]
    np.testing.assert_allclose(encode(columns, table), expected)


# -- training -------------------------------------------------------------------------------
def test_location_is_least_squares_arm_by_arm():
    rng = np.random.default_rng(0)
    z, a = rng.standard_normal((4000, 3)), rng.integers(0, 2, 4000)
    y = np.where(a == 1, 1 + z @ [1.0, 2, 3], z @ [0.0, -1, 0.5]) + 0.3 * rng.standard_normal(4000)
    zy = np.column_stack([np.ones(4000), z, y])
    gram = np.stack([zy[a == k].T @ zy[a == k] for k in (0, 1)])
    coefficients, scale = location_and_scale(gram, 4000)
    for k in (0, 1):
        own = np.linalg.lstsq(zy[a == k, :-1], y[a == k], rcond=None)[0]
        np.testing.assert_allclose(coefficients[k], own, atol=0.02)
    np.testing.assert_allclose(scale, 0.3, atol=0.04)


def test_an_empty_arm_takes_the_common_fit():
    rng = np.random.default_rng(0)
    zy = np.column_stack([np.ones(300), rng.standard_normal((300, 3))])
    gram = np.stack([zy.T @ zy, np.zeros((4, 4))])
    coefficients, scale = location_and_scale(gram, 300)
    np.testing.assert_allclose(coefficients[1], coefficients[0])
    np.testing.assert_allclose(scale[1], scale[0])


def test_a_constant_column_and_an_exact_fit_do_no_harm():
    z = np.random.default_rng(0).standard_normal(300)
    zy = np.column_stack([np.ones(300), z, np.zeros(300), 2 * z])
    coefficients, scale = location_and_scale((zy.T @ zy)[None], 300)
    np.testing.assert_allclose(coefficients[0], [0, 2, 0], atol=1e-9)
    assert 0 < scale[0] < 1e-5


def test_the_zero_network_reads_the_gaussian_around_the_location(model):
    zero = {k: torch.zeros_like(w) for k, w in model.diffusion.weights.items()}
    plain = replace(model, diffusion=replace(model.diffusion, weights=zero))
    df = frame(30, seed=1)
    z = (encode(model.columns, pa.table(df)) - model.diffusion.standardisers[0].mean) / (
        model.diffusion.standardisers[0].sd
    )
    m = np.einsum("nd,nd->n", np.column_stack([np.ones(30), z]), model.coefficients[df["d"]])
    expected = model.target.mean + model.target.sd * m
    np.testing.assert_allclose(plain.quantile(df, [0.5])[:, 0], expected, atol=2e-3)
    np.testing.assert_allclose(plain.mean(df), expected, atol=2e-3)
    spread = plain.quantile(df, [0.841344746])[:, 0] - expected
    np.testing.assert_allclose(spread, model.target.sd * model.scale[df["d"]], rtol=2e-3)


def test_the_law_is_learnt(tmp_path):
    frame(12_000).to_parquet(tmp_path / "t.parquet")
    settings = DiffusionSettings(n_members=1, hidden_dim=32, n_steps=500)
    fitted = train_parquet(tmp_path / "t.parquet", "y", NAMES, "d", settings, random_state=0)
    df = frame(400, seed=1)
    truth = 10 + 3 * df["a"] + df["b"].fillna(4) + (df["city"] == "z") * df["d"]
    assert np.sqrt(np.mean((fitted.mean(df) - truth) ** 2)) < 0.25
    q = fitted.quantile(df, [0.25, 0.75], arm=1)
    truth_1 = (truth + (df["city"] == "z") * (1 - df["d"])).to_numpy()
    np.testing.assert_allclose((q - truth_1[:, None]).mean(0), [-2, 2], atol=0.25)
    inner = fitted.quantile(df, [0.05, 0.95])
    assert 0.85 < ((inner[:, 0] < df["y"]) & (df["y"] < inner[:, 1])).mean() < 0.95


def test_same_seed_same_bits_whatever_the_batches(path, model, monkeypatch):
    again = train_parquet(path, "y", NAMES, "d", QUICK, random_state=0)
    np.testing.assert_array_equal(again.mean(frame(20)), model.mean(frame(20)))
    monkeypatch.setattr(parquet, "BATCH_ROWS", 100)
    monkeypatch.setattr(stream, "_CHUNK", 77)
    small = train_parquet(path, "y", NAMES, "d", QUICK, random_state=0)
    np.testing.assert_allclose(small.mean(frame(20)), model.mean(frame(20)), atol=1e-4)


def test_a_folder_of_files_is_one_table(path, model, tmp_path):
    df = frame()
    df[:700].to_parquet(tmp_path / "1.parquet")
    df[700:].to_parquet(tmp_path / "2.parquet")
    both = train_parquet(tmp_path, "y", NAMES, "d", QUICK, random_state=0)
    np.testing.assert_allclose(both.mean(df[:20]), model.mean(df[:20]), atol=1e-4)


def test_without_arms(path):
    fitted = train_parquet(path, "y", ["a"], None, QUICK, random_state=0)
    assert fitted.mean(frame(9)).shape == (9,)
    with pytest.raises(DataError, match="the model has no arms"):
        fitted.mean(frame(9), arm=1)


def test_the_scratch_file_is_removed(path, tmp_path):
    train_parquet(path, "y", ["a"], None, QUICK, 0, scratch_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


# -- reading --------------------------------------------------------------------------------
def test_files_are_read_like_frames(path, model, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "BATCH_ROWS", 333)
    shares = []
    n = model.read_parquet(
        path, tmp_path / "out.parquet", levels=[0.9, 0.1], progress=lambda _, s: shares.append(s)
    )
    out, df = pd.read_parquet(tmp_path / "out.parquet"), frame()
    assert n == len(df) == len(out)
    assert list(out.columns) == ["mean", "q0.9", "q0.1"]
    assert shares[-1] == 1.0
    np.testing.assert_allclose(out["mean"], model.mean(df), atol=1e-4)
    np.testing.assert_allclose(out[["q0.9", "q0.1"]], model.quantile(df, [0.9, 0.1]), atol=1e-4)
    assert (out["q0.9"] > out["q0.1"]).all()


def test_the_other_arm_can_be_read(model):
    df = frame(50)
    flipped = df.assign(d=1)
    np.testing.assert_array_equal(model.mean(df, arm=1), model.mean(flipped))
    np.testing.assert_array_equal(model.mean(df.drop(columns="d"), arm=1), model.mean(flipped))


def test_saving_and_loading_is_the_identity(model, tmp_path):
    again = ParquetDiffusion.load(model.save(tmp_path / "m.cddpm"))
    df = frame(20)
    np.testing.assert_array_equal(again.quantile(df, [0.1, 0.9]), model.quantile(df, [0.1, 0.9]))


def test_a_failed_reading_leaves_no_file(path, model, tmp_path):
    df = frame()
    df.loc[1400, "city"] = "elsewhere"
    df.to_parquet(tmp_path / "in.parquet")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(DataError, match="'elsewhere' was not among the training rows"):
        model.read_parquet(tmp_path / "in.parquet", out / "o.parquet")
    assert list(out.iterdir()) == []


# -- refusals -------------------------------------------------------------------------------
SPOILT = {
    "is infinite": lambda df: df.assign(a=df["a"].where(df.index != 700, np.inf)),
    "target has gaps": lambda df: df.assign(y=df["y"].where(df.index != 5)),
    "target is constant": lambda df: df.assign(y=1.0),
    "more than 100 distinct": lambda df: df.assign(city=df.index.astype(str)),
    "no value is there": lambda df: df.assign(b=np.nan),
    "of type timestamp": lambda df: df.assign(a=pd.Timestamp("2020-01-01")),
    r"values are missing": lambda df: df.assign(city=df["city"].where(df.index > 4)),
    "distinct values; expected at most 20": lambda df: df.assign(d=df.index % 30),
    "rows and": lambda df: df[:60],
    "has no rows": lambda df: df[:0],
}


@pytest.mark.parametrize("words", SPOILT)
def test_tables_are_checked(words, tmp_path):
    SPOILT[words](frame()).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=words) as refused:
        train_parquet(tmp_path / "t.parquet", "y", NAMES, "d", QUICK, 0)
    assert "\n" not in str(refused.value)


CALLS = {
    "has no column 'cty'.*mean 'city'": {"condition": ["a", "cty"]},
    "'a' is named twice": {"condition": ["a", "a"]},
    "'y' is named twice": {"condition": ["y"]},
    "no columns of the condition": {"condition": []},
    "gaps or is no number": {"target": "city", "condition": ["a"]},
}


@pytest.mark.parametrize("words", CALLS)
def test_calls_are_checked(words, path):
    call = {"target": "y", "condition": NAMES, "arm": "d"} | CALLS[words]
    with pytest.raises(DataError, match=words):
        train_parquet(path, settings=QUICK, random_state=0, **call)


def test_files_are_checked(tmp_path):
    with pytest.raises(DataError, match="no Parquet file"):
        train_parquet(tmp_path / "nothing", "y", ["a"])
    (tmp_path / "text").write_text("hello")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        train_parquet(tmp_path / "text", "y", ["a"])


READS = {
    "values are missing": lambda m, df: m.mean(df.assign(a=np.nan)),
    "no column 'city'": lambda m, df: m.mean(df.drop(columns="city")),
    "no column 'd'": lambda m, df: m.mean(df.drop(columns="d")),
    "arm is 7; expected one of 0, 1": lambda m, df: m.mean(df, arm=7),
    "quantile levels are": lambda m, df: m.quantile(df, [0.5, 1.0]),
    "type .*string; expected numbers": lambda m, df: m.mean(df.assign(a="u")),
    "expected values such as 'x'": lambda m, df: m.mean(df.assign(city=1.5)),
}


@pytest.mark.parametrize("words", READS)
def test_readings_are_checked(words, model):
    with pytest.raises(DataError, match=words):
        READS[words](model, frame(20))
