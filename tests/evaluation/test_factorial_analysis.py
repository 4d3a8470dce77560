"""The analysis of a factorial experiment: what it holds, and how it chooses what it can do."""

import json

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.coding import all_cells
from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.dgp.factorial_designs import FACTORIAL, FRACTIONAL_FACTORIAL
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.estimators.factorial_ols import factorial_ols
from causal_ddpm.evaluation.factorial import analyse_factorial, factorial_analysis

ABCD = ("a", "b", "c", "d")
LIGHT = DiffusionSettings(n_members=1, n_steps=60, hidden_dim=16)
FILTRATION = [45, 71, 48, 65, 68, 60, 80, 65, 43, 100, 45, 104, 75, 86, 70, 96]


@pytest.fixture(scope="module")
def draw():
    return FACTORIAL.draw(600, 0)


@pytest.fixture(scope="module")
def unreplicated():
    frame = pd.DataFrame(all_cells(4)[:, ::-1], columns=list(ABCD))
    return FactorialData(frame.assign(y=np.array(FILTRATION, float)), ABCD, "y")


def test_the_record_holds_the_estimates_of_its_methods(draw):
    found = analyse_factorial(draw.data, order=3)
    own = factorial_ols(draw.data, 3).effects()
    rows = [row for row in found.effect_records() if row["method"] == "ols"]
    assert [row["label"] for row in rows] == list(own.labels)
    np.testing.assert_array_equal([row["value"] for row in rows], own.values)
    for row in rows:
        assert row["simultaneous_low"] < row["ci_low"] < row["ci_high"] < row["simultaneous_high"]
        assert row["p_adjusted"] >= row["p_value"]
    assert found.lenth is None


def test_everything_is_in_the_json(draw):
    found = json.loads(analyse_factorial(draw.data, coding="01").to_json())
    assert found["coding"] == "01"
    assert [row["label"] for row in found["estimates"]] == ["a", "b", "c", "a:b", "a:c", "b:c"]
    assert len(found["cell_means"]) == 8
    assert found["aliases"]["resolution"] is None
    assert found["factors"][2].startswith("c: 1 = 1, 0 = 0; ")
    assert found["diagnostics"]["ols"]["probability"] == {"a": 0.5, "b": 0.5, "c": 0.3}
    assert found["provenance"]["settings"]["order"] == 2
    assert found["provenance"]["data_hash"] == draw.data.fingerprint
    assert any("more than 2 factors are negligible" in text for text in found["assumptions"])


def test_the_default_order_is_what_a_fraction_can_tell_apart():
    data = FRACTIONAL_FACTORIAL.draw(400, 0).data
    found = analyse_factorial(data)
    assert found.order == 1
    assert found.estimates["ols"].labels == ABCD
    assert found.aliases.chain_labels() == ("a:b = c:d", "a:c = b:d", "a:d = b:c")
    with pytest.raises(NotIdentifiedError, match="cannot be told apart"):
        analyse_factorial(data, order=2)


def test_unreplicated_runs_get_margins_and_a_fit_where_rows_are_left(unreplicated):
    found = analyse_factorial(unreplicated)
    assert found.lenth.pse == pytest.approx(2.625)
    assert len(found.estimates["ols"]) == 10
    saturated = analyse_factorial(unreplicated, order=4)
    assert not saturated.fits
    assert saturated.effect_records() == []
    assert json.loads(saturated.to_json())["lenth"]["effects"][-1]["term"] == "a"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"methods": ["lasso"]}, "the method is 'lasso'; expected ols"),
        ({"methods": []}, "no method was named"),
        ({"coding": "dummy"}, "the coding is 'dummy'"),
        ({"level": 95}, "the confidence level is 95"),
        ({"order": 0}, "the order of interactions is 0"),
    ],
)
def test_unusable_settings_are_refused(draw, settings, sentence):
    with pytest.raises(DataError, match=sentence):
        analyse_factorial(draw.data, **settings)


# -- the door: least squares, scores and law together ---------------------------------------


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    z = rng.integers(0, 2, (160, 2))
    frame = pd.DataFrame(z, columns=["a", "b"]).assign(x=rng.normal(size=160))
    return frame.assign(y=1 + frame.a + frame.a * frame.b + frame.x + 0.5 * rng.normal(size=160))


@pytest.fixture(scope="module")
def together(rows):
    return factorial_analysis(
        rows, ["a", "b"], "y", 2, 0.5, covariates=["x"], coding="01", diffusion=LIGHT
    )


def test_three_answers_stand_side_by_side(together):
    table = together.summary()
    assert list(table.index) == ["a", "b", "a:b"]
    truth = np.array([1.0, 0.0, 1.0])
    for method in ("ols", "scores"):
        low, high = table[f"{method} low"], table[f"{method} high"]
        assert ((low <= truth) & (truth <= high)).all()
    assert (table["scores se"] < 0.8 * table["ols se"]).all()  # covariates
    np.testing.assert_allclose(table["law"], truth, atol=0.6)
    assert "law se" not in table


def test_the_law_is_in_the_json_as_a_prediction(together):
    found = json.loads(together.to_json())
    assert {row["method"] for row in found["estimates"]} == {"ols", "scores"}
    notes = {row["note"] for row in found["law"]["coefficients"] + found["law"]["cells"]}
    assert notes == {"prediction: no valid interval"}
    assert len(found["law"]["cells"]) == 4
    assert [text.split(":")[0] for text in together.warnings] == ["Small sample"]


def test_without_probabilities_there_are_no_scores(rows):
    found = factorial_analysis(rows.head(60), ["a", "b"], "y", 1, diffusion=LIGHT)
    assert list(found.fits) == ["ols"]
    assert "assignment probabilities are not stated" in found.warnings[0]
    assert found.law is not None


def test_few_rows_leave_least_squares(rows):
    found = factorial_analysis(rows.head(30), ["a", "b"], "y", 1, 0.5)
    assert list(found.fits) == ["ols"]
    assert found.law is None
    assert "30 rows are too few" in found.warnings[0]
