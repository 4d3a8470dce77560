"""The mixed table: each column follows its law given the ones before it."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import kstest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE
from causal_ddpm.dgp.mixed_table import EDUCATION, MIXED_TABLE, REGIONS
from causal_ddpm.testing import check_design

N = 60_000
DRAW = MIXED_TABLE.draw(N, seed=2)
FRAME = DRAW.frame.assign(savings=DRAW.savings, told=DRAW.frame["savings"].notna())
C = ((FRAME["age"] - 40) / 10).to_numpy()
G = (FRAME["education"] == "degree").to_numpy(dtype=float)
B = (FRAME["education"] == "vocational").to_numpy(dtype=float)
X = np.column_stack([np.ones(N), C, G, B, FRAME["children"]])


def _centred(values):
    """No mean is left, in all or along any column."""
    products = values[:, None] * X
    assert (np.abs(products.mean(axis=0)) < 4.5 * products.std(axis=0) / np.sqrt(N)).all()


def test_it_passes_the_importable_check():
    check_design(MIXED_TABLE)


def test_columns_are_of_every_kind_and_some_cells_are_missing():
    frame = DRAW.frame
    assert set(frame["region"]) == set(REGIONS)
    assert set(frame["education"]) == set(EDUCATION)
    assert frame["children"].dtype.kind == "i"
    assert frame["children"].min() == 0
    assert frame["age"].between(17, 64).all()
    assert frame["savings"].isna().mean() == pytest.approx(0.17, abs=0.02)
    assert (frame["savings"] == 0).mean() > 0.2
    assert frame.drop(columns="savings").notna().all().all()
    kinds = {column.name: column.kind for column in DRAW.data.covariates.columns}
    assert kinds["region"] == kinds["education"] == "categorical"


def test_each_column_follows_its_law_given_those_before_it():
    assert kstest((FRAME.loc[FRAME["region"] == "west", "age"] - 17) / 40, "uniform").pvalue > 0.001
    north = (FRAME["region"] == "north").to_numpy(dtype=float)
    odds = np.exp(np.column_stack([0 * C, 0 * C + 0.6, 0.2 - 0.3 * C + 0.8 * north]))
    p = odds / odds.sum(axis=1, keepdims=True)
    for seen, expected in ((B, p[:, 1]), (G, p[:, 2])):
        residual = seen - expected
        for part in (residual, residual * C, residual * north):
            assert abs(part.mean()) < 4.5 * part.std() / np.sqrt(N)
    rate = np.exp(-0.2 + 0.3 * C - 0.3 * G)
    children = FRAME["children"].to_numpy()
    for part in (children - rate, (children - rate) ** 2 - rate):
        for column in X.T[:4]:
            assert abs((part * column).mean()) < 4.5 * (part * column).std() / np.sqrt(N)
    none = expit(-0.9 + 0.3 * children - 0.7 * G)
    _centred((DRAW.savings == 0) - none)
    some = DRAW.savings > 0
    w = np.log(DRAW.savings[some]) - (1.5 + 0.2 * C + 0.5 * B + 0.9 * G)[some]
    assert kstest(w / 0.6, "norm").pvalue > 0.001
    missing = 1 - FRAME["told"].to_numpy(dtype=float)
    q = expit(-2 + 0.9 * G + 0.2 * C)
    np.testing.assert_allclose(DRAW.missing_probability, q)
    _centred(missing - q)
    part = (missing - q) * np.log1p(DRAW.savings)  # whatever they are
    assert abs(part.mean()) < 4.5 * part.std() / np.sqrt(N)


def test_treatment_and_outcome_follow_theirs():
    south = (FRAME["region"] == "south").to_numpy(dtype=float)
    e = 0.05 + 0.9 * expit(-0.2 - 0.3 * C + 0.5 * G - 0.3 * FRAME["children"] + 0.4 * south)
    np.testing.assert_allclose(DRAW.propensity[:, 1], e)
    _centred((FRAME["course"] - e).to_numpy())
    level = 12 + 2 * B + 5 * G + 0.8 * C - 0.4 * FRAME["children"] + 0.8 * np.log1p(DRAW.savings)
    for a in (0, 1):
        z = (DRAW.potential_outcomes[:, a] - level - a * (1 + 0.8 * G - 0.3 * C)) / 2
        assert kstest(z, "norm").pvalue > 0.001
        _centred(DRAW.potential_outcomes[:, a] - DRAW.mean[:, a])  # given what is seen


def test_those_who_tell_are_poorer_and_the_truth_says_so():
    known = MIXED_TABLE.truth().population
    assert known["E[savings | told]"] < known["E[savings]"] - 0.1
    told = FRAME.loc[FRAME["told"], "savings"]
    error = told.std() / np.sqrt(len(told))
    assert told.mean() == pytest.approx(known["E[savings | told]"], abs=4 * error)
    assert DRAW.truth.sample["E[savings]"] == pytest.approx(DRAW.savings.mean())


def test_the_bound_is_the_spread_of_the_oracle_score():
    (m0, m1), (e0, e1) = DRAW.mean.T, DRAW.propensity.T
    y, d = DRAW.data.outcome, DRAW.data.treatment
    score = m1 - m0 + d / e1 * (y - m1) - (1 - d) / e0 * (y - m0)
    psi = (score - MIXED_TABLE.truth().value("ATE")) ** 2
    bound = MIXED_TABLE.truth().efficiency_sd["ATE"] ** 2
    assert psi.mean() == pytest.approx(bound, abs=4 * psi.std() / np.sqrt(N))
    with pytest.raises(DataError, match="knows no 'LATE'"):
        MIXED_TABLE.truth().value("LATE")
    assert ATE().name in MIXED_TABLE.truth().population
