"""Sets that a quadratic test leaves: every shape, in values and in words."""

import numpy as np
import pytest

from causal_ddpm.core.confidence_set import quadratic_set

GRID = np.linspace(-20, 20, 4001)


@pytest.mark.parametrize(
    ("square", "mixed", "constant", "words"),
    [
        (2.0, 3.0, 1.0, "0.1771 to 2.823"),
        (-1.0, 1.0, 3.0, "everything up to -3 and everything from 1"),
        (-1.0, 0.5, -2.0, "the whole line"),
        (1.0, 0.5, 2.0, "empty"),
    ],
)
def test_set_holds_exactly_what_the_quadratic_leaves(square, mixed, constant, words):
    found = quadratic_set(square, mixed, constant, 0.95)
    left = square * GRID**2 - 2 * mixed * GRID + constant <= 1e-9
    assert [value in found for value in GRID] == left.tolist()
    assert str(found).startswith(words)
    assert found.bounded == (square > 0)


def test_one_value_is_left_where_the_quadratic_only_touches_zero():
    found = quadratic_set(3.0, 0.3, 0.03, 0.9)
    assert found.intervals[0] == pytest.approx((0.1, 0.1), abs=1e-6)
    assert found.to_dict() == {
        "intervals": [list(found.intervals[0])],
        "bounded": True,
        "level": 0.9,
    }
