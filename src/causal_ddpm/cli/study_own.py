"""``causal-ddpm study own``: which estimator to trust on data like yours."""

import json as json_format
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from causal_ddpm.cli import options
from causal_ddpm.cli.arguments import column_names
from causal_ddpm.cli.progress import quiet_progress
from causal_ddpm.cli.read import read_table
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.files import check_folder, check_writable, write_text

if TYPE_CHECKING:
    from causal_ddpm.core.data import CausalData
    from causal_ddpm.core.estimand import Estimand
    from causal_ddpm.evaluation.own_study.result import OwnStudy


class Target(StrEnum):
    """Whose average effect."""

    ate = "ate"
    att = "att"
    atu = "atu"


class CovariatesFrom(StrEnum):
    """Where the units of the twin come from."""

    joint = "joint"
    rows = "rows"


def own(  # noqa: PLR0913 - one argument an option
    file: options.DataFile,
    treatment: Annotated[
        str, typer.Option(help="Column with 1 (treated) and 0 (untreated).", show_default=False)
    ],
    outcome: options.Outcome,
    confounders: options.Confounders,
    effect: Annotated[
        str,
        typer.Option(
            help="The truth: a number; an expression of the confounders, such as "
            '"0.5 + 0.2 * (age > 40)" (with and, or, not, where, log, exp, sqrt, abs, minimum, '
            'maximum; texts in quotes, odd names in backticks); or "learnt".'
        ),
    ] = "0",
    overlap: Annotated[
        float,
        typer.Option(help="Selection: 0 an experiment, 1 as in the data, 2 twice its log odds."),
    ] = 1.0,
    estimand: Annotated[Target, typer.Option(help="What is estimated.")] = Target.ate,
    estimators: Annotated[
        str | None,
        typer.Option(
            help="difference, ols, lin, ipw, aipw, diffusion, separated by commas.",
            show_default="all",
        ),
    ] = None,
    draws: Annotated[
        int,
        typer.Option(help="Draws of each quick estimator; diffusion gets a fifth.", min=2),
    ] = 100,
    slow_draws: Annotated[
        int | None,
        typer.Option(help="Draws of diffusion.", min=2, show_default="a fifth, at least 20"),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option("--n", help="Rows of a draw.", min=20, show_default="those of the file"),
    ] = None,
    covariates: Annotated[
        CovariatesFrom,
        typer.Option(help="Generate new units with a diffusion, or take the rows of the file."),
    ] = CovariatesFrom.joint,
    weights: Annotated[
        str | None, typer.Option(help="Column of weights: which population the rows stand for.")
    ] = None,
    folder: Annotated[
        Path, typer.Option(help="The ledger: the twin and finished draws are kept here.")
    ] = Path(".studies"),
    table: Annotated[
        Path | None,
        typer.Option(
            help="Write table and verdict to FILE.md, all draws to FILE.csv.", show_default=False
        ),
    ] = None,
    json: options.Json = None,
    random_state: options.RandomState = 0,
    n_jobs: options.Jobs = 1,
    any_version: Annotated[
        bool, typer.Option("--any-version", help="Accept finished draws of earlier code.")
    ] = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Rank estimators on data like yours, where the truth is known.

    Learns a twin of the file (confounders, who is treated, the outcome without treatment), lets
    you set the effect and the overlap, draws data sets whose truth is therefore known, and counts:
    bias, RMSE, and how often intervals contain the truth, each with its Monte Carlo error. What it
    will cost is said first; stop it whenever you like (Ctrl-C), the next run goes on where this
    one stopped.

    In the twin nothing confounds beyond the confounders named. So the study says which estimator
    copes best with data of this shape; it cannot say whether a confounder is missing.
    """
    outputs = [] if table is None else [table.with_suffix(".md"), table.with_suffix(".csv")]
    for path in [*outputs, *([] if json is None else [json])]:
        check_writable(path)
        if path.resolve() == file.resolve():
            raise DataError(f"the output '{path}' is the data file itself", "another file name")
    check_folder(folder)
    data = _read(file, treatment, outcome, column_names(confounders), weights)
    names = _checked_names(estimators)
    _check_truth(data, effect, overlap)
    # Only now the heavy imports: whatever is wrong with the input has been said.
    from causal_ddpm.evaluation.own_study.estimators import estimators_of
    from causal_ddpm.evaluation.own_study.study import study_own
    from causal_ddpm.evaluation.twin.fit import TwinSettings

    chosen = estimators_of(names)
    with quiet_progress(quiet) as progress:
        found = study_own(
            data, chosen, effect=effect, overlap=overlap, estimand=_estimand(estimand),
            draws=_plan(chosen, draws, slow_draws), n=n, folder=folder,
            settings=TwinSettings(covariates=covariates.value), random_state=random_state,
            n_jobs=n_jobs, any_version=any_version, progress=progress,
            announce=lambda text: typer.echo(text, err=True),
        )  # fmt: skip
    _write(found, table, json)
    _show(found, [*outputs, *([] if json is None else [json])])


def _read(
    file: Path, treatment: str, outcome: str, confounders: list[str], weights: str | None
) -> "CausalData":
    frame = read_table(file)
    from causal_ddpm.core.data import CausalData

    return CausalData(frame, treatment, outcome, confounders, weights=weights)


def _checked_names(text: str | None) -> list[str] | None:
    """Names of shipped estimators; None for all of them."""
    from causal_ddpm.evaluation.own_study.names import check_different, check_shipped

    if text is None:
        return None
    names = [check_shipped(name) for name in column_names(text)]
    check_different(names)
    return names


def _check_truth(data: "CausalData", effect: str, overlap: float) -> None:
    """What the twin would refuse after it was learnt, said before."""
    from causal_ddpm.evaluation.twin.checks import check_fit_for_twin, checked_overlap
    from causal_ddpm.evaluation.twin.effects import LEARNT
    from causal_ddpm.evaluation.twin.expression import evaluate
    from causal_ddpm.evaluation.twin.units import covariates_frame

    check_fit_for_twin(data)
    checked_overlap(overlap)
    if effect.strip() != LEARNT:
        evaluate(effect, covariates_frame(data.covariates))


def _estimand(target: Target) -> "Estimand":
    from causal_ddpm.core.estimand import estimand_in_words

    return estimand_in_words(target.value)


def _plan(chosen: Any, draws: int, slow_draws: int | None) -> Any:
    from causal_ddpm.evaluation.own_study.study import draws_of

    plan = draws_of(chosen, draws)
    slow = [e.name for e in chosen if e.slow]
    return plan if slow_draws is None else {**plan, **dict.fromkeys(slow, slow_draws)}


def _write(found: "OwnStudy", table: Path | None, json: Path | None) -> None:
    if table is not None:
        from causal_ddpm.report.own_study import page

        command = "causal-ddpm " + shlex.join(sys.argv[1:])
        write_text(table.with_suffix(".md"), page(found, command))
        found.rows.to_csv(table.with_suffix(".csv"), index=False)
    if json is not None:
        write_text(json, json_format.dumps(found.to_dict(), indent=2))


def _show(found: "OwnStudy", files: list[Path]) -> None:
    from causal_ddpm.report.own_study import shown

    typer.echo(shown(found).to_string(index=False))
    typer.echo()
    for sentence in found.verdict():
        typer.echo(sentence)
    for path in files:
        typer.echo(f"Wrote {path}")
