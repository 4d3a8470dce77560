"""A report as one HTML file that needs nothing else: styles, figures and tables are inside it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from causal_ddpm.core.files import write_text
from causal_ddpm.evaluation.analysis import Analysis
from causal_ddpm.report import displays, prose, style, tables

_WIDTH = 7.4
"""Width of a figure in inches; the page scales it to the column."""


def write_report(analysis: Analysis, path: str | Path) -> Path:
    """Write a self-contained HTML report.

    Parameters
    ----------
    analysis : Analysis
    path : str or Path
        Where the file goes; it appears only when it is complete.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If the folder does not exist or cannot be written to.
    """
    return write_text(path, render(analysis))


def render(analysis: Analysis) -> str:
    """The page as text."""
    return fill("report.html.j2", _content(analysis))


def fill(template: str, content: Mapping[str, Any]) -> str:
    """A page from a template of this package and its content; texts are escaped, styles inside."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("causal_ddpm.report"), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True,
    )  # fmt: skip
    folder = resources.files("causal_ddpm.report") / "templates"
    css = (folder / "report.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(css=safe(css), **content)


def _content(analysis: Analysis) -> dict[str, Any]:
    effect, naive = analysis.headline, analysis.naive
    places = prose.decimals(effect.std_error)
    truth = None if analysis.truth is None else analysis.truth.population.get(effect.estimand)
    return {
        "title": f"Effect of {analysis.data.treatment_name} on {analysis.data.outcome_name}",
        "treatment": analysis.data.treatment_name,
        "outcome": analysis.data.outcome_name,
        "lede": prose.lede(analysis),
        "headline": {
            "label": prose.full_name(effect.estimand),
            "value": prose.number(effect.value, places),
            "interval": prose.interval(*effect.interval(analysis.level), analysis.level, places),
            "references": [
                (r.label, prose.number(r.value, places), prose.number(r.std_error, places))
                for r in analysis.source.references
            ],
            "truth": None if truth is None else prose.number(truth, places),
        },
        "naive": {
            "value": prose.number(naive.value, places),
            "interval": prose.interval(*naive.interval(analysis.level), analysis.level, places),
        },
        "reading": prose.reading(analysis),
        "simulated": prose.simulated(analysis),
        "warnings": analysis.warnings,
        "design": prose.design(analysis),
        "figures": figures(analysis),
        "estimates_table": safe(tables.estimates_table(analysis).as_raw_html()),
        "assumptions": prose.assumptions(analysis),
        "facts": prose.facts(analysis),
        "provenance": analysis.provenance,
    }


def figures(analysis: Analysis) -> dict[str, Any]:
    """Every figure of the report as inline SVG with its caption; None where there is none."""
    n_effects, n_balance = len(analysis.mean_effects) + 1, min(20, len(analysis.balance.frame()))
    wanted: dict[str, tuple[displays.Display | None, float]] = {
        "effect": (displays.EffectDisplay.of(analysis), 0.8 + 0.5 * n_effects),
        "overlap": (displays.OverlapDisplay.of(analysis), 3.3),
        "balance": (displays.BalanceDisplay.of(analysis), 1.0 + 0.29 * n_balance),
        "distributions": (displays.DistributionsDisplay.of(analysis), 3.7),
        "quantiles": (displays.QuantileDisplay.of(analysis), 3.0),
        "units": (displays.UnitEffectsDisplay.of(analysis), 3.0),
        "coupling": (_coupling(analysis), 3.8),
    }
    captions = prose.captions(analysis)
    return {
        name: None
        if display is None
        else {"svg": safe(svg(display, name, captions[name], height)), "caption": captions[name]}
        for name, (display, height) in wanted.items()
    }


def _coupling(analysis: Analysis) -> displays.Display | None:
    return None if analysis.joint is None else displays.CouplingDisplay.of(analysis.joint)


def svg(display: displays.Display, name: str, description: str, height: float) -> str:
    """A display as an inline SVG element whose ids start with ``name``."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with style.look():
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        FigureCanvasSVG(figure)
        display.plot(figure.add_subplot())
        figure.savefig(
            buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
    return _inline(buffer.getvalue(), name, description)


def _inline(text: str, name: str, description: str) -> str:
    """Drop the XML prologue and fixed size, make ids unique on the page, add a description."""
    body = text[text.index("<svg") :]
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", body)
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    from markupsafe import escape

    return body.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1)


def safe(text: str) -> Any:
    """Mark text that this package made, and escaped, as ready for the page."""
    from markupsafe import Markup

    return Markup(text)
