"""What a finished analysis leaves behind: a table on the terminal, files on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from causal_ddpm.core.files import write_text
from causal_ddpm.evaluation.analysis import Analysis
from causal_ddpm.report import html, prose, tables

if TYPE_CHECKING:
    from rich.console import Console

    from causal_ddpm.core.data import CausalData
    from causal_ddpm.evaluation.answers import Answers


def save(analysis: "Analysis | Answers", json: Path | None, report: Path | None) -> None:
    """Write the files that were asked for, once both are made."""
    drafts = {}
    if json is not None:
        drafts[json] = analysis.to_json()
    if report is not None:
        assert isinstance(analysis, Analysis)
        drafts[report] = html.render(analysis)
    for path, text in drafts.items():
        write_text(path, text)


def show(analysis: "Analysis | Answers", files: Sequence[Path] = ()) -> None:
    """Print the estimates and the files; warnings go to stderr."""
    from rich.console import Console

    out = Console(highlight=False, markup=False, soft_wrap=True)
    banner = prose.simulated(analysis)
    if banner is not None:
        out.print(f"SIMULATED DATA. {banner}\n", style="green")
    data = analysis.data
    out.print(f"Effect of {data.treatment_name} on {analysis.outcome_label}: {_rows(data)}")
    _print_table(out, analysis)
    if isinstance(analysis, Analysis) and analysis.joint is not None:
        out.print(f"{prose.units_bounded(analysis.joint)}\n")
    first, seconds = analysis.estimates[0], analysis.provenance.wall_seconds
    out.print(f"{first.method}; {first.details['n_folds']} folds; {seconds:.1f} s")
    for path in files:
        out.print(f"Wrote {path}")
    warn = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    for text in analysis.warnings:
        warn.print(f"Warning: {text}", style="yellow")


def _rows(data: "CausalData") -> str:
    """The rows in words."""
    if data.treatment_schema.kind != "binary":
        return f"{data.n:,} rows"
    n1 = int(data.treatment.sum())
    return f"{n1:,} treated, {data.n - n1:,} untreated rows"


def _print_table(out: "Console", analysis: "Analysis | Answers") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    frame = (
        tables.estimates_frame(analysis)
        if isinstance(analysis, Analysis)
        else tables.answers_frame(analysis)
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in frame.columns:
        label = f"{analysis.level * 100:g} % interval" if name == "Interval" else name
        table.add_column(label, justify="left" if name == "Estimand" else "right", no_wrap=True)
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(str(cell)) for cell in row))
    out.print(table)
