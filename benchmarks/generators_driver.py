"""Fit a generator to a CSV file and write generated rows to another; the run's cost to stdout.

Run by the Python of an environment of its own (``requirements-generators.txt``), since the peers'
pins and ours do not agree:

    python generators_driver.py MODEL TRAIN.csv OUT.csv --discrete a,b --rows N --epochs E --seed S

With ``--cpu-seconds`` a fit that takes longer is given up; the line on stdout says so.
"""

import argparse
import json
import signal
import time

import numpy as np
import pandas as pd


def fit_gan(args, table, classes):  # noqa: ANN001, ANN201 - runs without this project's types
    """CTGAN or TVAE with their defaults."""
    import ctgan
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    model = getattr(ctgan, args.model)(epochs=args.epochs, enable_gpu=False)
    model.set_random_state(args.seed)
    model.fit(table, classes)
    return model.sample


def fit_forest(args, table, classes):  # noqa: ANN001, ANN201
    """Adversarial random forest (Watson et al. 2023) with its defaults."""
    from arfpy.arf import arf

    model = arf(
        table.astype(dict.fromkeys(classes, "category")), verbose=False, random_state=args.seed
    )
    model.forde()
    return lambda n: model.forge(n).astype({name: table[name].dtype for name in classes})


MODELS = {"CTGAN": fit_gan, "TVAE": fit_gan, "ARF": fit_forest}


def give_up(signal_number, frame):  # noqa: ANN001, ANN201
    """Handler of the alarm that rings after so many seconds of CPU time."""
    raise TimeoutError


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("model", choices=list(MODELS))
    options.add_argument("train")
    options.add_argument("out")
    options.add_argument("--discrete", default="")
    options.add_argument("--rows", type=int, required=True)
    options.add_argument("--epochs", type=int, required=True)
    options.add_argument("--seed", type=int, required=True)
    options.add_argument("--cpu-seconds", type=float, help="limit on the fit")
    args = options.parse_args()
    np.random.seed(args.seed)  # noqa: NPY002 - the peers draw from the global generator
    table = pd.read_csv(args.train)
    signal.signal(signal.SIGPROF, give_up)
    start = time.process_time()
    try:
        signal.setitimer(signal.ITIMER_PROF, args.cpu_seconds or 0.0)
        sample = MODELS[args.model](args, table, [c for c in args.discrete.split(",") if c])
        signal.setitimer(signal.ITIMER_PROF, 0.0)
    except TimeoutError:
        print(json.dumps({"fit_seconds": time.process_time() - start, "timed_out": True}))
        return
    fitted = time.process_time()
    sample(args.rows).to_csv(args.out, index=False)
    done = time.process_time()
    print(json.dumps({"fit_seconds": fitted - start, "sample_seconds": done - fitted}))


if __name__ == "__main__":
    main()
