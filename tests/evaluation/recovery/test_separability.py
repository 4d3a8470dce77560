"""A classifier is not to recognise rows by copies of them in other folds."""

import numpy as np
import pandas as pd

from causal_ddpm.evaluation.recovery.distance import separability

LIMIT = 2.6 * np.sqrt((2 * 600 + 1) / 12) / 600


def _rows(seed, n=600, shift=0.0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    columns = dict(zip("abc", x.T, strict=True))
    return pd.DataFrame({**columns, "y": x[:, 0] + shift + rng.standard_normal(n)})


def test_rows_drawn_with_replacement_are_not_told_from_fresh_ones():
    repeated = _rows(1).sample(600, replace=True, random_state=0).reset_index(drop=True)
    assert abs(separability(repeated, _rows(2), "y", 0) - 0.5) < LIMIT


def test_another_outcome_is_told_though_covariates_repeat():
    repeated = _rows(1, shift=1.0).sample(600, replace=True, random_state=0).reset_index(drop=True)
    assert separability(repeated, _rows(2), "y", 0) > 0.5 + 2 * LIMIT


def test_rows_of_few_cells_are_split_row_by_row():
    one, other = (
        pd.DataFrame({"a": rng.integers(0, 2, 600), "y": rng.integers(0, 7, 600)})
        for rng in (np.random.default_rng(3), np.random.default_rng(4))
    )
    assert abs(separability(one, other, "y", 0) - 0.5) < LIMIT
