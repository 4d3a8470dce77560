"""The historic panel: digits as published, draws one by one, modes, items, refusals."""

import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import torch
from hypothesis import given, strategies as st
from torch.utils.data import DataLoader

from causal_ddpm import DID_Dataset
from causal_ddpm.core.errors import DataError

COLUMNS = [
    "user_id", "period", "ind_fix_effect", "time_fix_effect", "treatment_flag", "x",
    "treatment_period", "y", "cross_term",
]  # fmt: skip
ITEM = {"user_id", "period", "x", "y", "treatment_period", "treatment_flag"}


def small(**changed):
    arguments = {"num_ind": 7, "num_period": 5, "treatment_period": 3, "treatment_effect": 2.0}
    return DID_Dataset(**(arguments | changed))


def test_least_squares_on_the_published_panel_gives_the_published_digits():
    frame = DID_Dataset(
        num_ind=100, num_period=100, treatment_period=50, treatment_effect=0.5,
        random_state=12, mode="debug",
    ).df  # fmt: skip
    names = ["x", "treatment_flag", "treatment_period", "cross_term"]
    fit = sm.OLS(frame["y"], sm.add_constant(frame[names])).fit()
    assert fit.params.round(4).tolist() == [0.2286, 1.0998, -0.2368, 0.5, 0.5]
    assert fit.bse.round(3).tolist() == [0.022, 0.011, 0.030, 0.031, 0.042]
    assert fit.tvalues.round(3).tolist() == [10.444, 104.143, -7.951, 16.155, 11.872]


def drawn_one_by_one(num_ind, num_period, start, effect, trend, seed):
    """The same panel, one call of the generator for every value."""
    rg = np.random.RandomState(seed)
    a = [rg.normal() for _ in range(num_ind)]
    flag = [rg.randint(0, 2) for _ in range(num_ind)]
    rows = []
    for i in range(num_ind):
        for t in range(num_period):
            x, post = rg.normal(), int(t >= start)
            y = a[i] + trend * t + 1.1 * x + flag[i] * post * effect
            rows.append((i, t, a[i], trend * t, flag[i], x, post, y, flag[i] * post))
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.mark.parametrize("num_ind", [1, 6, 7])  # normals come in pairs: odd and even numbers
def test_draws_are_those_of_a_slow_loop_to_the_last_bit(num_ind):
    for seed in (0, 12, 2**32 - 1):
        panel = small(num_ind=num_ind, random_state=seed, time_trend=0.03, mode="debug")
        expected = drawn_one_by_one(num_ind, 5, 3, 2.0, 0.03, seed)
        pd.testing.assert_frame_equal(panel.df, expected, check_exact=True)


def test_effects_come_as_three_frames_and_every_call_gives_the_same():
    panel = small(mode="debug")
    individual, time_effects, flags = panel.generate_effect()
    assert list(individual) == ["user_id", "ind_fix_effect"]
    assert list(time_effects) == ["period", "time_fix_effect"]
    assert list(flags) == ["user_id", "treatment_flag"]
    assert (len(individual), len(time_effects), len(flags)) == (7, 5, 7)
    for effects, key in ((individual, "user_id"), (time_effects, "period"), (flags, "user_id")):
        joined = panel.df[[key]].merge(effects, on=key)
        name = effects.columns[1]
        np.testing.assert_array_equal(joined[name], panel.df[name])
    for before, after in zip(
        (individual, time_effects, flags), panel.generate_effect(), strict=True
    ):
        pd.testing.assert_frame_equal(before, after, check_exact=True)
    pd.testing.assert_frame_equal(panel.prepare_dataset(), panel.df, check_exact=True)


def test_attributes_are_the_arguments_and_the_lists():
    panel = small(time_trend=0.2, random_state=5, mode="test")
    assert (panel.num_ind, panel.num_period, panel.treatment_period) == (7, 5, 3)
    assert (panel.treatment_effect, panel.time_trend) == (2.0, 0.2)
    assert (panel.random_state, panel.mode) == (5, "test")
    assert panel.ind_list == list(range(7))
    assert panel.period_list == list(range(5))
    assert isinstance(panel.rg, np.random.RandomState)
    default = small()
    assert (default.time_trend, default.random_state, default.mode) == (0.01, 12, "train")


