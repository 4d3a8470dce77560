"""The coverage study as a page: what was run, the verdicts, and the tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from causal_ddpm.evaluation.coverage.summary import headline

_SHOWN = {
    "label": "entry",
    "n_draws": "draws",
    "bias": "bias",
    "sd": "sd",
    "se_ratio": "SE / sd",
    "rmse": "RMSE",
    "coverage": "coverage",
    "coverage_error": "+-",
    "oracle_coverage": "oracle, same draws",
    "width_ratio": "width / bound",
    "verdict": "verdict",
}
_DIGITS = {"SE / sd": 2, "width / bound": 2}


def page(table: pd.DataFrame, command: str) -> str:
    """Markdown page of a summary.

    Parameters
    ----------
    table : DataFrame
        Result of :func:`causal_ddpm.evaluation.coverage.summary.summarize`.
    command : str
        The command that rebuilds it.
    """
    sections = ["# Coverage of the intervals", _INTRODUCTION, f"Command: `{command}`"]
    if len(table):
        sections += [
            _headline_text(table),
            "## By method, design and rows",
            _markdown(cells(table)),
        ]
        sections += [*_failures(table)]
    for method in [m for m in table["method"].unique() if m not in ("oracle", "light")]:
        for (design, n), group in table[table["method"] == method].groupby(["design", "n"]):
            sections += [f"## {method}: {design}, {n} rows", _markdown(entries(group))]
    light = table[table["method"].isin(["oracle", "light"])]
    if len(light):
        sections += ["## Oracle and light nuisances, by case", _markdown(by_case(light))]
    return "\n\n".join(sections) + "\n"


def cells(table: pd.DataFrame) -> pd.DataFrame:
    """One row a method, design and number of rows: how many entries hold, and mean coverage."""
    return _counted(table, ["method", "design", "n"])


def by_case(table: pd.DataFrame) -> pd.DataFrame:
    """One row a method, case and number of rows, over all designs."""
    return _counted(table, ["method", "case", "n"])


def entries(table: pd.DataFrame) -> pd.DataFrame:
    """What a page shows of single entries."""
    same = table["case"] == table["label"]
    named = table.assign(label=np.where(same, table["case"], _names(table)))
    return named.rename(columns=_SHOWN)[list(_SHOWN.values())]


def _names(table: pd.DataFrame) -> pd.Series[str]:
    return table["case"] + ": " + table["label"]


def _counted(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    rows = [
        {
            **dict(zip(by, key, strict=True)),
            "entries": len(group),
            "draws": _span(group["n_draws"]),
            "refused": int(group["n_refused"].max()),
            "mean coverage": float(group["coverage"].mean()),
            "lowest": float(group["coverage"].min()),
            "hold": int((group["verdict"] == "holds").sum()),
            "fail": int((group["verdict"] == "fails").sum()),
        }
        for key, group in table.groupby(by, sort=False)
    ]
    return pd.DataFrame(rows)


def _span(draws: pd.Series[int]) -> str:
    low, high = int(draws.min()), int(draws.max())
    return f"{low}" if low == high else f"{low}-{high}"


def _headline_text(table: pd.DataFrame) -> str:
    found = headline(table)
    holding = f"{found['share_that_holds']:.1%} of the {found['judged']:,.0f} judged entries hold."
    if not found["cells"]:
        return holding
    return (
        f"Mean coverage of the {found['cells']:.0f} headline entries (ATE, ATT, ATU and quantile "
        f"effects under the default pipeline, 500 rows, gauss and bimodal): "
        f"{found['mean_coverage']:.3f}. {holding}"
    )


def _failures(table: pd.DataFrame) -> list[str]:
    failing = table[table["verdict"] == "fails"]
    if not len(failing):
        return []
    columns = ["method", "design", "n", *_SHOWN]
    shown = failing.assign(label=_names(failing))[columns].rename(columns=_SHOWN)
    return ["## Entries that fail", _markdown(shown.drop(columns="verdict"))]


def _markdown(table: pd.DataFrame) -> str:
    rows = [list(map(str, table.columns)), ["---"] * table.shape[1]]
    for values in table.itertuples(index=False):
        rows.append([_cell(v, c) for v, c in zip(values, table.columns, strict=True)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(value: object, column: str) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.{_DIGITS.get(column, 3)}f}"
    return str(value)


_INTRODUCTION = """Estimates and 95 % intervals on draws of designs whose truth is known. `full` is
the default pipeline; `oracle` gives the estimators the true nuisances, `light` gives them ridge
and logistic regressions on powers of the covariates with a normal law, so that scores are judged
apart from learning. With R draws the Monte Carlo error of a coverage is sqrt(.95 x .05 / R); an
entry **fails** when .95 lies outside coverage +- 2.6 errors, or coverage is below .92; with
fewer than 50 draws it is open. `(band)` is the simultaneous band over all entries of an
estimate. SE / sd is the mean standard error over the Monte Carlo sd; `oracle, same draws` is the
coverage with true nuisances on the very draws of the row, so that bad luck can be told from bad
intervals; width / bound compares the mean width with that of the efficiency bound where the
design knows it, else with the width under oracle nuisances."""
