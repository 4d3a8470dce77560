"""Methods side by side: who answers, whether they agree, how near the benchmark, and refusals."""

import json
import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import ConvergenceError, DataError, SyntheticDataError
from causal_ddpm.core.estimand import ATE, ATT, GATE, LATE, QTE, ArmContrast, DoseResponse
from causal_ddpm.core.reported import Account, reported_estimate
from causal_ddpm.evaluation.compare import DiffusionScores, compare, methods_for
from causal_ddpm.evaluation.provenance import Reference, Source

LIGHT = ["difference", "ols", "interacted", "ipw"]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    z = rng.integers(0, 2, 600)
    d = (rng.logistic(size=600) + x[:, 0] + 2 * z - 1 > 0).astype(int)
    y = d + 2 * x[:, 0] + x[:, 1] + rng.normal(size=600)
    frame = pd.DataFrame({"d": d, "y": y, "a": x[:, 0], "b": x[:, 1], "z": z})
    return CausalData(frame, "d", "y", ["a", "b"], instrument="z")


@dataclass(frozen=True)
class Fixed:
    """A method that knows its answer beforehand, or fails."""

    name: str
    value: float = 0.0
    std_error: float = 1.0
    fails: bool = False
    title: ClassVar[str] = "Fixed"
    assumes: ClassVar[str] = "nothing"
    library: ClassVar[str] = "json"
    extra: ClassVar[str] = "classics"

    def applies(self, data, estimand):
        return None

    def estimate(self, data, estimand, random_state=0, level=0.95):
        if self.fails:
            raise ConvergenceError("fixed ended without a result (no reason).")
        account = Account(estimand.name, "all units", self.title, data.n)
        return reported_estimate(account, self.value, self.std_error, ["ATE"], level=level)


def test_everybody_is_asked_once_and_the_naive_difference_has_no_vote(data):
    found = compare(data, ATE(), LIGHT, benchmark=1.0, source=Source("rows.csv", unit="euros"))
    frame = found.frame().set_index("name")
    assert list(frame.index) == LIGHT
    assert frame["votes"].tolist() == [False, True, True, True]
    assert found.agreement.n_methods == 3
    assert found.agreement.agree
    assert frame.loc["difference", "distance"] > 5
    assert not frame.loc["difference", "holds"]
    assert frame["distance"].to_numpy() == pytest.approx(
        ((frame["value"] - 1.0) / frame["std_error"]).to_numpy()
    )
    assert "3 of 3 intervals hold" in found.summary()
    assert "of 4 intervals hold the benchmark 1;" in found.summary()
    assert found.question.outcome == "y (euros)"
    assert "treated and" in found.question.sample
    assert "Difference in means" in repr(found)


def test_record_is_plain_json(data):
    found = compare(data, ATT(), ["ols", "2sls", "ipw"], benchmark=Reference("trial", 1.1, 0.2))
    read = json.loads(found.to_json())
    assert [row["name"] for row in read["methods"]] == ["ols", "ipw"]
    assert read["left_out"] == {
        "Two-stage least squares": "it answers LATE or the slope of the dose-response at one dose, "
        "not the ATT"
    }
    assert read["benchmark"] == {"label": "trial", "value": 1.1}
    assert read["agreement"]["rule"].startswith("at least 80%")
    assert read["details"]["ipw"]["effective_treated"] > 10
    assert read["provenance"]["data_hash"] == data.fingerprint
    assert compare(data, ATT(), ["ols"]).to_dict()["agreement"] is None


def test_a_contrast_of_arms_is_asked_of_who_can_answer_and_named(data):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"d": rng.choice(list("abc"), 90), "y": rng.normal(size=90),
                          "x": rng.normal(size=90)})  # fmt: skip
    arms = CausalData(frame, "d", "y", ["x"], treatment_kind="arms")
    found = compare(arms, ArmContrast("c", "a"), [Fixed("one"), "ols"])
    assert found.asked == "c against a of d on y"
    assert "not the arm contrast" in found.left_out["OLS with confounders"]


def test_methods_that_disagree_are_told_apart(data):
    methods = [Fixed("a", 0.0), Fixed("b", 0.1), Fixed("c", 9.0), Fixed("d", -9.0, 2.0)]
    found = compare(data, ATE(), methods)
    assert not found.agreement.agree
    assert found.agreement.share == 0.5
    assert "do not agree: 2 of 4" in found.summary()


