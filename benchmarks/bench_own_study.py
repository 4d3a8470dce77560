"""Which estimator to trust on data like NHEFS: a study on its twin.

The data: 1 566 smokers, who quits (qsmk), the change of weight in kilograms (wt82_71), nine
confounders. A twin is learnt; then the truth is set: no effect with the selection that was learnt,
an effect of 3 kg that differs with age under twice the selection on the log odds, and 3 kg in an
experiment. The default pipeline is slow: it joins the first, with fewer draws.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from common import parser, write

CONFOUNDERS = [
    "sex", "race", "age", "education", "smokeintensity", "smokeyrs", "exercise", "active", "wt71",
]  # fmt: skip
QUICK = ("difference", "ols", "lin", "ipw", "aipw")
TRUTHS: tuple[tuple[Any, float, tuple[str, ...]], ...] = (
    (0.0, 1.0, (*QUICK, "diffusion")),
    ("3 + 0.1 * (age - 43)", 2.0, QUICK),
    (3.0, 0.0, QUICK),
)
SHOWN = [
    "title", "draws", "bias", "bias_error", "sd", "rmse", "rmse_error", "rmse_ratio", "versus_best",
    "se_ratio", "coverage", "coverage_error", "intervals",
]  # fmt: skip


def nhefs() -> Any:
    """The complete rows, with roles."""
    from causaldata import nhefs_complete

    from causal_ddpm import CausalData

    frame = nhefs_complete.load_pandas().data
    factors = ["sex", "race", "exercise", "active", "education"]
    frame = frame.astype({name: str for name in factors})
    return CausalData(frame, "qsmk", "wt82_71", CONFOUNDERS)


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--draws", type=int, default=100)
    options.add_argument("--n", type=int, default=500, help="rows of a draw (default 500)")
    options.add_argument(
        "--slow-draws", type=int, default=20, help="draws of the default pipeline (default 20)"
    )
    args = options.parse_args()
    from causal_ddpm import TwinDesign, study_own

    kept = args.studies / "nhefs.twin"
    if args.any_version and kept.exists():
        twin = TwinDesign.load(kept)
    else:
        args.studies.mkdir(parents=True, exist_ok=True)
        twin = TwinDesign.fit(nhefs(), random_state=0)
        twin.save(kept)
    rows, tables = [], []
    for effect, overlap, names in TRUTHS:
        chosen = [e for e in names if e != "diffusion" or args.slow_draws]
        draws = {e: args.slow_draws if e == "diffusion" else args.draws for e in chosen}
        if args.quick:
            chosen, draws = QUICK[:3], dict.fromkeys(QUICK[:3], 4)
        found = study_own(
            twin, chosen, effect=effect, overlap=overlap, draws=draws, n=args.n,
            folder=args.studies, n_jobs=args.n_jobs, any_version=args.any_version, announce=print,
        )  # fmt: skip
        rows.append(found.rows.assign(effect=str(effect), overlap=overlap))
        shown = found.table[SHOWN].rename(columns={"title": "estimator"})
        tables.append((" ".join(found.verdict()), shown))
    write(
        "own_study", "Estimators on data like NHEFS", pd.concat(rows), tables, args.quick,
        args.studies,
    )  # fmt: skip


if __name__ == "__main__":
    main()
