"""What every benchmark script does: read options, run studies, write tables with provenance."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pandas as pd

from causal_ddpm.evaluation.studies import Spec, Study

RESULTS = Path(__file__).parent / "results"
LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "lightgbm",
    "torch",
    "pandas",
    "stochtree",
    "econml",
    "doubleml",
)


def parser(description: str) -> argparse.ArgumentParser:
    """Options that all benchmarks share."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument(
        "--quick", action="store_true", help="a few tiny tasks, to see that it runs"
    )
    options.add_argument("--n-jobs", type=int, default=2, help="worker processes (default 2)")
    options.add_argument(
        "--studies", type=Path, default=Path(".studies"), help="folder of the ledger"
    )
    options.add_argument(
        "--any-version", action="store_true", help="accept finished rows that older code has made"
    )
    return options


def run(study: Study, n_jobs: int, expected: Callable[[Spec], float]) -> pd.DataFrame:
    """Run a study with progress on stderr.

    Parameters
    ----------
    study : Study
    n_jobs : int
    expected : callable
        Rough CPU seconds of a specification, for the announcement.

    Returns
    -------
    DataFrame
        All rows.

    Raises
    ------
    SystemExit
        If a task failed: a table without its hardest rows would be no table.
    """
    status = study.status()
    minutes = sum(map(expected, study.specs)) / 60 * status.n_pending / status.n_tasks
    _say(
        f"{study.name}: {status.n_done} of {status.n_tasks} rows are there; the others cost about "
        f"{minutes:.1f} CPU-minutes ({minutes / n_jobs:.1f} minutes with n_jobs={n_jobs})"
    )
    table = study.run(n_jobs=n_jobs, progress=_printer())
    failed = table[table["status"] == "failed"]
    if len(failed):
        raise SystemExit(
            f"{len(failed)} of {len(table)} rows failed; no table was written. Run the command "
            f"again to retry them. The first error:\n{failed['error'].iloc[0]}"
        )
    return table


def _printer() -> Callable[[str, float], None]:
    """Progress callback that prints at most one line in five seconds, and the last one."""
    start = shown = time.perf_counter()

    def show(stage: str, share: float) -> None:
        nonlocal shown
        now = time.perf_counter()
        if share == 1 or now - shown > 5:
            shown = now
            _say(f"  {stage} ({now - start:.0f} s)")

    return show


def write(
    name: str,
    title: str,
    rows: pd.DataFrame,
    tables: Sequence[tuple[str, pd.DataFrame]],
    quick: bool,
    studies: Path,
) -> None:
    """Write ``<name>.csv`` (all rows) and ``<name>.md`` (tables and how they were made).

    Quick runs go to the ledger's folder: they are no results.
    """
    folder = studies / "quick-results" if quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / f"{name}.csv", index=False)
    sections = [f"# {title}", *(f"{caption}\n\n{markdown(table)}" for caption, table in tables)]
    text = "\n\n".join([*sections, _provenance(rows)]) + "\n"
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)
    _say(f"Written: {folder / name}.csv and .md")


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown, numbers with three significant digits or more where they are large."""
    cells = [list(map(str, table.columns)), ["---"] * table.shape[1]]
    cells += [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def _cell(value: object) -> str:
    if isinstance(value, float):
        if value != value:
            return ""
        return (
            f"{value:,.0f}"
            if abs(value) >= 1000
            else f"{value:.3g}"
            if abs(value) < 1
            else f"{value:.4g}"
        )
    return str(value)


def _provenance(rows: pd.DataFrame) -> str:
    lines = [
        f"Made by `python {shlex.join([_shown_script(), *sys.argv[1:]])}`",
        f"on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine()}.",
        "Versions: Python " + platform.python_version() + ", " + ", ".join(_versions()) + ".",
        f"CPU seconds of all rows: {rows['cpu_seconds'].sum():,.0f}. Rows made by: "
        + "; ".join(sorted(set(rows["code_version"]))) + ".",
    ]  # fmt: skip
    return "\n".join(lines)


def _shown_script() -> str:
    return f"{Path(sys.argv[0]).resolve().parent.name}/{Path(sys.argv[0]).name}"


def _versions() -> list[str]:
    found = {d.metadata["Name"].lower() for d in metadata.distributions()}
    return [f"{name} {metadata.version(name)}" for name in LIBRARIES if name in found]


def machine() -> str:
    """The machine in words: processor, cores, memory, system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores of {_processor()}, {memory:.0f} GB of memory, {platform.system()}"
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
