"""Streams depend on names, not on the order of calls."""

import numpy as np
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import integer_seed, seed_sequence, stream


def test_a_path_gives_the_same_stream_whoever_asks():
    whole = stream(7, "stack", 3).normal(size=4)
    nested = stream(seed_sequence(7, "stack"), 3).normal(size=4)
    np.testing.assert_array_equal(whole, nested)


def test_different_paths_differ():
    seeds = {
        integer_seed(s, *p) for s in (0, 1) for p in (("a",), ("b",), ("a", 0), ("a", 1), (0,))
    }
    assert len(seeds) == 10
    assert all(0 <= s < 2**31 for s in seeds)


@pytest.mark.parametrize("bad", [-1, 1.5, "0", True])
def test_bad_seed_is_refused(bad):
    with pytest.raises(DataError, match="random_state"):
        stream(bad)
