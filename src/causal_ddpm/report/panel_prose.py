"""Findings on a panel in words: question, verdict, design, captions, assumptions, provenance."""

from __future__ import annotations

import re

import numpy as np

from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.panel_words import treatment_in_words
from causal_ddpm.estimators.panel.effect import PanelEffect, PlaceboRecord
from causal_ddpm.evaluation.method_table import MethodTable
from causal_ddpm.evaluation.panel.analysis import PanelAnalysis
from causal_ddpm.evaluation.panel.diagnose import TITLES
from causal_ddpm.report.displays.panel_path import treated_words
from causal_ddpm.report.prose import MINUS, decimals, from_simulator, interval, listed, number

PLAIN_NAMES = {"", "treated", "treatment", "treat", "policy", "d", "w", "post"}
"""Columns of treated cells whose names say nothing about the treatment."""
HONEST = 0.95
"""Level of the robust intervals."""
FEW_PLACEBOS = 50
"""With fewer placebos the band of whole paths has been seen to hold less often than it claims."""
TOLERATED = 2.6
"""Standard errors that measured coverage may lie below its claim before the page warns."""


def question(panel: PanelData) -> tuple[str, str]:
    """Treatment and outcome, as the question asks for them."""
    name = panel.treated_name or ""
    return ("the treatment" if name.lower() in PLAIN_NAMES else name), panel.outcome_name


def lede(panel: PanelData) -> str:
    """The panel and its treatment in two sentences."""
    n, t = panel.shape
    return (
        f"{n:,} units ({panel.unit_name}) over {t:,} periods ({panel.period_name} "
        f"{panel.periods[0]} to {panel.periods[-1]}). {_sentence(treatment_in_words(panel))}"
    )


def verdict(analysis: PanelAnalysis) -> list[str]:
    """What was found, how unusual it is among placebos, and whether the band can be trusted."""
    effect = analysis.effect
    found = [_finding(effect), f"{_unusual(effect)} {coverage_words(effect.placebo)}"]
    return found if analysis.methods is None else [*found, _beside(analysis.methods)]


def _beside(methods: MethodTable) -> str:
    """How far apart the methods lie."""
    values = methods.values
    places = decimals(methods.typical_width / 4)
    low, middle, high = (number(f(values), places) for f in (np.min, np.median, np.max))
    flag = {True: "; they agree, by the rule below", False: "; they do not agree (see below)"}
    return (
        f"{len(values)} methods put the same effect between {low} and {high} (median {middle})"
        f"{'' if methods.agree is None else flag[methods.agree]}."
    )


def _finding(effect: PanelEffect) -> str:
    low, high = effect.att.interval(effect.level)
    places = decimals((high - low) / 4)
    if low <= 0 <= high:
        return (
            "The interval contains zero: these data do not settle whether treatment raised or "
            f"lowered {effect.outcome}. The best guess is {number(effect.att.value, places)}."
        )
    verb = "raised" if effect.att.value > 0 else "lowered"
    return (
        f"If the assumptions below hold, treatment {verb} {effect.outcome} by about "
        f"{number(abs(effect.att.value), places)} on average over the treated periods of "
        f"{treated_words(effect)}."
    )


def _unusual(effect: PanelEffect) -> str:
    """The rank among placebos; for many treated units, whose average has clusters, none."""
    placebo = effect.placebo
    if effect.inference == "clusters":
        return (
            f"The interval is clustered; {placebo.n_placebos:,} placebo paths judge the bands of "
            "single units."
        )
    among = f"Among {placebo.n_placebos:,} placebo paths, where treatment is only pretended,"
    p, floor = f"{placebo.p_value:.2g}", f"{placebo.p_value_floor:.2g}"
    if placebo.p_value <= placebo.p_value_floor * (1 + 1e-9):
        return (
            f"{among} none shows as large a gap: p-value {p}, the smallest that so many can give."
        )
    return f"{among} the gap ranks at a p-value of {p} (none below {floor} is possible)."


def coverage_words(placebo: PlaceboRecord) -> str:
    """Whether the band holds on the panel's own placebos."""
    measured = (
        f"the {placebo.level:.0%} band held {placebo.coverage:.0%} of their cells (standard error "
        f"{placebo.coverage_error:.1%})"
    )
    gap = placebo.coverage - placebo.level
    if gap < -TOLERATED * placebo.coverage_error:
        return (
            f"On these placebos {measured}: less than it claims, so read the bands as too narrow."
        )
    if gap > TOLERATED * placebo.coverage_error:
        return f"On these placebos {measured}: more than it claims, so the bands are cautious."
    return f"On these placebos {measured}, as it should."


