"""Which method comes nearest on data whose effects are known? One list, one run.

    python experiments/run_benchmarks.py --quick
    python experiments/run_benchmarks.py --full --data FOLDER

IHDP, ACIC 2016 and 2017, RealCause LaLonde and Twins, the real LaLonde, and two designs of the
laboratory; this package beside least squares, BART, BCF, X- and DR-learner, causal forest and
double machine learning. The list is fixed in ``benchmarks/semisynthetic.py``. ``--quick`` is a part
of it, about 10 minutes on two cores; ``--full`` takes about an hour of processor time and goes
on where it was stopped. Both share their rows.

Prints question and verdict and writes ``results/benchmarks/``: tables (CSV), pictures, a page.
"""

import argparse
import importlib.util
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from in_words import results_folder, told
from study_page import HeatMap, text_of, texts_of, write_page

from causal_ddpm.core.errors import DataError, MissingDependencyError
from causal_ddpm.evaluation.studies import Study
from causal_ddpm.report.pictures import write_display
from causal_ddpm.report.sections import Section, figure, table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import common  # noqa: E402 - benchmarks are scripts, not a package
import semisynthetic  # noqa: E402
import semisynthetic_study  # noqa: E402
import standings  # noqa: E402
from effect_methods import OURS  # noqa: E402

QUESTION = (
    "Which method comes nearest to the effects of single units, and to their mean, on data whose "
    "effects are known?"
)
NOTES = (
    "The list of data sets and methods was fixed before the run; settings are defaults, but for "
    "the DR-learner, whose propensities are kept above .01 (with its own floor of 1e-6 it was seen "
    "to explode). A method's rank on a draw is averaged within a family of data sets, then over "
    "families.",
    "IHDP and ACIC 2016, settings 1 and 4, had a part in choosing the learners of this package; "
    "the standing without these two families is the cleaner evidence.",
    "RealCause gives noisy effects of rows: sqrt(PEHE) has a floor that no method can pass, about "
    "12.9 thousand dollars on the whole file with PSID controls, 8.9 with CPS controls; the parts "
    "here have floors of their own.",
    "Intervals are for the population; coverage counts the mean effect of the rows at hand.",
)
LIBRARIES = {
    "econml": "baselines",
    "doubleml": "baselines",
    "stochtree": "high",
    "causaldata": "data",
}
DEVELOPED_ON = ("IHDP", "ACIC 2016")


def main(words: list[str] | None = None) -> int:
    args = _options().parse_args(words)
    print(textwrap.fill(QUESTION, 96), "\n")
    return told(lambda: compare(args))


def check(folder: Path | None) -> None:
    """Refuse, before anything is computed, a folder that is not there and missing libraries.

    Raises
    ------
    DataError, MissingDependencyError
    """
    if folder is not None and not folder.is_dir():
        raise DataError(
            f"there is no folder '{folder}'", "one with ihdp/, acic2016/, acic2017/, realcause/",
            "Without --data the folder shared/data beside the project is read, if it is there.",
        )  # fmt: skip
    if folder is not None:
        semisynthetic.use_folder(folder)
    for library, extra in LIBRARIES.items():
        if importlib.util.find_spec(library) is None:
            raise MissingDependencyError(library, extra)


def compare(args: argparse.Namespace) -> int:
    """Run what is missing, say who is nearest and where we lose, write it."""
    check(args.data)
    results_folder(args.out)
    families = [family for family in semisynthetic.FAMILIES if family.there()]
    say_missing(families)
    specs = semisynthetic_study.plan(families, quick=not args.full)
    rows = semisynthetic_study.collect(
        specs, args.studies, args.any_version, lambda study: _rows(study, args)
    )
    if OURS not in set(rows.get("method", ())):
        raise DataError("no row of this package is finished", "some", "Run without --finished.")
    said = verdict(rows)
    print("Verdict")
    for text in said:
        print(textwrap.fill(text, 96, initial_indent="  ", subsequent_indent="  "))
    write(rows, tables_of(rows), said, args)
    print(f"\nWritten: {args.out}/report.html, tables and pictures")
    return 0


def say_missing(families: list[semisynthetic.Family]) -> None:
    """One sentence about data sets that cannot be read."""
    missing = [f for f in semisynthetic.FAMILIES if f not in families]
    if missing:
        names = "; ".join(f"{f.name} ({f.file})" for f in missing)
        text = (
            f"Not there, and left out: {names}, expected in {semisynthetic.folder()}; name another "
            "folder with --data."
        )
        print(textwrap.fill(text, 96, break_on_hyphens=False), "\n")


def counted(rows: pd.DataFrame, score: str) -> list[str]:
    """Families that count in a standing: the laboratory only where nothing else is there."""
    found = set(standings.errors(rows, score).index.get_level_values("family"))
    known = [f.name for f in semisynthetic.FAMILIES if f.name in found]
    return [f for f in known if f != semisynthetic.LABORATORY] or known


def verdict(rows: pd.DataFrame) -> list[str]:
    """Places by mean rank, on all families and on those without a part in development; losses."""
    out = [_place_in_words(rows, score) for score in standings.SCORES]
    lost = standings.losses(rows, "sqrt_pehe", OURS)
    n = standings.errors(rows, "sqrt_pehe").index.droplevel("draw").nunique()
    where = ", ".join(
        f"{r['dataset']} ({standings.TITLES[r['best method']]} {r['its error']:.3g}, ours "
        f"{r['our error']:.3g})"
        for r in lost.head(4).to_dict("records")
    )
    out.append(
        f"sqrt(PEHE) is not the smallest on {len(lost)} of {n} data sets"
        + (f"; most behind on {where}." if where else ".")
    )
    return out


