"""Frames with two-level factors: what is read, and what is refused in a sentence."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from causal_ddpm.core.coding import all_cells
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.factorial_data import FactorialData


def frame(**columns):
    base = {
        "sex": ["m", "f", "f", "m"],
        "price": [9.5, 5.0, 9.5, 5.0],
        "shown": [True, True, False, False],
        "y": [1.0, 2.0, 3.0, 5.0],
    }
    return pd.DataFrame(base | columns)


@pytest.mark.parametrize("library", [pd.DataFrame, pl.from_pandas])
def test_two_values_of_any_type_become_codes(library):
    data = FactorialData(library(frame()), ["price", "sex", "shown"], "y")
    assert data.factors == ("price", "sex", "shown")
    assert data.levels == ((5.0, 9.5), ("f", "m"), (False, True))
    np.testing.assert_array_equal(data.z, [[1, 1, 1], [0, 0, 1], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(data.p, [0.5] * 3)
    assert (data.n, data.k, len(data), data.n_synthetic) == (4, 3, 4, 0)


def test_a_baseline_can_be_chosen_and_changes_the_fingerprint():
    plain = FactorialData(frame(), ["sex", "shown"], "y")
    turned = FactorialData(frame(), ["sex", "shown"], "y", baseline={"sex": "m"})
    assert turned.levels[0] == ("m", "f")
    np.testing.assert_array_equal(turned.z[:, 0], 1 - plain.z[:, 0])
    assert turned.fingerprint != plain.fingerprint
    again = FactorialData(frame(), ["sex", "shown"], "y", probability=0.3)
    assert again.fingerprint == plain.fingerprint


def test_words_state_the_levels():
    data = FactorialData(frame(town=["a", "a", "b", "b"]), ["sex"], "y", clusters="town")
    assert data.in_words() == ("sex: 1 = m, 0 = f; 50.0% of 4 rows are 1",)
    assert "4 rows, 2 of 2 cells run" in repr(data)
    assert "clusters town: 2" in repr(data)
    assert data.warnings() == ()


def test_a_share_far_from_the_stated_probability_is_said():
    many = pd.DataFrame({"a": np.arange(1000) % 2, "y": np.arange(1000.0)})
    data = FactorialData(many, ["a"], "y", probability=0.2)
    assert data.warnings()[0].startswith("50.0% of the rows have a = 1, but its stated assignment")
    assert "where 20.0% was stated" in data.in_words()[0]


@pytest.mark.parametrize(
    ("columns", "settings", "sentence"),
    [
        ({"sex": ["m", "f", "x", "m"]}, {}, r"'sex': the factor takes 3 distinct values \(f, m, x"),
        ({"sex": ["m"] * 4}, {}, r"takes 1 distinct value \(m\); expected two values"),
        ({"sex": ["m", None, "f", "m"]}, {}, "1 of 4 factor values are missing"),
        ({"y": [1.0, np.nan, 2.0, 3.0]}, {}, "1 of 4 outcome values are missing"),
        (
            {"y": list("abcd")},
            {},
            r"the outcome is of type .* expected numbers. Say which.*--outcome y=a on the",
        ),
        ({}, {"factors": []}, "0 factors were given; expected 1 to 20 columns"),
        ({}, {"factors": ["sxe"]}, "there is no column 'sxe'.*Did you mean 'sex'?"),
        ({}, {"factors": ["sex", "sex"]}, "more than one role"),
        ({}, {"baseline": {"sex": "male"}}, "the baseline is 'male'; expected 'f' or 'm'"),
        ({}, {"baseline": {"sx": "m"}}, "a baseline is given for 'sx'; expected one of sex"),
        ({}, {"probability": 1.2}, "an assignment probability is 1.2"),
        ({"a:b": [0, 1, 0, 1]}, {"factors": ["a:b"]}, "the factor is called 'a:b'; expected names"),
    ],
)
def test_what_cannot_be_used_is_refused(columns, settings, sentence):
    roles = {"factors": ["sex"], "outcome": "y", **settings}
    with pytest.raises(DataError, match=sentence):
        FactorialData(frame(**columns), **roles)


def test_an_empty_frame_is_refused():
    with pytest.raises(DataError, match="the data have no rows"):
        FactorialData(frame().iloc[:0], ["sex"], "y")


def test_covariates_and_weights_are_read_beside_the_factors():
    df = frame(x=[0.5, np.nan, 1.0, 2.0], place=["u", "v", "u", "v"], w=[1.0, 2.0, 1.0, 1.0])
    data = FactorialData(df, ["sex", "shown"], "y", covariates=["x", "place"], weights="w")
    plain = FactorialData(df, ["sex", "shown"], "y")
    assert data.covariates.names == ("x", "place")
    assert plain.covariates.values.shape == (4, 0)
    np.testing.assert_array_equal(data.weights, df["w"])
    np.testing.assert_array_equal(plain.weights, np.ones(4))
    assert data.fingerprint != plain.fingerprint
    np.testing.assert_array_equal(all_cells(2)[data.cell_of_row], data.z)
    with pytest.raises(DataError, match="more than one role"):
        FactorialData(df, ["sex", "shown"], "y", covariates=["sex"])
