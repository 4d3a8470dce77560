"""The simulated AI-adoption study through the command line, from CSV to interval.

For each seed: `causal-ddpm simulate ai-adoption`, then `causal-ddpm estimate` on the CSV it wrote.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from common import parser, run, write

from causal_ddpm.core.random import Seed
from causal_ddpm.evaluation.studies import Spec, Study, grid

CONFOUNDERS = "industry,industry_size,rd_intensity,education"


def row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "firms.csv", Path(folder) / "effects.json"
        state = str(spec["random_state"])
        command(
            "simulate",
            "ai-adoption",
            "--n",
            str(spec["n"]),
            "--out",
            str(file),
            "--random-state",
            state,
        )
        command(
            "estimate", str(file), "--treatment", "ai_adoption", "--outcome", "productivity",
            "--confounders", CONFOUNDERS, "--estimand", "ate", "--estimand", "att",
            "--json", str(out), "--random-state", state, "--quiet",
        )  # fmt: skip
        truth = json.loads(Path(f"{file}.truth.json").read_text(encoding="utf-8"))["population"]
        found = json.loads(out.read_text(encoding="utf-8"))["estimates"]
        frame = pd.read_csv(file)
    means = frame.groupby("ai_adoption")["productivity"].mean()
    flat: dict[str, float] = {"naive": means[1] - means[0]}
    for estimate in found:
        name = estimate["estimand"].lower()
        flat[f"{name}_truth"] = truth[estimate["estimand"]]
        flat |= {
            f"{name}_{key}": estimate[key] for key in ("value", "std_error", "ci_low", "ci_high")
        }
    return flat


def command(*arguments: str) -> None:
    """Run ``causal-ddpm`` in a process of its own.

    Raises
    ------
    RuntimeError
        If it ends with an error; its message is passed on.
    """
    entry = "from causal_ddpm.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", entry, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"causal-ddpm {arguments[0]}: {done.stderr[-1500:]}")


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    out = []
    for name in ("ate", "att"):
        truth, low, high = (rows[f"{name}_{k}"] for k in ("truth", "ci_low", "ci_high"))
        covered = int(((low <= truth) & (truth <= high)).sum())
        out.append(
            {
                "estimand": name.upper(),
                "seeds": len(rows),
                "truth": float(truth.mean()),
                "mean estimate": float(rows[f"{name}_value"].mean()),
                "mean naive difference": float(rows["naive"].mean()),
                "mean SE": float(rows[f"{name}_std_error"].mean()),
                "intervals with the truth": f"{covered} of {len(rows)}",
            }
        )
    return pd.DataFrame(out)


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--n", type=int, default=1000)
    options.add_argument("--seeds", type=int, default=10)
    args = options.parse_args()
    n, seeds = (300, 1) if args.quick else (args.n, args.seeds)
    specs = grid(n=[n], random_state=range(seeds))
    study = Study("ai-adoption", row, specs, args.studies, any_version=args.any_version)
    rows = run(study, args.n_jobs, lambda spec: 20.0)
    caption = f"{n:,} firms a seed. Aim: the truth in at least 9 of 10 intervals of the ATE"
    write("ai_adoption", TITLE, rows, [(caption, summary(rows))], args.quick, args.studies)


TITLE = "AI adoption, simulated: from the CSV to the effect, through the command line"

if __name__ == "__main__":
    main()
