"""The report of a recovery as one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from causal_ddpm import __version__
from causal_ddpm.core.files import write_text
from causal_ddpm.evaluation.recovery.report import Recovery
from causal_ddpm.report import html, tables
from causal_ddpm.report.displays.base import Display
from causal_ddpm.report.displays.recovery import (
    RecoveredCurveDisplay,
    RecoveredNoiseDisplay,
    RecoveredNumbersDisplay,
)

_CAPTIONS = {
    "mean": "The conditional mean of the outcome: lines are the truth, dots the generator, faint "
    "points the draw it learnt from.",
    "median": "The conditional median of the outcome.",
    "propensity": "The probability of treatment given covariates.",
    "effect": "The effect given covariates.",
    "dose": "The mean outcome under each dose.",
    "noise": "The noise of the outcome, apart from where it is centred: shaded is the true law.",
    "effects": "Effects in the generated world: dots with the interval that as many generated "
    "rows as were learnt from would give; diamonds are the truth.",
    "coefficients": "Regression coefficients on generated rows, beside their population values.",
}


def write_recovery(recovery: Recovery, path: str | Path) -> Path:
    """Write a self-contained HTML report; the file appears only when it is complete.

    Raises
    ------
    DataError
        If the folder does not exist or cannot be written to.
    """
    return write_text(path, render(recovery))


def render(recovery: Recovery) -> str:
    """The page as text."""
    return html.fill("recovery.html.j2", _content(recovery))


def verdicts_frame(recovery: Recovery) -> pd.DataFrame:
    """One row a section as texts: Aspect, Verdict, Largest error."""
    rows = []
    for s in recovery.sections:
        error = s.not_assessed or (
            "" if s.ratio is None else f"{s.ratio:.2g} times what is allowed"
        )
        rows.append({"Aspect": s.title, "Verdict": s.verdict, "Largest error": error})
    return pd.DataFrame(rows)


def _content(recovery: Recovery) -> dict[str, Any]:
    verdicts = list(recovery.verdicts.values())
    judged = [v for v in verdicts if v != "not judged"]
    good = sum(v == "recovered" for v in judged)
    return {
        "version": __version__,
        "title": f"{recovery.model} on {recovery.design}",
        "model": recovery.model,
        "design": recovery.design,
        "lede": f"Learnt from {recovery.n:,} rows, read from {recovery.n_generated:,} generated "
        f"ones: {good} of {len(judged)} aspects of the process were recovered as well as a fresh "
        f"draw of {recovery.n:,} rows would show them.",
        "missed": recovery.not_recovered,
        "verdicts": _table(verdicts_frame(recovery), "verdicts"),
        "sections": [_section(recovery, s.name) for s in recovery.sections],
        "figures": _figures(recovery),
        "equations": recovery.equations,
        "facts": [
            ("Design", recovery.design), ("Model", recovery.model),
            ("Seed", str(recovery.seed)), ("Fresh draws", str(recovery.n_replicates)),
            ("CPU seconds", ", ".join(f"{k} {v:.1f}" for k, v in recovery.seconds.items())),
            ("Version", __version__),
        ],
    }  # fmt: skip


def _section(recovery: Recovery, name: str) -> dict[str, Any]:
    section = recovery.section(name)
    table = None
    if section.findings:
        rows = [
            {"Quantity": _capital(f.quantity.rstrip(",")), "Truth": _text(f.truth),
             "Recovered": _text(f.recovered), "Allowed error": _text(f.allowance),
             "Verdict": f.verdict}
            for f in section.findings
        ]  # fmt: skip
        table = _table(pd.DataFrame(rows), f"s-{name}")
    return {
        "title": section.title, "measure": section.measure, "table": table,
        "not_assessed": section.not_assessed,
    }  # fmt: skip


def _figures(recovery: Recovery) -> list[dict[str, Any]]:
    curve = RecoveredCurveDisplay.of
    wanted: dict[str, tuple[Display | None, float]] = {
        "effects": (RecoveredNumbersDisplay.of(recovery), 2.8),
        "mean": (curve(recovery, "mean"), 3.6),
        "median": (curve(recovery, "quantile 0.5"), 3.4),
        "effect": (curve(recovery, "effect"), 3.2),
        "dose": (curve(recovery, "dose response"), 3.2),
        "noise": (RecoveredNoiseDisplay.of(recovery), 3.2),
        "propensity": (curve(recovery, "propensity"), 3.2),
        "coefficients": (RecoveredNumbersDisplay.of(recovery, "coefficients"), 3.8),
    }
    return [
        {"svg": html.safe(html.svg(shown, name, _CAPTIONS[name], height)),
         "caption": _CAPTIONS[name]}
        for name, (shown, height) in wanted.items()
        if shown is not None
    ]  # fmt: skip


def _table(rows: pd.DataFrame, name: str) -> Any:
    return html.safe(tables.page_table(rows, name).as_raw_html())


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
