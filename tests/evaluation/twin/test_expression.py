"""Expressions on columns: right values, and nothing but arithmetic."""

import contextlib

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.evaluation.twin.expression import MAX_LENGTH, evaluate

FRAME = pd.DataFrame(
    {
        "age": [20.0, 41.0, np.nan, 60.0],
        "years at school": [9.0, 12.0, 12.0, 16.0],
        "region": np.array(["north", "south", None, "north"], dtype=object),
        "member": [True, False, True, False],
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5", [0.5] * 4),
        ("-2 ** 2 + 1 / 4", [-3.75] * 4),
        ("0.5 + 0.2 * (age > 40)", [0.5, 0.7, 0.5, 0.7]),
        ('where(region == "north", 1, -1)', [1, -1, -1, 1]),
        ('region != "north"', [0, 1, 1, 0]),
        ("`years at school` - 9", [0, 3, 3, 7]),
        ("member", [1, 0, 1, 0]),
        ("age > 30 and not member", [0, 1, 0, 1]),
        ("(age > 30) & ~member | (age < 21)", [1, 1, 0, 1]),
        ("30 < age < 50 or age == 60", [0, 1, 0, 1]),
        ("maximum(`years at school`, 10) - minimum(10, 12)", [0, 2, 2, 6]),
        ("log(exp(2)) + sqrt(9) + abs(-1) + log1p(0)", [6] * 4),
    ],
)
def test_expressions_mean_what_they_say(text, expected):
    np.testing.assert_allclose(evaluate(text, FRAME), expected)


def test_arithmetic_with_a_missing_cell_is_missing():
    np.testing.assert_array_equal(np.isnan(evaluate("2 * age", FRAME)), [0, 0, 1, 0])


def test_huge_powers_become_infinite_at_once():
    assert np.isinf(evaluate("9 ** 9 ** 9 ** 9", FRAME)).all()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ages > 40", "names 'ages'.*Did you mean 'age'"),
        ("__import__('os').system('true')", "no function"),
        ("age.__class__", "holds 'age.__class__'"),
        ("(lambda: 1)()", "no function"),
        ("[x for x in age]", "holds"),
        ("age[0]", "holds"),
        ("age @ age", "an operation other than"),
        ("age // 2", "an operation other than"),
        ("age in member", "a comparison other than"),
        ("eval('1')", "no function 'eval'"),
        ("log(age, base=2)", "log takes 1 argument"),
        ("where(age > 1, 2)", "where takes 3 argument"),
        ('region + "x"', "reckons with a text"),
        ("region == 3", "a text is compared with a number"),
        ("1 +", "is no expression"),
        ("None", "neither a number nor a text"),
        ("1j", "neither a number nor a text"),
        ("", "is no expression"),
        ("1" + "+1" * MAX_LENGTH, "at most 1,000 are read"),
    ],
)
def test_everything_else_is_refused_in_a_sentence(text, sentence):
    with pytest.raises(DataError, match=sentence):
        evaluate(text, FRAME)


@pytest.mark.parametrize(("open_", "close"), [("(", ")"), ("-", ""), ("abs(", ")")])
def test_deep_nesting_is_refused_or_read_but_never_a_crash(open_, close):
    depth = (MAX_LENGTH - 1) // (len(open_) + len(close))
    text = open_ * depth + "1" + close * depth
    with contextlib.suppress(DataError):
        assert np.isfinite(evaluate(text, FRAME)).all()
