"""The encoder: what it learns from training rows, and what it does with anything else."""

import numpy as np
import pytest

from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.nuisance.encoding import Encoder

NAN = np.nan
SCHEMA = (
    Column("age", "numeric"),
    Column("urban", "boolean"),
    Column("sector", "categorical", ("a", "b", "c", "d")),
)


def table(rows):
    return Covariates(SCHEMA, np.array(rows, dtype=float))


TRAIN = table([[1, 0, 0], [2, 1, 0], [NAN, 1, 1], [9, 0, 1], [4, 0, NAN], [4, 1, 0]])


def test_names_follow_levels_and_missing_cells_of_the_training_rows():
    fitted = Encoder().fit(TRAIN)
    assert fitted.names == (
        "age", "age=missing", "urban", "sector=a", "sector=b", "sector=missing",
    )  # fmt: skip


def test_training_features_have_mean_zero_and_sd_one():
    z = Encoder().fit(TRAIN).transform(TRAIN)
    assert z.mean(axis=0) == pytest.approx(np.zeros(6), abs=1e-12)
    assert z.std(axis=0) == pytest.approx(np.ones(6), abs=1e-12)


def test_missing_number_reads_as_the_median():
    fitted = Encoder().fit(TRAIN)
    with_gap = fitted.transform(table([[NAN, 0, 0]]))[0, 0]
    at_median = fitted.transform(table([[4, 0, 0]]))[0, 0]
    assert with_gap == at_median


def test_unseen_level_is_zero_in_every_indicator():
    fitted = Encoder().fit(TRAIN)
    raw = fitted.transform(table([[1, 0, 3]])) * fitted.scale + fitted.center
    assert raw[0, 3:] == pytest.approx(np.zeros(3), abs=1e-12)


def test_rare_levels_share_an_other_column_with_unseen_ones():
    codes = [0] * 10 + [1] * 8 + [2, 3]
    rows = table([[k % 7, k % 2, c] for k, c in enumerate(codes)])
    fitted = Encoder(max_levels=2).fit(rows)
    assert fitted.names[-3:] == ("sector=a", "sector=b", "sector=other")
    unknown = fitted.transform(table([[1, 0, len(SCHEMA[2].categories)]]))
    rare = fitted.transform(table([[1, 0, 3]]))
    assert np.array_equal(unknown, rare)
    assert unknown[0, -1] > 0


def test_constant_columns_are_dropped_and_nothing_left_is_a_zero_column():
    flat = table([[3, 1, 0]] * 5)
    fitted = Encoder().fit(flat)
    assert fitted.names == ("constant",)
    assert np.array_equal(fitted.transform(TRAIN), np.zeros((6, 1)))


def test_far_values_are_clipped():
    fitted = Encoder(clip=3.0).fit(TRAIN)
    assert np.abs(fitted.transform(table([[1e9, 0, 0], [-1e9, 1, 1]]))).max() == 3.0


def test_an_integer_weight_equals_repetition():
    w = np.array([1.0, 2, 1, 3, 1, 1])
    repeated = TRAIN.rows(np.repeat(np.arange(6), w.astype(int)))
    weighted, plain = Encoder().fit(TRAIN, w), Encoder().fit(repeated)
    assert weighted.center == pytest.approx(plain.center)
    assert weighted.scale == pytest.approx(plain.scale)
    assert weighted.transform(TRAIN) == pytest.approx(plain.transform(TRAIN))


def test_transform_does_not_depend_on_the_other_rows():
    fitted = Encoder().fit(TRAIN)
    assert np.array_equal(fitted.transform(TRAIN)[2:3], fitted.transform(TRAIN.rows([2])))
