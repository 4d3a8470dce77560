"""LaLonde's job training: ATT from the experimental treated and non-experimental controls.

The controls come from the CPS or, with ``--controls psid``, from the PSID (an optional file).

The experiment itself says 1794 dollars (standard error 671). All settings are defaults; only the
random state varies.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import ours
import pandas as pd
import peers
from common import parser, run, write
from datasets import LALONDE_BENCHMARK, LALONDE_CONFOUNDERS, lalonde, require_shared
from peers import Effect

from causal_ddpm.core.random import Seed
from causal_ddpm.evaluation.studies import Spec, Study, grid

OURS = "ours"
N_CONTROLS = {"cps": 15_992, "psid": 2_490}
PSID_NAMES = {"education": "educ", "hispanic": "hisp", "married": "marr"}


def rows_of(spec: Spec) -> pd.DataFrame:
    """All treated and the first ``n_controls`` controls, or those of the PSID."""
    frame, n_controls = lalonde(), int(spec["n_controls"])
    if spec.get("controls") == "psid":
        everyone = pd.read_parquet(require_shared("data", "lalonde", "lalonde_all_samples.parquet"))
        psid = everyone[everyone["sample"] == "psid1"].rename(columns=PSID_NAMES)
        frame = pd.concat([frame[frame["treat"] == 1], psid[frame.columns]], ignore_index=True)
    treated = frame["treat"] == 1
    return pd.concat([frame[treated], frame[~treated].head(n_controls)], ignore_index=True)


def peer_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    frame = rows_of(spec)
    x, d = frame[LALONDE_CONFOUNDERS].to_numpy(), frame["treat"].to_numpy(dtype=np.int64)
    effect = peers.ATT[spec["method"]](x, d, frame["re78"].to_numpy(), spec["random_state"])
    return columns(effect)


def our_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    frame = rows_of(spec)
    data = ours.causal_data(frame, treatment="treat", outcome="re78")
    return columns(ours.effect(data, "ATT", spec["random_state"]))


def columns(effect: Effect) -> dict[str, float]:
    return {
        "att": effect.value,
        "std_error": effect.std_error,
        "ci_low": effect.ci_low,
        "ci_high": effect.ci_high,
    }


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    out = []
    for method, group in rows.groupby("method", sort=False):
        out.append(
            {
                "method": method,
                "random states": len(group),
                "median ATT": float(group["att"].median()),
                "lowest": float(group["att"].min()),
                "highest": float(group["att"].max()),
                "median SE": float(group["std_error"].median()),
                "intervals with 1794": _share_with(group, LALONDE_BENCHMARK),
                "intervals with 0": _share_with(group, 0.0),
                "CPU seconds": float(group["cpu_seconds"].mean()),
            }
        )
    return pd.DataFrame(out)


def _share_with(group: pd.DataFrame, value: float) -> str:
    return f"{((group['ci_low'] <= value) & (group['ci_high'] >= value)).mean():.0%}"


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument(
        "--methods", nargs="+", choices=[OURS, *peers.ATT], default=[OURS, *peers.ATT]
    )
    options.add_argument("--random-states", type=int, default=20)
    options.add_argument("--controls", choices=N_CONTROLS, default="cps")
    args = options.parse_args()
    psid = args.controls == "psid"
    n_controls = 1000 if args.quick else N_CONTROLS[args.controls]
    which = {"controls": ["psid"]} if psid else {}
    tables = []
    for name, task, methods, version in (
        ("lalonde-peers", peer_row, [m for m in args.methods if m != OURS], peers.version()),
        ("lalonde-ours", our_row, [m for m in args.methods if m == OURS], None),
    ):
        if methods:
            states = range(1 if args.quick else args.random_states)
            specs = grid(method=methods, n_controls=[n_controls], random_state=states, **which)
            study = Study(
                name, task, specs, args.studies, code_version=version, any_version=args.any_version
            )
            tables.append(run(study, args.n_jobs, _expected))
    rows = pd.concat(tables, ignore_index=True)
    source = args.controls.upper()
    caption = f"185 treated and {n_controls:,} controls ({source}); dollars of 1982. {NOTE}"
    write(
        "lalonde_psid" if psid else "lalonde",
        TITLE,
        rows,
        [(caption, summary(rows))],
        args.quick,
        args.studies,
    )


def _expected(spec: Spec) -> float:
    return (90.0 if spec["method"] == OURS else 15.0) * int(spec["n_controls"]) / 16_000


TITLE = "LaLonde: the ATT of job training against the experimental benchmark of 1794 dollars"
NOTE = (
    "EconML: LinearDML's linear conditional effect averaged over the treated, with the standard "
    "error of that average (it has no score of its own for the ATT); `econml_forest` is the doubly "
    "robust `att_` of its CausalForestDML. DoubleML: IRM with score ATTE. Outcomes by boosted "
    "trees, the propensity by boosted trees or logistic regression, 5 folds, default trimming"
)

if __name__ == "__main__":
    main()
