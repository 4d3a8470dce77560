"""The laboratory from the command line: what there is, what it says, a draw with its truth."""

import json

import pandas as pd
import pytest

from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.catalog import describe, entries


def test_the_list_names_every_design_under_its_family(command):
    code, out, err = command("dgp", "list")
    assert code == 0, err
    for entry in entries():
        assert entry.name in out
        assert entry.summary in out
    code, out, _ = command("dgp", "list", "--family", "instrument")
    assert [line.split()[0] for line in out.splitlines()[1:]] == [
        entry.name for entry in entries("instrument")
    ]


def test_a_design_is_shown_with_its_truth_and_a_picture(command, tmp_path):
    path = tmp_path / "picture.png"
    code, out, err = command(
        "dgp", "show", "instrument-defiers", "--rows", 300, "--picture", path
    )  # fmt: skip
    assert code == 0, err
    entry = describe("instrument-defiers")
    truth = entry.draw(300).truth
    for line in (*entry.equations, entry.summary, "population", "sample", "Columns"):
        assert line in out
    row = next(line for line in out.splitlines() if line.split()[:1] == ["LATE"])
    assert row.split()[1:] == [f"{truth.population['LATE']:.4g}", f"{truth.sample['LATE']:.4g}"]
    assert "the effect on no group of units" in out
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_draw_lies_beside_its_truth(command, tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    code, out, err = command("dgp", "draw", "mixed-table", "--rows", 80, "--seed", 3, "--out", path)
    assert code == 0, err
    assert "80 simulated rows" in out
    drawn = describe("mixed-table").draw(80, 3)
    back = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    pd.testing.assert_frame_equal(back, drawn.frame, check_dtype=False, check_exact=True)
    beside = json.loads((tmp_path / f"rows{suffix}.truth.json").read_text(encoding="utf-8"))
    assert Truth.from_dict(beside) == drawn.truth
    assert beside["provenance"] == "simulated"
    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_is_replaced_unasked(command, tmp_path):
    path = tmp_path / "rows.csv"
    (tmp_path / "rows.csv.truth.json").write_text("kept")
    code, _, err = command("dgp", "draw", "linear", "--out", path)
    assert code == 2
    assert "rows.csv.truth.json' exists; expected a new name. Add --force" in err
    assert not path.exists()
    assert (tmp_path / "rows.csv.truth.json").read_text() == "kept"
    code, _, err = command("dgp", "draw", "linear", "--out", path, "--force")
    assert code == 0, err
    assert len(pd.read_csv(path)) == describe("linear").n


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show", "instrumant"), "no design 'instrumant'.*Did you mean 'instrument'"),
        (("list", "--family", "panels"), "no family 'panels'.*Did you mean 'panel'"),
        (("draw", "linear", "--out", "rows.xls"), "'rows.xls' is no name of a table; expected one"),
        (("draw", "linear", "--out", "nowhere/rows.csv"), "folder 'nowhere' .* does not exist"),
        (("show", "linear", "--picture", "nowhere/x.png"), "folder 'nowhere' .* does not exist"),
    ],
)
def test_bad_requests_are_refused_in_a_sentence(command, arguments, sentence):
    code, out, err = command("dgp", *arguments)
    assert code == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert pd.Series([err]).str.contains(sentence).all(), err


@pytest.mark.parametrize("name", ["list", "show", "draw"])
def test_help_teaches_by_example(command, name):
    code, out, _ = command("dgp", name, "--help")
    assert code == 0
    assert f"causal-ddpm dgp {name}" in " ".join(out.split())
