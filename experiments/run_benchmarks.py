"""Which method comes nearest on data whose effects are known? One list, one run.

    python experiments/run_benchmarks.py --quick
    python experiments/run_benchmarks.py --full --data FOLDER

IHDP, ACIC 2016 and 2017, RealCause LaLonde and Twins, the real LaLonde, and two designs of the
laboratory; this package beside least squares, BART, BCF, X- and DR-learner, causal forest and
double machine learning. The list is fixed in ``benchmarks/semisynthetic.py``. ``--quick`` is a part
of it, about 15 minutes on two cores; ``--full`` takes about 70 minutes of processor time and goes
on where it was stopped. Both share their rows.

Prints question and verdict and writes ``results/benchmarks/``: tables (CSV), pictures, a page.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import semisynthetic  # noqa: E402
import semisynthetic_study  # noqa: E402
from common import run  # noqa: E402


def main(words: list[str] | None = None) -> int:
    args = options().parse_args(words)
    if args.data is not None:
        semisynthetic.use_folder(args.data)
    families = [family for family in semisynthetic.FAMILIES if family.there()]
    specs = semisynthetic_study.plan(families, quick=not args.full)
    rows = semisynthetic_study.collect(
        specs, args.studies, args.any_version,
        lambda study: run(study, args.n_jobs, semisynthetic_study.expected_seconds),
    )  # fmt: skip
    args.out.mkdir(parents=True, exist_ok=True)
    rows.to_csv(args.out / "rows.csv", index=False)
    return 0


def options() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    size = found.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a part of the list (default)")
    size.add_argument("--full", action="store_true", help="the whole list")
    found.add_argument("--data", type=Path, help="folder of the data sets")
    found.add_argument("--n-jobs", type=int, default=2, help="worker processes")
    found.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    found.add_argument("--studies", type=Path, default=Path(".studies"), help="folder of rows")
    found.add_argument("--any-version", action="store_true", help="accept rows of older code")
    return found


if __name__ == "__main__":
    sys.exit(main())
