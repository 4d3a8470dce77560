"""``causal-ddpm compare``: one effect by every method that can answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from causal_ddpm.cli import options
from causal_ddpm.cli.arguments import check_level, checked_outputs, column_names
from causal_ddpm.cli.progress import quiet_progress
from causal_ddpm.cli.read import read_table
from causal_ddpm.cli.terminal import console, print_frame, warn
from causal_ddpm.cli.written import write_asked
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import estimand_in_words

if TYPE_CHECKING:
    from causal_ddpm.evaluation.comparison import Comparison

METHODS = (
    "diffusion, difference, ols, interacted, matching, full-matching, ipw, plr, irm, dr-learner, "
    "causal-forest, s-learner, t-learner, x-learner, 2sls, liml, iivm"
)


def compare(  # noqa: PLR0913 - a command's options are its arguments
    file: options.DataFile,
    treatment: Annotated[
        str,
        typer.Option(
            help="Column with 1 (treated) and 0 (untreated), or a dose.", show_default=False
        ),
    ],
    outcome: options.Outcome,
    confounders: options.Confounders,
    estimand: Annotated[
        str,
        typer.Option(
            help="ate, att, atu; late with an instrument; arm:B/A for arms; slope:12 for a dose, "
            "its effect at 12."
        ),
    ] = "ate",
    methods: Annotated[
        str | None,
        typer.Option(help=f"Separated by commas: {METHODS}.", show_default="all that can answer"),
    ] = None,
    benchmark: Annotated[
        float | None,
        typer.Option(help="A number that is believed; each method's distance to it is shown."),
    ] = None,
    instrument: Annotated[
        str | None, typer.Option(help="Column of 0/1 that moves the treatment.")
    ] = None,
    treatment_kind: options.KindOfTreatment = options.TreatmentKind.binary,
    weights: options.Weights = None,
    weights_type: options.KindOfWeights = options.WeightsType.sampling,
    clusters: options.Clusters = None,
    unit: options.OutcomeUnit = None,
    level: options.Level = 0.95,
    json: options.Json = None,
    report: options.Report = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Write the forest plot: .svg, .png or .pdf.", show_default=False),
    ] = None,
    random_state: options.RandomState = 0,
    n_jobs: options.Jobs = 1,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Estimate one effect by every method that can answer, side by side.

    Classics (difference in means, regression, matching, weighting, instruments), learners (double
    machine learning, causal forest, meta-learners) and the diffusion law get the same rows. Says
    whether they agree, how far each is from a benchmark, and why the others do not answer. The
    classics need the extra 'classics', the learners the extra 'baselines'.
    """
    outputs = checked_outputs(json, report, file)
    if plot is not None:
        outputs.append(_checked_picture(plot, [file, *outputs]))
    check_level(level)
    asked = estimand_in_words(estimand)
    frame = read_table(file)
    from causal_ddpm.core.data import CausalData

    data = CausalData(
        frame, treatment, outcome, column_names(confounders), weights, clusters,
        weights_type=weights_type.value, treatment_kind=treatment_kind.value,
        instrument=instrument,
    )  # fmt: skip
    asked.check_treatment(data.treatment_schema)
    # Only now the heavy imports: whatever is wrong with the input has been said.
    from causal_ddpm.evaluation.compare import compare as compare_methods
    from causal_ddpm.evaluation.provenance import Source

    with quiet_progress(quiet) as progress:
        found = compare_methods(
            data, asked, None if methods is None else column_names(methods), benchmark,
            random_state=random_state, n_jobs=n_jobs, level=level, source=Source(file.name, unit),
            progress=progress,
        )  # fmt: skip
    _save(found, {"json": json, "report": report, "plot": plot})
    _show(found, outputs)


def _checked_picture(plot: Path, taken: list[Path]) -> Path:
    from causal_ddpm.report.pictures import check_picture

    if plot.resolve() in {path.resolve() for path in taken}:
        raise DataError(f"--plot names '{plot}', which is the data file or another output")
    return check_picture(plot)


def _save(found: "Comparison", paths: dict[str, Any]) -> None:
    """Write the files that were asked for, once the comparison is there."""
    from causal_ddpm.report.comparison import render, write_picture

    write_asked((paths["json"], found.to_json), (paths["report"], lambda: render(found)))
    if paths["plot"] is not None:
        write_picture(found, paths["plot"])


def _show(found: "Comparison", files: list[Path]) -> None:
    """Print the methods, the verdict, who has no answer, and the files; warnings go to stderr."""
    from causal_ddpm.report.method_tables import left_out_frame, methods_frame

    out = console()
    out.print(f"{found.asked}: {found.question.sample}")
    print_frame(out, methods_frame(found), found.level)
    out.print(found.summary())
    for row in left_out_frame(found).to_dict("records"):
        out.print(f"No answer from {row['Method']}: {row['Why']}.")
    for path in files:
        out.print(f"Wrote {path}")
    warn(found.warnings)
