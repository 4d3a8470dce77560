"""The report of a factorial experiment, and its tables for the terminal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from causal_ddpm.core.coding import MEANING, all_cells
from causal_ddpm.core.files import write_text
from causal_ddpm.estimators.factorial import MAX_LISTED_CELLS
from causal_ddpm.evaluation.factorial import FactorialAnalysis
from causal_ddpm.report import displays, prose
from causal_ddpm.report.displays.factorial import interactions_to_show
from causal_ddpm.report.html import fill
from causal_ddpm.report.sections import Section, figure, table

_LISTED_CELLS = 32
_SMALLEST_P = 0.0001


def write_factorial_report(analysis: FactorialAnalysis, path: str | Path) -> Path:
    """Write a self-contained HTML report of a factorial experiment.

    Raises
    ------
    DataError
        If the folder does not exist or cannot be written to.
    """
    return write_text(path, render(analysis))


def render(analysis: FactorialAnalysis) -> str:
    """The page as text."""
    data, p = analysis.data, analysis.provenance
    content = {
        "title": f"What moves {data.outcome_name}?",
        "kicker": "Factorial experiment",
        "lede": f"{data.n:,} rows of {data.k} factors: {prose.listed(data.factors)}.",
        "version": p.version,
        "simulated": prose.from_simulator(analysis.truth),
        "warnings": analysis.warnings,
        "sections": _sections(analysis),
        "assumptions": analysis.assumptions,
        "facts": [
            ("Data", f"{p.source}; {data.n:,} rows"),
            ("SHA-256 of the rows used", p.data_hash),
            ("Made", f"{p.created} with causal-ddpm {p.version} on Python {p.python}"),
            ("Settings", "; ".join(f"{name}: {value}" for name, value in p.settings.items())),
            ("Seed", str(p.random_state)),
        ],
    }
    return fill("sections.html.j2", content)


def effects_frame(analysis: FactorialAnalysis) -> pd.DataFrame:
    """Effects as texts; columns Effect, Method, Estimate, SE, Interval, p, adj. p.

    The column Truth is added for simulated data, Method left out where there is one method.
    """
    truth = {} if analysis.truth is None else analysis.truth.population
    ending = " [0/1]" if analysis.coding == "01" else ""
    rows = []
    for record in analysis.effect_records():
        places = prose.decimals(record["std_error"])
        true = truth.get(f"{record['label']}{ending}")
        rows.append(
            {
                "Effect": record["label"],
                "Method": record["method"],
                "Estimate": prose.number(record["value"], places),
                "SE": prose.number(record["std_error"], places),
                "Interval": f"{prose.number(record['ci_low'], places)} to "
                f"{prose.number(record['ci_high'], places)}",
                "p": _p_value(record["p_value"]),
                "adj. p": _p_value(record["p_adjusted"]),
                "Truth": "" if true is None else prose.number(true, places),
            }
        )
    table = pd.DataFrame(rows)
    left_out = [] if truth and analysis.coding != "effects" else ["Truth"]
    return table.drop(columns=left_out + (["Method"] if len(analysis.fits) < 2 else []))


def cells_frame(analysis: FactorialAnalysis) -> pd.DataFrame:
    """Cell means as texts: the levels of the factors, rows run, and a mean for each method."""
    data = analysis.data
    means: dict[str, list[str]] = {}
    for name, fit in analysis.fits.items():
        estimate = fit.cell_means()
        low, high = (np.atleast_1d(end) for end in estimate.interval(analysis.level))
        places = [prose.decimals(s) for s in np.atleast_1d(estimate.std_error)]
        means[f"Mean by {name}"] = [
            f"{prose.number(v, d)} ({prose.number(a, d)} to {prose.number(b, d)})"
            for v, a, b, d in zip(estimate.values, low, high, places, strict=True)
        ]
    cells = all_cells(data.k)
    levels = {
        name: [str(data.levels[j][c]) for c in cells[:, j]] for j, name in enumerate(data.factors)
    }
    counts = np.bincount(data.cell_of_row, minlength=len(cells))
    return pd.DataFrame({**levels, "Rows": [f"{c:,}" for c in counts], **means})


def alias_frame(analysis: FactorialAnalysis) -> pd.DataFrame:
    """Chains of confounded effects as texts, one row a chain."""
    return pd.DataFrame({"Confounded effects": analysis.aliases.chain_labels()})


def lenth_frame(analysis: FactorialAnalysis) -> pd.DataFrame:
    """Effects of unreplicated runs as texts, the largest first; columns Effect, Size, ..."""
    if analysis.lenth is None:
        return pd.DataFrame(columns=["Effect", "Estimate", "Effect / PSE", "Beyond"])
    rows = analysis.lenth.frame().iloc[::-1]
    places = prose.decimals(analysis.lenth.pse)
    return pd.DataFrame(
        {
            "Effect": rows["term"],
            "Estimate": [prose.number(v, places) for v in rows["effect"]],
            "Effect / PSE": [prose.number(v, 2) for v in rows["statistic"]],
            "Beyond": rows["beyond"],
        }
    )


def _sections(analysis: FactorialAnalysis) -> list[Section]:
    sections = [_design(analysis)]
    if analysis.fits:
        sections += [_effects(analysis), _means(analysis)]
    if analysis.lenth is not None:
        sections.append(_lenth(analysis))
    return sections


def _design(analysis: FactorialAnalysis) -> Section:
    tables = [table(alias_frame(analysis), "aliases")] if analysis.aliases.chains else []
    return Section(
        "The design",
        [f"{words}." for words in analysis.data.in_words()]
        + [text for text in analysis.aliases.in_words() if not text.startswith("Confounded up")],
        tables=tables,
    )


def _effects(analysis: FactorialAnalysis) -> Section:
    truth = {} if analysis.truth is None else dict(analysis.truth.population)
    display = displays.FactorialEffectsDisplay.of(
        dict(analysis.estimates),
        analysis.outcome_label,
        analysis.level,
        truth if analysis.coding == "ame" else None,
    )
    n = len(display.rows)
    picture = figure(
        display, "effects", 1.2 + 0.27 * min(n, 60),
        f"Effects with {analysis.level:.0%} intervals: thick lines one by one, thin lines all at "
        "once.",
    )  # fmt: skip
    return Section(
        "Effects",
        [f"Shown are {MEANING[analysis.coding]}. Adjusted p-values bound the probability of any "
         "false claim among the effects of a method (Romano and Wolf 2005)."],
        [picture],
        [table(effects_frame(analysis), "effects")],
    )  # fmt: skip


def _means(analysis: FactorialAnalysis) -> Section:
    name, fit = next(iter(analysis.fits.items()))
    averaged = "averaged over the assignment of all other factors"
    grid = displays.FactorGridDisplay.of(fit, analysis.level)
    figures = [
        figure(
            grid, "main", 3.4, f"Mean outcome at the levels of each factor, {averaged} ({name})."
        )
    ]
    for i, (factor, by) in enumerate(interactions_to_show(fit)):
        display = displays.InteractionDisplay.of(fit, factor, by, analysis.level)
        caption = f"{factor} at the levels of {by}, {averaged}: parallel lines mean no interaction."
        figures.append(figure(display, f"pair{i}", 3.0, caption))
    few = 2**analysis.data.k <= min(_LISTED_CELLS, MAX_LISTED_CELLS)
    tables = [table(cells_frame(analysis), "cells")] if few else []
    return Section("Means", figures=figures, tables=tables)


def _lenth(analysis: FactorialAnalysis) -> Section:
    assert analysis.lenth is not None
    picture = figure(
        displays.HalfNormalDisplay.of(analysis.lenth), "halfnormal", 3.8,
        "Half-normal plot: effects that are noise lie along the line, those beyond ME or SME "
        "stand out.",
    )  # fmt: skip
    tables = [table(lenth_frame(analysis), "lenth")]
    return Section("Which effects stand out", analysis.lenth.in_words(), [picture], tables)


def _p_value(p: float) -> str:
    return f"< {_SMALLEST_P:g}" if p < _SMALLEST_P else f"{p:.2g}"
