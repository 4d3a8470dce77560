"""Options that several commands share: one wording each."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


def _remember(context: typer.Context, wanted: bool) -> bool:
    if wanted and context.obj is not None:
        context.obj["debug"] = True
    return wanted


class WeightsType(StrEnum):
    """What a weight stands for."""

    sampling = "sampling"
    frequency = "frequency"


class TreatmentKind(StrEnum):
    """What the treatment column holds."""

    binary = "binary"
    arms = "arms"
    dose = "dose"


DataFile = Annotated[
    Path, typer.Argument(help="Data: .csv, .csv.gz, .parquet or .feather.", show_default=False)
]
Outcome = Annotated[str, typer.Option(help="Numeric column.", show_default=False)]
Confounders = Annotated[
    str,
    typer.Option(help="Columns fixed before treatment, separated by commas.", show_default=False),
]
KindOfTreatment = Annotated[TreatmentKind, typer.Option(help="What the treatment column holds.")]
Weights = Annotated[str | None, typer.Option(help="Column of weights.")]
KindOfWeights = Annotated[
    WeightsType, typer.Option(help="What a weight stands for: units of a population, or rows.")
]
Clusters = Annotated[
    str | None, typer.Option(help="Column whose equal values mark dependent rows.")
]
OutcomeUnit = Annotated[
    str | None, typer.Option(help="Unit of the outcome, for labels: 'dollars'.")
]
Level = Annotated[float, typer.Option(help="Level of intervals and bands.")]
Json = Annotated[Path | None, typer.Option(help="Write everything as JSON.", show_default=False)]
Report = Annotated[
    Path | None, typer.Option(help="Write a self-contained HTML report.", show_default=False)
]
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
