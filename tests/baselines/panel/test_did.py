"""Two-way fixed effects, Callaway-Sant'Anna, Sun-Abraham, imputation."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.baselines.base import Baseline
from causal_ddpm.baselines.panel.staggered import CallawaySantAnna, Imputation, SunAbraham
from causal_ddpm.baselines.panel.twfe import TwoWayFixedEffects
from causal_ddpm.core.errors import MissingDependencyError, NotIdentifiedError
from causal_ddpm.core.estimand import ATE, ATT, ATTByCohort, ATTByEventTime
from causal_ddpm.core.panel_data import PanelData

METHODS = [TwoWayFixedEffects(), CallawaySantAnna(), SunAbraham(), Imputation()]
PUBLISHED = 6e-5
"""Half a unit of the last printed digit."""


def _by_label(estimate):
    return {r["label"]: (r["value"], r["std_error"]) for r in estimate.records()}


@pytest.mark.parametrize(
    ("method", "value", "std_error"),
    [
        (CallawaySantAnna(), -0.0400, 0.0120),
        (Imputation(), -0.0477, 0.0132),
        (TwoWayFixedEffects(), -0.0365, 0.0133),
        (SunAbraham(), -0.0400, 0.0118),
    ],
)
def test_minimum_wage_att(mpdta_panel, method, value, std_error):
    estimate = method.estimate(mpdta_panel, ATT())
    assert (estimate.value, estimate.std_error) == pytest.approx((value, std_error), abs=PUBLISHED)
    assert (estimate.n, estimate.labels, estimate.method) == (500, ("ATT",), method.title)
    low, high = estimate.interval()
    assert low < estimate.value < high


def test_minimum_wage_event_times_and_groups(mpdta_panel):
    times = _by_label(CallawaySantAnna().estimate(mpdta_panel, ATTByEventTime()))
    published = {"0": (-0.0199, 0.0118), "1": (-0.0510, 0.0169), "2": (-0.1373, 0.0364)}
    for label, numbers in (published | {"3": (-0.1008, 0.0344)}).items():
        assert times[label] == pytest.approx(numbers, abs=PUBLISHED), label
    assert list(times) == ["-3", "-2", "-1", "0", "1", "2", "3"]
    groups = _by_label(CallawaySantAnna().estimate(mpdta_panel, ATTByCohort()))
    assert {label: round(value, 4) for label, (value, _) in groups.items()} == {
        "2004": -0.0797, "2006": -0.0229, "2007": -0.0261,
    }  # fmt: skip


def test_minimum_wage_given_population(mpdta, mpdta_panel):
    cohort = mpdta_panel.cohort_name
    panel = PanelData(mpdta, "county", "year", "lemp", cohort=cohort, covariates=["lpop"])
    estimate = CallawaySantAnna().estimate(panel, ATT())
    assert (estimate.value, estimate.std_error) == pytest.approx((-0.0418, 0.0115), abs=PUBLISHED)


def test_imputation_gives_placebos_before_treatment(mpdta_panel):
    times = _by_label(Imputation().estimate(mpdta_panel, ATTByEventTime()))
    assert list(times) == ["-4", "-3", "-2", "0", "1", "2", "3"]
    assert times["2"] == pytest.approx((-0.1361, 0.0353), abs=PUBLISHED)


def test_castle_doctrine_weighted():
    causaldata = pytest.importorskip("causaldata")
    frame = causaldata.castle.load_pandas().data
    treated = frame["post"].astype(int)
    panel = PanelData(
        frame.assign(treated=treated), "sid", "year", "l_homicide", treated="treated",
        weights="popwt",
    )  # fmt: skip
    estimate = TwoWayFixedEffects().estimate(panel, ATT())
    assert (estimate.value, estimate.std_error) == pytest.approx((0.0755, 0.0332), abs=PUBLISHED)


CARD_KRUEGER = (
    Path(__file__).resolve().parents[4] / "shared/data/did/card_krueger_1994_long.parquet"
)


@pytest.mark.skipif(not CARD_KRUEGER.exists(), reason=f"needs the file {CARD_KRUEGER}")
def test_card_krueger_from_a_user_file():
    """Full-time equivalents of stores that were seen twice, New Jersey against Pennsylvania."""
    frame = pd.read_parquet(CARD_KRUEGER).dropna(subset="fte")
    frame = frame[frame.groupby("id")["fte"].transform("size") == 2]
    panel = PanelData(frame, "id", "d", "fte", treated="d_nj")
    for method in (TwoWayFixedEffects(), CallawaySantAnna(), Imputation()):
        estimate = method.estimate(panel, ATT())
        assert estimate.value == pytest.approx(2.750, abs=5e-4), method.name
        assert estimate.std_error == pytest.approx(1.34, abs=0.02), method.name


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_each_recovers_a_large_effect_with_covariates_weights_and_clusters(small, method):
    panel = PanelData(
        small, "u", "t", "y", treated="d", covariates=["x"], weights="w", clusters="g"
    )
    estimate = method.estimate(panel, ATT(), level=0.9)
    assert estimate.value == pytest.approx(3.0, abs=0.6)
    assert (estimate.level, estimate.fingerprint) == (0.9, panel.fingerprint)
    assert isinstance(method, Baseline)
    assert np.isfinite(estimate.interval()).all()


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_each_refuses_what_it_cannot_answer(small, method):
    panel = PanelData(small, "u", "t", "y", treated="d")
    with pytest.raises(
        NotIdentifiedError, match=re.escape(f"{method.title} does not apply: it answers")
    ):
        method.estimate(panel, ATE())
    assert method.applies("a table", ATT()) == "it takes a panel (PanelData), not a str"


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_each_names_the_extra_of_a_missing_library(small, method, monkeypatch):
    monkeypatch.setitem(sys.modules, method.library, None)
    panel = PanelData(small, "u", "t", "y", treated="d")
    with pytest.raises(MissingDependencyError, match=r"causal-ddpm\[classics\]"):
        method.estimate(panel, ATT())
