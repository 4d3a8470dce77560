"""Panels from the command line: a table, words, JSON and a page; what is refused."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.cli.panel import _load
from causal_ddpm.core.truth import truth_path
from causal_ddpm.dgp.catalog import describe
from causal_ddpm.dgp.draw_file import write_draw

ROLES = ["--unit", "state", "--period", "year", "--outcome", "packs"]
ONE = [*ROLES, "--treated", "taxed"]


def states(n=6, n_periods=11, first=7, seed=0):
    """One state is taxed from year 2000 + first on, which lowers its packs by 5."""
    rng = np.random.default_rng(seed)
    y = rng.normal(100, 9, n)[:, None] + np.cumsum(rng.normal(0, 1, (n, n_periods)), axis=1)
    y[0, first:] -= 5
    unit, year = np.divmod(np.arange(n * n_periods), n_periods)
    return pd.DataFrame(
        {
            "state": [f"state {k}" for k in unit],
            "year": 2000 + year,
            "packs": y.ravel(),
            "taxed": ((unit == 0) & (year >= first)).astype(int),
            "since": np.where(unit == 0, 2000 + first, 0),
            "region": np.where(unit % 2, "west", "east"),
            "people": 1.0 + unit,
            "price": rng.normal(2, 0.3, n * n_periods),
        }
    )


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "states.csv"
    states().to_csv(path, index=False)
    return path


def written(path, frame):
    frame.to_csv(path, index=False)
    return path


def test_effects_and_placebos_are_printed_and_written(command, table, tmp_path):
    out_json, page = tmp_path / "out.json", tmp_path / "out.html"
    code, out, err = command(
        "panel", table, *ONE, "--no-peers", "--outcome-unit", "a head", "--json", out_json,
        "--report", page,
    )  # fmt: skip
    assert code == 0, err
    assert "Effect of taxed on packs (a head)" in out
    assert "Treated from 2007 on: state 0 (7 periods before, 4 after); 5 never treated" in out
    assert "90 % interval" in out
    assert "On 5 placebo paths (20 cells) the 90% band covered" in out
    assert "none below 0.167 is possible" in out
    for check in ("Fit before treatment", "Placebo in space", "Placebo in time", "Donors"):
        assert f"\n{check}" in out
    assert "…" not in out
    assert "Few controls: 5" in err
    found = json.loads(out_json.read_text())
    assert found["effect"]["placebo"]["n_placebos"] == 5
    assert found["panel"]["treatment"].startswith("treated from 2007 on: state 0")
    assert found["methods"] is None
    assert "donors" in found["diagnostics"]["parts"]
    assert "pretrends" in found["diagnostics"]["left_out"]
    assert found["provenance"]["source"] == "states.csv"
    att = found["effect"]["att"][0]
    shown = f"{att['value']:.0f}".replace("-", "\N{MINUS SIGN}")
    assert shown in next(line for line in out.splitlines() if line.startswith(" ATT"))
    text = page.read_text()
    assert "What did taxed do to packs?" in text
    assert "http" not in text.replace("http://www.w3.org", "").replace("http://purl.org", "")


def test_the_same_panel_from_cells_and_cohorts_csv_and_parquet(table, tmp_path):
    """The same fingerprint; the estimator's own tests say that it decides the answer."""
    frame = states().sample(frac=1, random_state=1)
    frame.to_parquet(tmp_path / "states.parquet")
    roles = {"unit": "state", "period": "year", "outcome": "packs"}
    found = [
        _load(table, {**roles, "treated": "taxed"}),
        _load(table, {**roles, "cohort": "since"}),
        _load(tmp_path / "states.parquet", {**roles, "treated": "taxed"}),
    ]
    assert len({panel.fingerprint for panel in found}) == 1
    assert len({tuple(panel.first) for panel in found}) == 1


def test_other_methods_stand_beside_ours(command, table, tmp_path):
    pytest.importorskip("pyfixest")
    pytest.importorskip("diff_diff")
    code, out, err = command(
        "panel", table, *ONE, "--methods", "twfe,cs,structural", "--json", tmp_path / "out.json"
    )
    assert code == 0, err
    assert "The ATT by other methods" in out
    assert "No answer from Structural time series: it needs" in out
    found = json.loads((tmp_path / "out.json").read_text())["methods"]
    assert [row["name"] for row in found["methods"]] == ["diffusion", "twfe", "cs"]
    assert found["verdict"] in out
    assert len(found["left_out"]) == 1


def test_every_role_is_used(command, table, tmp_path):
    path = tmp_path / "out.json"
    code, out, err = command(
        "panel", table, *ONE, "--no-peers", "--covariates", "price", "--weights", "people",
        "--clusters", "region", "--level", "0.8", "--json", path, "--random-state", "3",
    )  # fmt: skip
    assert code == 0, err
    assert "80 % interval" in out
    found = json.loads(path.read_text())
    assert found["provenance"]["random_state"] == 3
    assert found["effect"]["level"] == 0.8
    assert found["panel"]["covariates"] == ["price"]
    assert found["panel"]["weights"] == "people"
    assert found["panel"]["clusters"] == "region"


