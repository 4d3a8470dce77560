"""Options that several commands share."""

from typing import Annotated

import typer


def _remember(context: typer.Context, wanted: bool) -> bool:
    if wanted and context.obj is not None:
        context.obj["debug"] = True
    return wanted


Debug = Annotated[
    bool,
    typer.Option(
        "--debug", callback=_remember, is_eager=True, help="Show a traceback when something fails."
    ),
]
RandomState = Annotated[
    int,
    typer.Option(
        "--random-state", min=0, help="Seed of every random draw: same seed, same answer."
    ),
]
Jobs = Annotated[
    int, typer.Option("--n-jobs", help="Worker processes; the answer does not depend on it.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]
