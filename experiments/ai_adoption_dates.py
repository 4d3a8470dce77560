"""A panel of firms with adoption dates: what AI did since it came, and what it rests on."""

from argparse import Namespace

from ai_adoption_data import Table
from ai_adoption_parts import Part, Picture

from causal_ddpm import PanelAnalysis, PanelData, PanelDiffusion, analyse_panel
from causal_ddpm.evaluation.provenance import Source
from causal_ddpm.report import displays, panel_prose
from causal_ddpm.report.panel_tables import effects_frame

METHODS = ["twfe", "cs", "sun-abraham", "bjs", "sdid"]
QUICK_METHODS = ["twfe", "bjs"]
SPILLOVERS = (
    "Firms that do not adopt are taken not to feel the others' adoption; in one market they do, "
    "and what they lose counts as a gain of the users."
)


def study(panel: PanelData, rows: Table, args: Namespace) -> Part:
    """Everything that is said of a panel of adoption dates."""
    analysis = analysed(panel, rows.source, args)
    return Part(
        "panel",
        f"What has {panel.outcome_name} gained since AI was adopted?",
        [_finding(analysis), *panel_prose.verdict(analysis), *_truth(analysis)],
        [
            "It rests on this: without AI, adopters would have moved like firms that have not "
            "adopted (yet). A firm that adopts when it sees better times ahead breaks it.",
            SPILLOVERS,
            *panel_prose.warnings(analysis),
        ],
        {"effects": effects_frame(analysis.effect, analysis.truth), **_methods(analysis)},
        pictures(analysis),
        rows.truth is not None,
    )


def analysed(panel: PanelData, source: Source, args: Namespace) -> PanelAnalysis:
    """The panel beside methods for staggered adoption; quick without a diffusion of paths."""
    how = PanelDiffusion(diffusion=None) if args.quick else PanelDiffusion()
    methods = QUICK_METHODS if args.quick else METHODS
    return analyse_panel(
        panel, how, methods, source=source, random_state=args.random_state, n_jobs=args.n_jobs
    )


def pictures(analysis: PanelAnalysis) -> dict[str, Picture]:
    """The figures worth a file of their own."""
    effect, outcome, words = analysis.effect, analysis.outcome_label, panel_prose.captions(analysis)
    study = displays.EventStudyDisplay.of(effect.event_study, outcome, effect.level)
    found = {
        "means": Picture(
            displays.CohortMeansDisplay.of(analysis.panel, outcome), 3.6, words["means"]
        ),
        "path": Picture(displays.CounterfactualPathDisplay.of(effect, outcome), 3.9, words["path"]),
        "event_study": Picture(study, 3.5, words["events"]),
    }
    if analysis.methods is not None:
        beside = displays.MethodForestDisplay.of(analysis.methods, outcome)
        found["methods"] = Picture(
            beside, beside.height, "The average effect on treated cells by every method."
        )
    return found


def _finding(analysis: PanelAnalysis) -> str:
    att = analysis.effect.att
    low, high = att.interval(analysis.level)
    return (
        f"Average effect on treated cells: {float(att.value):.3g} ({analysis.level:.0%} interval "
        f"{low:.3g} to {high:.3g}), {analysis.outcome_label}."
    )


def _methods(analysis: PanelAnalysis) -> dict:
    if analysis.methods is None:
        return {}
    own = ["method", "value", "std_error", "ci_low", "ci_high"]
    return {"methods": analysis.methods.frame()[own]}


def _truth(analysis: PanelAnalysis) -> list[str]:
    if analysis.truth is None:
        return []
    return [
        f"The rows are SIMULATED: the true effect on these treated cells is "
        f"{analysis.truth.sample['ATT']:.4g}. Nothing here is evidence on AI."
    ]
