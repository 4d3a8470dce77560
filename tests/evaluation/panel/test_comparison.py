"""Methods side by side on one panel."""

import json
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from causal_ddpm.core.errors import ConvergenceError, DataError
from causal_ddpm.core.estimand import ATT
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.reported import Account, reported_estimate
from causal_ddpm.dgp.did import DifferenceInDifferences
from causal_ddpm.estimators.panel.diffusion import PanelDiffusion
from causal_ddpm.evaluation.method_table import MethodTable, ask
from causal_ddpm.evaluation.panel.comparison import OwnMethod, compare_panel
from causal_ddpm.nuisance.panel.two_way import TwoWay


@dataclass(frozen=True)
class Says:
    """A method that says what it is told to."""

    name: str
    value: float
    std_error: float = 1.0
    reason: str | None = None
    no_vote: str = ""
    error: str = ""
    library: str = "json"

    title = property(lambda self: self.name.title())
    assumes, extra = "nothing", "classics"

    def applies(self, data, estimand):
        return self.reason

    def estimate(self, data, estimand, random_state=0, level=0.95):
        if self.error:
            raise ConvergenceError(self.error)
        details = {"pre_fit": 0.5} | ({"no_vote": self.no_vote} if self.no_vote else {})
        account = Account("ATT", "all", self.title, n=9, details=details)
        return reported_estimate(account, self.value, self.std_error, ["ATT"], level=level)


def _table(*methods, own=()):
    rows = ask([(m, m.name in own) for m in methods], None, ATT())
    return MethodTable(rows, "ATT", "hash", 0.95)


@pytest.fixture(scope="module")
def panel():
    frame = DifferenceInDifferences(n_periods=10, start=6).draw(24, 0).frame
    return PanelData(frame, "unit", "period", "y", treated="treated")


@pytest.fixture(scope="module")
def ours(panel):
    return PanelDiffusion(base=TwoWay(), diffusion=None, level=0.9, leads=False).estimate(panel)


def test_spread_agreement_and_order():
    table = _table(Says("a", 1.0), Says("b", 2.0), Says("c", 1.5), own=("c",))
    assert (table.spread, table.agree) == (1.0, True)
    assert table.typical_width == pytest.approx(2 * 1.959964)
    assert table.agreement.centre == 1.5
    frame = table.frame()
    assert frame["name"].tolist() == ["a", "b", "c"]
    assert frame["agrees"].all()
    assert frame["pre_fit"].tolist() == [0.5] * 3
    assert "3 methods give 1 to 2 (median 1.5): a spread of 1" in table.verdict
    assert "The methods agree: 3 of 3 intervals hold" in table.verdict


def test_methods_that_are_far_apart_do_not_agree():
    table = _table(Says("a", 1.0), Says("b", 9.0), Says("c", 1.5), own=("a",))
    assert table.agree is False
    assert table.frame()["agrees"].tolist() == [True, False, True]
    assert "do not agree" in table.verdict


def test_a_method_whose_standard_error_is_wrong_has_no_vote():
    loud = Says("b", 9.0, std_error=0.001, no_vote="clustered standard errors are too small")
    table = _table(Says("a", 1.0), loud, Says("c", 1.5))
    assert table.agreement.n_methods == 2
    assert table.agree is True
    assert table.frame()["votes"].tolist() == [True, False, True]
    assert "Without a vote: B." in table.verdict
    assert table.spread == 8.0


def test_one_method_has_nobody_to_agree_with():
    table = _table(Says("a", 1.0))
    assert (table.agreement, table.agree) == (None, None)
    assert table.verdict == "Fewer than two methods have a vote: there is nothing to agree on."


def test_why_the_others_have_no_answer(monkeypatch):
    monkeypatch.setitem(sys.modules, "augsynth_py", None)
    table = _table(
        Says("a", 1.0),
        Says("b", 1.0, reason="there are no donors"),
        Says("c", 1.0, error="singular."),
        Says("d", 1.0, library="augsynth_py"),
    )
    assert dict(table.left_out) == {
        "B": "there are no donors",
        "C": "it failed: singular",
        "D": "'augsynth_py' is not installed; install it with: pip install 'causal-ddpm[classics]'",
    }
    assert "B is left out: there are no donors." in repr(table)
    with pytest.raises(DataError, match=r"no method has an answer.*B: there are no donors"):
        _table(Says("b", 1.0, reason="there are no donors"))


def test_it_is_ready_for_json():
    table = _table(Says("a", 1.0), Says("b", 2.0, reason="no"))
    record = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    assert [m["name"] for m in record["methods"]] == ["a"]
    assert record["left_out"] == {"B": "no"}
    assert record["agreement"] is None


def test_a_panel_by_several_methods_ours_first(panel, ours):
    table = compare_panel(panel, ["twfe", "bjs"], effect=ours)
    frame = table.frame()
    assert frame["name"].tolist() == ["diffusion", "twfe", "bjs"]
    assert frame["own"].tolist() == [True, False, False]
    assert (table.level, table.fingerprint) == (0.9, panel.fingerprint)
    assert np.ptp(frame["value"]) == pytest.approx(table.spread)
    assert frame["value"].to_numpy() == pytest.approx(ours.att.value, abs=0.1)
    assert frame.loc[0, "pre_fit"] == pytest.approx(ours.pre_fit_error)
    assert isinstance(OwnMethod().assumes, str)


def test_time_spent_before_the_table_is_told(panel, ours):
    table = compare_panel(panel, ["did"], effect=ours).timed(12.5)
    assert [row.seconds == 12.5 for row in table.rows] == [True, False]


@pytest.mark.slow
def test_the_number_of_workers_changes_no_answer(panel):
    one, two = (compare_panel(panel, ["bjs", "did"], 3, n_jobs=n).frame() for n in (1, 2))
    assert one.drop(columns="seconds").equals(two.drop(columns="seconds"))


def test_names_are_checked(panel, ours):
    with pytest.raises(DataError, match="the method is 'gsynth'; expected one of twfe, cs"):
        compare_panel(panel, ["gsynth"])
    with pytest.raises(DataError, match="asked for twice"):
        compare_panel(panel, ["twfe", "twfe"])
    other = panel.rows(np.arange(len(panel)) > 0)
    with pytest.raises(DataError, match="estimated on another panel"):
        compare_panel(other, ["twfe"], effect=ours)
