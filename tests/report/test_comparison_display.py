"""The forest of methods: kinds in colours, benchmark and centre, an axis that stays readable."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import ATE
from causal_ddpm.evaluation.compare import compare
from causal_ddpm.report import style
from causal_ddpm.report.comparison import render
from causal_ddpm.report.displays import MethodForestDisplay
from causal_ddpm.report.method_tables import assumptions_frame, left_out_frame, methods_frame


@pytest.fixture(scope="module")
def comparison():
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    d = (rng.logistic(size=300) + x > 0).astype(int)
    frame = pd.DataFrame({"job": d, "pay": 5 + d + x + rng.normal(size=300), "x": x})
    data = CausalData(frame, "job", "pay", ["x"])
    return compare(data, ATE(), ["difference", "ols", "ipw", "liml"], benchmark=1.0)


def drawn(display):
    ax = Figure(figsize=(7, 3)).add_subplot()
    return display.plot(ax)


def test_display_holds_the_numbers_of_the_record(comparison):
    display = MethodForestDisplay.of(comparison)
    shown, known = display.frame(), comparison.frame()
    assert shown["value"].tolist() == known["value"].tolist()
    assert shown["kind"].tolist() == ["naive", "votes", "votes"]
    assert display.benchmark == 1.0
    assert display.centre == comparison.agreement.centre
    ax = drawn(display)
    assert ax.get_xlabel().startswith("ATE of job on pay; points span ")
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names[:2] == ["weighted median", "benchmark"]


def test_one_method_alone_has_no_legend():
    rows = pd.DataFrame({"method": ["a"], "value": [1.0], "ci_low": [0.5], "ci_high": [1.5],
                         "kind": ["votes"], "agrees": [True]})  # fmt: skip
    assert drawn(MethodForestDisplay(rows, None, None, "effect")).get_legend() is None


def test_a_method_that_exploded_does_not_flatten_the_others():
    rows = pd.DataFrame(
        {
            "method": ["a", "b", "c", "wild"],
            "value": [1.0, 1.2, 0.8, -50.0],
            "ci_low": [0.5, 0.7, 0.3, -150.0],
            "ci_high": [1.5, 1.7, 1.3, 50.0],
            "kind": ["own", "votes", "votes", "votes"],
            "agrees": [True, True, True, True],
        }
    )
    display = MethodForestDisplay(rows, 1.0, None, "effect")
    low, high = display.window()
    assert -0.1 < low <= 0.0
    assert 1.7 <= high < 2
    marks = [line.get_marker() for line in drawn(display).lines]
    assert marks.count("<") == marks.count(">") == 1
    assert marks.count("o") == 3
    colours = {line.get_color() for line in drawn(display).lines}
    assert {style.TREATED, style.UNTREATED} <= colours


def test_tables_and_page_say_who_has_no_answer(comparison):
    table = methods_frame(comparison)
    assert list(table.columns) == [
        "Method", "Estimate", "SE", "Interval", "Distance / SE", "CPU s",
    ]  # fmt: skip
    assert table["Method"].iloc[0] == "Difference in means (no vote)"
    assert left_out_frame(comparison)["Method"].tolist() == ["LIML"]
    carried = assumptions_frame(comparison)
    assert len(carried) == len(comparison.answered)
    assert carried["What carries it"].str.len().min() > 10
    page = render(comparison)
    for words in (
        "Effect of job on pay, by method",
        "What carries each answer",
        "Without an answer",
        "LIML",
        "SHA-256",
    ):
        assert words in page
