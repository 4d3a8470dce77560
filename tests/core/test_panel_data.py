"""Panels from long frames: what is read, whatever its order and library, and what is refused."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from causal_ddpm.core.errors import DataError, NotIdentifiedError, SyntheticDataError
from causal_ddpm.core.panel_data import PanelData

ROLES = ("unit", "period", "y")


def frame(first=(2, None, 3), n_periods=4, start=2000, seed=0):
    """A balanced frame of units a, b, c, ...; ``first`` are indices of first treated periods."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "unit": chr(97 + i),
            "period": start + t,
            "y": rng.normal(),
            "d": int(g is not None and t >= g),
            "g": np.nan if g is None else float(start + g),
            "x": rng.normal(),
            "w": 1.0 + i,
            "region": "north" if i % 2 else "south",
        }
        for i, g in enumerate(first)
        for t in range(n_periods)
    ]
    return pd.DataFrame(rows)


def panel(df=None, **roles):
    if "cohort" not in roles:
        roles = {"treated": "d"} | roles
    return PanelData(frame() if df is None else df, *ROLES, **roles)


def test_cells_and_cohorts_say_the_same():
    by_cell, by_cohort = panel(), panel(cohort="g")
    np.testing.assert_array_equal(by_cell.first, [2, 4, 3])
    np.testing.assert_array_equal(by_cell.first, by_cohort.first)
    assert by_cell.fingerprint == by_cohort.fingerprint
    assert by_cell.shape == (3, 4)
    assert len(by_cell) == 3
    assert list(by_cell.units) == ["a", "b", "c"]
    np.testing.assert_array_equal(by_cell.periods, [2000, 2001, 2002, 2003])
    np.testing.assert_array_equal(by_cell.is_control, [False, True, False])
    np.testing.assert_array_equal(by_cell.cohorts, [2, 3])
    np.testing.assert_array_equal(by_cell.event_time[0], [-2, -1, 0, 1])
    np.testing.assert_array_equal(by_cell.treated[2], [False, False, False, True])
    np.testing.assert_array_equal(by_cell.untreated, ~by_cell.treated)


def test_roles_are_arrays_of_the_panel():
    df = frame()
    data = panel(df, covariates=["x"], weights="w", clusters="region")
    np.testing.assert_allclose(data.y, df["y"].to_numpy().reshape(3, 4))
    np.testing.assert_allclose(data.x[..., 0], df["x"].to_numpy().reshape(3, 4))
    np.testing.assert_array_equal(data.weights, [1, 2, 3])
    assert [data.cluster_labels[c] for c in data.clusters] == ["south", "north", "south"]
    with pytest.raises(ValueError, match="read-only"):
        data.y[0, 0] = 1.0


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    first=st.lists(st.one_of(st.none(), st.integers(1, 4)), min_size=1, max_size=6),
    drop=st.integers(0, 4),
)
def test_neither_row_order_nor_the_library_matters(seed, first, drop):
    rng = np.random.default_rng(seed)
    df = frame([1, None, *first], n_periods=5, seed=seed)
    df = df[~((df["unit"] > "b") & (rng.random(len(df)) < drop / 10))]
    roles = {"treated": "d", "covariates": ["x"], "weights": "w", "clusters": "region"}
    plain = PanelData(df, *ROLES, **roles)
    shuffled = df.sample(frac=1, random_state=seed).reset_index(drop=True)
    for other in (shuffled, pl.from_pandas(shuffled), pl.from_pandas(shuffled).to_arrow()):
        again = PanelData(other, *ROLES, **roles)
        assert again.fingerprint == plain.fingerprint
        assert again.notes == plain.notes
    back = PanelData(plain.frame(), *ROLES, **roles)
    np.testing.assert_array_equal(back.y, plain.y)
    assert np.isfinite(plain.x).all()
    assert plain.untreated.any(axis=0).all()
    assert plain.untreated.any(axis=1).all()
    np.testing.assert_array_equal(np.isfinite(plain.y), plain.observed)


