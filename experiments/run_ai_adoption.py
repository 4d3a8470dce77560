"""What does adopting AI do? Firms, industries or regions of yours, or a labelled simulation.

    python experiments/run_ai_adoption.py --data data/economic/ai_adoption.csv
    python experiments/run_ai_adoption.py --data firms.csv --treatment uses_ai --outcome sales \
        --confounders size,sector,rd --groups sector
    python experiments/run_ai_adoption.py --parts panel --panel states.csv --unit state \
        --period year --adopted first_year --panel-outcome output

Parts: ``firms`` (a cross-section: effects on average and by group, other methods, hidden
confounding, refutations), ``panel`` (adoption dates), and where the folder of real data is found
``metr`` (a randomised trial), ``eu`` and ``states`` (descriptions). Prints question, verdict and
what to beware of, and writes ``results/ai_adoption/``: ``report.html``, tables and figures. The two
default files are simulated where they are missing, and everything made from them says so; columns
that a file of yours needs are in ``data/economic/README.md``.
"""

import argparse
import sys
import warnings
from pathlib import Path

import ai_adoption_data as files
from ai_adoption_parts import Part, say, write, write_page
from in_words import results_folder, told

from causal_ddpm.cli.arguments import column_names
from causal_ddpm.core.errors import CausalDDPMWarning, DataError

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "ai"
PARTS = ["firms", "panel", "metr", "eu", "states"]


def main(words: list[str] | None = None) -> int:
    args = options().parse_args(words)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalDDPMWarning)  # said in the parts
        return told(lambda: run(args))


def options() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = found.add_argument
    add("--data", type=Path, help=f"cross-section; {files.FIRMS} by default")
    add("--treatment", default="ai_adoption", help="column of 0/1")
    add("--outcome", default="productivity")
    add("--confounders", default="industry,industry_size,rd_intensity,education")
    add("--groups", help="confounders whose groups get effects of their own; industry by default")
    add("--id", default="firm_id", help="column that names the rows, for --network")
    add("--clusters", help="column whose equal values mark dependent rows")
    add("--weights", help="column of sampling weights")
    add("--network", type=Path, help="file of links: two columns of names, perhaps a weight")
    add("--outcome-unit", help="for labels: 'dollars'")
    add("--panel", type=Path, help=f"panel; {files.PANEL} by default, beside simulated firms")
    add("--unit", default="firm_id")
    add("--period", default="quarter")
    add("--adopted", default="adoption_quarter", help="column of the first period with AI")
    add("--panel-outcome", help="that of --outcome by default")
    add("--panel-clusters", help="column whose equal values mark dependent units")
    add("--real", type=Path, help="folder of real AI data; found beside the project by default")
    add("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}; all by default")
    add("--out", type=Path, default=Path("results/ai_adoption"))
    add("--quick", action="store_true", help="fewer methods and checks")
    add("--random-state", type=int, default=0)
    add("--n-jobs", type=int, default=1, help="worker processes")
    return found


def run(args: argparse.Namespace) -> None:
    """Load and check everything, then one study after the other; the page grows with them."""
    wanted = column_names(args.parts)
    unknown = [name for name in wanted if name not in PARTS]
    if unknown or not wanted:
        raise DataError(f"the parts are '{args.parts}'", f"some of {', '.join(PARTS)}")
    results_folder(args.out)
    work = planned(args, wanted)
    if not work:
        raise DataError("there is nothing to study", "data for one of the parts", "See --help.")
    parts: list[Part] = []
    for study in work:
        part = study()
        parts.append(part)
        say(part)
        write(part, args.out)
        write_page(parts, facts(args), args.out / "report.html")
    print(f"\nWritten: {args.out}/report.html, tables (CSV) and figures (PNG)")


def planned(args: argparse.Namespace, wanted: list[str]) -> list:
    """The studies whose data are there, ready to run; input is read and checked first."""
    work, simulated = [], False
    if "firms" in wanted:
        rows = files.table(args.data or files.FIRMS, args.outcome_unit, args.random_state)
        simulated = rows.truth is not None
        data = files.firms(rows, args)
        links = None if args.network is None else files.network(args.network, rows, args)
        announce(rows)
        from ai_adoption_firms import study as cross_section

        work.append(lambda: cross_section(data, rows, args, links))
    if "panel" in wanted and (args.panel or simulated or "firms" not in wanted):
        dated = files.table(args.panel or files.PANEL, args.outcome_unit, args.random_state)
        panel = files.panel(dated, args)
        announce(dated)
        from ai_adoption_dates import study as adoption_dates

        work.append(lambda: adoption_dates(panel, dated, args))
    elif "panel" in wanted:
        print("No panel of adoption dates: give one with --panel FILE.")
    return work + real_studies(args, wanted)


def real_studies(args: argparse.Namespace, wanted: list[str]) -> list:
    """The studies on real data whose files are there."""
    from ai_adoption_real import FILES, STUDIES

    names = [name for name in STUDIES if name in wanted]
    folder = args.real or REAL
    if args.real is not None and not args.real.is_dir():
        raise DataError(f"there is no folder '{args.real}'", "a folder with the real AI data")
    there = [name for name in names if (folder / FILES[name]).is_file()]
    for name in names:
        if name not in there:
            print(f"Real data of part '{name}' are left out: no {FILES[name]} in {folder}.")
    return [lambda name=name: STUDIES[name](folder, args) for name in there]


def announce(rows: files.Table) -> None:
    """What is being read; loud where it is simulated."""
    if rows.truth is None:
        print(f"Reading {rows.source.name}: {len(rows.frame):,} rows")
    else:
        print(f"SIMULATED DATA: {rows.source.name}, {len(rows.frame):,} rows. They show how the "
              "methods work; they are no evidence on AI.")  # fmt: skip


def facts(args: argparse.Namespace) -> list[tuple[str, str]]:
    """How the page was made."""
    return [
        ("Command", "python experiments/run_ai_adoption.py " + " ".join(sys.argv[1:])),
        ("Seed", str(args.random_state)),
        ("Mode", "quick: fewer methods and checks" if args.quick else "default"),
    ]


if __name__ == "__main__":
    sys.exit(main())
