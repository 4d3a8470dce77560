"""What did a policy do? From real panels to an answer with its placebos, methods and caveats.

    python experiments/run_policy.py --policy minimum_wage --region US
    python experiments/run_policy.py --policy smoking_tax --region California
    python experiments/run_policy.py --policy texas
    python experiments/run_policy.py --policy basque --data basque.csv
    python experiments/run_policy.py --policy german_reunification --data germany.csv

Prints the question, the verdict, the methods side by side and what to beware of, and writes
``results/POLICY/``: ``report.html``, ``analysis.json``, tables (CSV) and figures (PNG).
"""

import argparse
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from in_words import results_folder, told
from policy_cohorts import cohort_fits
from policy_data import POLICIES, Policy, load

from causal_ddpm.core.errors import DataError
from causal_ddpm.evaluation.panel.analysis import PanelAnalysis, analyse_panel
from causal_ddpm.evaluation.provenance import Source
from causal_ddpm.report import displays, panel_prose
from causal_ddpm.report.method_tables import left_out_frame, methods_frame
from causal_ddpm.report.panel import write_panel_report
from causal_ddpm.report.pictures import write_display


def main(words: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--policy", choices=sorted(POLICIES), required=True)
    options.add_argument("--region", help="where the policy was; asked back if it was elsewhere")
    options.add_argument("--data", type=Path, help="a file of yours instead of a package's data")
    options.add_argument("--out", type=Path, help="folder, results/POLICY by default")
    options.add_argument("--random-state", type=int, default=0)
    args = options.parse_args(words)
    return told(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    policy = POLICIES[args.policy]
    _check_region(policy, args.region)
    folder = results_folder(args.out or Path("results") / args.policy)
    panel, source = load(policy, args.data)
    print(f"{policy.question}\n\n{panel}\n")
    told = Source(source, policy.unit)
    analysis = analyse_panel(panel, source=told, random_state=args.random_state)
    say(policy, analysis)
    write(analysis, folder)
    if len(panel.cohorts) > 1:
        fits = cohort_fits(panel, analysis.effect.by_cohort, args.random_state)
        print(f"Cohort by cohort\n{fits.frame.round(4).to_string(index=False)}\n")
        print(f"{indented(fits.words())}\n")
        fits.frame.to_csv(folder / "cohorts.csv", index=False)
    print(f"Written: {folder}/report.html, analysis.json, tables and figures")


def say(policy: Policy, analysis: PanelAnalysis) -> None:
    """Verdict, methods and caveats on the terminal."""
    print("Verdict")
    for text in panel_prose.verdict(analysis):
        print(indented(text))
    print()
    if analysis.methods is not None:
        print("Methods, one estimand")
        print(textwrap.indent(methods_frame(analysis.methods).to_string(index=False), "  "))
        print(f"{indented(analysis.methods.verdict)}")
        for row in left_out_frame(analysis.methods).to_dict("records"):
            print(indented(f"No answer from {row['Method']}: {row['Why']}."))
        print()
    if policy.references:
        print("Published")
        for label, value in policy.references.items():
            print(f"  {value:9.4g}  {label}")
        print()
    print("Beware")
    for text in [*policy.caveats, *panel_prose.warnings(analysis)]:
        print(indented(text, "- "))
    print()


def write(analysis: PanelAnalysis, folder: Path) -> None:
    """The report, the record as JSON, tables and figures."""
    write_panel_report(analysis, folder / "report.html")
    (folder / "analysis.json").write_text(analysis.to_json(), encoding="utf-8")
    for name, display in pictures(analysis).items():
        display.frame().to_csv(folder / f"{name}.csv", index=False)
        write_display(display, folder / f"{name}.png")


def pictures(analysis: PanelAnalysis) -> Mapping[str, displays.Display]:
    """The figures worth a file of their own."""
    effect, outcome = analysis.effect, analysis.outcome_label
    shown: dict[str, displays.Display] = {
        "treatment": displays.TreatmentMapDisplay.of(analysis.panel),
        "means": displays.CohortMeansDisplay.of(analysis.panel, outcome),
        "path": displays.CounterfactualPathDisplay.of(effect, outcome),
        "event_study": displays.EventStudyDisplay.of(effect.event_study, outcome, effect.level),
        "gaps": displays.GapDisplay.of(effect, outcome),
        "placebos": displays.PlaceboDistributionDisplay.of(effect.placebo),
        "coverage": displays.PlaceboCoverageDisplay.of(effect.placebo),
    }
    if analysis.methods is not None:
        shown["methods"] = displays.MethodForestDisplay.of(analysis.methods, outcome)
    if "donors" in analysis.diagnostics:
        found = analysis.diagnostics["donors"]
        shown["donors"] = displays.DonorDisplay.of(found)
        shown["without"] = displays.LeaveOneOutDisplay.of(found, effect, outcome)
    if "honest_did" in analysis.diagnostics:
        shown["robust"] = displays.HonestDisplay.of(analysis.diagnostics["honest_did"], outcome)
    return shown


def _check_region(policy: Policy, region: str | None) -> None:
    if region is not None and region.casefold() != policy.region.casefold():
        raise DataError(f"the region is '{region}'", f"'{policy.region}', where this policy was")


def indented(text: str, bullet: str = "") -> str:
    """A paragraph that fits a terminal."""
    return textwrap.fill(
        text, 96, initial_indent=f"  {bullet}", subsequent_indent="  " + " " * len(bullet)
    )


if __name__ == "__main__":
    sys.exit(main())
