"""Ranks, wins and goals against rows whose standing can be counted by hand."""

import importlib
import sys

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def standings(root):
    folder = str(root / "benchmarks")
    sys.path.insert(0, folder)
    yield importlib.import_module("standings")
    sys.path.remove(folder)


@pytest.fixture
def rows():
    """Ours wins two of three draws of family A, loses the one of B; "mean" predicts no effects."""
    errors = {
        ("A", "a", 0): {"ours": 1.0, "peer": 2.0, "far": 4.0},
        ("A", "a", 1): {"ours": 1.0, "peer": 2.0, "far": 4.0},
        ("A", "a2", 0): {"ours": 3.0, "peer": 2.0, "far": 4.0},
        ("B", "b", 0): {"ours": 8.0, "peer": 2.0, "far": 4.0},
    }
    return pd.DataFrame([
        {"family": family, "dataset": dataset, "draw": draw, "method": method,
         "sqrt_pehe": value, "ate_error": value, "att_error": value}
        for (family, dataset, draw), found in errors.items()
        for method, value in {**found, "mean": np.nan}.items()
    ])  # fmt: skip


def test_families_count_once(standings, rows):
    ranks = standings.mean_ranks(rows, "sqrt_pehe", ["A", "B"]).set_index("method")
    assert "mean" not in ranks.index
    assert ranks.loc["ours", "A"] == pytest.approx((1 + 1 + 2) / 3)
    assert ranks.loc["ours", "mean rank"] == pytest.approx(((1 + 1 + 2) / 3 + 3) / 2)
    assert ranks.index[0] == "peer"
    assert standings.place(ranks.reset_index(), "ours") == 2


def test_draws_that_a_method_lacks_count_for_nobody(standings, rows):
    short = rows[~((rows["method"] == "far") & (rows["family"] == "B"))]
    assert set(standings.errors(short, "sqrt_pehe").index.get_level_values("family")) == {"A"}


def test_ratios_are_paired(standings, rows):
    found = standings.ratios(rows, "sqrt_pehe", "ours").set_index(["family", "method"])
    assert found.loc[("A", "peer"), "ratio"] == pytest.approx((0.5 * 0.5 * 1.5) ** (1 / 3))
    assert found.loc[("A", "peer"), "wins"] == 2
    assert found.loc[("B", "far"), "ratio"] == pytest.approx(2.0)


def test_losses_name_who_is_better(standings, rows):
    lost = standings.losses(rows, "sqrt_pehe", "ours")
    assert list(lost["dataset"]) == ["b", "a2"]
    assert list(lost["our rank"]) == [3, 2]
    assert list(lost["best method"]) == ["peer", "peer"]


def test_goals_say_what_was_missed(standings, rows):
    named = rows.replace({"dataset": {"b": "acic2016-1"}})
    found = standings.goals(named, "ours", ["A", "B"]).set_index("goal")
    assert found.loc["place by mean rank, sqrt(PEHE)", "reached"] == "no"
    assert found.loc["place by mean rank, ATE error", "reached"] == "yes"
    assert found.loc["acic2016-1, sqrt(PEHE)", "measured"] == 8.0
    assert found.loc["acic2016-1, sqrt(PEHE)", "reached"] == "no"
