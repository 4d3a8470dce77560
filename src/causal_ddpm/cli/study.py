"""``causal-ddpm study``: Monte Carlo studies of this package, resumable."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from causal_ddpm.cli import options
from causal_ddpm.cli.arguments import column_names
from causal_ddpm.cli.progress import progress_bar
from causal_ddpm.cli.study_own import own
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.files import check_writable

if TYPE_CHECKING:
    import pandas as pd

study = typer.Typer(
    help="Monte Carlo studies: do the intervals hold what they promise?", no_args_is_help=True
)


class Part(StrEnum):
    """Parts of the coverage study."""

    full = "full"
    light = "light"
    peers = "peers"


class Compute(StrEnum):
    """What may be computed."""

    all = "all"
    scores = "scores"
    nothing = "nothing"


def coverage(  # noqa: PLR0913 - one argument an option
    part: Annotated[
        list[Part] | None,
        typer.Option(
            help="full: the default pipeline, fitted on every draw (a fit takes 5 to 20 "
            "CPU-seconds); light: thousands of draws with true nuisances and with regressions "
            "(10 to 400 CPU-milliseconds a draw); peers: other libraries, from the rows that "
            "benchmarks/bench_coverage_peers.py has made. May be repeated.",
            show_default="full and light",
        ),
    ] = None,
    designs: Annotated[
        str | None, typer.Option(help="Designs, separated by commas.", show_default="all")
    ] = None,
    cases: Annotated[
        str | None,
        typer.Option(help="Estimands by the study's names, by commas.", show_default="all"),
    ] = None,
    draws: Annotated[
        int | None, typer.Option(help="Draws of each cell, at most.", min=2, show_default="all")
    ] = None,
    folder: Annotated[
        Path, typer.Option(help="The ledger: finished work is kept here and not done again.")
    ] = Path(".studies"),
    table: Annotated[
        Path | None,
        typer.Option(
            help="Write the page to FILE.md and all numbers to FILE.csv.", show_default=False
        ),
    ] = None,
    n_jobs: options.Jobs = 1,
    any_version: Annotated[
        bool,
        typer.Option(
            "--any-version",
            help="Accept finished work of earlier code; without it, an edit of the source "
            "starts the study anew.",
        ),
    ] = False,
    compute: Annotated[
        Compute,
        typer.Option(
            help="all: what is missing; scores: fit nothing, score what is fitted; nothing: the "
            "table of what is there."
        ),
    ] = Compute.all,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Count how often 95 % intervals contain the truth.

    Draws data from designs whose truth is known, estimates every effect with its interval, and
    counts. Stop it whenever you like (Ctrl-C): the next run goes on where this one stopped, and the
    table is made of what is there. The whole study takes about five CPU-hours; begin with
    `--part light --draws 100`, which takes a few minutes.

    The table says, for each estimand: bias; the mean standard error over the Monte Carlo standard
    deviation (one is right); coverage with its Monte Carlo error; the width beside that of the
    efficiency bound; and whether the intervals hold their level.
    """
    if table is not None:
        for suffix in (".md", ".csv"):
            check_writable(table.with_suffix(suffix))
    from causal_ddpm.evaluation.coverage import markdown
    from causal_ddpm.evaluation.coverage.summary import summarize

    parts = part or [Part.full, Part.light]
    chosen = None if designs is None else column_names(designs)
    with progress_bar(quiet) as progress:
        settings = {
            "n_jobs": n_jobs, "any_version": any_version, "progress": progress,
            "compute": compute.value,
        }  # fmt: skip
        entries = _entries(parts, folder, chosen, draws, cases, settings)
    summary = summarize(entries)
    if not len(summary):
        raise DataError(
            f"no draw of the study is in '{folder}'", "finished draws", "Leave out --compute."
        )
    typer.echo(markdown.cells(summary).round(3).to_string(index=False))
    if table is None:
        return
    command = "causal-ddpm " + shlex.join(sys.argv[1:])
    table.with_suffix(".md").write_text(markdown.page(summary, command), encoding="utf-8")
    summary.to_csv(table.with_suffix(".csv"), index=False)
    typer.echo(f"Wrote {table.with_suffix('.md')} and {table.with_suffix('.csv')}")


study.command(
    epilog="Example: `causal-ddpm study coverage --part light --designs gauss,bimodal --draws 200 "
    "--table coverage`."
)(coverage)

study.command(
    epilog="Example: `causal-ddpm study own firms.csv --treatment ai_adoption --outcome "
    "productivity --confounders industry_size,rd_intensity,education --effect 0.5 --overlap 1`."
)(own)


def _entries(
    parts: list[Part],
    folder: Path,
    designs: list[str] | None,
    draws: int | None,
    cases: str | None,
    settings: dict[str, Any],
) -> "pd.DataFrame":
    import pandas as pd

    from causal_ddpm.evaluation.coverage import run
    from causal_ddpm.evaluation.coverage.cases import CASES, cases_named

    settings["cases"] = CASES if cases is None else cases_named(column_names(cases))
    pieces = []
    if Part.full in parts:
        pieces.append(run.run_full(folder, designs, draws, **settings))
    if Part.light in parts:
        pieces.append(run.run_light(folder, designs, draws, **settings))
    if Part.peers in parts:
        pieces.append(run.peers_entries(folder, designs))
    return pd.concat([p for p in pieces if len(p)] or pieces, ignore_index=True)
