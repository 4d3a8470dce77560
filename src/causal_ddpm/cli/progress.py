"""A progress bar on the terminal, and silence everywhere else."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from causal_ddpm.core.errors import CausalDDPMWarning
from causal_ddpm.core.progress import Progress, silent


@contextmanager
def progress_bar(quiet: bool = False) -> Iterator[Progress]:
    """A callback ``(stage, share)`` that moves a bar on stderr, if stderr is a terminal.

    Parameters
    ----------
    quiet : bool
        Show nothing in any case.
    """
    if quiet or not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress as Bar, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def report(stage: str, share: float) -> None:
            bar.update(task, description=stage, completed=share)

        yield report


@contextmanager
def quiet_progress(quiet: bool = False) -> Iterator[Progress]:
    """A progress bar over work whose warnings are kept in its record and shown with the result."""
    with progress_bar(quiet) as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalDDPMWarning)
        yield progress
