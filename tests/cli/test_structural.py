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


def test_a_dose_with_an_instrument_gives_its_curve_and_a_page(command, asked, tmp_path):
    table, page = tmp_path / "out.json", tmp_path / "curve.html"
    truth = InstrumentDose(curve="line").draw(160, 1).truth
    asked[1].with_name("dose.csv.truth.json").write_text(json.dumps(truth.to_dict()))
    code, out, err = command(*asked, "--json", table, "--report", page, "--unit", "points")
    assert code == 0, err
    for words in ("Anderson-Rubin set", "no valid interval", f"Wrote {table}", f"Wrote {page}",
                  "SIMULATED DATA. These rows come from a simulator"):  # fmt: skip
        assert words in out
    found = json.loads(table.read_text())
    assert found["average_slope"]["std_error"] > 0
    assert set(found["curve"]["interval"]) == {"no valid interval"}
    text = page.read_text(encoding="utf-8")
    for words in ("<svg", "no valid interval", "Simulated data", "y (points)", "dose.csv"):
        assert words in text


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
