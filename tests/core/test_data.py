"""CausalData: what it reads, and every refusal as one sentence."""

import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from causal_ddpm.core.data import CausalData, read_covariates
from causal_ddpm.core.errors import CausalDDPMError, DataError
from causal_ddpm.core.synthetic import SYNTHETIC_MARKER

CONFOUNDERS = ["size", "owner", "sector"]


def frame(n: int = 120, **columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    df = pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "owner": rng.random(n) < 0.5,
            "sector": rng.choice(["retail", "steel", "wine"], n),
            "d": np.arange(n) % 2,
            "y": rng.normal(size=n),
        }
    )
    return df.assign(**columns)


def read(df: object, **roles: object) -> CausalData:
    given = {"treatment": "d", "outcome": "y", "confounders": CONFOUNDERS} | roles
    return CausalData(df, **given)


def test_kinds_codes_and_missing_values():
    df = frame()
    df.loc[0, "size"] = np.nan
    df.loc[1, "sector"] = None
    data = read(df)
    assert [c.kind for c in data.covariates.columns] == ["numeric", "boolean", "categorical"]
    assert np.isnan(data.covariates.values[0, 0])
    assert np.isnan(data.covariates.values[1, 2])
    levels = data.covariates.columns[2].categories
    assert levels == ("retail", "steel", "wine")
    assert levels[int(data.covariates.values[2, 2])] == df["sector"][2]
    assert "60 treated, 60 untreated" in repr(data)


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas])
def test_the_kind_of_frame_does_not_matter(convert):
    df = frame()
    df.loc[5, "sector"] = None
    assert read(convert(df)).fingerprint == read(df).fingerprint


def test_fingerprint_sees_every_value():
    changed = frame()
    changed.loc[7, "size"] += 1e-12
    assert read(changed).fingerprint != read(frame()).fingerprint


def test_unseen_level_gets_the_code_of_other():
    data = read(frame())
    new = frame().assign(sector="fishing")
    assert (read_covariates(new, data.covariates.columns).values[:, 2] == 3).all()


def test_boolean_and_float_treatments_are_read():
    df = frame()
    assert read(df.assign(d=df["d"] == 1)).treatment.sum() == 60
    assert read(df.assign(d=df["d"].astype(float))).treatment.sum() == 60


@pytest.mark.parametrize(
    "column",
    [
        pd.array([1, None] * 60, dtype="Int64"),
        pd.array([True, None] * 60, dtype="boolean"),
        pd.array([1.0, None] * 60, dtype="float64[pyarrow]"),
        [1.0, np.nan] * 60,
        [True, None] * 60,
    ],
    ids=["Int64", "boolean", "arrow", "float", "object"],
)
def test_every_kind_of_missing_value_is_read(column):
    values = read(frame(size=column)).covariates.values[:, 0]
    np.testing.assert_array_equal(np.isnan(values), np.arange(120) % 2 == 1)
    assert (values[::2] == 1.0).all()


def test_later_changes_of_the_frame_do_not_reach_the_data():
    df = frame()
    data = read(df)
    before = data.outcome[0]
    df.loc[0, "y"] = 99.0
    assert data.outcome[0] == before


def test_marked_rows_are_counted():
    df = frame()
    df[SYNTHETIC_MARKER] = np.arange(len(df)) < 10
    assert read(df).n_synthetic == 10


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        read(frame()).outcome[0] = 1.0


N = len(frame())
REFUSALS = {
    "unknown column": (frame(), {"outcome": "why"}, "no column 'why'"),
    "closest name": (frame(), {"confounders": ["sizes"]}, "Did you mean 'size'"),
    "constant treatment": (frame(d=1), {}, "treatment is constant"),
    "three arms": (frame(d=np.arange(N) % 3), {}, "0 (untreated) and 1 (treated)"),
    "words as treatment": (frame(d=["yes", "no"] * (N // 2)), {}, "Recode it"),
    "missing treatment": (
        frame(d=[np.nan] + [0.0, 1.0] * 59 + [1.0]),
        {},
        "treatment values are missing",
    ),
    "NaN outcome": (frame(y=[np.nan] * 3 + [1.0] * (N - 4) + [2.0]), {}, "3 of 120 outcome values"),
    "infinite outcome": (frame(y=[np.inf, *list(range(N - 1))]), {}, "missing or infinite"),
    "constant outcome": (frame(y=2.0), {}, "outcome is constant"),
    "text outcome": (frame(y=["1.5", "n/a"] * (N // 2)), {}, "a numeric outcome"),
    "all-missing confounder": (frame(size=np.nan), {}, "every value is missing"),
    "infinite confounder": (frame(size=[np.inf] + [0.0] * (N - 1)), {}, "infinite values"),
    "copy of treatment": (frame(size=np.arange(N) % 2), {}, "copy of the treatment"),
    "opposite of treatment": (frame(size=1 - np.arange(N) % 2), {}, "copy of the treatment"),
    "treatment in words": (
        frame(sector=["treated" if i % 2 else "control" for i in range(N)]),
        {},
        "copy of",
    ),
    "dates": (frame(size=pd.date_range("2020-01-01", periods=N)), {}, "dates or times"),
    "dates in words": (
        frame(sector=[f"2020-01-{1 + i % 9:02d} 10:30" for i in range(N)]),
        {},
        "dates or times",
    ),
    "days first": (frame(sector=[f"{1 + i % 9}.3.2020" for i in range(N)]), {}, "dates or times"),
    "many texts": (frame(sector=[f"firm {i // 3}" for i in range(N)]), {}, "40 distinct texts"),
    "free text": (frame(sector=[f"note number {i}" for i in range(N)]), {}, "120 distinct texts"),
    "nested values": (frame(sector=[[1, 2]] * N), {}, "confounder"),
    "no confounders": (frame(), {"confounders": []}, "no confounders"),
    "two roles": (frame(), {"confounders": ["size", "y"]}, "more than one role"),
    "negative weights": (frame(w=-1.0), {"weights": "w"}, "non-negative weights"),
    "fractional frequencies": (
        frame(w=0.5),
        {"weights": "w", "weights_type": "frequency"},
        "whole numbers",
    ),
    "weights type": (frame(), {"weights_type": "survey"}, "'sampling' or 'frequency'"),
    "missing cluster": (
        frame(g=[None] + ["a"] * (N - 1)),
        {"clusters": "g"},
        "cluster values are missing",
    ),
    "too few rows": (frame(30), {}, "30 rows"),
    "no rows": (frame(0), {}, "no rows"),
    "not a frame": ([1, 2, 3], {}, "pandas, polars or pyarrow"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusal_is_one_sentence_and_quick(case):
    df, roles, words = REFUSALS[case]
    start = time.perf_counter()
    with pytest.raises(DataError) as refused:
        read(df, **roles)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert isinstance(refused.value, CausalDDPMError)
    assert refused.value.exit_code == 2
    assert time.perf_counter() - start < 1.0


def test_duplicate_column_names():
    df = frame()
    df.insert(0, "copy", 1.0)
    df.columns = ["size", *df.columns[1:]]
    with pytest.raises(DataError, match="occurs 2 times"):
        read(df)


@pytest.mark.parametrize("x", [np.zeros((4, 2)), np.zeros(3)])
def test_arrays_of_the_wrong_shape_are_refused(x):
    columns = read(frame(), confounders=["size"]).covariates.columns
    with pytest.raises(DataError, match="shape"):
        read_covariates(x, columns)


def test_arrays_cannot_stand_for_categories():
    with pytest.raises(DataError, match="categories"):
        read_covariates(np.zeros((4, 3)), read(frame()).covariates.columns)
