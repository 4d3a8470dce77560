"""What an analysis of a panel leaves behind: words and tables on the terminal, files on disk."""

from collections.abc import Sequence
from pathlib import Path

from causal_ddpm.cli.terminal import console, print_frame, warn
from causal_ddpm.cli.written import write_asked
from causal_ddpm.evaluation.panel.analysis import PanelAnalysis
from causal_ddpm.evaluation.panel.diagnose import TITLES
from causal_ddpm.report import panel as page, panel_prose
from causal_ddpm.report.method_tables import left_out_frame, methods_frame
from causal_ddpm.report.panel_tables import effects_frame


def save(analysis: PanelAnalysis, json: Path | None, report: Path | None) -> None:
    """Write the files that were asked for."""
    write_asked((json, analysis.to_json), (report, lambda: page.render(analysis)))


def show(analysis: PanelAnalysis, files: Sequence[Path] = ()) -> None:
    """Print treatment, effects, placebos and the files; warnings go to stderr."""
    out, effect = console(), analysis.effect
    banner = panel_prose.simulated(analysis)
    if banner is not None:
        out.print(f"SIMULATED DATA. {banner}\n", style="green")
    treatment, _ = panel_prose.question(analysis.panel)
    out.print(f"Effect of {treatment} on {analysis.outcome_label}")
    out.print(panel_prose.lede(analysis.panel))
    print_frame(out, effects_frame(effect, analysis.truth), analysis.level)
    out.print(f"Placebos: {effect.placebo.sentence()}")
    out.print(f"Base: {effect.base.name}. {effect.base.why}")
    out.print("\n".join(_checks(analysis)))
    if analysis.methods is not None:
        out.print("\nThe ATT by other methods")
        print_frame(out, methods_frame(analysis.methods), analysis.level)
        out.print(analysis.methods.verdict)
        for row in left_out_frame(analysis.methods).to_dict("records"):
            out.print(f"No answer from {row['Method']}: {row['Why']}.")
    out.print(f"\n{effect.method}; {analysis.provenance.wall_seconds:.1f} s")
    for path in files:
        out.print(f"Wrote {path}")
    warn(panel_prose.warnings(analysis))


def _checks(analysis: PanelAnalysis) -> list[str]:
    """Diagnostics, one paragraph each; cautions are told as warnings."""
    found = analysis.diagnostics.parts
    return [f"{TITLES[name]}: {part.words}" for name, part in found.items() if name != "cautions"]