def warnings(analysis: PanelAnalysis) -> list[str]:
    """What to worry about before using the number."""
    effect, placebo = analysis.effect, analysis.effect.placebo
    found = [_sentence(typeset(item.words)) for item in analysis.diagnostics["cautions"].items]
    if placebo.coverage < placebo.level - TOLERATED * placebo.coverage_error:
        found.append(coverage_words(placebo))
    if _rank_and_interval_differ(effect):
        found.append(
            f"The {effect.level:.0%} interval excludes zero and the placebo rank (p-value "
            f"{placebo.p_value:.2g}) does not: the rank divides each gap by the fit before "
            "treatment. Claim no more than both carry."
        )
    if placebo.p_value_floor > 1 - effect.level:
        found.append(
            f"With {placebo.n_placebos} placebos no p-value below {placebo.p_value_floor:.2g} is "
            "possible, whatever the effect."
        )
    return list(dict.fromkeys([*found, *effect.att.warnings, *map(_sentence, analysis.notes)]))


def _rank_and_interval_differ(effect: PanelEffect) -> bool:
    """Whether the interval of few treated units excludes zero where their rank could too."""
    low, high = effect.att.interval(effect.level)
    alpha = 1 - effect.level
    unusual = effect.placebo.p_value <= alpha + 1e-9
    could = effect.placebo.p_value_floor <= alpha + 1e-9
    return effect.inference == "placebos" and could and not unusual and not low <= 0 <= high


def design(analysis: PanelAnalysis) -> list[tuple[str, str]]:
    """The design card: question, comparison, method, inference."""
    panel, effect = analysis.panel, analysis.effect
    card = [
        ("Treatment", _sentence(treatment_in_words(panel))),
        ("Outcome", analysis.outcome_label),
        ("Asked", "Average effect on the treated: observed less untreated outcome, mean over all "
         "treated cells (ATT)"),
        ("Compared with", _comparison(panel)),
        ("Untreated path", f"{effect.base.name}. {_sentence(effect.base.why)}"),
        ("Its errors", _sentence(effect.law)),
        ("Intervals", _inference(analysis)),
    ]  # fmt: skip
    if panel.covariate_names:
        card.insert(4, ("Held equal", listed(panel.covariate_names, 20)))
    if panel.weights_name is not None:
        card.insert(2, ("Weights", panel.weights_name))
    return card


def _comparison(panel: PanelData) -> str:
    never = int(panel.is_control.sum())
    later = int((~panel.is_control).sum()) if len(panel.cohorts) > 1 else 0
    words = [f"{never:,} units that are never treated"] if never else []
    if later:
        words.append("units treated later, until they are")
    return " and ".join(words)


def _inference(analysis: PanelAnalysis) -> str:
    effect, panel = analysis.effect, analysis.panel
    level = f"{effect.level * 100:g} %"
    if effect.inference == "placebos":
        return f"{level}, calibrated on {effect.placebo.n_placebos:,} placebos of this panel"
    groups = (
        f"{panel.unit_name} ({panel.shape[0]:,})"
        if panel.clusters is None
        else f"{panel.clusters_name} ({len(np.unique(panel.clusters)):,})"
    )
    return (
        f"{level}, clustered by {groups}; the bands of paths are calibrated on "
        f"{effect.placebo.n_placebos:,} placebos"
    )


def captions(analysis: PanelAnalysis) -> dict[str, str]:
    """What each figure shows and how to read it."""
    effect, placebo = analysis.effect, analysis.effect.placebo
    level, unit = f"{effect.level * 100:g} %", analysis.outcome_label
    return {
        "map": "Every cell of the panel, the units treated first on top.",
        "means": f"Raw means of {unit} by first treated period, a dot where treatment starts; no "
        "model is behind them. Parallel lines before the dots are what comparisons over time need.",
        "path": f"{_path_words(effect)} Root mean squared gap before treatment: "
        f"{effect.pre_fit_error:.3g}.",
        "events": f"Effects by periods since treatment began: lines hold with {level} one by one, "
        "shaded bars all at once. Before treatment nothing should be found; what is found there "
        f"shows how far untreated paths stray. {_uniform_words(effect)}",
        "gaps": "The same gap between observed and predicted for the treated and for controls that "
        "are treated as if they had been. A real effect leaves the grey bundle after the start, "
        "and not before.",
        "distribution": "How much worse the prediction becomes after (pretended) treatment. "
        f"p = (1 + placebos at least as extreme) / (1 + {placebo.n_placebos:,}).",
        "donors": "The donors that weigh most: how far the average untreated path would rise if a "
        "donor's outcome were one unit higher in the treated periods.",
        "without": "The average effect without each donor, for those that move it most.",
        "honest": f"The average effect and {100 * HONEST:g} % intervals when trends may part after "
        "treatment by steps up to a multiple of the largest step seen before it.",
        "coverage": f"How often the {placebo.level:.0%} band held what placebos really did, by "
        "periods since the pretended start; each placebo's own errors had no part in its band.",
    }  # fmt: skip


