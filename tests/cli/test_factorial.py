"""Factorial experiments from the command line: a table, words, JSON and a page."""

import json

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.coding import all_cells
from causal_ddpm.dgp.factorial_designs import FACTORIAL, FRACTIONAL_FACTORIAL

ABC = ["--factors", "a,b,c", "--outcome", "y"]
FILTRATION = [45, 71, 48, 65, 68, 60, 80, 65, 43, 100, 45, 104, 75, 86, 70, 96]


@pytest.fixture
def crossed(tmp_path):
    path = tmp_path / "crossed.csv"
    FACTORIAL.draw(400, 1).frame.to_csv(path, index=False)
    return path


def test_effects_are_printed_and_written(command, crossed, tmp_path):
    out_json, page = tmp_path / "out.json", tmp_path / "out.html"
    code, out, err = command(
        "factorial", crossed, *ABC, "--probability", "0.5,0.5,0.3", "--order", "3",
        "--json", out_json, "--report", page,
    )  # fmt: skip
    assert code == 0, err
    assert "All 8 cells were run: no effect is confounded with another." in out
    assert "Average marginal effects and interactions" in out
    assert "a:b:c" in out  # and no emoji in its place
    assert "95 % interval" in out
    assert "…" not in out
    found = json.loads(out_json.read_text())
    assert len(found["estimates"]) == 7
    assert found["diagnostics"]["ols"]["probability"]["c"] == 0.3
    text = page.read_text()
    assert text.count("<svg") == 5
    assert "What moves y?" in text
    assert "http" not in text.replace("http://www.w3.org", "").replace("http://purl.org", "")


def test_other_codings_and_intervals(command, crossed, tmp_path):
    values = {}
    for coding in ("01", "ame", "effects"):
        path = tmp_path / f"{coding}.json"
        code, out, err = command(
            "factorial", crossed, *ABC, "--coding", coding, "--level", "0.9", "--json", path
        )
        assert code == 0, err
        assert "90 % interval" in out
        values[coding] = {r["label"]: r["value"] for r in json.loads(path.read_text())["estimates"]}
    assert values["ame"]["a:b"] == pytest.approx(values["01"]["a:b"])
    assert values["effects"]["a:b"] == pytest.approx(values["ame"]["a:b"] / 4)
    assert values["effects"]["a"] == pytest.approx(values["ame"]["a"] / 2)
    half = 0.5 * (values["01"]["a:b"] + values["01"]["a:c"])
    assert values["ame"]["a"] == pytest.approx(values["01"]["a"] + half)


def test_a_published_experiment_with_villages_as_clusters(command, tmp_path):
    """Cai, de Janvry and Sadoulet (2015): default option x intensive session, insurance take-up."""
    causaldata = pytest.importorskip("causaldata")
    frame = causaldata.social_insure.load_pandas().data
    path = tmp_path / "insurance.csv"
    frame.to_csv(path, index=False)
    code, out, err = command(
        "factorial", path, "--factors", "default,intensive", "--outcome", "takeup_survey",
        "--clusters", "village", "--coding", "01", "--json", tmp_path / "out.json",
    )  # fmt: skip
    assert code == 0, err
    assert "cluster-robust" in out
    rows = {r["label"]: r for r in json.loads((tmp_path / "out.json").read_text())["estimates"]}
    means = frame.groupby(["default", "intensive"])["takeup_survey"].mean()
    assert rows["intensive"]["value"] == pytest.approx(means[0, 1] - means[0, 0])
    assert rows["default"]["value"] == pytest.approx(means[1, 0] - means[0, 0])
    assert rows["default"]["p_value"] < 0.05


def test_a_simulated_file_shows_its_truth(command, crossed, tmp_path):
    truth = FACTORIAL.draw(400, 1).truth
    (tmp_path / "crossed.csv.truth.json").write_text(json.dumps(truth.to_dict()))
    page = tmp_path / "out.html"
    code, out, _ = command(
        "factorial", crossed, *ABC, "--probability", "0.5,0.5,0.3", "--report", page
    )
    assert code == 0
    assert "Truth" in out
    assert "1.37" in out or "1.38" in out
    assert "Simulated data." in page.read_text()


def test_fractions_say_what_they_confound(command, tmp_path):
    path, page = tmp_path / "half.csv", tmp_path / "half.html"
    FRACTIONAL_FACTORIAL.draw(200, 0).frame.to_csv(path, index=False)
    roles = ["--factors", "a,b,c,d", "--outcome", "y"]
    code, out, err = command("factorial", path, *roles, "--report", page)
    assert code == 0, err
    assert "a regular 2^(4-1) fraction of resolution IV" in out
    assert "a:b = c:d" in page.read_text()
    code, out, err = command("factorial", path, *roles, "--order", "2")
    assert (code, out) == (3, "")
    assert "cannot be told apart" in err