@pytest.mark.parametrize(
    "change",
    [
        lambda df: df.assign(y=df["y"] + (df.index == 0)),
        lambda df: df.assign(w=df["w"] * 2),
        lambda df: df.assign(x=df["x"] + (df.index == 3)),
        lambda df: df.assign(unit=df["unit"].str.upper()),
        lambda df: df.assign(period=df["period"] + 1),
        lambda df: df.assign(region=df["unit"]),
        lambda df: df.assign(d=df["d"] * (df["unit"] == "a")),
    ],
)
def test_the_fingerprint_sees_every_role(change):
    roles = {"covariates": "x", "weights": "w", "clusters": "region"}
    assert panel(**roles).fingerprint != panel(change(frame()), **roles).fingerprint


def test_gaps_and_missing_outcomes_are_unobserved_cells():
    df = frame().drop(index=[5])
    df.loc[0, ["y", "x"]] = np.nan
    data = panel(df, covariates="x")
    assert not data.observed[1, 1]
    assert not data.observed[0, 0]
    assert data.observed.sum() == 10
    assert not data.balanced
    assert data.x[1, 1, 0] == data.x[1, 0, 0], "a gap carries the last known value"
    assert data.x[0, 0, 0] == data.x[0, 1, 0], "a missing start carries the first known one"
    assert "10 cells, 2 not observed" in repr(data)


def test_treatment_that_starts_in_a_gap_is_said():
    df = frame()
    data = panel(df[~((df["unit"] == "a") & (df["period"] == 2001))])
    assert data.first[0] == 2
    assert "without a row just before the first treated one" in data.notes[0]


def test_units_treated_from_the_start_are_left_out():
    data = panel(frame([0, None, 2]))
    assert list(data.units) == ["b", "c"]
    assert data.left_out == ("a",)
    assert data.notes == ("1 unit is left out for want of an untreated outcome: a",)
    early = frame().assign(g=lambda df: df["g"].where(df["unit"] != "a", 1990))
    assert panel(early, cohort="g").left_out == ("a",)


def test_periods_without_untreated_outcomes_are_left_out():
    data = panel(frame([1, 3, 2], n_periods=5))
    np.testing.assert_array_equal(data.periods, [2000, 2001, 2002])
    np.testing.assert_array_equal(data.first, [1, 3, 2])
    np.testing.assert_array_equal(data.is_control, [False, True, False])
    assert "2 periods are left out" in data.notes[0]


def test_a_period_left_out_in_the_middle_moves_the_ones_behind_it():
    df = frame([2, None, 3], n_periods=5)
    df.loc[(df["period"] == 2001), "y"] = np.nan
    data = panel(df)
    np.testing.assert_array_equal(data.periods, [2000, 2002, 2003, 2004])
    np.testing.assert_array_equal(data.first, [1, 4, 2])


def test_cohorts_after_the_last_period_count_as_untreated():
    df = frame().assign(g=lambda df: df["g"].replace(2003.0, 2050.0))
    data = panel(df, cohort="g")
    np.testing.assert_array_equal(data.first, [2, 4, 4])
    assert data.notes == (
        "1 unit is treated only after the last period, and untreated in this panel",
    )


@pytest.mark.parametrize("never", [0, np.inf, np.nan])
def test_three_ways_to_say_never(never):
    df = frame().assign(g=lambda df: df["g"].fillna(never))
    np.testing.assert_array_equal(panel(df, cohort="g").first, [2, 4, 3])


def test_reversals_are_handled_only_when_asked_to():
    df = frame()
    df.loc[(df["unit"] == "a") & (df["period"] == 2003), "d"] = 0
    with pytest.raises(DataError, match="1 unit is untreated again after treatment, such as a in"):
        panel(df)
    kept = panel(df, reversals="keep_treated")
    assert kept.observed[0, 3]
    assert kept.treated[0, 3]
    assert kept.notes == (
        "treatment ended in a; these units count as treated from the first time on",
    )
    dropped = panel(df, reversals="drop_after")
    assert not dropped.observed[0, 3]
    assert np.isnan(dropped.y[0, 3])
    assert "left out" in dropped.notes[0]
    with pytest.raises(DataError, match="reversals is 'ignore'; expected 'refuse' or"):
        panel(df, reversals="ignore")


