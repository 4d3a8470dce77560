"""``causal-ddpm compare``: methods side by side, files, and refusals in one sentence."""

import json
import re

import pytest

from causal_ddpm.cli.compare import METHODS
from causal_ddpm.core.estimand import ATE
from causal_ddpm.evaluation.compare import methods_for

LIGHT = ("--methods", "difference,ols,interacted,ipw,2sls", "--quiet")
ROLES = [
    "--treatment", "ai_adoption", "--outcome", "productivity",
    "--confounders", "industry_size,rd_intensity,education",
]  # fmt: skip


def test_methods_stand_side_by_side_with_all_files(command, firms, tmp_path):
    json_file, page, picture = (tmp_path / n for n in ("m.json", "m.html", "m.svg"))
    code, out, err = command(
        "compare", firms, *ROLES, *LIGHT, "--benchmark", "2", "--unit", "points",
        "--json", json_file, "--report", page, "--plot", picture,
    )  # fmt: skip
    assert code == 0, err
    for words in ("OLS with confounders", "Difference in means (no vote)", "Distance / SE",
                  "95 % interval", "intervals hold the benchmark 2", "productivity (points)",
                  "No answer from Two-stage least squares: it answers LATE", f"Wrote {page}",
                  f"Wrote {picture}"):  # fmt: skip
        assert words in out
    read = json.loads(json_file.read_text())
    assert [row["name"] for row in read["methods"]] == ["difference", "ols", "interacted", "ipw"]
    assert read["agreement"]["n_methods"] == 3
    assert read["benchmark"]["value"] == 2
    html = page.read_text()
    assert "Two-stage least squares" in html
    assert "<svg" in html
    assert "Distance / SE" in html
    assert not re.search(r'(?:src|href)="(?!#)', html)
    assert picture.read_text().startswith("<?xml")


def test_the_pages_picture_also_comes_as_pixels(command, firms, tmp_path):
    code, _, err = command("compare", firms, *ROLES, *LIGHT, "--plot", tmp_path / "m.png")
    assert code == 0, err
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


def test_help_lists_every_method(command):
    assert METHODS.split(", ") == [method.name for method in methods_for(ATE())]
    code, out, _ = command("compare", "--help")
    assert code == 0
    assert "causal-forest" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--methods", "olss"), "there is no method 'olss'"),
        (("--methods", "2sls"), "no method has an answer"),
        (("--estimand", "qte"), "is no single number"),
        (("--estimand", "slope:12"), "expected a treatment of kind 'dose'"),
        (("--level", "95"), "the confidence level is 95"),
        (("--benchmark", "nan"), "the benchmark is nan"),
        (("--n-jobs", "0"), "n_jobs is 0"),
        (
            (
                "--treatment-kind",
                "dose",
                "--confounders",
                "education",
                "--treatment",
                "rd_intensity",
            ),
            "in words 'dose:2' or",
        ),
        (("--plot", "methods.gif"), "ends in '.gif'; expected .svg, .png, .pdf"),
        (("--json", "same.json", "--plot", "same.json"), "which is the data file or another"),
    ],
)
def test_refusals(refused, firms, options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in refused(firms, *options, name="compare")
    assert not list(tmp_path.glob("same.json"))


def test_a_missing_file_is_said_first(refused, tmp_path):
    assert "there is no file" in refused(tmp_path / "none.csv", name="compare")
