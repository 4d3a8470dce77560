"""Cost of the whole job: CPU seconds at 1 000 rows beside the peers, wall and memory at 100 000.

Small: ATE + ATT from a frame with 10 confounders, one thread, imports excluded (a job on 200 rows
runs first in the same process); all methods take turns within one row of the study. Large: the
same job in a fresh process with two worker processes, memory summed over all of them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
import ours
import pandas as pd
import peers
from common import parser, run, write
from datasets import Sample, require, simulated
from measure import measured

from causal_ddpm.core.random import Seed
from causal_ddpm.evaluation.studies import Spec, Study, grid


def our_job(drawn: Sample, seed: int) -> None:
    ours.job(ours.causal_data(drawn.frame()), seed)


def econml_job(drawn: Sample, seed: int) -> None:
    peers.econml_dr_ate(drawn.X.to_numpy(), drawn.treatment, drawn.outcome, seed)


def doubleml_job(drawn: Sample, seed: int) -> None:
    for estimand in ("ATE", "ATTE"):
        peers.doubleml_irm(drawn.X.to_numpy(), drawn.treatment, drawn.outcome, seed, estimand)


JOBS: dict[str, Callable[[Sample, int], None]] = {
    "ours": our_job,
    "econml": econml_job,
    "doubleml": doubleml_job,
}


def small_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    drawn = simulated("gauss", spec["n"], 3000 + spec["repetition"])
    warm_up = simulated("gauss", 200, 3999)
    out = {}
    for name in spec["methods"].split(","):
        JOBS[name](warm_up, 0)
        start = time.process_time()
        JOBS[name](drawn, spec["repetition"])
        out[f"{name}_cpu"] = time.process_time() - start
    return out


def large_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    command = [sys.executable, __file__, "--child", str(spec["n"]), "--n-jobs", str(spec["n_jobs"])]
    cost = measured(command)
    return {
        "wall": cost.wall_seconds,
        "cpu": cost.cpu_seconds,
        "peak_gb": cost.peak_gb,
        "result": cost.output.strip().splitlines()[-1],
    }


def child(n: int, n_jobs: int) -> None:
    """The large job; its parent measures it, importing and drawing the data included."""
    data = ours.causal_data(simulated("gauss", n, 3000, n_test=1).frame())
    ate, att = ours.job(data, 0, n_jobs)
    print("; ".join(f"{e.value:.4f} (SE {e.std_error:.4f})" for e in (ate, att)))


def medians(rows: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """Median and range of CPU seconds, and the paired ratio to EconML in the same row."""
    out = []
    for name in methods:
        cpu = rows[f"{name}_cpu"]
        ratio = (cpu / rows["econml_cpu"]).median() if "econml" in methods else np.nan
        out.append(
            {
                "method": name,
                "repetitions": len(rows),
                "median CPU seconds": float(cpu.median()),
                "lowest": float(cpu.min()),
                "highest": float(cpu.max()),
                "median ratio to econml": float(ratio),
            }
        )
    return pd.DataFrame(out)


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--methods", nargs="+", choices=JOBS, default=list(JOBS))
    options.add_argument("--repetitions", type=int, default=5)
    options.add_argument("--skip-large", action="store_true", help="only the job on 1 000 rows")
    options.add_argument("--child", type=int, help=argparse.SUPPRESS)
    args = options.parse_args()
    require("gauss")
    if args.child:
        child(args.child, args.n_jobs)
        return
    specs = grid(
        n=[300 if args.quick else 1000],
        methods=[",".join(args.methods)],
        repetition=range(1 if args.quick else args.repetitions),
    )
    small = Study("speed-small", small_row, specs, args.studies, any_version=args.any_version)
    rows = run(small, 1, lambda spec: 25.0)
    shown = [
        (f"{specs[0]['n']} rows, 10 confounders, one thread. {SMALL}", medians(rows, args.methods))
    ]
    if not args.skip_large and "ours" in args.methods:
        specs = [{"n": 3000 if args.quick else 100_000, "n_jobs": args.n_jobs}]
        large = Study("speed-large", large_row, specs, args.studies, any_version=args.any_version)
        found = run(large, 1, lambda spec: 600.0)
        kept = ["n", "n_jobs", "wall", "cpu", "peak_gb", "result"]
        shown.append((LARGE, found[kept]))
        rows = pd.concat([rows, found], ignore_index=True)
    write("speed", TITLE, rows, shown, args.quick, args.studies)


TITLE = "Cost of the whole job"
SMALL = (
    "Ours does ATE + ATT from one fit, EconML's LinearDRLearner the ATE, DoubleML's IRM the ATE "
    "and the ATT one after the other (boosted trees in both). Aims for ours: at most 12 CPU "
    "seconds, at most 10 times EconML"
)
LARGE = (
    "Large job, ours: seconds and GB, importing and drawing the data included; `result` is the "
    "ATE and the ATT. Aims: 300 seconds of wall time on two cores, 4 GB"
)

if __name__ == "__main__":
    main()