def test_unreplicated_runs_are_judged_by_lenth(command, tmp_path):
    frame = pd.DataFrame(all_cells(4)[:, ::-1], columns=list("abcd"))
    path, page = tmp_path / "once.csv", tmp_path / "once.html"
    frame.assign(y=FILTRATION).to_csv(path, index=False)
    roles = ["--factors", "a,b,c,d", "--outcome", "y"]
    code, out, err = command("factorial", path, *roles, "--order", "4", "--report", page)
    assert code == 0, err
    assert "ME 6.748, SME 13.7" in out
    assert "Beyond SME: a, d, a:c, a:d." in out
    assert "Half-normal plot" in page.read_text()


def test_texts_as_levels_and_outcomes(command, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "name": rng.choice(["Emily", "Lakisha"], 200), "year": rng.choice([2001, 2002], 200),
        "call": rng.choice(["yes", "no"], 200),
    })  # fmt: skip
    path = tmp_path / "calls.csv"
    frame.to_csv(path, index=False)
    code, out, err = command(
        "factorial", path, "--factors", "name,year", "--outcome", "call=yes",
        "--baseline", "name=Lakisha", "--baseline", "year=2002", "--json", tmp_path / "out.json",
    )  # fmt: skip
    assert code == 0, err
    assert "name: 1 = Emily, 0 = Lakisha" in out
    assert "year: 1 = 2001, 0 = 2002" in out
    rows = json.loads((tmp_path / "out.json").read_text())["cell_means"]
    cell = frame[(frame["name"] == "Lakisha") & (frame["year"] == 2002)]
    assert rows[0]["value"] == pytest.approx((cell["call"] == "yes").mean())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--factors", "a,z", "--outcome", "y"], "there is no column 'z'"),
        (["--factors", "a,x", "--outcome", "y"], "distinct values"),
        ([*ABC, "--probability", "half"], "--probability is 'half'; expected a number, or one"),
        ([*ABC, "--probability", "1"], "an assignment probability is 1"),
        ([*ABC, "--baseline", "a"], "--baseline is 'a'; expected FACTOR=VALUE"),
        ([*ABC, "--baseline", "a=3"], "the baseline is 3; expected 0 or 1"),
        ([*ABC, "--method", "lasso"], "the method is 'lasso'; expected ols"),
        ([*ABC, "--order", "0"], "the order of interactions is 0"),
        (["--factors", "a,b", "--outcome", "c=yes"], "no row has c = yes"),
        ([*ABC, "--clusters", "c"], "more than one role"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(command, crossed, options, sentence):
    code, out, err = command("factorial", crossed, *options)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.strip().splitlines()) == 1


def test_outputs_are_checked_first(command, crossed, tmp_path):
    code, _, err = command("factorial", crossed, *ABC, "--json", crossed)
    assert code == 2
    assert "is the data file itself" in err
    same = tmp_path / "same"
    code, _, err = command("factorial", crossed, *ABC, "--json", same, "--report", same)
    assert code == 2
    assert "two different files" in err


def test_several_methods_stand_side_by_side(command, crossed, tmp_path):
    out_json, page = tmp_path / "out.json", tmp_path / "out.html"
    code, out, err = command(
        "factorial", crossed, *ABC, "--probability", "0.5,0.5,0.3", "--order", "1",
        "--method", "ols", "--method", "scores", "--json", out_json, "--report", page,
    )  # fmt: skip
    assert code == 0, err
    assert "scores: orthogonal scores, interactions to order 1, known assignment; 400 rows" in out
    found = json.loads(out_json.read_text())
    assert [row["method"] for row in found["estimates"]] == ["ols"] * 3 + ["scores"] * 3
    assert page.exists()


def test_the_law_is_printed_as_a_prediction(command, crossed, tmp_path):
    small = tmp_path / "small.csv"
    pd.read_csv(crossed).head(60).to_csv(small, index=False)
    code, out, err = command("factorial", small, *ABC, "--order", "1", "--method", "law")
    assert code == 0, err
    assert "What the diffusion law of every cell predicts:" in out
    assert out.count("prediction: no valid interval") == 4


def test_an_unknown_method_is_refused(command, crossed):
    code, _, err = command("factorial", crossed, *ABC, "--method", "lasso")
    assert code == 2
    assert "'lasso'; expected ols or scores or law" in err
