"""``causal-ddpm study own``: ranks, resumes, writes its files, and refuses in sentences."""

import json
import time

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.cli.main import run


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    """A file with a binary outcome, which is quick to learn."""
    rng = np.random.default_rng(0)
    size, city = rng.standard_normal(240), rng.integers(0, 2, 240)
    d = (rng.random(240) < 1 / (1 + np.exp(-size))).astype(int)
    y = (rng.random(240) < 0.3 + 0.3 * (size > 0) + 0.1 * d).astype(int)
    names = np.array(["no", "yes"], dtype=object)
    frame = pd.DataFrame({"size of shop": size, "city": names[city], "app": d, "sold": y})
    path = tmp_path_factory.mktemp("files") / "shops.csv"
    frame.assign(group=np.arange(240) // 8).to_csv(path, index=False)
    return path


@pytest.fixture
def own(shops, tmp_path, capsys):
    def call(*options, file=shops, confounders="size of shop,city"):
        code = run([
            "study", "own", str(file), "--treatment", "app", "--outcome", "sold",
            "--confounders", confounders, "--folder", str(tmp_path / "ledger"), "--quiet", *options,
        ])  # fmt: skip
        return code, capsys.readouterr()

    return call


LIGHT = (
    "--covariates", "rows", "--estimators", "difference,ols,ipw", "--draws", "12",
    "--effect", '0.05 * (city == "yes") + 0.02 * (`size of shop` > 0)',
)  # fmt: skip


def test_it_ranks_writes_and_resumes(own, tmp_path):
    files = ("--table", str(tmp_path / "shops"), "--json", str(tmp_path / "shops.json"))
    code, told = own(*LIGHT, *files)
    assert code == 0, told.err
    assert "The twin of 240 rows is learnt unless it is kept" in told.err
    assert "Draws of 240 rows: difference 12" in told.err
    for word in ("Estimator", "Lowest RMSE", "In the twin the ATE is", f"Wrote {tmp_path}"):
        assert word in told.out
    page = (tmp_path / "shops.md").read_text()
    assert "Command: `causal-ddpm" in page
    assert "app ~ Bernoulli(e)" in page
    rows = pd.read_csv(tmp_path / "shops.csv")
    assert set(rows["estimator"]) == {"difference", "ols", "ipw"}
    assert len(rows) == 36
    found = json.loads((tmp_path / "shops.json").read_text())
    assert 0 < found["truth"]["population"]["ATE"] < 0.07
    assert len(found["estimators"]) == 3
    kept = sorted((tmp_path / "ledger").rglob("*.*"))
    times = [path.stat().st_mtime_ns for path in kept]
    code, again = own(*LIGHT)
    assert again.out.split("Wrote")[0] == told.out.split("Wrote")[0]
    assert [path.stat().st_mtime_ns for path in kept] == times  # nothing was done again


def test_help_teaches(capsys):
    assert run(["study", "own", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for word in ("Learns a twin of the file", "confounder is missing", "0 an experiment"):
        assert word in told


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--effect", "0.1 * (citi == 1)"), "names 'citi'; expected a confounder"),
        (("--effect", "__import__('os')"), "no function '__import__'"),
        (("--effect", "1 +"), "is no expression"),
        (("--overlap", "-1"), "the overlap is -1.0; expected a number from 0 (an experiment)"),
        (("--estimators", "ols,magic"), "no estimator 'magic'; expected difference, ols"),
        (("--estimators", "ols,ols"), "'ols' occurs twice"),
        (("--estimand", "qte"), "'qte' is not one of"),
        (("--draws", "1"), "Invalid value for '--draws'"),
        (("--n", "3"), "Invalid value for '--n'"),
        (("--table", "/nowhere/own"), "'/nowhere' for 'own.md' does not exist"),
        (("--json", "/nowhere/own.json"), "'/nowhere' for 'own.json' does not exist"),
        (("--covariates", "copula"), "'copula' is not one of"),
    ],
)
def test_refusals_are_quick_sentences(own, options, sentence):
    start = time.process_time()
    code, told = own(*options)
    assert code == 2
    assert sentence in " ".join(told.err.split())
    assert told.out == ""
    assert time.process_time() - start < 1


def test_bad_files_and_columns_are_refused(own, tmp_path):
    code, told = own(file=tmp_path / "absent.csv")
    assert (code, "there is no file" in told.err) == (2, True)
    code, told = own(confounders="size")
    assert (code, "size" in told.err) == (2, True)
