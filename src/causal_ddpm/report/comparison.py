"""Methods side by side: tables for the terminal, one HTML page, one picture."""

from __future__ import annotations

from pathlib import Path

from causal_ddpm.core.files import check_writable, write_text
from causal_ddpm.evaluation.comparison import Comparison
from causal_ddpm.report.displays import MethodForestDisplay
from causal_ddpm.report.html import fill
from causal_ddpm.report.method_tables import method_sections
from causal_ddpm.report.pictures import write_display

ASSUMPTIONS = (
    "All methods got the same rows and were asked for the same effect.",
    "What carries a method's answer stands beside it; those that adjust for the same confounders "
    "are wrong together where one is missing, whether they agree or not.",
)


def write_comparison_report(comparison: Comparison, path: str | Path) -> Path:
    """Write a self-contained HTML page.

    Raises
    ------
    DataError
        If the folder does not exist or cannot be written to.
    """
    return write_text(check_writable(path), render(comparison))


def render(comparison: Comparison) -> str:
    """The page as text."""
    q, p = comparison.question, comparison.provenance
    content = {
        "title": f"Effect of {q.treatment} on {q.outcome}, by method",
        "kicker": "Methods side by side",
        "lede": f"{comparison.estimand} ({q.population}); {q.sample}.",
        "version": p.version,
        "simulated": None,
        "warnings": comparison.warnings,
        "sections": method_sections(comparison, None, comparison.summary()),
        "assumptions": ASSUMPTIONS,
        "facts": [
            ("Data", f"{p.source}; {q.sample}"),
            ("SHA-256 of the rows used", p.data_hash),
            ("Made", f"{p.created} with causal-ddpm {p.version} on Python {p.python}"),
            ("Time", f"{p.wall_seconds:.0f} s ({p.cpu_seconds:.0f} s of processor time)"),
            ("Seed", str(p.random_state)),
        ],
    }  # fmt: skip
    return fill("sections.html.j2", content)


def write_picture(comparison: Comparison, path: str | Path) -> Path:
    """The forest plot as a file of its own: .svg, .png or .pdf.

    Raises
    ------
    DataError
        As :func:`~causal_ddpm.report.pictures.check_picture`.
    """
    return write_display(MethodForestDisplay.of(comparison), path)
