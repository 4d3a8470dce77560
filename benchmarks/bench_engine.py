"""Cost of the engine: the diffusion of a fit of 1 000 rows, and a table streamed from Parquet.

Small: the networks of a five-fold fit (five groups of 800 rows, 12 numbers in the condition) are
trained as one batch and read on the fold that each has not seen, 32 quantiles under both arms:
everything that the diffusion does in the fit of a law. CPU seconds of the process, one thread.
Large: a table is written to a Parquet file, and then, in a fresh process that never holds it, the
law of one column given 50 others and an arm is learnt and its mean and five quantiles are written
for every row to another Parquet file.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from common import parser, run, write
from measure import measured

from causal_ddpm import DiffusionSettings, TrainingGroup, train_conditional, train_parquet
from causal_ddpm.core.random import Seed
from causal_ddpm.evaluation.studies import Spec, Study, grid

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
FOLDS, NODES = 5, 32


def small_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """CPU seconds of training and of reading; a tiny fit before them loads the libraries."""
    rng = np.random.default_rng(spec["repetition"])
    n, d = spec["n"], spec["columns"]
    x, arm, fold = rng.standard_normal((n, d)), rng.integers(0, 2, n), np.arange(n) % FOLDS
    v = np.where(arm == 1, 0.9 * rng.choice([-1.0, 1.0], n), 0.9) * rng.standard_normal(n)
    groups = [TrainingGroup(x[fold != k], arm[fold != k], v[fold != k]) for k in range(FOLDS)]
    train_conditional(groups, DiffusionSettings(n_steps=2), spec["repetition"])
    start = time.process_time()
    model = train_conditional(groups, DiffusionSettings(), spec["repetition"])
    trained = time.process_time()
    for k in range(FOLDS):
        for a in (0, 1):
            model.nodes(k, x[fold == k], a, NODES)
    read = time.process_time()
    return {"train_cpu": trained - start, "read_cpu": read - trained, "load": os.getloadavg()[0]}


def large_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        make_table(Path(folder) / "rows.parquet", spec["n"], spec["columns"])
        command = [sys.executable, __file__, "--child", folder, "--columns", str(spec["columns"])]
        cost = measured(command)
    found = json.loads(cost.output.strip().splitlines()[-1])
    return {"wall": cost.wall_seconds, "cpu": cost.cpu_seconds, "peak_gb": cost.peak_gb} | found


def make_table(path: Path, n: int, d: int) -> None:
    """Rows with two modes in arm 1, written 50 000 at a time, and the true mean beside them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng, writer = np.random.default_rng(0), None
    for at in range(0, n, 50_000):
        x = rng.standard_normal((min(50_000, n - at), d))
        arm = (rng.random(len(x)) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
        p = 1 / (1 + np.exp(-2 * x[:, 2]))
        mean = 10 + 2 * x[:, 0] - x[:, 1] + np.sin(2 * x[:, 3]) + arm * (1 + x[:, 2])
        sign = np.where(rng.random(len(x)) < p, 1.0, -1.0)
        noise = np.where(arm == 1, 2 * sign, rng.standard_normal(len(x)))
        columns = {f"x{j}": x[:, j] for j in range(d)}
        columns |= {"arm": arm, "y": mean + noise + 0.3 * rng.standard_normal(len(x))}
        table = pa.table(columns | {"truth": mean + arm * 2 * (2 * p - 1)})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def child(folder: Path, n_columns: int) -> None:
    """Train and read; prints what it took and how good it is."""
    source, output = folder / "rows.parquet", folder / "read.parquet"
    names, start = [f"x{j}" for j in range(n_columns)], time.process_time()
    model = train_parquet(source, "y", names, "arm", random_state=0, scratch_dir=folder)
    trained = time.process_time()
    model.read_parquet(source, output, LEVELS)
    read = time.process_time()
    truth = pd.read_parquet(source, columns=["y", "truth"])
    found = pd.read_parquet(output)
    covered = (found["q0.05"] < truth["y"]) & (truth["y"] < found["q0.95"])
    report = model.diffusion.report
    result = {
        "train_cpu": trained - start, "read_cpu": read - trained,
        "train_rows_per_second": len(found) / (trained - start),
        "read_rows_per_second": len(found) / (read - trained),
        "steps": report["n_steps"], "loss": report["loss_trace"][-1],
        "rmse_of_mean": float(np.sqrt(((found["mean"] - truth["truth"]) ** 2).mean())),
        "coverage_of_90": float(covered.mean()),
    }  # fmt: skip
    print(json.dumps(result))


def medians(rows: pd.DataFrame) -> pd.DataFrame:
    total = rows["train_cpu"] + rows["read_cpu"]
    parts = {"training": rows["train_cpu"], "reading": rows["read_cpu"], "both": total}
    return pd.DataFrame(
        [
            {
                "stage": name,
                "repetitions": len(cpu),
                "median CPU seconds": float(cpu.median()),
                "lowest": float(cpu.min()),
                "highest": float(cpu.max()),
                "load": float(rows["load"].median()),
            }
            for name, cpu in parts.items()
        ]
    )


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--repetitions", type=int, default=7)
    options.add_argument("--skip-large", action="store_true", help="only the small fits")
    options.add_argument("--columns", type=int, default=50, help=argparse.SUPPRESS)
    options.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.child:
        child(args.child, args.columns)
        return
    n = 300 if args.quick else 1000
    specs = grid(n=[n], columns=[12], repetition=range(2 if args.quick else args.repetitions))
    small = Study("engine-small", small_row, specs, args.studies, any_version=args.any_version)
    rows = run(small, 1, lambda spec: 4.0)
    shown = [(SMALL.format(n=n), medians(rows))]
    if not args.skip_large:
        specs = [{"n": 5_000 if args.quick else 10**6, "columns": args.columns}]
        large = Study("engine-large", large_row, specs, args.studies, any_version=args.any_version)
        found = run(large, 1, lambda spec: 400.0)
        kept = [c for c in LARGE_COLUMNS if c in found]
        shown.append((LARGE, found[kept].T.reset_index().set_axis(["", "value"], axis=1)))
        rows = pd.concat([rows, found], ignore_index=True)
    write("engine", "Cost of the engine", rows, shown, args.quick, args.studies)


SMALL = (
    "{n} rows, five groups of two networks in one batch, trained, then read on the held-out fold "
    "under both arms, one thread. Aim: 3 CPU seconds for both. Beside other jobs the same work "
    "costs more CPU seconds, through caches and shared cores; `load` is the average number of jobs "
    "in the minute before (two cores)"
)
LARGE = (
    "A table in a Parquet file (an arm and an outcome besides the columns), in a fresh process; "
    "rows per second are per CPU second of one thread, passes over the file included; `peak_gb` is "
    "the resident memory of the process, which at the end also loads the outcome and its truth to "
    "score the reading. The location is linear, the diffusion learns the rest. Aim: 4 GB"
)
LARGE_COLUMNS = (
    "n", "columns", "wall", "cpu", "peak_gb", "steps", "train_cpu", "train_rows_per_second",
    "read_cpu", "read_rows_per_second", "rmse_of_mean", "coverage_of_90",
)  # fmt: skip

if __name__ == "__main__":
    main()
