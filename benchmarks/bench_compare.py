"""LaLonde by every method of `compare`: how far from the experiment, and how long it takes.

Samples: the experiment itself (NSW, where the difference in means is the benchmark) and its treated
with survey controls (CPS), where a method sees only people who were never in the experiment. All
settings are defaults, nothing was chosen on these data; a task is one call of `compare` with two
worker processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from common import parser, run, write
from datasets import LALONDE_BENCHMARK, LALONDE_CONFOUNDERS, lalonde

from causal_ddpm import ATE, ATT, CausalData, compare
from causal_ddpm.core.random import Seed
from causal_ddpm.evaluation.studies import Spec, Study, grid

TITLE = "LaLonde: sixteen classics and the diffusion law against the experiment"
SAMPLES = {
    "NSW, ATE": "the experiment: 185 treated and 260 randomised controls",
    "NSW, ATT": "the experiment again, asked for the effect on the treated",
    "CPS, ATT": "the 185 treated with 15,992 survey controls",
}
COLUMNS = ("value", "std_error", "ci_low", "ci_high", "distance", "cpu_seconds")


def rows_of(sample: str) -> pd.DataFrame:
    """The rows of a sample."""
    if sample.startswith("CPS"):
        return lalonde()
    from causaldata import nsw_mixtape

    frame = nsw_mixtape.load_pandas().data
    return frame[["treat", "re78", *LALONDE_CONFOUNDERS]].astype(float)


def comparison_row(spec: Spec, seed: Seed) -> Mapping[str, Any]:
    """One comparison, flat: the columns of each method behind its name."""
    data = CausalData(rows_of(spec["sample"]), "treat", "re78", LALONDE_CONFOUNDERS)
    found = compare(
        data,
        ATE() if spec["sample"].endswith("ATE") else ATT(),
        methods=None if spec["methods"] == "all" else spec["methods"].split(","),
        benchmark=LALONDE_BENCHMARK,
        random_state=spec["random_state"],
        n_jobs=spec["workers"],
    )
    row: dict[str, Any] = {
        "compare_wall_seconds": found.provenance.wall_seconds,
        "compare_cpu_seconds": found.provenance.cpu_seconds,
        "summary": found.summary(),
    }
    for title, reason in found.left_out.items():
        row[f"{title}|reason"] = reason
    for record in found.frame().to_dict(orient="records"):
        record["cpu_seconds"] = record["seconds"]
        row |= {f"{record['method']}|{name}": record[name] for name in COLUMNS}
    return row


def table_of(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a method: medians over random states, and distances in standard errors."""
    titles = [c.removesuffix("|value") for c in rows.columns if c.endswith("|value")]
    out = []
    for title in titles:
        found = rows[[f"{title}|{name}" for name in COLUMNS]].dropna()
        if found.empty:
            continue
        found.columns = list(COLUMNS)
        holds = (found["ci_low"] <= LALONDE_BENCHMARK) & (found["ci_high"] >= LALONDE_BENCHMARK)
        out.append(
            {
                "method": title,
                "estimate": found["value"].median(),
                "std. error": found["std_error"].median(),
                "interval low": found["ci_low"].median(),
                "interval high": found["ci_high"].median(),
                "distance (SE)": round(found["distance"].median(), 2),
                "holds 1,794": f"{holds.mean():.0%}",
                "CPU seconds": found["cpu_seconds"].mean(),
            }
        )
    return pd.DataFrame(out)


def caption(sample: str, rows: pd.DataFrame) -> str:
    """What was run, how long it took, the verdict, and who did not answer."""
    reasons = [c for c in rows.columns if c.endswith("|reason")]
    left = [
        f"{c.removesuffix('|reason')} ({rows[c].dropna().iloc[0]})"
        for c in reasons
        if rows[c].notna().any()
    ]
    return (
        f"## {sample}\n\nSample: {SAMPLES[sample]}; {len(rows)} random state(s). One call took "
        f"{rows['compare_wall_seconds'].median():.0f} seconds by the clock "
        f"({rows['compare_cpu_seconds'].median():.0f} of processor time, two workers, a machine "
        f"shared with other work). {rows['summary'].iloc[0]}\n\nWithout an answer: "
        f"{'; '.join(left)}."
    )


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--samples", nargs="+", choices=SAMPLES, default=list(SAMPLES))
    options.add_argument("--random-states", type=int, default=1)
    args = options.parse_args()
    specs = grid(
        sample=args.samples[:1] if args.quick else args.samples,
        random_state=range(1 if args.quick else args.random_states),
        methods=["difference,ols,ipw" if args.quick else "all"],
        workers=[args.n_jobs],
    )
    study = Study("compare", comparison_row, specs, args.studies, any_version=args.any_version)
    rows = run(study, 1, lambda spec: 120.0 if spec["sample"].startswith("CPS") else 20.0)
    parts = [(name, rows[rows["sample"] == name]) for name in SAMPLES]
    tables = [(caption(name, part), table_of(part)) for name, part in parts if len(part)]
    write("compare", TITLE, rows, tables, args.quick, args.studies)


if __name__ == "__main__":
    main()
