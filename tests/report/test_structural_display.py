"""The picture and the page of a structural curve: no band, a line with its set, where doses lie."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.linear_model import LinearRegression

from causal_ddpm import DataError, InstrumentData, NormalStages, structural_curve
from causal_ddpm.dgp.instrument_dose import InstrumentDose
from causal_ddpm.evaluation.provenance import Source
from causal_ddpm.report import style
from causal_ddpm.report.displays import StructuralCurveDisplay
from causal_ddpm.report.pictures import write_display
from causal_ddpm.report.structural import render, strength_frame, write_structural_report

LIGHT = NormalStages(LinearRegression())


@pytest.fixture(scope="module")
def drawn():
    return InstrumentDose(strength=1.5, curve="hump", responders="all").draw(600, 1)


@pytest.fixture(scope="module")
def found(drawn):
    return structural_curve(drawn.data, model=LIGHT)


@pytest.fixture(scope="module")
def weak():
    data = InstrumentDose(strength=0.02, curve="line", responders="all").draw(300, 1).data
    with pytest.warns(UserWarning, match="Weak instrument"):
        return structural_curve(data, model=LIGHT)


def plotted(display):
    with style.look():
        return display.plot(Figure(figsize=(7, 4)).add_subplot())


def names(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_numbers_are_those_of_the_record_and_none_is_an_interval(found):
    frame = StructuralCurveDisplay.of(found).frame()
    pd.testing.assert_frame_equal(frame[["dose", "value", "interval"]], found.curve)
    assert set(frame["interval"]) == {"no valid interval"}
    assert list(frame.columns) == ["dose", "value", "line", "interval"]


def test_the_line_is_that_of_one_term(drawn, found):
    assert found.n_terms > 1
    display, one = StructuralCurveDisplay.of(found), found.fits[0]
    slope = np.diff(display.rows["line"]) / np.diff(display.rows["dose"])
    np.testing.assert_allclose(slope, one.moments.basis.slope(np.zeros(1))[0] @ one.beta)
    middle = np.interp(drawn.data.dose.mean(), display.rows["dose"], display.rows["line"])
    assert middle == pytest.approx(drawn.data.outcome.mean())
    assert str(found.slope_set) in display.slope
    assert np.ptp(np.diff(display.rows["value"])) > 0.01


def test_the_curve_is_drawn_without_a_band_and_the_line_with_its_set(found):
    ax = plotted(StructuralCurveDisplay.of(found, "y (points)"))
    assert not ax.collections  # a band would be one
    assert names(ax) == ["curve: no valid interval", "straight line"]
    assert str(found.slope_set) in ax.get_xlabel()
    assert "y (points)" in ax.get_title(loc="left")
    low, _ = ax.get_ylim()
    assert low < StructuralCurveDisplay.of(found).rows[["value", "line"]].min().min()
    assert ax.get_yticks().min() > low + 0.1 * np.diff(ax.get_ylim())[0]


def test_weak_instruments_make_the_curve_pale_and_say_so(weak):
    display = StructuralCurveDisplay.of(weak)
    ax = plotted(display)
    assert ax.lines[0].get_color() == style.NAIVE
    assert names(ax)[0] == f"curve: F {weak.first_stage_f:.1f}, not to be used"
    assert "not to be used" in display.caption
    assert "With one term the curve is this line" in display.caption
    assert "not to be used: F below ten" in render(weak)


def test_bars_are_shares_of_weighted_rows_between_the_ends(drawn):
    frame = drawn.frame.assign(d=drawn.frame["d"].round(), weight=1.0)
    frame.loc[frame["d"] == 0, "weight"] = 3.0
    data = InstrumentData(frame, "d", "y", "z", ["x0", "x1", "x2"], weights="weight")
    found = structural_curve(data, model=LIGHT, n_terms=1)
    doses = StructuralCurveDisplay.of(found).doses
    middle = (doses["low"] + doses["high"]) / 2
    kept = frame[frame["d"].between(*np.quantile(frame["d"], [0.05, 0.95]))]
    expected = kept.groupby("d")["weight"].sum() / kept["weight"].sum()
    np.testing.assert_allclose(middle, expected.index)
    np.testing.assert_allclose(doses["share"], expected)


def test_many_doses_share_bars_of_equal_width(found):
    doses = StructuralCurveDisplay.of(found).doses
    assert doses["share"].sum() == pytest.approx(1)
    np.testing.assert_allclose(np.diff(doses["low"]), (doses["high"] - doses["low"]).iloc[0])


def test_a_set_that_clusters_forbid_is_told(found, drawn):
    frame = drawn.frame.assign(z2=drawn.frame["z"] ** 2, g=np.arange(len(drawn.frame)) % 60)
    data = InstrumentData(frame, "d", "y", ["z", "z2"], ["x0"], clusters="g")
    clustered = structural_curve(data, model=LIGHT, n_terms=1)
    display = StructuralCurveDisplay.of(clustered)
    assert "not available for clusters and several instruments" in display.caption
    assert "not available" in render(clustered)
    shown = plotted(replace(display, dose_name="years of schooling of the father, as told"))
    assert "\n" in shown.get_xlabel()


def test_the_page_holds_picture_intervals_strength_assumptions_and_the_simulator(
    found, drawn, tmp_path
):
    page = write_structural_report(
        found, tmp_path / "curve.html", Source("d.csv", "points", drawn.truth)
    ).read_text(encoding="utf-8")
    for words in ("<svg", "no band is drawn", "no valid interval", "What has an interval",
                  "Anderson-Rubin", "Additivity", "d.csv; 600 rows", "Simulated data",
                  drawn.data.fingerprint, "y (points)", "sieve standard error"):  # fmt: skip
        assert words in page
    assert len(strength_frame(found)) == len(found.fits)
    assert "Simulated data" not in render(found)


def test_a_picture_of_its_own_and_a_folder_that_is_not_there(found, tmp_path):
    display = StructuralCurveDisplay.of(found)
    assert write_display(display, tmp_path / "curve.svg").read_text().startswith("<?xml")
    with pytest.raises(DataError, match="does not exist"):
        write_structural_report(found, tmp_path / "none" / "curve.html")
