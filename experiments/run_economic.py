"""Four applications by every method, beside published figures.

    python experiments/run_economic.py
    python experiments/run_economic.py --data card 401k --methods ols,plr,2sls,liml,diffusion

Job training (LaLonde), smoking and weight (NHEFS), pension plans (401(k)), schooling (Card). Prints
each question, the verdict and the methods side by side, and writes ``results/economic/``: for each
study a page, a picture, JSON, and ``methods.csv`` with all of them. All methods take about ten
minutes of processor time; markets and shares are in ``run_market.py``.
"""

import argparse
import sys
import textwrap
from pathlib import Path

import pandas as pd
from economic_data import APPLICATIONS, Application
from in_words import results_folder, told

from causal_ddpm import compare
from causal_ddpm.cli.arguments import column_names
from causal_ddpm.evaluation.comparison import Comparison
from causal_ddpm.evaluation.provenance import Reference, Source
from causal_ddpm.report.comparison import write_comparison_report, write_picture
from causal_ddpm.report.method_tables import methods_frame


def run(name: str, study: Application, args: argparse.Namespace) -> Comparison:
    """Ask the methods about one study, and write what they say."""
    found = compare(
        study.load(),
        study.estimand,
        methods=None if args.methods is None else column_names(args.methods),
        benchmark=Reference("published figure", study.benchmark, 0.0),
        random_state=args.random_state,
        n_jobs=args.n_jobs,
        source=Source(name, study.unit),
    )
    say(study, found)
    write_comparison_report(found, args.out / f"{name}.html")
    write_picture(found, args.out / f"{name}.png")
    (args.out / f"{name}.json").write_text(found.to_json(), encoding="utf-8")
    return found


def say(study: Application, found: Comparison) -> None:
    """Question, published figures, methods, verdict."""
    print(f"\n{study.question}\nPublished: {study.published}\n")
    print(
        f"{found.asked}, {found.question.sample}\n{methods_frame(found).to_string(index=False)}\n"
    )
    print(textwrap.fill(found.summary(), 98))


def main(words: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", nargs="+", choices=APPLICATIONS, default=list(APPLICATIONS))
    options.add_argument("--methods", help="separated by commas; all that can answer by default")
    options.add_argument("--out", type=Path, default=Path("results/economic"))
    options.add_argument("--n-jobs", type=int, default=1, help="worker processes")
    options.add_argument("--random-state", type=int, default=0)
    args = options.parse_args(words)
    return told(lambda: run_all(args))


def run_all(args: argparse.Namespace) -> None:
    """Every study that was asked for, and one table of all."""
    results_folder(args.out)
    found = {name: run(name, APPLICATIONS[name], args) for name in args.data}
    tables = [comparison.frame().assign(data=name) for name, comparison in found.items()]
    pd.concat(tables, ignore_index=True).to_csv(args.out / "methods.csv", index=False)
    print(f"\nWrote {args.out}/: a page, a picture and JSON for each study, and methods.csv")


if __name__ == "__main__":
    sys.exit(main())