def test_a_simulated_panel_says_so_and_shows_its_truth(command, tmp_path):
    path = tmp_path / "drawn.csv"
    write_draw(describe("donor-pool").draw(12, 1), path, False)
    assert truth_path(path).exists()
    code, out, err = command(
        "panel", path, "--unit", "unit", "--period", "period", "--outcome", "y", "--treated",
        "treated", "--no-peers",
    )  # fmt: skip
    assert code == 0, err
    assert out.startswith("SIMULATED DATA.")
    assert "Truth" in out


def test_odd_panels_are_said(command, tmp_path):
    frame = states()
    frame.loc[(frame["state"] == "state 0") & (frame["year"] == 2010), "taxed"] = 0
    frame = frame.drop(index=20)
    path = written(tmp_path / "odd.csv", frame)
    code, out, err = command("panel", path, *ONE, "--no-peers", "--reversals", "drop-after")
    assert code == 0, err
    assert "treatment ended in state 0" in err.lower()
    assert "2 of 66 cells are not observed" in err
    assert "90 % interval" in out


@pytest.mark.parametrize(
    ("change", "roles", "code", "sentence"),
    [
        (lambda df: df, ROLES, 2, "neither treated nor cohort is given"),
        (lambda df: df, [*ONE, "--cohort", "since"], 2, "treated and cohort are both given"),
        (lambda df: df, [*ONE[:-1], "taxes"], 2, "there is no column 'taxes'; expected a column"),
        (
            lambda df: df,
            [*ONE, "--methods", "sdidd"],
            2,
            "the method is 'sdidd'; expected one of",
        ),
        (lambda df: df, [*ONE, "--methods", "sc,sc"], 2, "the method 'sc' is asked for twice"),
        (lambda df: df, [*ONE, "--methods", "sc", "--no-peers"], 2, "are both given"),
        (lambda df: df, [*ONE, "--level", "90"], 2, "the confidence level is 90"),
        (lambda df: df, [*ONE, "--covariates", "region"], 2, "column 'region': the column has typ"),
        (lambda df: df, [*ONE, "--clusters", "year"], 2, "given more than one role"),
        (lambda df: pd.concat([df, df[:1]]), ONE, 2, "state state 0 has 2 rows in year 2000"),
        (lambda df: df.assign(taxed=1), ONE, 2, "the treatment is constant"),
        (lambda df: df.assign(taxed=df["since"] > 0), ONE, 2, "If the column marks groups"),
        (lambda df: df.assign(taxed=df["year"] >= 2005), ONE, 3, "No treated outcome has an untre"),
        (lambda df: df.assign(year="Q" + df["year"].astype(str)), ONE, 2, "order is not known"),
        (lambda df: df.assign(packs="n.a."), ONE, 2, "Find the entries that are not numbers"),
        (lambda df: df.assign(packs=df["packs"].map("{:,.2f} %".format)), ONE, 2, "plain numbers"),
        (
            lambda df: df.assign(packs=df["packs"] * 1e300),
            ONE,
            2,
            "in size; expected one between",
        ),
        (lambda df: df.assign(packs=df["packs"] * 1e-200), ONE, 2, "in another unit"),
        (lambda df: df.assign(packs=df["year"] + df["taxed"]), ONE, 2, "move exactly together"),
        (lambda df: df[df["year"] == 2008], ONE, 2, "all rows have the year 2008"),
        (lambda df: df.assign(taxed=df["taxed"] * (df["year"] != 2010)), ONE, 2, "untreated again"),
        (lambda df: df.head(0), ONE, 2, "the data have no rows"),
        (lambda df: df[df["state"] <= "state 1"], ONE, 2, "1 unit is never treated; expected at"),
    ],
)
def test_what_is_refused(refused, tmp_path, change, roles, code, sentence):
    path = written(tmp_path / "changed.csv", change(states()))
    assert sentence in refused(path, roles=roles, code=code, name="panel")


def test_bad_output_is_refused_before_anything_else(refused, table, tmp_path):
    for option in ("--json", "--report"):
        assert "is the data file itself" in refused(table, option, table, roles=ONE, name="panel")
    both = ["--json", tmp_path / "a", "--report", tmp_path / "a"]
    assert "two different files" in refused(table, *both, roles=ONE, name="panel")


def test_bad_input_loads_no_models(table):
    code = (
        "import sys; from causal_ddpm.cli.main import run;"
        f"code = run({['panel', str(table), *ONE[:-1], 'taxes']!r});"
        "print(code, [m for m in ('torch', 'sklearn', 'scipy.stats') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2 []"


def test_help_teaches(command):
    code, out, _ = command("panel", "--help")
    assert code == 0
    assert "causal-ddpm panel smoking.csv" in " ".join(out.split())
    assert "Exit codes" in out
