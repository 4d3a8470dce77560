"""Recognition of the kind of an outcome, its levels, and refusals."""

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.outcome import (
    HEAVY,
    find_atom,
    read_outcome,
    recognise,
    tail_weight,
    weighted_quantiles,
    zeros_apart,
)

RNG = np.random.default_rng(0)
GRADES = ["low", "middle", "high"]


def series(values: object, name: str = "y") -> nw.Series:
    return nw.from_native(pd.DataFrame({name: values}), eager_only=True)[name]


SEEN = {
    "binary": RNG.integers(0, 2, 400) * 3.0 + 1.0,
    "count": RNG.poisson(3.0, 400),
    "ordinal": RNG.integers(1, 6, 400),
    "heavy_tailed": RNG.lognormal(0.0, 1.5, 400),
    "continuous": RNG.normal(size=400),
}


@pytest.mark.parametrize("kind", SEEN)
def test_kinds_are_recognised(kind):
    schema = recognise(np.asarray(SEEN[kind], dtype=float))
    assert schema.kind == kind
    assert schema.why


def test_zero_earnings_are_an_atom_of_a_continuous_outcome():
    y = np.where(RNG.random(1000) < 0.4, 0.0, 10 + RNG.normal(size=1000))
    assert recognise(y).kind == "continuous"
    assert find_atom(y) == 0.0


def test_zeros_are_the_atom_even_beside_a_more_frequent_top_code():
    y = np.clip(20 + 10 * RNG.normal(size=1000), 1, 25)
    assert find_atom(y) == 25
    y[:100] = 0
    assert find_atom(y) == 0


def test_zeros_stand_apart_where_ones_are_missing():
    poisson = RNG.poisson(1.5, 2000).astype(float)
    assert not zeros_apart(poisson)
    assert zeros_apart(np.where(RNG.random(2000) < 0.5, 0.0, poisson))
    assert zeros_apart(np.where(RNG.random(2000) < 0.1, 0.0, poisson + 2))
    assert not zeros_apart(poisson + 1)


def test_many_whole_numbers_are_no_count():
    dollars = np.round(1000 * RNG.normal(20, 3, size=1000))
    assert recognise(dollars).kind == "continuous"
    assert recognise(RNG.poisson(3, 200) - 2.0).kind == "continuous"


@given(st.integers(0, 5000), st.floats(0.01, 1000), st.floats(-1e5, 1e5))
@settings(max_examples=40, deadline=None)
def test_tails_do_not_depend_on_the_unit(seed, scale, shift):
    y = np.random.default_rng(seed).standard_t(3, size=200)
    assert tail_weight(shift + scale * y) == pytest.approx(tail_weight(y), rel=1e-5)


def test_tail_weight_against_closed_forms():
    u = (np.arange(200_000) + 0.5) / 200_000
    assert tail_weight(stats.norm.ppf(u)) == pytest.approx(1.0, abs=1e-3)
    expected = stats.t.ppf(0.995, 3) / stats.t.ppf(0.75, 3) / (2.5758 / 0.67449)
    assert tail_weight(stats.t.ppf(u, 3)) == pytest.approx(expected, rel=1e-3)
    normal = [recognise(np.random.default_rng(s).normal(size=300)).kind for s in range(50)]
    assert normal.count("heavy_tailed") <= 2
    assert HEAVY > 1.2


def test_weighted_quantiles_count_rows():
    y, w = RNG.normal(size=200), RNG.integers(1, 4, 200).astype(float)
    repeated = np.quantile(np.repeat(y, w.astype(int)), [0.1, 0.5, 0.9])
    np.testing.assert_allclose(
        weighted_quantiles(y, w, np.array([0.1, 0.5, 0.9])), repeated, atol=0.1
    )


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_texts_become_codes_in_sorted_order(frame):
    df = nw.from_native(frame({"y": ["b", "a", "c", "a"]}), eager_only=True)
    y, schema = read_outcome(df["y"], "categorical")
    assert schema.labels == ("a", "b", "c")
    assert y.tolist() == [1.0, 0.0, 2.0, 0.0]
    assert schema.named(y).tolist() == ["b", "a", "c", "a"]
    np.testing.assert_array_equal(schema.read(df["y"]), y)


