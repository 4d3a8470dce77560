"""``causal-ddpm simulate``: data whose truth is known, clearly labelled as simulated."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from causal_ddpm.cli import options
from causal_ddpm.core.files import check_writable


class DesignName(StrEnum):
    """Designs that can be written to a file."""

    ai_adoption = "ai-adoption"
    ai_adoption_panel = "ai-adoption-panel"


def simulate(
    design: Annotated[DesignName, typer.Argument(help="Which design.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(help="CSV file to write; FILE.truth.json goes beside it.", show_default=False),
    ],
    n: Annotated[
        int | None,
        typer.Option("--n", help="Number of firms.", min=1, show_default="1000; a panel 120"),
    ] = None,
    random_state: options.RandomState = 0,
    debug: options.Debug = False,
) -> None:
    """Write simulated data as CSV, and what is true of them beside it.

    ai-adoption: firms choose to adopt AI; the choice depends on industry size, R&D and education,
    and so does productivity. ai-adoption-panel: firms adopt AI in different quarters, productive
    firms first; one row a firm and quarter.
    """
    check_writable(out)
    from causal_ddpm.core.truth import truth_path
    from causal_ddpm.dgp import ai_adoption, ai_adoption_panel

    if design is DesignName.ai_adoption:
        rows = len(ai_adoption.write(out, n=1000 if n is None else n, seed=random_state).frame)
    else:
        rows = len(ai_adoption_panel.write(out, n=n, seed=random_state).frame)
    typer.echo(
        f"Wrote {rows:,} simulated rows to {out} and what is true of them to {truth_path(out)}"
    )
