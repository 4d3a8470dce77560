"""``causal-ddpm estimate``: from a data file to effects, JSON and a report."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from causal_ddpm.cli import options
from causal_ddpm.cli.arguments import check_level, checked_outputs, column_names
from causal_ddpm.cli.progress import quiet_progress
from causal_ddpm.cli.read import read_table, truth_beside
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import Estimand, estimand_in_words
from causal_ddpm.core.estimand.words import WORDS

if TYPE_CHECKING:
    from causal_ddpm.core.data import CausalData
    from causal_ddpm.evaluation.analysis import Analysis
    from causal_ddpm.evaluation.answers import Answers


class Location(StrEnum):
    """What the diffusion learns: the residual of a stack of regressions, or the outcome itself."""

    stack = "stack"
    none = "none"


class Accuracy(StrEnum):
    """How much work the stack of regressions does."""

    standard = "standard"
    high = "high"


def estimate(  # noqa: PLR0913 - a command's options are its arguments
    file: options.DataFile,
    treatment: Annotated[
        str,
        typer.Option(
            help="Column with 1 (treated) and 0 (untreated), or what --treatment-kind says.",
            show_default=False,
        ),
    ],
    outcome: options.Outcome,
    confounders: options.Confounders,
    estimand: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What to estimate; repeat the option for several. {', '.join(WORDS)}; some take "
            "settings behind a colon: qte:0.1,0.9 gate:COLUMN share:VALUE arm:B/A dose:1,2,3.",
            show_default="ate and att; arms, dose or late where the design says so",
        ),
    ] = None,
    treatment_kind: options.KindOfTreatment = options.TreatmentKind.binary,
    control: Annotated[
        str | None, typer.Option(help="The arm that others are compared with.")
    ] = None,
    instrument: Annotated[
        str | None,
        typer.Option(
            help="Column of 0/1 that moves the treatment, for late and itt; of any kind for a "
            "dose, whose structural curve is then estimated."
        ),
    ] = None,
    weights: options.Weights = None,
    weights_type: options.KindOfWeights = options.WeightsType.sampling,
    clusters: options.Clusters = None,
    unit_id: Annotated[str | None, typer.Option(help="Column that names the rows.")] = None,
    outcome_kind: Annotated[
        str,
        typer.Option(
            help="continuous, heavy_tailed, binary, count, ordinal; auto recognises it.",
        ),
    ] = "auto",
    unit: options.OutcomeUnit = None,
    folds: Annotated[int, typer.Option(help="Folds of the cross-fitting.", min=2)] = 5,
    repeats: Annotated[
        int, typer.Option(help="Repeats with fresh folds; 3 below 500 rows.", min=1)
    ] = 1,
    level: options.Level = 0.95,
    location: Annotated[
        Location,
        typer.Option(
            help="Diffuse the residual of a stack of regressions, or the outcome itself (none).",
        ),
    ] = Location.stack,
    accuracy: Annotated[
        Accuracy, typer.Option(help="Effort of the stack of regressions.")
    ] = Accuracy.standard,
    joint: Annotated[
        bool,
        typer.Option(
            "--joint", help="Add shares and quantiles of effects on units, which are only bounded."
        ),
    ] = False,
    json: options.Json = None,
    report: options.Report = None,
    random_state: options.RandomState = 0,
    n_jobs: options.Jobs = 1,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Estimate the effect of a treatment on an outcome, from a data file.

    Prints a table of effects with their intervals, beside the naive difference.
    """
    outputs = checked_outputs(json, report, file)
    asked = [estimand_in_words(text) for text in dict.fromkeys(estimand or [])]
    roles = {
        "treatment": treatment,
        "outcome": outcome,
        "confounders": column_names(confounders),
        "weights": weights,
        "weights_type": weights_type.value,
        "clusters": clusters,
        "unit_id": unit_id,
        "outcome_kind": outcome_kind,
        "treatment_kind": treatment_kind.value,
        "control": control,
        "instrument": instrument,
    }
    if instrument is not None and treatment_kind is options.TreatmentKind.dose:
        refused = {"--estimand": bool(asked), "--joint": joint}
        refused |= {"--repeats": repeats > 1, "--unit-id": unit_id is not None}
        curve = (_outcome_model(location, accuracy), folds, level, random_state, n_jobs, quiet)
        return _curve(file, roles, refused, curve, (unit, json, report))
    data = _load(file, roles)
    _check_design(data, asked, folds, level)
    truth = truth_beside(file)
    # Only now the heavy imports: whatever is wrong with the input has been said.
    from causal_ddpm.cli.output import save, show
    from causal_ddpm.evaluation.analysis import AnalysisSettings
    from causal_ddpm.evaluation.provenance import Source

    _check_whole(data, asked, {"--report": report is not None, "--joint": joint})
    settings = AnalysisSettings(
        outcome_model=_outcome_model(location, accuracy),
        n_folds=folds,
        n_repeats=repeats,
        random_state=random_state,
        level=level,
        joint=joint,
    )
    source = Source(file.name, unit, truth)
    analysis = run_analysis(data, asked, settings, source, n_jobs, quiet)
    save(analysis, json, report)
    show(analysis, outputs)


