"""``causal-ddpm dgp recover``: does a generator recover the process of a design."""

import json as json_format
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causal_ddpm.cli import options
from causal_ddpm.cli.progress import quiet_progress
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.files import check_writable, write_text

if TYPE_CHECKING:
    from causal_ddpm.evaluation.recovery.did_record import DIDRecovery


class ModelName(StrEnum):
    """Generators of this package."""

    joint = "joint"
    conditional = "conditional"
    end_to_end = "end-to-end"
    bootstrap = "bootstrap"


def recover_design(  # noqa: PLR0913 - options, and where they came from
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The design, see `dgp list`.", show_default=False)],
    model: Annotated[
        ModelName,
        typer.Option(
            help="joint: one diffusion of whole rows; conditional: covariates, treatment and "
            "outcome in turn; end-to-end: the same without regressions; bootstrap: the rows again."
        ),
    ] = ModelName.joint,
    rows: Annotated[int, typer.Option("--rows", "--n", help="Rows to learn from.", min=100)] = 1000,
    seed: options.RandomState = 0,
    json: Annotated[
        Path | None, typer.Option(help="Write all numbers as JSON.", show_default=False)
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a report as HTML.", show_default=False)
    ] = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Let a generator learn from a draw, and say what it recovered of the process.

    Every aspect is held against the truth: regression coefficients, conditional means and
    quantiles, noise, treatment assignment, counterfactual outcomes, causal effects, distance of
    rows. What a fresh draw of the same size would show is enough. Takes about a CPU-minute.

    For difference-in-differences designs (and `did-historic`, the historic panel) the plain and the
    recommended diffusion of untreated outcomes are reported, once with the units before treatment
    to learn from, once with all untreated cells, and once more where the trend breaks; --model,
    --rows and --report do not apply there.
    """
    for path in (json, report):
        if path is not None:
            check_writable(path)
    from causal_ddpm.evaluation.recovery.api import recover
    from causal_ddpm.evaluation.recovery.did import did_design, recover_did
    from causal_ddpm.evaluation.recovery.report import Recovery

    panel = did_design(name)
    if panel is not None:
        _refuse_for_panels(ctx)
    found: Recovery | DIDRecovery
    with quiet_progress(quiet) as progress:
        if panel is not None:
            found = recover_did(panel, seed, progress=progress)
        else:
            found = recover(name, model.value, rows, seed, progress=progress)
    typer.echo(found.summary())
    if json is not None:
        text = json_format.dumps(found.to_dict(), indent=2, allow_nan=False)
        typer.echo(f"Wrote {write_text(json, text)}")
    if report is not None and isinstance(found, Recovery):
        from causal_ddpm.report.recovery import write_recovery

        typer.echo(f"Wrote {write_recovery(found, report)}")


def _refuse_for_panels(ctx: typer.Context) -> None:
    """Refuse options that a difference-in-differences design has no use for."""
    for name in ("model", "rows", "report"):
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise DataError(
                f"--{name} is given for a difference-in-differences design", "none there",
                "Both models are fitted to the whole panel; --json holds all numbers.",
            )  # fmt: skip