def _uniform_words(effect: PanelEffect) -> str:
    """What the band that should hold all at once held where nothing happened."""
    placebo = effect.placebo
    held = (
        f"{placebo.uniform_coverage:.0%} of {placebo.n_placebos:,} placebo paths as a whole, "
        f"standard error {placebo.uniform_coverage_error:.1%}"
    )
    if effect.inference == "clusters":
        return (
            "The shaded bars come from clustered errors; the band of single units, which is "
            f"calibrated on placebos, held {held}."
        )
    text = f"The band of all at once held {held}; it claims {placebo.level:.0%}."
    if placebo.uniform_coverage < placebo.level - TOLERATED * placebo.uniform_coverage_error:
        return f"{text} Read it as too narrow."
    if placebo.n_placebos < FEW_PLACEBOS:
        return f"{text} With so few placebos it tends to hold less often than it claims."
    return text


def _path_words(effect: PanelEffect) -> str:
    """How to read the path: in calendar time, or by event time where cohorts differ."""
    level = f"{effect.level * 100:g} %"
    if len(effect.by_cohort) > 1:
        return (
            "What was observed, and what would have been untreated, by periods since treatment, "
            "every unit measured from its own mean before it. Later periods rest on the cohorts "
            f"treated first. The darker band holds with {level} point by point, the paler all at "
            "once."
        )
    levels = [f"{100 * float(v):g} %" for v in sorted(effect.fan["level"].unique())]
    return (
        "What was observed, and the path the treated would have taken untreated. Shades hold "
        f"{listed(levels)} of its distribution period by period, the palest holds the whole path "
        f"at once in {level} of panels."
    )


def assumptions(analysis: PanelAnalysis) -> list[str]:
    """What carries the result, in plain words."""
    effect, panel = analysis.effect, analysis.panel
    who = treated_words(effect)
    errors = (
        "Errors of treated and control units are of one kind once divided by their scales, so that "
        "bands and p-values carry over from placebos to the treated."
        if effect.inference == "placebos"
        else f"{panel.clusters_name or panel.unit_name} clusters are independent of each other."
    )
    return [
        f"Untreated, {who} would have moved as the base ({effect.base.name}) reads off the "
        "controls, up to errors like those of controls that are hidden in the same way. Placebos "
        "check this on controls; no data can check it on the treated.",
        f"Controls are untouched: treatment of some leaves {analysis.panel.outcome_name} of the "
        "others alone.",
        "Nothing else that matters happened to the treated alone when treatment began.",
        "Nobody acted ahead of it: outcomes before the first treated period are untreated ones.",
        _sentence(errors),
    ]


def facts(analysis: PanelAnalysis) -> list[tuple[str, str]]:
    """Provenance, line by line."""
    p = analysis.provenance
    libraries = ", ".join(f"{name} {version}" for name, version in p.versions.items())
    settings = "; ".join(f"{name.replace('_', ' ')}: {v}" for name, v in p.settings.items())
    cells = int(analysis.panel.observed.sum())
    return [
        ("Data", f"{p.source}; {cells:,} cells; "
         + ("simulated" if analysis.truth is not None else "not marked as simulated")),
        ("SHA-256 of the panel", p.data_hash),
        ("Made", f"{p.created} with causal-ddpm {p.version} on Python {p.python}"),
        ("Libraries", libraries),
        ("Settings", f"{settings}; seed: {p.random_state}"),
        ("Time", f"{p.wall_seconds:.1f} s on the clock, {p.cpu_seconds:.1f} s of processor"),
    ]  # fmt: skip


def headline(effect: PanelEffect) -> dict[str, str]:
    """The number and its interval."""
    low, high = effect.att.interval(effect.level)
    places = decimals((high - low) / 4)
    return {
        "label": "Average effect on the treated (ATT)",
        "value": number(effect.att.value, places),
        "interval": interval(low, high, effect.level, places),
    }


def measured(placebo: PlaceboRecord) -> dict[str, str]:
    """The coverage of the band on placebos, beside the headline."""
    return {
        "label": f"Measured on {placebo.n_placebos:,} placebos of this panel",
        "value": f"{100 * placebo.coverage:.0f} %",
        "claim": f"of {placebo.n_cells:,} cells inside a band that claims {100 * placebo.level:g} %"
        f" (standard error {100 * placebo.coverage_error:.1f})",
    }


def simulated(analysis: PanelAnalysis) -> str | None:
    """What a reader of simulated data must know; None for data from the world."""
    return from_simulator(analysis.truth, "This panel comes")


def findings(analysis: PanelAnalysis, *names: str) -> list[str]:
    """What diagnostics found, in their words; nothing of those that do not apply."""
    parts = analysis.diagnostics
    return [_sentence(typeset(parts[name].words)) for name in names if name in parts]


def not_asked(analysis: PanelAnalysis) -> list[str]:
    """Diagnostics that have no meaning here, and why, one text a reason."""
    titles: dict[str, list[str]] = {}
    for name, reason in analysis.diagnostics.left_out.items():
        titles.setdefault(reason, []).append(TITLES[name])
    return [
        f"{'; '.join(names)}: not asked. {_sentence(typeset(reason))}"
        for reason, names in titles.items()
    ]


def typeset(text: str) -> str:
    """Words of a record with true minus signs."""
    return re.sub(r"(?<![\w.])-(?=\.?\d)", MINUS, text)


def _sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."
