"""Methods side by side: tables for the terminal, one HTML page, one picture."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.files import check_writable, draft_of, write_text
from causal_ddpm.evaluation.comparison import Comparison
from causal_ddpm.report import displays, prose, style
from causal_ddpm.report.html import fill
from causal_ddpm.report.sections import Section, figure, table

PICTURES = (".svg", ".png", ".pdf")
_WIDTH = 7.4


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
        "lede": f"{comparison.estimand} ({q.population}); {q.sample}. {comparison.summary()}",
        "version": p.version,
        "simulated": None,
        "warnings": comparison.warnings,
        "sections": _sections(comparison),
        "assumptions": [
            f"{row.title}: {row.assumes}." for row in comparison.answered
        ],
        "facts": [
            ("Data", f"{p.source}; {q.sample}"),
            ("SHA-256 of the rows used", p.data_hash),
            ("Made", f"{p.created} with causal-ddpm {p.version} on Python {p.python}"),
            ("Time", f"{p.wall_seconds:.0f} s ({p.cpu_seconds:.0f} s of processor time)"),
            ("Seed", str(p.random_state)),
        ],
    }  # fmt: skip
    return fill("sections.html.j2", content)


def methods_frame(comparison: Comparison) -> pd.DataFrame:
    """Every answer as texts; columns Method, Estimate, SE, Interval, [Distance], CPU s."""
    rows = []
    for record in comparison.frame().to_dict("records"):
        places = prose.decimals(record["std_error"])
        low, high = (prose.number(record[end], places) for end in ("ci_low", "ci_high"))
        row = {
            "Method": record["method"] + ("" if record["votes"] else " (no vote)"),
            "Estimate": prose.number(record["value"], places),
            "SE": prose.number(record["std_error"], places),
            "Interval": f"{low} to {high}",
        }
        if comparison.benchmark is not None:
            row["Distance / SE"] = prose.number(record["distance"], 2)
        rows.append(row | {"CPU s": prose.number(record["seconds"], 1)})
    return pd.DataFrame(rows)


def left_out_frame(comparison: Comparison) -> pd.DataFrame:
    """Methods without an answer; columns Method, Why."""
    return pd.DataFrame(list(comparison.left_out.items()), columns=["Method", "Why"])


def check_picture(path: Path) -> Path:
    """The path of a picture that can be written.

    Raises
    ------
    DataError
        If its ending names no format, or the folder cannot be written to.
    """
    if path.suffix.lower() not in PICTURES:
        raise DataError(
            f"the picture '{path.name}' ends in '{path.suffix or 'nothing'}'", ", ".join(PICTURES)
        )
    return check_writable(path)


def write_picture(comparison: Comparison, path: str | Path) -> Path:
    """The forest plot as a file of its own: .svg, .png or .pdf.

    Raises
    ------
    DataError
        As :func:`check_picture`.
    """
    from matplotlib.figure import Figure

    target = check_picture(Path(path))
    display = displays.ComparisonDisplay.of(comparison)
    with style.look(), draft_of(target) as draft:
        drawn = Figure(figsize=(_WIDTH, display.height), layout="constrained")
        display.plot(drawn.add_subplot())
        kind = target.suffix.lower().removeprefix(".")
        drawn.savefig(draft, format=kind, dpi=160, facecolor="white")
    return target


def _sections(comparison: Comparison) -> list[Section]:
    display = displays.ComparisonDisplay.of(comparison)
    level = f"{comparison.level * 100:g} %"
    caption = (
        f"Estimates with {level} intervals; an arrow leaves the axis. The dotted line is the "
        "precision-weighted median of the methods that adjust for something."
    )
    answers = methods_frame(comparison).rename(columns={"Interval": f"{level} interval"})
    sections = [
        Section(
            "What each method says", figures=[figure(display, "methods", display.height, caption)],
            tables=[table(answers, "methods")],
        )
    ]  # fmt: skip
    if comparison.left_out:
        sections.append(
            Section("Without an answer", tables=[table(left_out_frame(comparison), "left-out")])
        )
    return sections
