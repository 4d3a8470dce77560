"""Running the coverage study, part by part, and collecting what is there.

    full    fits of the default pipeline, then scores of every fit
    light   oracle and light nuisances
    peers   other libraries on the same draws; ``benchmarks/bench_coverage_peers.py`` makes these
            rows, and here they are read

Every part can be stopped and resumed; :func:`collected` reads the finished rows of all parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.evaluation import parts
from causal_ddpm.evaluation.coverage.cases import CASES, Case
from causal_ddpm.evaluation.coverage.fits import fits_study
from causal_ddpm.evaluation.coverage.light import SOURCES
from causal_ddpm.evaluation.coverage.scores import from_rows, light_study, scores_study
from causal_ddpm.evaluation.studies import Study

Part = Literal["full", "light", "peers"]
Compute = Literal["all", "scores", "nothing"]
"""What may be computed: fits and scores, scores of what is fitted, or nothing."""

PEERS = "coverage-peers"

_OTHERS = (
    "no-effect",
    "heavy-tails",
    "weak-overlap",
    "binary-outcome",
    "clustered",
    "high-dimensional",
)
FULL_CELLS: Mapping[str, Mapping[int, int]] = {
    "gauss": {500: 500, 250: 100, 1000: 100},
    "bimodal": {500: 500, 250: 100, 1000: 100},
    **{design: {500: 100} for design in _OTHERS},
}
"""Draws of the full part by design and number of rows."""

_LEFT_OUT = ("linear",)
"""Designs of cases that the light part asks only by name: easier versions of others."""

LIGHT_SIZES = (250, 500, 1000)


def run_full(
    folder: str | Path,
    designs: Sequence[str] | None = None,
    draws: int | None = None,
    *,
    compute: Compute = "all",
    cases: Sequence[Case] = CASES,
    n_jobs: int = 1,
    any_version: bool = False,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Fit what is not fitted yet, score it, and return the entries.

    Parameters
    ----------
    folder : path
        Where studies live.
    designs : sequence of str, optional
        All of :data:`FULL_CELLS` by default.
    draws : int, optional
        Draws a cell, at most those of :data:`FULL_CELLS`.
    compute : {"all", "scores", "nothing"}
        "scores" takes the fits that are there, "nothing" the scores as well.
    cases : sequence of Case
    n_jobs : int
        Worker processes.
    any_version : bool
        Accept rows that earlier code has made.
    progress : callable

    Raises
    ------
    DataError
        If a design has no cell.
    """
    fitting = fits_study(_full_specs(designs, draws), folder, any_version)
    if compute == "all":
        fitting.run(n_jobs=n_jobs, progress=progress)
    rows = fitting.collect()
    done = rows[rows["status"] == "ok"]
    asked = [case for case in cases if case.sources is SOURCES]
    study = scores_study(done, folder, asked, any_version) if len(done) else None
    found = _entries(study, compute, n_jobs, progress)
    return found[found["case"].isin([case.name for case in asked])]


def run_light(  # noqa: PLR0913 - the plan of a study, all but one with defaults
    folder: str | Path,
    designs: Sequence[str] | None = None,
    draws: int | None = None,
    *,
    sizes: Sequence[int] = LIGHT_SIZES,
    compute: Compute = "all",
    cases: Sequence[Case] = CASES,
    n_jobs: int = 1,
    any_version: bool = False,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Score oracle and light nuisances and return the entries; arguments as in run_full.

    ``sizes`` are the numbers of rows.
    """
    chosen = _known(designs, _designs_of(cases)) or [
        design for design in _designs_of(cases) if design not in _LEFT_OUT
    ]
    study = light_study(chosen, sizes, folder, cases, draws, any_version)
    return _entries(study, compute, n_jobs, progress)


def peers_entries(folder: str | Path, designs: Sequence[str] | None = None) -> pd.DataFrame:
    """Entries of the peers that are on disk, the newest row of each task.

    Raises
    ------
    DataError
        If there are none.
    """
    paths = sorted((Path(folder) / PEERS).glob("*.parquet"), key=lambda p: p.stat().st_mtime_ns)
    newest = {path.name.split("-")[0]: path for path in paths if ".failed" not in path.name}
    rows = [parts.read_row(path) for path in newest.values()]
    rows = [row for row in rows if designs is None or row["design"] in designs]
    if not rows:
        raise DataError(
            f"there are no rows of other libraries in '{folder}'",
            f"rows of the study '{PEERS}'",
            "Run benchmarks/bench_coverage_peers.py first.",
        )
    return from_rows(rows)


def _designs_of(cases: Sequence[Case]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(design for case in cases for design in case.designs))


def _full_specs(designs: Sequence[str] | None, draws: int | None) -> list[dict[str, Any]]:
    cells = [
        (design, n, min(wanted, draws or wanted))
        for design in _known(designs, tuple(FULL_CELLS)) or FULL_CELLS
        for n, wanted in FULL_CELLS[design].items()
    ]
    most = max(wanted for _, _, wanted in cells)
    return [  # cells grow together
        {"design": design, "n": n, "draw": draw}
        for draw in range(most)
        for design, n, wanted in cells
        if draw < wanted
    ]


def _known(designs: Sequence[str] | None, known: Sequence[str]) -> Sequence[str]:
    for design in designs or ():
        if design not in known:
            raise DataError(f"the coverage study has no design '{design}'", ", ".join(known))
    return designs or ()


def _entries(
    study: Study | None, compute: Compute, n_jobs: int, progress: Progress
) -> pd.DataFrame:
    if study is None:
        return from_rows([])
    nothing = compute == "nothing"
    rows = study.collect() if nothing else study.run(n_jobs=n_jobs, progress=progress)
    return from_rows(rows[rows["status"] == "ok"].to_dict("records"))
