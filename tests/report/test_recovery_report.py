"""Pictures and page of a recovery say what its record says."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from causal_ddpm.core.errors import DataError
from causal_ddpm.evaluation.recovery.api import recover
from causal_ddpm.evaluation.recovery.report import Recovery
from causal_ddpm.report.displays.recovery import (
    RecoveredCurveDisplay,
    RecoveredNoiseDisplay,
    RecoveredNumbersDisplay,
)
from causal_ddpm.report.recovery import render, write_recovery


@pytest.fixture(scope="module")
def recovery() -> Recovery:
    return recover("linear", "bootstrap", n=200, n_generated=800, n_replicates=3)


def test_displays_show_the_numbers_of_the_record(recovery: Recovery) -> None:
    curve = RecoveredCurveDisplay.of(recovery, "mean")
    noise = RecoveredNoiseDisplay.of(recovery)
    numbers = RecoveredNumbersDisplay.of(recovery)
    assert curve is not None
    assert noise is not None
    assert numbers is not None
    assert set(curve.frame()["arm"]) == {"0", "1"}
    shown = numbers.frame().set_index("quantity").loc["the ATE"]
    assert shown["truth"] == pytest.approx(1.0, abs=1e-6)
    for display in (curve, noise, numbers):
        assert display.plot(Figure().add_subplot()).lines


def test_what_is_not_there_is_not_drawn(recovery: Recovery) -> None:
    assert RecoveredCurveDisplay.of(recovery, "dose response") is None
    assert RecoveredNumbersDisplay.of(recovery, "take-up") is None


def test_the_page_holds_every_section_and_sentence(recovery: Recovery, tmp_path: Path) -> None:
    page = render(recovery)
    assert all(s.title in page for s in recovery.sections)
    assert "Recovery report" in page
    assert page.count("<svg") >= 5
    assert write_recovery(recovery, tmp_path / "page.html").read_text(encoding="utf-8") == page
    with pytest.raises(DataError, match="does not exist"):
        write_recovery(recovery, tmp_path / "nowhere" / "page.html")