DATES = pd.to_datetime(["2001-01-31", "2001-02-28", "2001-03-31", "2001-04-30"])


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (DATES, "2001-01-31"),
        (DATES.tz_localize("UTC"), "2001-01-31"),
        (DATES.date, "2001-01-31"),
        (DATES.strftime("%Y-%m"), "2001-01"),
        (DATES.to_period("M"), "2001-01"),
        (["2001Q1", "2001Q2", "2001Q3", "2001Q4"], "2001Q1"),
        ([1.0, 2.0, 5.0, 7.0], "1"),
        ([0.25, 0.5, 0.75, 1.0], "0.25"),
        (pd.Categorical(["Q42010", "Q12011", "Q22011", "Q32011"],
                        ["Q42010", "Q12011", "Q22011", "Q32011"], ordered=True), "Q42010"),
    ],
)  # fmt: skip
def test_periods_of_many_kinds(labels, shown):
    table = pd.DataFrame({"p": labels, "k": range(4)})
    df = frame().assign(k=lambda df: df["period"] - 2000).merge(table, on="k")
    start = dict(zip(table["k"], table["p"], strict=True))
    df["first"] = [None if np.isnan(g) else start[int(g - 2000)] for g in df["g"]]
    if isinstance(labels, pd.Categorical):
        df["first"] = pd.Categorical(df["first"], labels.categories, ordered=True)
    for roles in ({"treated": "d"}, {"cohort": "first"}):
        data = PanelData(df.sample(frac=1, random_state=1), "unit", "p", "y", **roles)
        np.testing.assert_array_equal(data.first, [2, 4, 3])
        assert str(data.periods[0]) == shown
    np.testing.assert_array_equal(data.time, labels if shown in {"1", "0.25"} else [0, 1, 2, 3])


def test_part_of_a_panel():
    data = panel(frame([2, None, 3, None, None]), weights="w", clusters="region")
    part = data.rows([4, 0])
    assert list(part.units) == ["e", "a"]
    assert part.shape == (2, 4)
    np.testing.assert_array_equal(part.weights, [5, 1])
    np.testing.assert_array_equal(part.y, data.y[[4, 0]])
    assert part.fingerprint != data.fingerprint
    controls = data.rows(data.is_control)
    assert not len(controls.cohorts)
    assert "3 never treated" in controls.summary()


def test_a_placebo_panel_holds_controls_only():
    data = panel(frame([2, None, 3, None, None]))
    pretend = data.placebo_panel(3, 2)
    assert list(pretend.units) == ["b", "d", "e"]
    np.testing.assert_array_equal(pretend.first, [4, 2, 4])
    np.testing.assert_array_equal(data.placebo_panel([1, 4], 1).first, [1, 4, 1])
    with pytest.raises(DataError, match="treated itself"):
        data.placebo_panel(0, 2)
    with pytest.raises(DataError, match="starts in period 4; expected an index from 1 to 3"):
        data.placebo_panel(1, 4)


def test_the_summary_says_who_is_treated_when():
    assert "treated from 2003 on: c (3 periods before, 1 after); 2 never treated" in repr(
        panel(frame([None, None, 3]))
    )
    assert (
        "treated: 2 units in 2 cohorts (1 from 2002, 1 from 2003); the first has 2 periods "
        "before it; 1 never treated"
    ) in panel().summary()
    whole = panel(covariates="x", weights="w", clusters="region").summary()
    assert "covariates   x" in whole
    assert "weights      w" in whole
    assert "clusters     region: 2" in whole


