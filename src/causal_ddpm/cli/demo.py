"""``causal-ddpm demo``: LaLonde's job-training study, with and without its experiment.

The National Supported Work programme was an experiment, so its effect on the participants'
earnings in 1978 is known up to sampling error. LaLonde (1986) and Dehejia and Wahba (1999) replaced
the experimental control group by people from a population survey (CPS): can a method that sees only
those recover the experimental answer?
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from causal_ddpm.cli import options
from causal_ddpm.cli.progress import quiet_progress
from causal_ddpm.core.errors import DataError, MissingDependencyError
from causal_ddpm.core.estimand import ATT
from causal_ddpm.core.files import check_writable

if TYPE_CHECKING:
    import pandas as pd

    from causal_ddpm.evaluation.analysis import Analysis

CONFOUNDERS = ("age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75")
PUBLISHED = {
    "experimental benchmark": 1794.34,
    "its standard error (HC2)": 671.00,
    "naive difference": -8497.52,
}
FOLDER = Path("results/demo")


def demo(
    report: Annotated[
        Path | None,
        typer.Option(
            help="HTML report.",
            show_default=str(FOLDER / "report.html"),
        ),
    ] = None,
    random_state: options.RandomState = 0,
    n_jobs: options.Jobs = 1,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Re-estimate the effect of job training without its experimental control group.

    Takes a minute or two; needs no network. Compares the experimental benchmark, the naive
    difference and the diffusion estimate, and writes a report.
    """
    if report is not None:
        check_writable(report)
    frames = load()
    benchmark, naive = published_numbers(*frames)
    if report is None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        report = check_writable(FOLDER / "report.html")
    from causal_ddpm.cli.output import save, show

    analysis = _analyse(frames, benchmark, random_state, n_jobs, quiet)
    save(analysis, report.with_suffix(".json"), report)
    show(analysis, [report, report.with_suffix(".json")])
    _conclude(analysis, benchmark, naive)


def load() -> "tuple[pd.DataFrame, pd.DataFrame]":
    """The experiment (NSW) and the survey controls (CPS), from an installed package.

    Raises
    ------
    MissingDependencyError
        If ``causaldata`` is not installed.
    """
    try:
        from causaldata import cps_mixtape, nsw_mixtape
    except ImportError:
        raise MissingDependencyError("causaldata", "data") from None
    return nsw_mixtape.load_pandas().data, cps_mixtape.load_pandas().data


def published_numbers(
    experiment: "pd.DataFrame", survey: "pd.DataFrame"
) -> tuple[tuple[float, float], float]:
    """The experimental benchmark with its HC2 standard error, and the naive difference.

    With one binary regressor HC2 is sqrt(s1^2/n1 + s0^2/n0).

    Raises
    ------
    DataError
        If they are not the published numbers: these would then be other data.
    """
    treated = experiment.loc[experiment["treat"] == 1, "re78"]
    control = experiment.loc[experiment["treat"] == 0, "re78"]
    value = float(treated.mean() - control.mean())
    std_error = float((treated.var() / len(treated) + control.var() / len(control)) ** 0.5)
    naive = float(treated.mean() - survey["re78"].mean())
    for (name, expected), found in zip(PUBLISHED.items(), (value, std_error, naive), strict=True):
        if abs(found - expected) > 0.01:
            raise DataError(
                f"the {name} in the installed causaldata is {found:.2f}",
                f"the published {expected:.2f}",
                "Install causaldata 0.1.5 or newer.",
            )
    return (value, std_error), naive


def _analyse(
    frames: "tuple[pd.DataFrame, pd.DataFrame]",
    benchmark: tuple[float, float],
    random_state: int,
    n_jobs: int,
    quiet: bool,
) -> "Analysis":
    import pandas as pd

    from causal_ddpm.core.data import CausalData
    from causal_ddpm.evaluation.analysis import AnalysisSettings, analyse
    from causal_ddpm.evaluation.provenance import Reference, Source

    experiment, survey = frames
    rows = pd.concat([experiment[experiment["treat"] == 1], survey], ignore_index=True)
    data = CausalData(rows, treatment="treat", outcome="re78", confounders=CONFOUNDERS)
    source = Source(
        "LaLonde's treated (nsw_mixtape) with CPS controls (cps_mixtape), from causaldata",
        unit="1982 dollars",
        references=(Reference("Experimental benchmark", *benchmark),),
    )
    settings = AnalysisSettings(random_state=random_state)
    with quiet_progress(quiet) as progress:
        return analyse(data, [ATT()], settings, source, n_jobs=n_jobs, progress=progress)


def _conclude(analysis: "Analysis", benchmark: tuple[float, float], naive: float) -> None:
    from causal_ddpm.report import prose

    effect: Any = analysis.headline
    low, high = effect.interval()
    inside = "contains" if low <= benchmark[0] <= high else "does not contain"
    value, std_error = (prose.number(x, 0) for x in benchmark)
    typer.echo(
        f"\nExperimental benchmark  {value} (SE {std_error})\n"
        f"Naive difference        {prose.number(naive, 0)}\n"
        f"Diffusion ATT           {prose.number(effect.value, 0)} "
        f"({prose.interval(low, high, analysis.level, 0)})\n"
        f"The interval {inside} the experimental benchmark."
    )