def test_modes_cut_one_and_the_same_panel():
    train, test, whole = (small(mode=mode).df for mode in ("train", "test", "debug"))
    assert list(whole) == COLUMNS
    assert (len(train), len(test), len(whole)) == (21, 14, 35)
    assert train["period"].max() == 2
    assert (train["treatment_period"] == 0).all()
    assert test["period"].min() == 3
    assert (test["treatment_period"] == 1).all()
    joined = pd.concat([train, test]).sort_values(["user_id", "period"], ignore_index=True)
    pd.testing.assert_frame_equal(joined, whole, check_exact=True)
    assert list(test.index) == list(range(14))


@given(
    num_ind=st.integers(1, 9),
    num_period=st.integers(2, 9),
    effect=st.floats(-5, 5),
    trend=st.floats(-1, 1),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_every_panel_is_balanced_and_made_of_its_parts(
    num_ind, num_period, effect, trend, seed, data
):
    start = data.draw(st.integers(1, num_period - 1))
    df = DID_Dataset(num_ind, num_period, start, effect, trend, seed, mode="debug").df
    assert len(df) == num_ind * num_period
    assert not df.duplicated(["user_id", "period"]).any()
    constant = df.groupby("user_id")[["ind_fix_effect", "treatment_flag"]].nunique()
    assert (constant == 1).all(axis=None)
    assert set(df["treatment_flag"]) <= {0, 1}
    np.testing.assert_array_equal(df["treatment_period"], df["period"] >= start)
    np.testing.assert_array_equal(df["cross_term"], df["treatment_flag"] * df["treatment_period"])
    parts = df["ind_fix_effect"] + trend * df["period"] + 1.1 * df["x"] + effect * df["cross_term"]
    np.testing.assert_allclose(df["y"], parts, atol=1e-12)


def test_an_item_is_a_row_and_a_loader_makes_batches_of_them():
    panel = small(mode="debug")
    for row in (0, 17, 34, -1):
        item = panel[row]
        assert item == panel.df.iloc[row][list(item)].to_dict()
        assert set(item) == ITEM
    with pytest.raises(IndexError):
        panel[35]
    batches = list(DataLoader(panel, batch_size=10))
    assert [len(batch["y"]) for batch in batches] == [10, 10, 10, 5]
    assert all(set(batch) == ITEM for batch in batches)
    np.testing.assert_array_equal(torch.cat([b["y"] for b in batches]), panel.df["y"])
    assert batches[0]["treatment_flag"].dtype == torch.int64
    shuffled = torch.cat([b["user_id"] for b in DataLoader(panel, batch_size=4, shuffle=True)])
    assert torch.bincount(shuffled).tolist() == [5] * 7


def test_a_million_cells_take_less_than_two_seconds():
    start = time.process_time()
    panel = DID_Dataset(1_000, 1_000, 500, 0.5, mode="debug")
    assert time.process_time() - start < 2
    assert len(panel) == 1_000_000


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"treatment_period": 0}, "treatment_period is 0; expected a whole number from 1 to 4"),
        ({"treatment_period": 5}, "treatment_period is 5; expected a whole number from 1 to 4"),
        ({"treatment_period": 2.5}, r"treatment_period is 2\.5; expected a whole number"),
        ({"num_ind": 0}, "num_ind is 0; expected a whole number of at least 1"),
        ({"num_ind": -3}, "num_ind is -3"),
        ({"num_ind": True}, "num_ind is True"),
        ({"num_ind": "7"}, "num_ind is '7'"),
        ({"num_period": -1}, "num_period is -1; expected a whole number of at least 2"),
        ({"num_period": 1}, "num_period is 1"),
        ({"treatment_effect": np.nan}, "treatment_effect is nan; expected a finite number"),
        ({"treatment_effect": "big"}, "treatment_effect is 'big'"),
        ({"time_trend": np.inf}, "time_trend is inf"),
        ({"random_state": -1}, "random_state is -1; expected a whole number from 0 to 4294967295"),
        ({"random_state": 2**32}, "random_state is 4294967296"),
        ({"random_state": None}, "random_state is None"),
        ({"mode": "validation"}, "mode is 'validation'; expected 'train', 'test' or 'debug'"),
        ({"mode": ["train"]}, "mode is"),
    ],
)
def test_a_panel_that_cannot_be_drawn_is_refused_in_a_sentence(changed, sentence):
    with pytest.raises(DataError, match=sentence):
        small(**changed)


def test_torch_is_loaded_with_the_data_set_and_not_with_the_catalogue():
    code = (
        "import sys, causal_ddpm; from causal_ddpm import catalog; before = 'torch' in sys.modules;"
        "causal_ddpm.DID_Dataset; print(before, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
