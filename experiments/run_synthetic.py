"""Which estimator copes where the truth is known? Estimators by designs of the laboratory.

    python experiments/run_synthetic.py --quick
    python experiments/run_synthetic.py --times 4 --n-jobs 2

Confounding, weak overlap, heavy tails, a hidden confounder, instruments, panels with one start,
staggered starts, common factors, a single treated unit; each faced by the estimators of this
package and the classics that are made for it or commonly used. Bias, RMSE and coverage over draws,
and a verdict for each design. About 12 minutes of processor time (``--quick``: 3; ``--times 4``:
four times the draws); rows that are there already are not computed again.

Writes ``results/synthetic/``: ``report.html``, tables (CSV) and a heat map (PNG).
"""

import argparse
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from in_words import results_folder, told
from scipy.stats import norm, t as student
from study_page import HeatMap, texts_of, write_page
from synthetic_cases import CASES, LEVEL, METHODS, expected_seconds, plan, row

from causal_ddpm.evaluation.monte_carlo import summarize_study
from causal_ddpm.evaluation.studies import Study
from causal_ddpm.report.pictures import write_display
from causal_ddpm.report.sections import Section, figure, table

QUESTION = "Which estimator finds the effect, and says honestly how sure it is, in which situation?"
MANY_ERRORS = 2.6
"""Monte Carlo errors beyond which a bias, or a coverage below its level, is no accident."""
SMALL = 0.25
"""A bias below this share of the spread moves an interval too little to matter."""
READING = (
    "Each estimator is judged by what it was asked for: the ATE; two-stage least squares, LIML, "
    "the interactive instrument and the diffusion with an instrument by the effect on compliers; "
    "panels by the mean effect on the treated cells drawn.",
    f"Copes: bias within {MANY_ERRORS} Monte Carlo errors (as rare in Student's t, with few "
    "draws) or below a quarter of the spread; "
    f"coverage not below {LEVEL:.0%} by more than {MANY_ERRORS} Monte Carlo errors; RMSE at most "
    "three times the best of the design. With few draws that says little: their number stands in "
    "every table.",
    "Standard errors of bootstraps and placebos (10 to 20) are themselves uncertain by a fifth. "
    "The coverage study (docs) has hundreds of draws of this package's default pipeline.",
)
MANY_TIMES, MANY_DRAWS = 3.0, 10
"""RMSE beside the best of the design that counts as imprecise; draws that such a best needs."""
FAULTS = ["bias_matters", "too_narrow", "imprecise"]
SUMMARY = [
    "bias", "bias_error", "sd", "rmse", "rmse_ratio", "coverage", "coverage_error", "width",
]  # fmt: skip


def main(words: list[str] | None = None) -> int:
    args = _options().parse_args(words)
    return told(lambda: run(args))


def run(args: argparse.Namespace) -> int:
    """Compute what is missing, say who copes, write it."""
    print(f"{QUESTION}\n")
    results_folder(args.out)
    study = Study(
        "synthetic", row, plan(args.quick, args.times), args.studies, any_version=args.any_version
    )
    status = study.status()
    todo = sum(map(expected_seconds, study.specs)) / 60 * status.n_pending / status.n_tasks
    print(
        f"{status.n_done} of {status.n_tasks} rows are there; about {todo:.0f} CPU-minutes to go\n"
    )
    rows = study.run(n_jobs=args.n_jobs)
    failed = rows[rows["status"] == "failed"]
    if len(failed):
        print(f"{len(failed)} rows failed; the first:\n{failed['error'].iloc[0]}", file=sys.stderr)
        return 1
    found = summary(rows)
    say(found)
    write(rows, found, args.out)
    print(f"Written: {args.out}/report.html, tables and heat_map.png")
    return 0


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Bias, spread, coverage and cost of each estimator on each design, with its verdict.

    Draws on which an estimator refused to answer are counted, and left out of the rest.
    """
    by = ["design", "method"]
    refused = rows["value"].isna().groupby([rows[name] for name in by]).sum().rename("refused")
    rows = rows[rows["value"].notna()]
    out = summarize_study(rows, by, LEVEL).rename(columns={"n_draws": "draws"})
    out["rmse_ratio"] = out["rmse"] / out["design"].map(_yardstick(out))
    out["bias_matters"] = (out["bias"].abs() > _many(out["draws"]) * out["bias_error"]) & (
        out["bias"].abs() > SMALL * out["sd"]
    )
    out["too_narrow"] = out["coverage"] < LEVEL - MANY_ERRORS * out["coverage_error"]
    out["imprecise"] = out["rmse_ratio"] > MANY_TIMES
    cost = rows.groupby(by, sort=False)["cpu_seconds"].mean().rename("cpu_seconds")
    asked = rows.groupby(by, sort=False)["estimand"].first()
    out = out.join(cost, on=by).join(asked, on=by).join(refused, on=by)
    return out[[*by, "estimand", "draws", "refused", *SUMMARY, *FAULTS, "cpu_seconds"]]


def _many(draws: pd.Series) -> np.ndarray:
    """As rare in Student's t as :data:`MANY_ERRORS` normal ones: 10 for three draws."""
    return student.isf(norm.sf(MANY_ERRORS), np.maximum(draws - 1, 1))