def _place_in_words(rows: pd.DataFrame, score: str) -> str:
    families = counted(rows, score)
    clean = [f for f in families if f not in DEVELOPED_ON]
    ranks = standings.mean_ranks(rows, score, families)
    first = ranks.iloc[0] if ranks["method"].iloc[0] != OURS else ranks.iloc[1]
    own = ranks.loc[ranks["method"] == OURS, "mean rank"].item()
    name = standings.TITLES[first["method"]]
    text = (
        f"{standings.SCORES[score]}: place {standings.place(ranks, OURS)} of {len(ranks)} by mean "
        f"rank over {_counted_words(families)} (ours {own:.2f}, {name} "
        f"{first['mean rank']:.2f})"
    )
    if clean and len(clean) < len(families):
        place = standings.place(standings.mean_ranks(rows, score, clean), OURS)
        text += f"; place {place} on those without a part in development ({'; '.join(clean)})"
    return text + "."


def _counted_words(families: list[str]) -> str:
    return families[0] if len(families) == 1 else f"{len(families)} families of data sets"


def tables_of(rows: pd.DataFrame) -> dict[str, tuple[str, pd.DataFrame]]:
    """Name, caption and table of everything that is written."""
    out = {}
    for score, label in standings.SCORES.items():
        ranks = standings.mean_ranks(rows, score, counted(rows, score))
        out[f"ranks_{score}"] = (f"Mean ranks, {label} (1 is best)", ranks)
    if set(DEVELOPED_ON) <= set(rows["family"]):
        ranks = counted(rows, "sqrt_pehe")
        out["goals"] = ("What was aimed at", standings.goals(rows, OURS, ranks))
    for score, label in standings.SCORES.items():
        out[f"losses_{score}"] = (
            f"Where {label} is not the smallest", standings.losses(rows, score, OURS)
        )  # fmt: skip
    for score, label in standings.SCORES.items():
        out[f"ratios_{score}"] = (
            f"{label}: ours over each other method's, on the same draws (below 1 is better)",
            standings.ratios(rows, score, OURS),
        )
    out["means"] = ("Means over draws", standings.by_family(rows))
    return out


def ratio_map(rows: pd.DataFrame, score: str) -> HeatMap:
    """Every method's error over the smallest of the family, by family."""
    means = standings.errors(rows, score).groupby(level="family").mean().T
    order = standings.mean_ranks(rows, score, counted(rows, score))["method"]
    families = [f.name for f in semisynthetic.FAMILIES if f.name in means]
    means = means.loc[order, families].rename(index=standings.TITLES)
    return HeatMap((np.log2(means / means.min()) / 3).clip(0, 1), means.map(text_of))


def write(
    rows: pd.DataFrame,
    tables: dict[str, tuple[str, pd.DataFrame]],
    said: list[str],
    args: argparse.Namespace,
) -> None:
    """Rows, tables, pictures and the page; with ``--record`` the table of the benchmarks too."""
    args.out.mkdir(parents=True, exist_ok=True)
    rows.to_csv(args.out / "rows.csv", index=False)
    for name, (_, frame) in tables.items():
        frame.to_csv(args.out / f"{name}.csv", index=False)
    maps = {score: ratio_map(rows, score) for score in standings.SCORES}
    for score, picture in maps.items():
        write_display(picture, args.out / f"{score}.png")
    caption = (
        "Mean error by family; the more colour, the further from the best of the column (full at "
        "eight times)."
    )
    pictures = [
        figure(picture, score, picture.height, f"{standings.SCORES[score]}. {caption}")
        for score, picture in maps.items()
    ]
    write_page(
        args.out / "report.html", "Methods on data whose effects are known", QUESTION,
        [
            Section("Verdict", texts=said, figures=pictures),
            *(
                Section(title, tables=[table(texts_of(frame), name)])
                for name, (title, frame) in tables.items()
                if len(frame)
            ),
        ],
        NOTES,
        [("Rows", f"{len(rows)}, {rows['cpu_seconds'].sum() / 60:.0f} CPU-minutes"),
         ("Code", "; ".join(sorted(set(rows["code_version"]))))],
    )  # fmt: skip
    if args.record:
        name = "semisynthetic" if args.full else "semisynthetic_quick"
        title = "Known effects: every method on one list of data sets"
        notes = "\n\n".join([*said, *NOTES])
        first, *others = tables.values()
        common.write(
            name, title, rows, [(f"{notes}\n\n{first[0]}", first[1]), *others], False, args.studies
        )


def _rows(study: Study, args: argparse.Namespace) -> pd.DataFrame:
    if not args.finished:
        return common.run(study, args.n_jobs, semisynthetic_study.expected_seconds)
    rows = study.collect()
    return rows[rows["status"] == "ok"]


def _options() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    size = found.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a part of the list (default)")
    size.add_argument("--full", action="store_true", help="the whole list")
    found.add_argument("--data", type=Path, help="folder of the data sets")
    found.add_argument("--n-jobs", type=int, default=2, help="worker processes")
    found.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    found.add_argument("--studies", type=Path, default=Path(".studies"), help="folder of rows")
    found.add_argument("--any-version", action="store_true", help="accept rows of older code")
    found.add_argument("--finished", action="store_true", help="only rows that are there already")
    found.add_argument("--record", action="store_true", help="write benchmarks/results too")
    return found


if __name__ == "__main__":
    sys.exit(main())
