"""Fit CTGAN or TVAE to a CSV file and write generated rows to another; the run's cost to stdout.

Run by the Python of an environment of its own (``requirements-generators.txt``), since the peer's
pins and ours do not agree:

    python ctgan_driver.py MODEL TRAIN.csv OUT.csv --discrete a,b --rows N --epochs E --seed S
"""

import argparse
import json
import time

import numpy as np
import pandas as pd
import torch
from ctgan import CTGAN, TVAE


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("model", choices=["CTGAN", "TVAE"])
    options.add_argument("train")
    options.add_argument("out")
    options.add_argument("--discrete", default="")
    options.add_argument("--rows", type=int, required=True)
    options.add_argument("--epochs", type=int, required=True)
    options.add_argument("--seed", type=int, required=True)
    args = options.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)  # noqa: NPY002 - the peer draws from the global generator
    table = pd.read_csv(args.train)
    model = {"CTGAN": CTGAN, "TVAE": TVAE}[args.model](epochs=args.epochs, enable_gpu=False)
    model.set_random_state(args.seed)
    start = time.process_time()
    model.fit(table, [name for name in args.discrete.split(",") if name])
    fitted = time.process_time()
    model.sample(args.rows).to_csv(args.out, index=False)
    done = time.process_time()
    print(json.dumps({"fit_seconds": fitted - start, "sample_seconds": done - fitted}))


if __name__ == "__main__":
    main()
