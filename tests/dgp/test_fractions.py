"""Fractions have the resolution and the size that were asked for."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.dgp.fractions import fractional_factorial

# Runs of the smallest two-level fractions (Box, Hunter and Hunter 2005, table 6.22).
SMALLEST = {(3, 3): 4, (4, 4): 8, (5, 5): 16, (6, 4): 16, (7, 3): 8, (7, 4): 16, (8, 4): 16,
            (6, 6): 32, (8, 5): 64, (15, 3): 16}  # fmt: skip


@pytest.mark.parametrize(("k", "resolution"), SMALLEST)
def test_the_smallest_fraction_of_a_resolution(k, resolution):
    fraction = fractional_factorial(k, resolution)
    assert len(fraction) == SMALLEST[k, resolution]
    assert fraction.aliases.regular
    assert fraction.aliases.resolution >= resolution


# Largest resolutions (Montgomery, table 8.14).
@pytest.mark.parametrize(
    ("k", "n_runs", "resolution"), [(4, 8, 4), (5, 16, 5), (5, 8, 3), (7, 16, 4), (8, 16, 4)]
)
def test_a_fraction_of_a_size_has_the_largest_resolution(k, n_runs, resolution):
    fraction = fractional_factorial(k, n_runs=n_runs)
    assert len(fraction) == n_runs
    assert fraction.aliases.resolution == resolution


def test_runs_are_balanced_and_named():
    fraction = fractional_factorial(["price", "colour", "text", "sender"])
    assert isinstance(fraction.runs, pd.DataFrame)
    assert list(fraction.runs.columns) == ["price", "colour", "text", "sender"]
    np.testing.assert_array_equal(fraction.runs.mean(), 0.5)
    assert "price:colour = text:sender" in repr(fraction)


def test_the_full_factorial_where_no_fraction_reaches():
    assert len(fractional_factorial(3, resolution=5)) == 8
    assert len(fractional_factorial(3, n_runs=8)) == 8
    assert fractional_factorial(3, resolution=5).aliases.resolution is None


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"factors": 1}, "1 factors were asked for; expected 2 to 20"),
        ({"factors": 5, "resolution": 2}, "the resolution is 2; expected 3"),
        ({"factors": 5, "resolution": 3, "n_runs": 8}, "expected one of them"),
        ({"factors": 5, "n_runs": 12}, "12 runs of 5 factors were asked for; expected a power of"),
        ({"factors": 8, "n_runs": 8}, "expected a power of two from 16 to 256"),
    ],
)
def test_what_cannot_be_had_is_refused(settings, sentence):
    with pytest.raises(DataError, match=sentence):
        fractional_factorial(**settings)
