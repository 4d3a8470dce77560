"""Treatments of every kind: what is read, what is refused, and the worlds that follow."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.treatment import Treatment, require_binary

N = 120


def frame(**columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    base = {"x": rng.normal(size=N), "y": rng.normal(size=N)}
    base |= {
        "drug": np.resize(["b", "a", "placebo"], N),
        "level": np.resize([10, 20, 5, 40], N),
        "dose": rng.gamma(2.0, size=N),
        "f": np.arange(N) % 2,
        "g": np.arange(N) // 2 % 2 == 0,
    }
    return pd.DataFrame(base).assign(**columns)


def read(df: object = None, treatment: object = "drug", **roles: object) -> CausalData:
    return CausalData(frame() if df is None else df, treatment, "y", ["x"], **roles)


ARMS = Treatment("arms", ("drug",), ("placebo", "a", "b"))
DOSE = Treatment("dose", ("dose",), bounds=(0.0, 10.0))
CELLS = Treatment("factors", ("f", "g"))
BINARY = Treatment("binary", ("d",), (0, 1))


def test_arms_are_coded_in_the_order_of_their_labels_with_the_control_first():
    data = read(treatment_kind="arms")
    assert data.arms == ("a", "b", "placebo")
    assert data.treatment[:3].tolist() == [1, 0, 2]
    chosen = read(treatment_kind="arms", control="placebo")
    assert chosen.arms == ("placebo", "a", "b")
    assert chosen.treatment[:3].tolist() == [2, 1, 0]
    assert data.fingerprint != chosen.fingerprint
    as_typed = read(treatment="level", treatment_kind="arms", control="10")
    assert as_typed.arms == (10, 5, 20, 40)
    assert "3 arms, a (40), b (40), placebo (40)" in repr(data)


@pytest.mark.parametrize("convert", [pl.from_pandas, lambda df: df.astype({"level": float})])
def test_whole_numbers_are_labels_whatever_their_type(convert):
    data = read(convert(frame()), "level", treatment_kind="arms", control=10)
    assert data.arms == (10, 5, 20, 40)


def test_a_list_of_columns_is_factors():
    data = read(treatment=["f", "g"])
    assert data.treatment_schema == CELLS
    assert data.treatment.shape == (N, 2)
    assert data.treatment_name == "f x g"
    assert "4 of 4 cells run" in repr(data)


def test_doses_are_numbers():
    data = read(treatment="dose", treatment_kind="dose")
    assert data.treatment.dtype == float
    assert data.treatment_schema.bounds == (data.treatment.min(), data.treatment.max())
    assert data.arms == ()
    assert "a dose from" in repr(data)


REFUSALS = [
    ({"treatment": "drug"}, "treatment_kind='arms'"),
    ({"treatment": "dose"}, "treatment_kind='arms' or 'dose'"),
    ({"treatment_kind": "continuous"}, "one of binary, arms"),
    ({"treatment_kind": "arms", "control": "c"}, "one of a, b, placebo"),
    ({"control": "a"}, "treatment_kind='arms' beside it"),
    ({"treatment": "dose", "treatment_kind": "arms"}, "treatment_kind='dose'"),
    ({"treatment": "level", "treatment_kind": "dose"}, "only 4 distinct values"),
    ({"treatment": "drug", "treatment_kind": "dose"}, "numeric dose"),
    ({"treatment": ["f", "level"]}, "column 'level'"),
    ({"treatment": ["f", "g"], "treatment_kind": "dose"}, "one column of arms or doses"),
    ({"treatment": []}, "0 treatment columns"),
    ({"treatment": ["f", "f"]}, "more than one role"),
    ({"df": frame(drug="a"), "treatment_kind": "arms"}, "1 distinct values"),
    ({"df": frame(drug=["a", None] * 60), "treatment_kind": "arms"}, "60 of 120 treatment values"),
    (
        {"df": frame(dose=np.inf), "treatment": "dose", "treatment_kind": "dose"},
        "120 of 120 treatment values",
    ),
    ({"df": frame(x=frame()["drug"]), "treatment_kind": "arms"}, "copy of the treatment"),
    (
        {"df": frame(x=-np.log(frame()["dose"])), "treatment": "dose", "treatment_kind": "dose"},
        "copy of the treatment",
    ),
    ({"df": frame(x=1 - frame()["f"]), "treatment": ["f", "g"]}, "copy of the treatment"),
]


@pytest.mark.parametrize(("roles", "words"), REFUSALS)
def test_what_is_no_such_treatment_is_refused(roles, words):
    with pytest.raises(DataError) as refused:
        read(**roles)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("treatment", "arm", "code"),
    [(BINARY, 1, 1), (BINARY, True, 1), (ARMS, "b", 2), (ARMS, "placebo", 0)],
)
def test_arms_become_codes_and_leave_the_covariates_alone(treatment, arm, code):
    covariates = Covariates.from_array(np.zeros((3, 2)))
    assert treatment.under(covariates, arm) == (covariates, code)


@pytest.mark.parametrize(
    ("treatment", "arm", "columns"),
    [
        (DOSE, 2.5, [[2.5]] * 3),
        (DOSE, [1, 2, 3], [[1], [2], [3]]),
        (CELLS, (0, 1), [[0, 1]] * 3),
        (CELLS, {"g": 1, "f": 0}, [[0, 1]] * 3),
    ],
)
def test_doses_and_cells_become_columns(treatment, arm, columns):
    covariates, code = treatment.under(Covariates.from_array(np.zeros((3, 2))), arm)
    assert code == 0
    np.testing.assert_array_equal(covariates.values[:, 2:], columns)
    assert covariates.names[2:] == treatment.names


@pytest.mark.parametrize(
    ("treatment", "arm"),
    [
        (BINARY, 2), (BINARY, [0, 1]), (ARMS, "c"), (ARMS, 1), (DOSE, 11.0), (DOSE, -1),
        (DOSE, "a"), (DOSE, np.nan), (DOSE, [1.0, 2.0]), (CELLS, (0, 2)), (CELLS, 1),
        (CELLS, {"f": 1}), (CELLS, {"f": 1, "g": 0, "h": 1}), (CELLS, (0, 1, 1)),
    ],
)  # fmt: skip
def test_worlds_that_do_not_exist_are_refused(treatment, arm):
    with pytest.raises(DataError):
        treatment.under(Covariates.from_array(np.zeros((3, 2))), arm)


def test_new_rows_are_read_under_the_same_codes():
    import narwhals as nw

    new = nw.from_native(frame().iloc[:4])
    assert ARMS.read(new).tolist() == [2, 1, 0, 2]
    assert CELLS.read(new).tolist() == [[0, 1], [1, 1], [0, 0], [1, 0]]
    np.testing.assert_array_equal(DOSE.read(new), frame()["dose"][:4])
    for treatment in (BINARY, DOSE, CELLS):
        with pytest.raises(DataError, match="no column"):
            treatment.read(new.select("x"))
    with pytest.raises(DataError, match="not 0 or 1"):
        Treatment("factors", ("level",)).read(new)


def test_rows_already_in_a_world_are_found():
    assert ARMS.same(np.array([0, 2, 1]), "b").tolist() == [False, True, False]
    assert CELLS.same(np.array([[0, 1], [1, 1]]), (0, 1)).tolist() == [True, False]
    assert DOSE.same(np.array([1.0, 2.0]), [1.0, 3.0]).tolist() == [True, False]


def test_only_a_binary_treatment_passes_where_two_arms_are_needed():
    require_binary(BINARY, "anything")
    for treatment in (ARMS, DOSE, CELLS):
        with pytest.raises(DataError, match="a binary treatment"):
            require_binary(treatment, "this effect")
