"""Many arms, doses and instruments from the command line: a table and JSON of estimates."""

import json

import numpy as np
import pytest

from causal_ddpm.dgp.instrument_design import INSTRUMENT
from causal_ddpm.dgp.three_arms import ThreeArms

QUICK = ["--folds", "2", "--location", "none", "--quiet"]


@pytest.fixture
def written(tmp_path):
    """A draw of a design as a CSV file, with the options that name its columns."""

    def call(design, n, *options):
        drawn = design.draw(n, seed=1)
        path, data = tmp_path / f"{design.name}.csv", drawn.data
        drawn.frame.to_csv(path, index=False)
        roles = ["--treatment", data.treatment_name, "--outcome", data.outcome_name]
        names = ",".join(data.confounder_names)
        return [path, *roles, "--confounders", names, *QUICK, *options]

    return call


def test_an_instrument_gives_the_late(command, written, tmp_path):
    instrument = INSTRUMENT.draw(100, 0).data.instrument_name
    code, out, err = command(
        "estimate", *written(INSTRUMENT, 160, "--instrument", instrument),
        "--json", tmp_path / "out.json",
    )  # fmt: skip
    assert code == 0, err
    assert "LATE" in out
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["estimates"][0]["estimand"] == "LATE"
    assert found["provenance"]["random_state"] == 0
    assert any(instrument in text for text in found["assumptions"])


def test_many_arms_give_their_means_and_contrasts(command, written, tmp_path):
    drawn = ThreeArms().draw(50, 1)
    b, a = drawn.data.arms[1], drawn.data.arms[0]
    code, out, err = command(
        "estimate", *written(ThreeArms(), 120, "--treatment-kind", "arms"),
        "--estimand", "arms", "--estimand", f"arm:{b}/{a}", "--json", tmp_path / "out.json",
    )  # fmt: skip
    assert code == 0, err
    found = json.loads((tmp_path / "out.json").read_text())["estimates"]
    assert len(found) == 4
    value = {row["label"]: row["value"] for row in found}
    means = [row["value"] for row in found[:3]]
    assert found[3]["value"] == pytest.approx(means[1] - means[0], abs=1e-6)
    assert np.isfinite(list(value.values())).all()
    assert "120 rows" in out


def test_what_only_two_arms_have_is_refused(command, written, tmp_path):
    for option in (["--joint"], ["--report", tmp_path / "r.html"]):
        code, out, err = command(
            "estimate", *written(ThreeArms(), 120, "--treatment-kind", "arms"), *option
        )
        assert code == 2
        assert f"{option[0]} was asked for; expected a treatment of two arms" in err
        assert out == ""
    code, _, err = command(
        "estimate", *written(ThreeArms(), 120, "--treatment-kind", "arms"), "--estimand", "att"
    )
    assert code == 2
    assert "a treatment of kind 'binary' for the ATT" in err


def test_several_estimands_of_two_arms_and_a_long_curve(command, firms, tmp_path):
    roles = ["--treatment", "ai_adoption", "--outcome", "productivity"]
    names = ["ato", "gate:effect", "blp", "cdf", "share:100", "qtt:0.5", "budget:0.5"]
    code, out, err = command(
        "estimate", firms, *roles, "--confounders", "industry_size,rd_intensity,education",
        *(word for name in names for word in ("--estimand", name)), *QUICK,
        "--json", tmp_path / "out.json",
    )  # fmt: skip
    assert code == 0, err
    for word in ("ATE", "ATO", "GATE(effect", "BLP", "QTT(0.5)"):
        assert word in out
    assert len([line for line in out.splitlines() if "F1(" in line or "CDF" in line]) <= 21
    found = {
        row["estimand"] for row in json.loads((tmp_path / "out.json").read_text())["estimates"]
    }
    assert len(found) == 8