def run_analysis(
    data: "CausalData",
    estimands: list[Estimand],
    settings: Any,
    source: Any,
    n_jobs: int,
    quiet: bool,
) -> "Analysis | Answers":
    """Estimate with a progress bar; warnings are kept in the record and shown with the result.

    Two arms without an instrument get the whole analysis, other designs their estimates.
    """
    from causal_ddpm.evaluation.analysis import analyse
    from causal_ddpm.evaluation.answers import answer, default_estimands, two_arms_suffice

    wanted = estimands or default_estimands(data)
    work = analyse if two_arms_suffice(data, wanted) else answer
    with quiet_progress(quiet) as progress:
        return work(data, wanted, settings, source, n_jobs=n_jobs, progress=progress)


def _curve(
    file: Path,
    roles: dict[str, Any],
    refused: dict[str, bool],
    settings: tuple[Any, ...],
    wanted: tuple[str | None, Path | None, Path | None],
) -> None:
    """The structural curve of a dose with instruments."""
    from causal_ddpm.cli.structural import CurveSettings, estimate_curve, refuse_options

    refused["--outcome-kind"] = roles["outcome_kind"] != "auto"
    refused["--weights-type"] = roles["weights_type"] != "sampling"
    refused["--location"] = settings[0].location != "stack"
    refused["--control"] = roles["control"] is not None
    refuse_options(refused)
    estimate_curve(file, roles, CurveSettings(*settings), *wanted)


def _load(file: Path, roles: dict[str, Any]) -> "CausalData":
    frame = read_table(file)
    from causal_ddpm.core.data import CausalData

    return CausalData(frame, **roles)


def _check_design(data: "CausalData", asked: list[Estimand], folds: int, level: float) -> None:
    """What would be refused later anyway, said before the slow imports."""
    from causal_ddpm.nuisance.folds import draw_folds

    check_level(level)
    for estimand in asked:
        estimand.check_treatment(data.treatment_schema)
    draw_folds(data, folds, 0)


def _check_whole(data: "CausalData", asked: list[Estimand], wanted: dict[str, bool]) -> None:
    """Refuse options of the whole analysis for designs that have none."""
    from causal_ddpm.evaluation.answers import default_estimands, two_arms_suffice

    for option in (name for name, given in wanted.items() if given):
        if not two_arms_suffice(data, asked or default_estimands(data)):
            raise DataError(
                f"{option} was asked for",
                "a treatment of two arms without an instrument",
                "Other designs give a table and --json.",
            )


def _outcome_model(location: Location, accuracy: Accuracy) -> Any:
    from causal_ddpm.nuisance.outcome import PotentialOutcomeModel
    from causal_ddpm.nuisance.stack import LocationStack

    return PotentialOutcomeModel(
        location=location.value, stack=LocationStack(accuracy=accuracy.value)
    )
