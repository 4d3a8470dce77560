"""``causal-ddpm estimate`` for a dose with instruments: the structural curve."""

import json as jsonlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causal_ddpm.cli.arguments import check_level, column_names
from causal_ddpm.cli.progress import quiet_progress
from causal_ddpm.cli.read import read_table, truth_beside
from causal_ddpm.cli.written import write_asked
from causal_ddpm.core.errors import DataError

if TYPE_CHECKING:
    from causal_ddpm.core.truth import Truth
    from causal_ddpm.estimators.structural_record import StructuralCurve


@dataclass(frozen=True)
class CurveSettings:
    """How the curve is estimated.

    Parameters
    ----------
    model : PotentialOutcomeModel
        The stack and the diffusion of both stages.
    n_folds : int
    level : float
    random_state, n_jobs : int
    quiet : bool
    """

    model: Any
    n_folds: int
    level: float
    random_state: int
    n_jobs: int
    quiet: bool


def refuse_options(given: Mapping[str, bool]) -> None:
    """Refuse options that a structural curve has no use for.

    Raises
    ------
    DataError
    """
    for option in (name for name, was_given in given.items() if was_given):
        raise DataError(
            f"{option} was asked for", f"no {option} for a dose with --instrument",
            "A structural curve gives its slope, sets, --json and --report.",
        )  # fmt: skip


def estimate_curve(
    file: Path,
    roles: Mapping[str, Any],
    settings: CurveSettings,
    unit: str | None,
    json: Path | None,
    report: Path | None,
) -> None:
    """Print the curve's summary, write everything as JSON, and a page with its picture."""
    check_level(settings.level)
    frame, truth = read_table(file), truth_beside(file)
    from causal_ddpm.core.instrument_data import InstrumentData

    data = InstrumentData(
        frame,
        roles["treatment"],
        roles["outcome"],
        column_names(roles["instrument"]),
        roles["confounders"],
        weights=roles["weights"],
        clusters=roles["clusters"],
    )
    from causal_ddpm.estimators.structural import structural_curve
    from causal_ddpm.evaluation.provenance import Source
    from causal_ddpm.report.structural import render

    with quiet_progress(settings.quiet) as progress:
        found = structural_curve(
            data, model=settings.model, n_folds=settings.n_folds, level=settings.level,
            random_state=settings.random_state, n_jobs=settings.n_jobs, progress=progress,
        )  # fmt: skip
    source = Source(file.name, unit, truth)
    write_asked(
        (json, lambda: jsonlib.dumps(found.to_dict(), indent=2)),
        (report, lambda: render(found, source)),
    )
    _show(found, truth, [path for path in (json, report) if path is not None])


def _show(found: "StructuralCurve", truth: "Truth | None", files: list[Path]) -> None:
    """Print the summary, the curve and the files; warnings go to stderr."""
    from causal_ddpm.cli.terminal import console, print_frame, warn
    from causal_ddpm.report.prose import from_simulator

    out, origin = console(), from_simulator(truth)
    if origin is not None:
        out.print(f"SIMULATED DATA. {origin}\n", style="green")
    out.print(found.summary(warnings=False))
    print_frame(out, found.curve.iloc[::7].map(_shown))
    for path in files:
        out.print(f"Wrote {path}")
    warn(found.warnings)


def _shown(cell: object) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
