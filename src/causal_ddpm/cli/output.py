"""What a finished analysis leaves behind: a table on the terminal, files on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from causal_ddpm.cli.terminal import console, print_frame, warn
from causal_ddpm.cli.written import write_asked
from causal_ddpm.evaluation.analysis import Analysis
from causal_ddpm.report import html, prose, tables

if TYPE_CHECKING:
    import pandas as pd

    from causal_ddpm.core.data import CausalData
    from causal_ddpm.evaluation.answers import Answers


def save(analysis: "Analysis | Answers", json: Path | None, report: Path | None) -> None:
    """Write the files that were asked for; only a whole analysis has a report."""
    write_asked((json, analysis.to_json), (report, lambda: html.render(_whole(analysis))))


def show(analysis: "Analysis | Answers", files: Sequence[Path] = ()) -> None:
    """Print the estimates and the files; warnings go to stderr."""
    out = console()
    banner = prose.simulated(analysis)
    if banner is not None:
        out.print(f"SIMULATED DATA. {banner}\n", style="green")
    data = analysis.data
    out.print(f"Effect of {data.treatment_name} on {analysis.outcome_label}: {_rows(data)}")
    print_frame(out, _table(analysis), analysis.level)
    if isinstance(analysis, Analysis) and analysis.joint is not None:
        out.print(f"{prose.units_bounded(analysis.joint)}\n")
    first, seconds = analysis.estimates[0], analysis.provenance.wall_seconds
    out.print(f"{first.method}; {first.details['n_folds']} folds; {seconds:.1f} s")
    for path in files:
        out.print(f"Wrote {path}")
    warn(analysis.warnings)


def _table(analysis: "Analysis | Answers") -> "pd.DataFrame":
    if isinstance(analysis, Analysis):
        return tables.estimates_frame(analysis)
    return tables.answers_frame(analysis)


def _whole(analysis: "Analysis | Answers") -> Analysis:
    assert isinstance(analysis, Analysis)
    return analysis


def _rows(data: "CausalData") -> str:
    """The rows in words."""
    if data.treatment_schema.kind != "binary":
        return f"{data.n:,} rows"
    n1 = int(data.treatment.sum())
    return f"{n1:,} treated, {data.n - n1:,} untreated rows"
