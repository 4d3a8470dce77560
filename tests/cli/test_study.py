"""``causal-ddpm study coverage``: counts, resumes, writes its page, and refuses in sentences."""

import pandas as pd
import pytest

from causal_ddpm.cli.main import run


@pytest.fixture
def study(tmp_path, capsys):
    def call(*options):
        code = run(["study", "coverage", "--folder", str(tmp_path / "ledger"), "--quiet", *options])
        return code, capsys.readouterr()

    return call


LIGHT = ("--part", "light", "--designs", "linear", "--cases", "ATE,ATT", "--draws", "3")


def test_the_light_part_counts_and_writes_its_page(study, tmp_path):
    code, told = study(*LIGHT, "--table", str(tmp_path / "coverage"))
    assert code == 0
    assert "mean coverage" in told.out
    assert f"Wrote {tmp_path / 'coverage.md'}" in told.out
    text = (tmp_path / "coverage.md").read_text()
    assert text.startswith("# Coverage of the intervals")
    assert "Command: `causal-ddpm" in text
    table = pd.read_csv(tmp_path / "coverage.csv")
    assert set(table["label"]) == {"ATE", "ATT"}
    assert set(table["n"]) == {250, 500, 1000}
    assert (table["n_draws"] == 3).all()
    rows = sorted((tmp_path / "ledger" / "coverage-light").glob("*.parquet"))
    times = [row.stat().st_mtime_ns for row in rows]
    assert study(*LIGHT)[0] == 0
    assert [row.stat().st_mtime_ns for row in rows] == times  # nothing was done again


def test_help_teaches(capsys):
    assert run(["study", "coverage", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for word in ("Stop it whenever you like", "coverage with its Monte Carlo", "--any-version"):
        assert word in told


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--designs", "gaus"), "has no design 'gaus'"),
        (("--cases", "LATTE"), "has no case 'LATTE'"),
        (("--part", "peers"), "Run benchmarks/bench_coverage_peers.py first"),
        (("--part", "full", "--compute", "nothing"), "Leave out --compute"),
        (("--table", "/nowhere/coverage"), "'/nowhere' for 'coverage.md' does not exist"),
    ],
)
def test_refusals_are_sentences(study, options, sentence):
    code, told = study(*options)
    assert code == 2
    assert sentence in told.err
    assert told.err.count("\n") == 1
