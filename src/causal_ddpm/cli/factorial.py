"""``causal-ddpm factorial``: effects of several two-level factors, from a data file."""

import json as json_library
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causal_ddpm.cli import options
from causal_ddpm.cli.arguments import checked_outputs, column_names
from causal_ddpm.cli.read import read_table, truth_beside
from causal_ddpm.cli.terminal import console, print_frame, warn
from causal_ddpm.cli.written import write_asked
from causal_ddpm.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from causal_ddpm.evaluation.factorial import FactorialAnalysis


class CodingName(StrEnum):
    """How effects are read: average over the assignment, 0/1 coefficients, -1/+1 coefficients."""

    ame = "ame"
    zero_one = "01"
    effects = "effects"


def factorial(  # noqa: PLR0913 - a command's options are its arguments
    file: options.DataFile,
    factors: Annotated[
        str,
        typer.Option(help="Columns with two values each, separated by commas.", show_default=False),
    ],
    outcome: Annotated[
        str,
        typer.Option(
            help="Numeric column, or COLUMN=VALUE: 1 where it holds that value.", show_default=False
        ),
    ],
    order: Annotated[
        int | None,
        typer.Option(
            help="Largest order of interactions.", show_default="2, or what the runs allow"
        ),
    ] = None,
    probability: Annotated[
        str,
        typer.Option(help="Assignment probability of the level coded 1; one, or one a factor."),
    ] = "0.5",
    coding: Annotated[
        CodingName,
        typer.Option(
            help="ame: average marginal effects; 01: 0/1 coefficients; effects: -1/+1 coefficients."
        ),
    ] = CodingName.ame,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="ols, scores (known assignment) or law; repeat it for several.", show_default="ols"
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="Level coded 0, as FACTOR=VALUE; by default the first in sorted order."),
    ] = None,
    covariates: Annotated[
        str, typer.Option(help="Columns measured before assignment, for methods that use them.")
    ] = "",
    clusters: options.Clusters = None,
    weights: Annotated[str | None, typer.Option(help="Column of sampling weights.")] = None,
    level: options.Level = 0.95,
    json: options.Json = None,
    report: options.Report = None,
    random_state: options.RandomState = 0,
    debug: options.Debug = False,
) -> None:
    """Estimate main effects and interactions of two-level factors, from a data file.

    Says what the runs confound, and judges unreplicated runs by Lenth's margins.
    """
    outputs = checked_outputs(json, report, file)
    frame, outcome = _with_outcome(read_table(file), outcome)
    from causal_ddpm.core.factorial_data import FactorialData

    data = FactorialData(
        frame, column_names(factors), outcome, _probability(probability), clusters,
        _baseline(frame, baseline or []), column_names(covariates), weights,
    )  # fmt: skip
    # Only now the heavy imports: whatever is wrong with the input has been said.
    from causal_ddpm.evaluation.factorial import analyse_factorial
    from causal_ddpm.evaluation.provenance import Source
    from causal_ddpm.report.factorial import render

    analysis = analyse_factorial(
        data, method or ["ols"], order, coding.value, level, random_state,
        Source(file.name, truth=truth_beside(file)),
    )  # fmt: skip
    write_asked((json, analysis.to_json), (report, lambda: render(analysis)))
    _show(analysis, outputs)


def _show(analysis: "FactorialAnalysis", files: list[Path]) -> None:
    """Print design, effects and files; warnings go to stderr."""
    from causal_ddpm.core.coding import MEANING
    from causal_ddpm.report.factorial import effects_frame, lenth_frame

    out = console()
    out.print("\n".join([*analysis.data.in_words(), *analysis.aliases.in_words()]))
    if analysis.fits:
        out.print(f"\n{MEANING[analysis.coding].capitalize()} on {analysis.outcome_label}:")
        print_frame(out, effects_frame(analysis), analysis.level)
        for name, fit in analysis.fits.items():
            out.print(f"{name}: {fit.method}; {analysis.data.n:,} rows")
    _show_law(out, analysis)
    if analysis.lenth is not None:
        out.print("\nOne row a cell: which effects stand out?")
        print_frame(out, lenth_frame(analysis))
        out.print("\n".join(analysis.lenth.in_words()))
    for path in files:
        out.print(f"Wrote {path}")
    warn(analysis.warnings)


def _show_law(out: "Console", analysis: "FactorialAnalysis") -> None:
    if analysis.law is not None:
        out.print("\nWhat the diffusion law of every cell predicts:")
        print_frame(out, analysis.law.coefficients(analysis.order, analysis.coding).round(4))


def _with_outcome(frame: "pd.DataFrame", outcome: str) -> "tuple[pd.DataFrame, str]":
    """The frame with an indicator of COLUMN=VALUE, where that is what the outcome names."""
    name, mark, value = outcome.partition("=")
    if outcome in frame or not mark or name not in frame:
        return frame, outcome
    is_value = frame[name].astype(str) == value
    if not is_value.any():
        raise DataError(f"no row has {name} = {value}", "a value of the column", column=name)
    return frame.assign(**{outcome: is_value.where(frame[name].notna())}), outcome


def _probability(text: str) -> float | list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise DataError(
            f"--probability is '{text}'", "a number, or one a factor: 0.5,0.3"
        ) from None
    return values[0] if len(values) == 1 else values


def _baseline(frame: "pd.DataFrame", given: list[str]) -> dict[str, object]:
    """Baselines as values of their columns: numbers and true/false as such, texts as texts."""
    chosen: dict[str, object] = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not mark:
            raise DataError(f"--baseline is '{text}'", "FACTOR=VALUE, such as --baseline sex=male")
        found = frame[name].tolist() if name in frame else []
        chosen[name] = next((v for v in found if str(v) == value), _as_written(value))
    return chosen


def _as_written(value: str) -> object:
    try:
        return json_library.loads(value)
    except ValueError:
        return value
