"""All parts together: what applies to few treated units, and what to many."""

import json

import numpy as np
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.dgp.factor_panel import DONOR_POOL
from causal_ddpm.dgp.staggered import STAGGERED
from causal_ddpm.estimators.panel.diffusion import PanelDiffusion
from causal_ddpm.evaluation.analysis import plain
from causal_ddpm.evaluation.panel.diagnose import TITLES, diagnose_panel
from causal_ddpm.nuisance.panel.two_way import TwoWay

pytest.importorskip("diff_diff")

QUICK = PanelDiffusion(base=TwoWay(), diffusion=None, n_draws=100, leads=False)


def data(design, n, seed=0):
    return PanelData(design.draw(n, seed).frame, "unit", "period", "y", treated="treated")


@pytest.fixture(scope="module")
def one():
    panel = data(DONOR_POOL, 12)
    return panel, QUICK.estimate(panel, 0)


@pytest.fixture(scope="module")
def many():
    panel = data(STAGGERED, 60)
    return panel, QUICK.estimate(panel, 0)


def test_one_treated_unit_has_placebos_and_no_asymptotics(one):
    found = diagnose_panel(*one)
    assert {"pre_fit", "placebo_in_space", "placebo_in_time", "donors", "breakdown"} <= set(
        found.parts
    )
    assert set(found.left_out) == {"pretrends", "honest_did"}
    assert "placebos in time and space" in found.left_out["honest_did"]
    assert set(found.parts) | set(found.left_out) == set(TITLES)
    assert found["donors"].att == pytest.approx(float(one[1].att.value), abs=1.0)
    assert "one treated unit" in found["cautions"].rules


def test_many_treated_units_have_tests_of_trends(many):
    found = diagnose_panel(*many)
    assert {"pretrends", "honest_did", "bacon"} <= set(found.parts)
    assert set(found.left_out) == {"pre_fit", "placebo_in_time", "donors", "breakdown"}
    assert found["pretrends"].passed
    assert found["honest_did"].breakdown_mbar > 0
    assert found["bacon"].forbidden > 0.1


@pytest.mark.parametrize("which", ["one", "many"])
def test_the_record_is_json_and_a_table_and_words(which, request):
    found = diagnose_panel(*request.getfixturevalue(which))
    text = json.dumps(plain(found.to_dict()), allow_nan=False)
    assert json.loads(text)["left_out"] == dict(found.left_out)
    assert found.frame()["part"].tolist()[: len(found.parts)] == list(found.parts)
    assert all(f"{TITLES[name]}: " in repr(found) for name in found.parts)
    assert all(part.frame() is not None for part in found.parts.values())


def test_refusals(one):
    panel, effect = one
    with pytest.raises(DataError, match="other data"):
        diagnose_panel(panel.rows(np.arange(10)), effect)
    with pytest.raises(DataError, match="no part 'honest_did'"):
        diagnose_panel(panel, effect)["honest_did"]
