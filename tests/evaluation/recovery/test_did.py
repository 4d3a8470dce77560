"""The historic experiment: purity of the information sets, truths, verdicts, the record."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.dgp.did import DifferenceInDifferences
from causal_ddpm.dgp.torch_dataset import DID_Dataset
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.evaluation.recovery.did import did_design, recover_did
from causal_ddpm.evaluation.recovery.historic import HistoricDID
from causal_ddpm.evaluation.recovery.panel_reading import (
    KnownPanel,
    historic_regression,
    read_panel,
    true_view,
    view_of_base,
)
from causal_ddpm.nuisance.panel.two_way import TwoWay
from causal_ddpm.nuisance.panel.unit_trend import UnitTrend

QUICK = DiffusionSettings(n_steps=30, hidden_dim=16)
SMALL = HistoricDID(n_units=20, n_periods=24, start=12)


@pytest.fixture(scope="module")
def report():
    return recover_did(SMALL, 0, n_replicates=8, diffusion=QUICK)


def test_without_noise_the_historic_regression_is_the_published_one():
    known = KnownPanel.of(HistoricDID(noise_sd=0).draw())
    coef, error = historic_regression(known.outcome, known)
    np.testing.assert_allclose(list(coef.values()), [0.2286, 1.0998, -0.2368, 0.5, 0.5], atol=5e-5)
    np.testing.assert_allclose(list(error.values()), [0.022, 0.011, 0.030, 0.031, 0.042], atol=5e-4)


def test_the_historic_panel_is_the_data_set_and_noise():
    design = replace(SMALL, noise_sd=0.3)
    draw, frame = design.draw(seed=5), DID_Dataset(20, 24, 12, 0.5, mode="debug").df
    without = frame["y"].to_numpy().reshape(draw.untreated.shape)
    np.testing.assert_allclose(draw.outcome - draw.noise, without, atol=1e-12)
    assert draw.noise.std() == pytest.approx(0.3, rel=0.1)
    np.testing.assert_array_equal(draw.outcome, design.draw(seed=5).outcome)


def test_the_process_reads_as_itself():
    known = KnownPanel.of(SMALL.draw()).without_noise()
    values = read_panel(true_view(known), known).values
    for name in ("event_time_rmse", "unit_rmse", "period_rmse", "cell_rmse", "att_percent"):
        assert abs(values[name]) < 1e-8
    assert values["att"] == pytest.approx(0.5)
    assert values["slope_before"] == pytest.approx(0.01)
    assert values["slope_x"] == pytest.approx(1.1)
    assert abs(values["unit_decorrelation"]) < 1e-8


def test_att_of_least_squares_is_the_formula():
    known = KnownPanel.of(SMALL.draw(seed=2))
    for base, information in ((UnitTrend(), "H"), (TwoWay(), "D")):
        cells = known.cells(information)
        view = view_of_base(base, known, information, 0)
        expected = (known.outcome - base.fit(cells).predict(cells))[known.treated].mean()
        assert read_panel(view, known).values["att"] == pytest.approx(expected, abs=1e-12)


def test_h_sees_nothing_after_the_start_and_d_no_treated_cell():
    known = KnownPanel.of(SMALL.draw())
    assert np.isnan(known.cells("H").outcome[:, known.post == 1]).all()
    assert np.isnan(known.cells("D").outcome[known.treated]).all()
    assert known.cells("D").observed.sum() == (~known.treated).sum()


def test_information_sets_stand_apart(report):
    assert set(report.recoveries) == {(i, m) for i in "HD" for m in ("plain", "recommended")}
    h, d = report.table("H"), report.table("D")
    assert list(h.columns) == list(d.columns)
    assert report.recovery("H", "plain").n == 20 * 12
    assert report.recovery("D", "plain").n == 20 * 24 - int(SMALL.draw().treated.sum())
    assert not h["recommended"].equals(d["recommended"])


def test_recommended_is_as_near_as_least_squares(report):
    for information in ("H", "D"):
        effects = report.recovery(information, "recommended").section("effects")
        assert effects.findings[0].verdict == "recovered"
        percent = abs(effects.findings[1].recovered)
        assert percent < 4 * report.least_squares_percent[information]


def test_h_cannot_know_that_the_trend_breaks(report):
    for model in ("plain", "recommended"):
        straight, broken = (report.recovery("H", model, b) for b in (False, True))
        np.testing.assert_array_equal(
            straight.section("time").curves["period"]["recovered"],
            broken.section("time").curves["period"]["recovered"],
        )
        shift = broken.section("effects").findings[0].recovered - (
            straight.section("effects").findings[0].recovered
        )
        assert shift == pytest.approx(0.02 * np.mean(np.arange(1, 13)), abs=1e-9)
        assert broken.section("effects").verdict == "not recovered"
    assert "in every digit the same" in report.what_h_cannot_know
    assert report.recovery("D", "recommended", True).section("effects").verdict == "recovered"


def test_record(report):
    out = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert len(out["recoveries"]) == len(out["broken"]) == 4
    frame = report.frame()
    assert set(frame["trend"]) == {"straight", "broken"}
    judged = frame["allowance"].notna()
    assert set(frame.loc[~judged, "quantity"]) == {"the error of the ATT in percent of the effect"}
    text = report.summary()
    for words in ("H: all units before treatment", "D: all untreated cells", "The trend breaks"):
        assert words in text
    att = report.att()
    one = att[(att["trend"] == "straight") & (att["information"] == "H")].iloc[0]
    assert one["error %"] == pytest.approx(100 * (one["ATT"] - 0.5) / 0.5)


def test_verdicts_follow_the_numbers():
    quiet = recover_did(
        SMALL, 0, models=("recommended",), information=("D",), trend_break=0, n_replicates=5,
        diffusion=QUICK,
    )  # fmt: skip
    assert quiet.broken == {}
    assert quiet.what_h_cannot_know == ""
    findings = quiet.recovery("D", "recommended").section("effects").findings
    assert findings[0].error == pytest.approx(abs(findings[0].recovered - 0.5))
    again = recover_did(
        SMALL, 0, models=("recommended",), information=("D",), trend_break=0, n_replicates=5,
        diffusion=QUICK,
    )  # fmt: skip
    pd.testing.assert_frame_equal(quiet.frame(), again.frame())


def test_without_noise_least_squares_and_recommended_are_exact():
    exact = recover_did(
        replace(SMALL, noise_sd=0), 0, models=("recommended",), n_replicates=3, diffusion=QUICK
    )
    for information in ("H", "D"):
        found = exact.recovery(information, "recommended")
        assert found.section("noise").verdict == "not judged"
        assert set(found.verdicts.values()) == {"recovered", "not judged"}
        assert abs(found.section("effects").findings[0].recovered - 0.5) < 1e-8


def test_designs_by_name():
    assert did_design("did-historic") == HistoricDID()
    assert did_design("did-broken-trend").trend_break == 0.02
    assert did_design("gauss") is None
    with pytest.raises(DataError, match="no design 'dit'"):
        did_design("dit")


def test_diverging_trends_are_not_recovered_by_their_own_yardstick():
    design = DifferenceInDifferences(
        "did", n_units=20, n_periods=24, start=12, noise_sd=0.1, divergence=0.05, trend_break=0.03
    )
    found = recover_did(
        design, 0, models=("recommended",), information=("D",), n_replicates=5, diffusion=QUICK
    )
    assert found.trend_break == 0.03
    assert found.recovery("D", "recommended").section("effects").verdict == "not recovered"


def test_refusals():
    with pytest.raises(DataError, match="difference-in-differences"):
        recover_did(design_by_name("gauss"))
    with pytest.raises(DataError, match="plain or recommended"):
        recover_did(SMALL, models=("best",))
    with pytest.raises(DataError, match="H or D"):
        recover_did(SMALL, information=("X",))
    with pytest.raises(DataError, match="H or D"):
        recover_did(SMALL, information=())
    with pytest.raises(DataError, match="at least 3"):
        recover_did(DifferenceInDifferences(), n_replicates=2)


def test_no_report_of_that_name(report):
    with pytest.raises(DataError, match="no report of H, best"):
        report.recovery("H", "best")
