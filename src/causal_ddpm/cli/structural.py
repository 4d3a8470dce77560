"""``causal-ddpm estimate`` for a dose with instruments: the structural curve."""

import json as jsonlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causal_ddpm.cli.arguments import check_level, column_names
from causal_ddpm.cli.progress import quiet_progress
from causal_ddpm.cli.read import read_table
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.files import write_text


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
            f"{option} was asked for", "a dose with --instrument without it",
            "A structural curve gives its slope, sets and --json.",
        )  # fmt: skip


def estimate_curve(
    file: Path, roles: Mapping[str, Any], settings: CurveSettings, json: Path | None
) -> None:
    """Print the curve's summary, and write everything as JSON."""
    check_level(settings.level)
    frame = read_table(file)
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
    from causal_ddpm.cli.terminal import console, print_frame, warn
    from causal_ddpm.estimators.structural import structural_curve

    with quiet_progress(settings.quiet) as progress:
        found = structural_curve(
            data, model=settings.model, n_folds=settings.n_folds, level=settings.level,
            random_state=settings.random_state, n_jobs=settings.n_jobs, progress=progress,
        )  # fmt: skip
    if json is not None:
        write_text(json, jsonlib.dumps(found.to_dict(), indent=2))
    out = console()
    out.print(found.summary(warnings=False))
    print_frame(out, found.curve.iloc[::7].map(_shown))
    if json is not None:
        out.print(f"Wrote {json}")
    warn(found.warnings)


def _shown(cell: object) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
