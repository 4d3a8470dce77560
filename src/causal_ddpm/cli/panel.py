"""``causal-ddpm panel``: from a long file of units and periods to the effect of a policy."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from causal_ddpm.cli import options
from causal_ddpm.cli.arguments import check_level, checked_outputs, column_names
from causal_ddpm.cli.progress import quiet_progress
from causal_ddpm.cli.read import read_table, truth_beside
from causal_ddpm.core.errors import DataError

if TYPE_CHECKING:
    from causal_ddpm.core.panel_data import PanelData


class Reversals(StrEnum):
    """What to do where treatment ends."""

    refuse = "refuse"
    keep_treated = "keep-treated"
    drop_after = "drop-after"


def panel(  # noqa: PLR0913 - a command's options are its arguments
    file: Annotated[
        Path,
        typer.Argument(
            help="One row a unit and period: .csv, .csv.gz, .parquet or .feather.",
            show_default=False,
        ),
    ],
    unit: Annotated[
        str, typer.Option(help="Column that names the unit: a state.", show_default=False)
    ],
    period: Annotated[
        str,
        typer.Option(
            help="Column of the period: a number, a date, or a text such as 2001Q3.",
            show_default=False,
        ),
    ],
    outcome: options.Outcome,
    treated: Annotated[
        str | None,
        typer.Option(
            help="Column with 1 in cells under treatment, 0 in the others.", show_default=False
        ),
    ] = None,
    cohort: Annotated[
        str | None,
        typer.Option(
            help="Instead of --treated: column with the unit's first treated period; empty, 0 or "
            "inf for never.",
            show_default=False,
        ),
    ] = None,
    covariates: Annotated[
        str,
        typer.Option(
            help="Numeric columns that the treatment does not change, separated by commas.",
            show_default=False,
        ),
    ] = "",
    weights: Annotated[
        str | None, typer.Option(help="Column of weights, one a unit.", show_default=False)
    ] = None,
    clusters: Annotated[
        str | None,
        typer.Option(
            help="Column whose equal values mark dependent units.", show_default="the unit itself"
        ),
    ] = None,
    reversals: Annotated[
        Reversals, typer.Option(help="What to do with units whose treatment ends.")
    ] = Reversals.refuse,
    outcome_unit: options.OutcomeUnit = None,
    level: options.Level = 0.9,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Other methods to show beside ours, separated by commas: sdid,twfe.",
            show_default="all that apply and are installed",
        ),
    ] = None,
    no_peers: Annotated[
        bool, typer.Option("--no-peers", help="Leave the other methods out; this is faster.")
    ] = False,
    json: options.Json = None,
    report: options.Report = None,
    random_state: options.RandomState = 0,
    n_jobs: options.Jobs = 1,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Estimate what a policy did to the units it treated, from a panel of units and periods.

    Prints the treatment in words, effects with intervals calibrated on the panel's own placebos,
    what the placebos measured, and what other methods say.
    """
    outputs = checked_outputs(json, report, file)
    check_level(level)
    peers = _peers(methods, no_peers)
    data = _load(
        file,
        {
            "unit": unit,
            "period": period,
            "outcome": outcome,
            "treated": treated,
            "cohort": cohort,
            "covariates": column_names(covariates),
            "weights": weights,
            "clusters": clusters,
            "reversals": reversals.value.replace("-", "_"),
        },
    )
    truth = truth_beside(file)
    # Only now the heavy imports: whatever is wrong with the input has been said.
    from causal_ddpm.cli.panel_output import save, show
    from causal_ddpm.estimators.panel.diffusion import PanelDiffusion
    from causal_ddpm.evaluation.panel.analysis import analyse_panel
    from causal_ddpm.evaluation.provenance import Source

    source = Source(file.name, outcome_unit, truth)
    with quiet_progress(quiet) as progress:
        analysis = analyse_panel(
            data, PanelDiffusion(level=level), peers, source, random_state, n_jobs, progress
        )
    save(analysis, json, report)
    show(analysis, outputs)


def _peers(methods: str | None, no_peers: bool) -> list[str] | None:
    """Names of the other methods; None for all of them.

    Raises
    ------
    DataError
        If a name is unknown, or methods are asked for and refused at once.
    """
    if methods is None:
        return [] if no_peers else None
    if no_peers:
        raise DataError("--methods and --no-peers are both given", "one of them")
    from causal_ddpm.baselines.panel.registry import panel_baselines

    return [method.name for method in panel_baselines(column_names(methods))]


def _load(file: Path, roles: dict[str, Any]) -> "PanelData":
    frame = read_table(file)
    from causal_ddpm.core.panel_data import PanelData

    return PanelData(frame, **roles)
