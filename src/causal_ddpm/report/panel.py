"""The report of a panel: one HTML file that answers what a referee asks, in the referee's order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from causal_ddpm.core.files import check_writable, write_text
from causal_ddpm.evaluation.panel.analysis import PanelAnalysis
from causal_ddpm.report import displays, panel_prose, prose
from causal_ddpm.report.html import fill
from causal_ddpm.report.method_tables import method_sections
from causal_ddpm.report.panel_tables import effects_frame
from causal_ddpm.report.sections import Section, figure, table

FEW_TREATED = 3
"""Treated units that can be pointed at among placebos, one by one."""


def write_panel_report(analysis: PanelAnalysis, path: str | Path) -> Path:
    """Write a self-contained HTML report of a panel.

    Raises
    ------
    DataError
        If the folder does not exist or cannot be written to.
    """
    return write_text(check_writable(path), render(analysis))


def render(analysis: PanelAnalysis) -> str:
    """The page as text."""
    treatment, outcome = panel_prose.question(analysis.panel)
    content = {
        "title": f"What did {treatment} do to {outcome}?",
        "kicker": "Panel report",
        "lede": panel_prose.lede(analysis.panel),
        "version": analysis.provenance.version,
        "simulated": panel_prose.simulated(analysis),
        "headline": {**panel_prose.headline(analysis.effect), "references": _references(analysis)},
        "measured": panel_prose.measured(analysis.effect.placebo),
        "verdict": panel_prose.verdict(analysis),
        "warnings": panel_prose.warnings(analysis),
        "sections": sections(analysis),
        "assumptions": panel_prose.assumptions(analysis),
        "facts": panel_prose.facts(analysis),
    }
    return fill("panel.html.j2", content)


def sections(analysis: PanelAnalysis) -> list[Section]:
    """The parts between the verdict and the assumptions."""
    parts = [
        Section("The design", card=panel_prose.design(analysis)), _treatment(analysis),
        _effect(analysis), _events(analysis), _placebos(analysis), _rests_on(analysis),
    ]  # fmt: skip
    if analysis.methods is not None:
        words = panel_prose.typeset(analysis.methods.verdict)
        parts += method_sections(analysis.methods, analysis.outcome_label, words)
    return [*parts, _sensitivity(analysis)]


def bases_frame(analysis: PanelAnalysis) -> pd.DataFrame:
    """Bases in use as texts; columns Base, Error on hidden controls, Std. error, Weight."""
    table = analysis.effect.base.candidates
    rows = table[table["weight"] > 0] if (table["weight"] > 0).any() else table
    texts = [
        {
            "Base": row["candidate"],
            "Error on hidden controls": _text(row["error"]),
            "Std. error": _text(row["std_error"]),
            "Weight": prose.number(row["weight"], 2),
        }
        for row in rows.sort_values("weight", ascending=False).to_dict("records")
    ]
    return pd.DataFrame(texts)


def _text(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3g}"


def quantiles_frame(analysis: PanelAnalysis) -> pd.DataFrame:
    """Effects on quantiles over treated cells as texts; columns Quantile, ..., Interval."""
    rows = []
    for row in analysis.effect.quantiles.to_dict("records"):
        places = prose.decimals((row["high"] - row["low"]) / 4)
        low, high = prose.number(row["low"], places), prose.number(row["high"], places)
        rows.append({
            "Quantile over treated cells": f"{row['quantile']:.0%}",
            "Observed": prose.number(row["observed"], places),
            "Untreated": prose.number(row["counterfactual"], places),
            "Effect": prose.number(row["effect"], places), "Interval": f"{low} to {high}",
        })  # fmt: skip
    return pd.DataFrame(rows)


def _references(analysis: PanelAnalysis) -> list[str]:
    truth = {} if analysis.truth is None else analysis.truth.sample
    found = [f"True effect in the simulation: {truth['ATT']:.4g}"] if "ATT" in truth else []
    for r in analysis.source.references:
        places = prose.decimals(r.std_error)
        value, error = prose.number(r.value, places), prose.number(r.std_error, places)
        found.append(f"{r.label}: {value} (SE {error})")
    return found


def _treatment(analysis: PanelAnalysis) -> Section:
    words = panel_prose.captions(analysis)
    cells = displays.TreatmentMapDisplay.of(analysis.panel)
    means = displays.CohortMeansDisplay.of(analysis.panel, analysis.outcome_label)
    return Section(
        "Who is treated when",
        panel_prose.findings(analysis, "description"),
        figures=[
            figure(cells, "map", cells.height, words["map"]),
            figure(means, "means", 3.5, words["means"]),
        ],
    )


def _effect(analysis: PanelAnalysis) -> Section:
    words = panel_prose.captions(analysis)
    path = displays.CounterfactualPathDisplay.of(analysis.effect, analysis.outcome_label)
    level = {"Interval": f"{analysis.level * 100:g} % interval"}
    rows = effects_frame(analysis.effect, analysis.truth).rename(columns=level)
    quantiles = quantiles_frame(analysis).rename(columns=level)
    return Section(
        "The effect", figures=[figure(path, "path", 3.9, words["path"])],
        tables=[table(rows, "effects"), table(quantiles, "quantiles")],
    )  # fmt: skip


def _events(analysis: PanelAnalysis) -> Section:
    words = panel_prose.captions(analysis)
    study = displays.EventStudyDisplay.of(
        analysis.effect.event_study, analysis.outcome_label, analysis.level
    )
    return Section(
        "By time since treatment", figures=[figure(study, "events", 3.4, words["events"])]
    )


def _placebos(analysis: PanelAnalysis) -> Section:
    words, placebo = panel_prose.captions(analysis), analysis.effect.placebo
    gaps = displays.GapDisplay.of(analysis.effect, analysis.outcome_label)
    shown = [figure(gaps, "gaps", 3.7, words["gaps"])]
    if analysis.effect.n_treated <= FEW_TREATED:
        ranks = displays.PlaceboDistributionDisplay.of(placebo)
        shown.append(figure(ranks, "distribution", 2.6, words["distribution"]))
    coverage = displays.PlaceboCoverageDisplay.of(placebo)
    shown.append(figure(coverage, "coverage", 3.0, words["coverage"]))
    found = panel_prose.findings(analysis, "placebo_in_space", "placebo_in_time")
    return Section("Where there is nothing to find", found, figures=shown)


def _rests_on(analysis: PanelAnalysis) -> Section:
    """The base, its fit before treatment, and the donors behind it."""
    shown = []
    if "donors" in analysis.diagnostics:
        found = displays.DonorDisplay.of(analysis.diagnostics["donors"])
        words = panel_prose.captions(analysis)["donors"]
        shown = [figure(found, "donors", 1.0 + 0.26 * len(found.shown()), words)]
    return Section(
        "What the untreated path rests on",
        panel_prose.findings(analysis, "pre_fit", "donors"), shown,
        [table(bases_frame(analysis), "bases")],
    )  # fmt: skip


def _sensitivity(analysis: PanelAnalysis) -> Section:
    """How the conclusion could be lost."""
    parts, words = analysis.diagnostics, panel_prose.captions(analysis)
    shown, outcome = [], analysis.outcome_label
    if "honest_did" in parts:
        honest = displays.HonestDisplay.of(parts["honest_did"], outcome)
        shown.append(figure(honest, "honest", 3.2, words["honest"]))
    if "donors" in parts:
        without = displays.LeaveOneOutDisplay.of(parts["donors"], analysis.effect, outcome)
        height = 1.0 + 0.26 * min(len(without.rows), 12)
        shown.append(figure(without, "without", height, words["without"]))
    texts = [
        *panel_prose.findings(analysis, "breakdown", "honest_did", "bacon"),
        *panel_prose.not_asked(analysis),
    ]
    return Section("What would overturn it", texts, shown)
