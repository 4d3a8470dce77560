"""A dose with instruments from the command line: curve, sets, JSON, refusals."""

import json

import pytest

from causal_ddpm.dgp.instrument_dose import InstrumentDose


@pytest.fixture
def asked(tmp_path):
    """Options for a draw that lies in a file."""
    path = tmp_path / "dose.csv"
    InstrumentDose(strength=1.0, curve="line", responders="all").draw(160, 1).frame.to_csv(
        path, index=False
    )
    return [
        "estimate", path, "--treatment", "d", "--outcome", "y", "--confounders", "x0,x1",
        "--treatment-kind", "dose", "--instrument", "z", "--folds", "3", "--quiet",
    ]  # fmt: skip


def test_a_dose_with_an_instrument_gives_its_curve(command, asked, tmp_path):
    code, out, err = command(*asked, "--json", tmp_path / "out.json")
    assert code == 0, err
    assert "Anderson-Rubin set" in out
    assert "no valid interval" in out
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["average_slope"]["std_error"] > 0
    assert set(found["curve"]["interval"]) == {"no valid interval"}


@pytest.mark.parametrize(
    "option",
    [
        ["--location", "none"],
        ["--estimand", "ate"],
        ["--joint"],
        ["--repeats", "2"],
        ["--control", "a"],
    ],
)
def test_options_of_other_designs_are_refused(command, asked, option):
    code, _, err = command(*asked, *option)
    assert code == 2
    assert f"{option[0]} was asked for" in err