def _yardstick(table: pd.DataFrame) -> pd.Series:
    """The smallest RMSE of each design among estimators with enough draws, if there are any."""
    enough = table[table["draws"] >= MANY_DRAWS].groupby("design")["rmse"].min()
    return enough.combine_first(table.groupby("design")["rmse"].min())


def verdict(design: str, found: pd.DataFrame) -> str:
    """Who copes, who does not and by how much."""
    part = found[found["design"] == design].sort_values("rmse")
    bad = part[FAULTS].any(axis=1)
    good = [f"{_title(r)} ({_precision(r)})" for r in part[~bad].to_dict("records")]
    wrong = [f"{_title(r)} ({'; '.join(_faults(r))})" for r in part[bad].to_dict("records")]
    return f"Copes: {', '.join(good) or 'nobody'}. Does not: {', '.join(wrong) or 'nobody'}."


def _title(record: dict) -> str:
    return METHODS[record["method"]].title


def _faults(record: dict) -> list[str]:
    out = [f"bias {record['bias']:+.2g}"] if record["bias_matters"] else []
    out += [f"covers {record['coverage']:.2f}"] if record["too_narrow"] else []
    return out + ([_precision(record)] if record["imprecise"] else [])


def _precision(record: dict) -> str:
    few = record["draws"] < MANY_DRAWS
    return f"RMSE {record['rmse']:.2g}" + (f" in {record['draws']} draws" if few else "")


def say(found: pd.DataFrame) -> None:
    """Verdicts, design by design."""
    for design in found["design"].unique():
        case = CASES[design]
        print(f"{case.title} ({design}, n = {case.n})")
        for text in (f"In theory: {case.why}", verdict(design, found)):
            print(textwrap.fill(text, 96, initial_indent="  ", subsequent_indent="    "))
        print()


def heat_map(found: pd.DataFrame) -> HeatMap:
    """RMSE beside the best of the design, or missing coverage, in colour; bias and coverage."""
    cells = found.assign(
        text=[f"{b:+.2f}\n{c:.0%}" for b, c in zip(found["bias"], found["coverage"], strict=True)],
        bad=np.maximum(
            np.clip(np.log2(found["rmse_ratio"]) / 3, 0, 1),
            np.clip(1 - found["coverage"] / LEVEL, 0, 1),
        ),
    )
    designs = list(dict.fromkeys(found["design"]))
    methods = [m for m in METHODS if m in set(found["method"])]
    badness, texts = (
        cells.pivot(index="method", columns="design", values=name).loc[methods, designs]
        for name in ("bad", "text")
    )
    titles = [METHODS[m].title for m in methods]
    names = [CASES[d].title for d in designs]
    return HeatMap(
        badness.set_axis(titles).set_axis(names, axis=1),
        texts.set_axis(titles).set_axis(names, axis=1),
    )


def write(rows: pd.DataFrame, found: pd.DataFrame, folder: Path) -> None:
    """Rows, summary, heat map and the page."""
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / "rows.csv", index=False)
    found.to_csv(folder / "summary.csv", index=False)
    picture = heat_map(found)
    write_display(picture, folder / "heat_map.png")
    caption = (
        "Bias, and below it the share of 95 % intervals that hold the truth; the more colour, the "
        "larger the RMSE beside the best of the design (full at eight times), or the fewer "
        "intervals that hold the truth (full at none). Empty: the estimator is not made for the "
        "design, or not part of this run."
    )
    write_page(
        folder / "report.html", "Estimators where the truth is known", QUESTION,
        [
            Section("At a glance", figures=[figure(picture, "map", picture.height, caption)]),
            *(_section(design, found) for design in found["design"].unique()),
        ],
        READING, [("Rows", f"{len(rows)}, {rows['cpu_seconds'].sum() / 60:.1f} CPU-minutes")],
    )  # fmt: skip


def _section(design: str, found: pd.DataFrame) -> Section:
    case = CASES[design]
    part = found[found["design"] == design].sort_values("rmse")
    shown = part[["estimand", "draws", "refused", *SUMMARY]].assign(
        method=[METHODS[m].title for m in part["method"]]
    )
    return Section(
        f"{case.title}: {design}, n = {case.n}",
        texts=[f"In theory: {case.why}", f"Measured. {verdict(design, found)}"],
        tables=[table(texts_of(shown[["method", *shown.columns[:-1]]]), design)],
    )


def _options() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    found.add_argument("--quick", action="store_true", help="six designs, few draws")
    found.add_argument("--times", type=int, default=1, help="so many times the draws")
    found.add_argument("--n-jobs", type=int, default=1, help="worker processes")
    found.add_argument("--out", type=Path, default=Path("results/synthetic"))
    found.add_argument("--studies", type=Path, default=Path(".studies"), help="folder of rows")
    found.add_argument("--any-version", action="store_true", help="accept rows of older code")
    return found


if __name__ == "__main__":
    sys.exit(main())