def test_added_columns_of_the_frame_do_not_hide_the_users():
    df = frame().rename(columns={"x": "cohort"})
    assert list(panel(df, covariates="cohort").frame()) == [
        "unit", "period", "y", "d", "cohort_", "cohort",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "roles", "sentence"),
    [
        (lambda df: df.iloc[:0], {}, "the data have no rows"),
        (lambda df: df[df["period"] == 2000], {}, "all rows have the period 2000; expected at le"),
        (lambda df: pd.concat([df, df[:1]]), {}, "unit a has 2 rows in period 2000;"),
        (lambda df: df, {"cohort": "g", "treated": "d"}, "treated and cohort are both given"),
        (lambda df: df, {"treated": None}, "neither treated nor cohort is given"),
        (lambda df: df.assign(d=df["d"] * 2), {}, "the treatment takes the values 0, 2"),
        (lambda df: df.assign(d=df["g"].notna().astype(int)), {},
         "2 units are treated in all of their periods, all others in none"),
        (lambda df: df.assign(d=0), {}, "the treatment is constant .always 0"),
        (lambda df: df.assign(d=df["d"].replace(1, None)), {}, "treatment values are missing"),
        (lambda df: df.assign(y="high"), {}, "the column has type String|type String"),
        (lambda df: df.assign(y=np.inf), {}, "12 outcome values are infinite"),
        (lambda df: df.assign(y=np.nan), {}, "every outcome is missing"),
        (lambda df: df.assign(y=1.0), {}, "the outcome is constant"),
        (lambda df: df.assign(unit=None), {}, "12 of 12 rows have no unit"),
        (lambda df: df.assign(period=df["period"].where(df.index > 0)), {}, "have no period"),
        (lambda df: df.assign(period="Q" + df["period"].astype(str)), {}, "order is not known, su"),
        (lambda df: df.assign(period=df["period"].replace(2000, np.inf)), {}, "period is infinite"),
        (lambda df: df.assign(x=df["x"].where(df.index > 0)), {"covariates": "x"},
         "the covariate is missing in 1 of 12 cells"),
        (lambda df: df.assign(x=np.inf), {"covariates": "x"}, "covariate has infinite values"),
        (lambda df: df, {"covariates": "region"}, "expected numbers or true/false"),
        (lambda df: df.assign(x=df["d"]), {"covariates": "x"}, "copy of the treatment"),
        (lambda df: df.assign(w=-df["w"]), {"weights": "w"}, "the weights are missing, negative"),
        (lambda df: df.assign(w=df["period"]), {"weights": "w"}, "the weight varies within a; exp"),
        (lambda df: df, {"clusters": "period"}, "given more than one role"),
        (lambda df: df.assign(c=df["period"]), {"clusters": "c"}, "the cluster varies within a"),
        (lambda df: df, {"cohort": "period2"}, "there is no column 'period2'"),
        (lambda df: df.assign(g=df["period"]), {"cohort": "g"}, "the cohort varies within a"),
        (lambda df: df.assign(g=np.nan), {"cohort": "g"}, "no unit is treated within the panel"),
        (lambda df: df.assign(g="2002-01"), {"cohort": "g"}, "cohorts are of kind 'text', the per"),
        (lambda df: df.assign(g=0, period=df["period"] - 2002), {"cohort": "g"}, "cohort 0 could"),
    ],
)  # fmt: skip
def test_what_is_refused(change, roles, sentence):
    with pytest.raises(DataError, match=sentence):
        panel(change(frame()), **roles)


def test_text_and_category_cohorts_must_be_periods():
    df = frame().assign(p=lambda df: df["period"].astype(str) + "Q1", g="spring")
    with pytest.raises(DataError, match="texts whose order is not known, such as 'spring'"):
        PanelData(df, "unit", "p", "y", cohort="g")
    df["p"] = pd.Categorical(df["p"], sorted(df["p"].unique()), ordered=True)
    with pytest.raises(DataError, match="the cohort 'spring' is no period; expected one of 2000Q1"):
        PanelData(df, "unit", "p", "y", cohort="g")


@pytest.mark.parametrize(
    ("first", "sentence"),
    [
        ((2, 2, 2), "2 periods are left out, with no untreated outcome to compare with"),
    ],
)
def test_panels_that_identify_nothing(first, sentence):
    with pytest.raises(NotIdentifiedError, match=sentence):
        panel(frame(first))


def test_cohorts_before_the_first_period_identify_nothing():
    with pytest.raises(NotIdentifiedError, match="1 unit is left out for want of an untreated"):
        panel(frame((0, None, None)), cohort="g")


def test_treated_outcomes_must_be_observed():
    df = frame((2, None, None))
    df.loc[df["d"] == 1, "y"] = np.nan
    with pytest.raises(NotIdentifiedError, match="all outcomes of treated units are missing"):
        panel(df)


def test_reading_a_panel_loads_no_models():
    code = (
        "import sys; from causal_ddpm import PanelData;"
        "print([m for m in ('torch', 'sklearn', 'scipy.stats', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_generated_rows_are_refused():
    with pytest.raises(SyntheticDataError, match="12 rows are marked as synthetic"):
        panel(frame().assign(__synthetic__=True))