@pytest.mark.parametrize(
    "column",
    [
        pd.DataFrame(
            {"y": pd.Categorical(["high", "low"], categories=[*GRADES, "top"], ordered=True)}
        ),
        pl.DataFrame({"y": ["high", "low"]}, schema={"y": pl.Enum(GRADES)}),
    ],
)
def test_ordered_categories_keep_their_order(column):
    y, schema = read_outcome(nw.from_native(column, eager_only=True)["y"], "ordinal")
    assert schema.labels == ("low", "high")
    assert y.tolist() == [1.0, 0.0]


def test_numbers_as_levels_keep_their_values_if_they_have_an_order():
    y, schema = read_outcome(series([5, 1, 2, 1]), "ordinal")
    assert schema.values == (1.0, 2.0, 5.0)
    assert y.tolist() == [5, 1, 2, 1]
    codes, unordered = read_outcome(series([5, 1, 2, 1]), "categorical")
    assert codes.tolist() == [2, 0, 1, 0]
    assert unordered.labels == ("1", "2", "5")
    np.testing.assert_array_equal(unordered.read(series([2, 5])), [1, 2])


def test_two_texts_may_be_a_binary_outcome():
    y, schema = read_outcome(series(["yes", "no", "yes"]), "binary")
    assert y.tolist() == [1.0, 0.0, 1.0]
    assert schema.code("yes") == 1.0


REFUSED = {
    "unknown kind": (SEEN["count"], "interval", "outcome_kind is 'interval'"),
    "texts unasked": (["a", "b"] * 5, "auto", "numeric outcome"),
    "texts as a count": (["a", "b"] * 5, "count", "numeric outcome"),
    "negative count": ([-1, 0, 2, 4], "count", "value -1"),
    "broken count": ([0, 1.5, 2, 4], "count", "value 1.5"),
    "three values": ([0, 1, 2, 1], "binary", "two values"),
    "three texts": (["a", "b", "c"], "binary", "two values"),
    "one text": (["a", "a"], "categorical", "at least two levels"),
    "no order": (["a", "b", "c"], "ordinal", "no order"),
    "missing text": (["a", None, "b"], "categorical", "missing"),
    "too many levels": (np.arange(60.0), "ordinal", "at most 50"),
    "too many texts": ([str(k) for k in range(60)], "categorical", "at most 50"),
    "missing number": ([1.0, np.nan, 3.0], "heavy_tailed", "missing or infinite"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_of_the_kind_is_refused(case):
    values, kind, sentence = REFUSED[case]
    with pytest.raises(DataError, match=sentence) as refused:
        read_outcome(series(values), kind)
    assert "\n" not in str(refused.value)


def test_an_unknown_level_is_refused():
    _, schema = read_outcome(series(["a", "b", "c"]), "categorical")
    with pytest.raises(DataError, match="no level 'd'"):
        schema.code("d")


def test_data_know_the_kind_and_hash_what_was_asked():
    rng = np.random.default_rng(1)
    df = pd.DataFrame({"x": rng.normal(size=60), "d": np.arange(60) % 2, "y": rng.poisson(2, 60)})
    auto = CausalData(df, "d", "y", ["x"])
    asked = CausalData(df, "d", "y", ["x"], outcome_kind="continuous")
    assert (auto.outcome_schema.kind, asked.outcome_schema.kind) == ("count", "continuous")
    assert auto.fingerprint != asked.fingerprint
    named = df.assign(y=np.array(["a", "b", "c"])[np.arange(60) % 3])
    text = CausalData(named, "d", "y", ["x"], outcome_kind="categorical")
    assert "a (33%)" in repr(text)
