"""``causal-ddpm simulate``: data whose truth is known, clearly labelled as simulated."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from causal_ddpm.cli.options import Debug, RandomState
from causal_ddpm.core.files import check_writable


class DesignName(StrEnum):
    """Designs that can be written to a file."""

    ai_adoption = "ai-adoption"


def simulate(
    design: Annotated[DesignName, typer.Argument(help="Which design.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(help="CSV file to write; FILE.truth.json goes beside it.", show_default=False),
    ],
    n: Annotated[int, typer.Option("--n", help="Number of rows.", min=1)] = 1000,
    random_state: RandomState = 0,
    debug: Debug = False,
) -> None:
    """Write simulated data as CSV, and what is true of them beside it.

    ai-adoption: firms choose to adopt AI; the choice depends on industry size, R&D and education,
    and so does productivity.
    """
    check_writable(out)
    from causal_ddpm.core.truth import truth_path
    from causal_ddpm.dgp import ai_adoption

    ai_adoption.write(out, n=n, seed=random_state)
    typer.echo(f"Wrote {n:,} simulated rows to {out} and what is true of them to {truth_path(out)}")
