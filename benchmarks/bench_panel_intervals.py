"""Do intervals of panel methods hold on placebos: average effects that are zero.

The treated unit of a panel is removed, and each control in turn is treated as if it had been
treated when that unit was. Its true average effect is zero. Each adapter, with its default
settings, gives the 90 % interval that its own account of uncertainty makes (placebo variance for
methods that impute a path, a state space model for the structural time series), and the table says
how often zero lies inside, how long the interval is, and how far the estimates stray. Both panels
come from installed packages (the extra `data`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from common import parser, run, write

from causal_ddpm import ATT, PanelData
from causal_ddpm.baselines.panel.registry import panel_baselines
from causal_ddpm.core.random import Seed
from causal_ddpm.evaluation.studies import Spec, Study

METHODS = ("did", "sdid", "sc", "augmented-sc", "mc-nnm", "ife", "structural")
SECONDS = {"sdid": 1.5, "sc": 9.0, "augmented-sc": 1.0, "mc-nnm": 3.0, "ife": 2.0}
LEVEL = 0.9
CAPTION = (
    "Placebos whose average effect is zero: share of 90 % intervals that hold it, with its "
    "binomial error; root mean squared estimate over the median standard error (1 where the "
    "standard error is right on average); median length of the interval"
)


@cache
def controls(name: str) -> tuple[pd.DataFrame, int]:
    """Cells of the never treated units (unit, period, y), and the first treated period."""
    if name == "prop99":
        import synthdid

        frame = synthdid.load_california_prop99()
        columns, treated, start = ("State", "Year", "PacksPerCapita"), "California", 1989
    else:
        import causaldata

        frame = causaldata.texas.load_pandas().data
        columns, treated, start = ("state", "year", "bmprison"), "Texas", 1993
    found = frame[list(columns)].set_axis(["unit", "period", "y"], axis=1)
    return found[found["unit"].astype(str) != treated].dropna(), start


def interval_row(spec: Spec, seed: Seed) -> Mapping[str, Any]:
    """Estimate, standard error and interval of one method on one pseudo-treated unit."""
    frame, start = controls(str(spec["panel"]))
    treated = (frame["unit"].astype(str) == spec["unit"]) & (frame["period"] >= start)
    panel = PanelData(frame.assign(d=treated.astype(int)), "unit", "period", "y", treated="d")
    (method,) = panel_baselines([str(spec["method"])])
    estimate = method.estimate(panel, ATT(), seed, LEVEL)
    low, high = estimate.interval(LEVEL)
    return {
        "value": float(estimate.value), "std_error": float(estimate.std_error),
        "low": float(low), "high": float(high),
    }  # fmt: skip


def table_of(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a panel and method."""
    out = []
    for (panel, method), part in rows.groupby(["panel", "method"], sort=False):
        holds = ((part["low"] <= 0) & (part["high"] >= 0)).mean()
        out.append({
            "panel": panel, "method": method, "placebos": len(part), "coverage": holds,
            "its error": np.sqrt(holds * (1 - holds) / len(part)),
            "RMS estimate / SE": np.sqrt((part["value"] ** 2).mean()) / part["std_error"].median(),
            "length": (part["high"] - part["low"]).median(),
            "CPU s": part["cpu_seconds"].median(),
        })  # fmt: skip
    return pd.DataFrame(out)


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    options.add_argument("--panels", nargs="+", choices=("prop99", "texas"), default=["prop99"])
    args = options.parse_args()
    names = args.panels[:1] if args.quick else args.panels
    specs = [
        {"panel": name, "method": method, "unit": str(unit)}
        for name in names
        for method in (["did", "structural"] if args.quick else args.methods)
        for unit in np.unique(controls(name)[0]["unit"])[: 3 if args.quick else None]
    ]
    study = Study(
        "panel-intervals", interval_row, specs, args.studies, any_version=args.any_version
    )
    rows = run(study, args.n_jobs, lambda spec: SECONDS.get(spec["method"], 0.4))
    title = "Intervals of panel methods on placebos"
    write("panel_intervals", title, rows, [(CAPTION, table_of(rows))], args.quick, args.studies)


if __name__ == "__main__":
    main()