def test_a_failure_and_a_missing_library_are_reasons_not_ends(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "linearmodels.iv", None)
    monkeypatch.setitem(sys.modules, "linearmodels", None)
    found = compare(data, LATE(), ["2sls", "ols", Fixed("a", fails=True), Fixed("b")])
    assert list(found.frame()["name"]) == ["b"]
    reasons = found.left_out
    assert "pip install 'causal-ddpm[classics]'" in reasons["Two-stage least squares"]
    assert "LATE" in reasons["OLS with confounders"]
    assert any("ended without a result" in row.reason for row in found.rows)
    assert "nothing to agree on" in found.summary()


def test_few_rows_of_an_arm_and_no_overlap_are_said_of_all_methods():
    rng = np.random.default_rng(0)
    d = np.repeat([1, 0], [12, 188])
    frame = pd.DataFrame({"d": d, "y": rng.normal(size=200), "x": 9 * d + rng.uniform(size=200)})
    found = compare(CausalData(frame, "d", "y", ["x"]), ATE(), ["ols", "ipw"])
    few, apart = found.warnings[:2]
    assert few.startswith("Only 12 treated rows: every standard error")
    assert apart.startswith("IPW, logistic propensity finds no overlap")
    assert list(json.loads(found.to_json())["warnings"])[:2] == [few, apart]


def test_enough_rows_that_overlap_need_no_caution(data):
    assert compare(data, ATE(), LIGHT).warnings == ()


@pytest.mark.slow
def test_same_answers_from_two_workers(data):
    alone = compare(data, ATT(), [*LIGHT, "full-matching"], random_state=3)
    together = compare(data, ATT(), [*LIGHT, "full-matching"], random_state=3, n_jobs=2)
    columns = ["name", "value", "std_error", "ci_low", "ci_high"]
    pd.testing.assert_frame_equal(alone.frame()[columns], together.frame()[columns])


def test_progress_names_each_method(data):
    told = []
    compare(data, ATE(), LIGHT, progress=lambda stage, share: told.append((stage, share)))
    assert [share for _, share in told] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert told[0][0] == "Difference in means"


@pytest.mark.slow
def test_the_diffusion_answers_beside_the_classics(data):
    found = compare(data, ATE(), ["diffusion", "ols"], benchmark=1.0).frame().set_index("name")
    assert found.loc["diffusion", "own"]
    assert abs(found.loc["diffusion", "distance"]) < 3.5


def test_methods_by_name_and_their_assumptions():
    names = [method.name for method in methods_for(ATE())]
    assert names[:3] == ["diffusion", "difference", "ols"]
    assert len(names) == 17
    assert "instrument" in methods_for(LATE())[0].assumes
    assert "confounders" in methods_for(ATE())[0].assumes


def test_own_method_says_why_it_does_not_apply(data):
    own = DiffusionScores()
    assert own.applies(data, ATE()) is None
    assert "no single number" in own.applies(data, QTE())
    assert "cross-section" in own.applies("panel", ATE())
    bare = CausalData(
        pd.DataFrame({"d": [0, 1] * 20, "y": range(40), "x": np.arange(40.0) ** 2}), "d", "y", ["x"]
    )
    assert own.applies(bare, LATE()) == "the data have no instrument"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"methods": ["olss"]}, "no method 'olss'.*difference, ols"),
        ({"methods": ["ols", "ols"]}, "asked for twice"),
        ({"methods": []}, "no method was given"),
        ({"estimand": QTE()}, "no single number"),
        ({"estimand": GATE("a")}, "no single number"),
        ({"estimand": ATE}, r"ATE\(\), not ATE"),
        ({"estimand": DoseResponse([1.0], derivative=True)}, "kind 'binary' ask for ATE"),
        ({"level": 95.0}, "confidence level is 95"),
        ({"methods": ["2sls"]}, "no method has an answer.*LATE"),
        ({"benchmark": float("nan")}, "the benchmark is nan; expected a finite number"),
        ({"benchmark": Reference("trial", float("inf"), 1.0)}, "the benchmark is inf"),
        ({"n_jobs": 0}, "n_jobs is 0; expected 1 or more worker processes"),
    ],
)
def test_refusals(data, wanted, words):
    with pytest.raises(DataError, match=words):
        compare(data, **wanted)


def test_frames_and_synthetic_rows_are_refused(data):
    with pytest.raises(DataError, match="CausalData"):
        compare(pd.DataFrame({"d": [0, 1]}))
    from causal_ddpm.core.synthetic import SYNTHETIC_MARKER

    frame = pd.DataFrame({"d": [0, 1] * 20, "y": range(40), "x": np.arange(40.0) ** 2})
    frame[SYNTHETIC_MARKER] = [True, *[False] * 39]
    with pytest.raises(SyntheticDataError):
        compare(CausalData(frame, "d", "y", ["x"]), ATE(), ["ols"])
