"""Intervals of the ATE over fresh draws of two confounded designs, beside the peers.

The truth and the efficiency bound are integrated over a million rows. `width_ratio` is the mean
width over the width at the bound; `se_ratio` the mean standard error over the Monte Carlo sd.
"""

from __future__ import annotations

from collections.abc import Mapping

import ours
import pandas as pd
import peers
from common import parser, run, write
from datasets import require, simulated, simulated_truth
from peers import Effect

from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.evaluation.monte_carlo import summarize_study
from causal_ddpm.evaluation.studies import Spec, Study, grid

OURS, PLUG_IN = "ours", "plug-in (ours, naive interval)"
N_ROWS = 500
DESIGNS = ["gauss", "bimodal"]
FIRST_SEED = 2000


def peer_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    drawn = simulated(spec["design"], spec["n"], FIRST_SEED + spec["draw"], n_test=1)
    x = drawn.X.to_numpy()
    fit = peers.ATE[spec["method"]]
    return columns(fit(x, drawn.treatment, drawn.outcome, integer_seed(seed)))


def our_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    drawn = simulated(spec["design"], spec["n"], FIRST_SEED + spec["draw"], n_test=1)
    ate, plug_in = ours.ate_and_plug_in(ours.causal_data(drawn.frame()), integer_seed(seed))
    naive = {f"plug_in_{name}": value for name, value in columns(plug_in).items()}
    return {**columns(ate), **naive}


def columns(effect: Effect) -> dict[str, float]:
    return {
        "value": effect.value,
        "std_error": effect.std_error,
        "ci_low": effect.ci_low,
        "ci_high": effect.ci_high,
    }


def one_row_a_method(rows: pd.DataFrame) -> pd.DataFrame:
    """The plug-in, which our rows carry along, becomes a method of its own."""
    carried = [c for c in rows.columns if c.startswith("plug_in_")]
    plug_in = rows.dropna(subset=carried)
    renamed = plug_in.drop(columns=[c.removeprefix("plug_in_") for c in carried])
    renamed = renamed.rename(columns={c: c.removeprefix("plug_in_") for c in carried})
    return pd.concat(
        [rows.drop(columns=carried), renamed.assign(method=PLUG_IN)], ignore_index=True
    )


def with_truth(rows: pd.DataFrame) -> pd.DataFrame:
    truth = {design: simulated_truth(design) for design in rows["design"].unique()}
    return rows.assign(
        truth=[truth[d][0] for d in rows["design"]],
        bound=[truth[d][1] / n**0.5 for d, n in zip(rows["design"], rows["n"], strict=True)],
    )


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument(
        "--designs", nargs="+", choices=["gauss", "bimodal"], default=["gauss", "bimodal"]
    )
    options.add_argument(
        "--methods", nargs="+", choices=[OURS, *peers.ATE], default=[OURS, *peers.ATE]
    )
    options.add_argument("--draws", type=int, default=100)
    options.add_argument("--n", type=int, default=N_ROWS, help=f"rows a draw (default {N_ROWS})")
    args = options.parse_args()
    require(*args.designs)
    tables = []
    for name, task, methods, version in (
        ("ate-coverage-peers", peer_row, [m for m in args.methods if m != OURS], peers.version()),
        ("ate-coverage-ours", our_row, [m for m in args.methods if m == OURS], None),
    ):
        if methods:
            draws = range(2 if args.quick else args.draws)
            specs = grid(method=methods, design=args.designs, n=[args.n], draw=draws)
            study = Study(
                name, task, specs, args.studies, code_version=version, any_version=args.any_version
            )
            tables.append(run(study, args.n_jobs, _expected))
    rows = pd.concat(tables, ignore_index=True)
    rows = with_truth(one_row_a_method(rows) if OURS in args.methods else rows)
    summary = summarize_study(rows, by=["design", "method"])
    cpu = rows.groupby(["design", "method"], sort=False)["cpu_seconds"].mean()
    summary["cpu_seconds"] = cpu.to_numpy()
    name = "ate_coverage" if args.n == N_ROWS else f"ate_coverage_n{args.n}"
    write(name, TITLE, rows, [(f"{args.n} rows a draw. {AIM}", summary)], args.quick, args.studies)


def _expected(spec: Spec) -> float:
    return 12 if spec["method"] == OURS else 1.5


TITLE = "Intervals of the ATE"
AIM = (
    "Aims for ours: coverage within 2.6 errors of .95, se_ratio within 7 % of one, width_ratio at "
    "most 1.20. The plug-in averages the same out-of-fold conditional effects without correction; "
    "its interval takes them as data, and its CPU seconds are those of the job it is part of. "
    "Peers: EconML's LinearDRLearner and DoubleML's IRM with boosted-tree outcomes, and the "
    "propensity by boosted trees or logistic regression; their own default trimming"
)

if __name__ == "__main__":
    main()
