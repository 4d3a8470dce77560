"""The table of the coverage study, and its verdicts.

One row a method, design, number of rows, case and label. With R draws and Monte Carlo
error s = sqrt(.95 x .05 / R), a row *fails* when .95 lies outside coverage +- 2.6 s or coverage is
below .92. Bands are judged in the same way by the share of draws in which the whole band is right.
With fewer than 50 draws .92 cannot be told from .95: the row is *open*.

``width_ratio`` compares the mean width with that of the smallest possible interval: of the
semiparametric efficiency bound where the design knows it, else of the mean standard error with
oracle nuisances on the same design (the influence function is then the efficient one).

``margin`` is the coverage's distance from the nominal level in Monte Carlo errors.

``oracle_coverage`` is the coverage with oracle nuisances on the very same draws, if there is one.
Draws that are unlucky for the true nuisances are unlucky for learnt ones; the difference of the two
columns says what learning costs, with less Monte Carlo error than either. Verdicts do not use it.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.dgp.catalog import catalog
from causal_ddpm.evaluation.coverage.cases import CASES
from causal_ddpm.evaluation.coverage.scores import BAND, FULL, LEVEL, REFUSED
from causal_ddpm.evaluation.monte_carlo import summarize_intervals

CELL = ("method", "design", "n", "case", "label")
WITHIN_ERRORS = 2.6
LOWEST = 0.92
FEWEST_DRAWS = 2
DRAWS_TO_JUDGE = 50
ORACLE = "oracle"
HEADLINE = {"method": (FULL,), "n": (500,), "design": ("gauss", "bimodal")}
"""Cells whose mean coverage is reported first, for the cases marked so."""

_NUMBERS = (
    "n_draws", "n_refused", "bias", "bias_error", "sd", "mean_std_error", "se_ratio",
    "se_ratio_error", "rmse", "coverage", "coverage_error", "oracle_coverage", "width",
    "width_ratio",
)  # fmt: skip


def summarize(entries: pd.DataFrame) -> pd.DataFrame:
    """Summary of the entries of :func:`causal_ddpm.evaluation.coverage.scores.from_rows`.

    Returns
    -------
    DataFrame
        Columns of ``CELL``, then n_draws, n_refused, bias, bias_error, sd, mean_std_error,
        se_ratio, se_ratio_error, rmse, coverage, coverage_error, oracle_coverage, width,
        width_ratio, margin, verdict.
    """
    entries = entries.reset_index(drop=True)
    refused = entries[entries["label"] == REFUSED].groupby(list(CELL[:-1])).size()
    paired, rows = _with_oracle(entries), []
    for key, group in entries.groupby(list(CELL), sort=False):
        cell = dict(zip(CELL, key, strict=True))
        if cell["label"] == REFUSED or len(group) < FEWEST_DRAWS:
            continue
        cell["oracle_coverage"] = _same_draws(paired, group)
        numbers = _band(group) if cell["label"] == BAND else _entry(group, cell)
        cell["n_refused"] = int(refused.get(tuple(key[:-1]), 0))
        rows.append({**cell, **numbers})
    if not rows:
        return pd.DataFrame(columns=[*CELL, *_NUMBERS, "margin", "verdict"])
    table = _with_bounds(pd.DataFrame(rows))
    table["margin"] = (table["coverage"] - LEVEL) / table["coverage_error"]
    table["verdict"] = _verdicts(table)
    return table[[*CELL, *_NUMBERS, "margin", "verdict"]].sort_values(
        list(CELL[:-1]), kind="stable", ignore_index=True
    )


def headline(table: pd.DataFrame) -> dict[str, float]:
    """Mean coverage of the headline cells and their number; the share of judged cells that hold."""
    names = [case.name for case in CASES if case.headline]
    chosen = table["case"].isin(names) & (table["label"] != BAND)
    for column, values in HEADLINE.items():
        chosen &= table[column].isin(values)
    cells, judged = table[chosen], table.loc[table["verdict"] != "open", "verdict"]
    return {
        "cells": float(len(cells)),
        "mean_coverage": float(cells["coverage"].mean()) if len(cells) else np.nan,
        "judged": float(len(judged)),
        "share_that_holds": float((judged == "holds").mean()) if len(judged) else np.nan,
    }


def _entry(group: pd.DataFrame, cell: dict[str, Any]) -> dict[str, float]:
    summary = summarize_intervals(
        group["value"], group["std_error"], group["low"], group["high"], group["truth"],
        bound=_known_bound(cell), level=LEVEL,
    )  # fmt: skip
    return asdict(summary)


def _band(group: pd.DataFrame) -> dict[str, float]:
    n = len(group)
    return {
        "n_draws": n,
        "coverage": float(group["inside"].mean()),
        "coverage_error": float(np.sqrt(LEVEL * (1 - LEVEL) / n)),
        "width": float(group["width"].mean()),
    }


def _with_oracle(entries: pd.DataFrame) -> pd.Series[float]:
    """Whether the oracle's interval (or band) is right on the draw of each row, nan if unknown."""
    key = [*CELL[1:], "draw"]
    right = (entries["low"] <= entries["truth"]) & (entries["truth"] <= entries["high"])
    right_or_inside = np.where(entries["inside"].isna(), right, entries["inside"])
    oracle = entries.assign(right=right_or_inside)[entries["method"] == ORACLE].drop_duplicates(key)
    return entries[key].merge(oracle[[*key, "right"]], on=key, how="left")["right"]


def _same_draws(paired: pd.Series[float], group: pd.DataFrame) -> float:
    """Coverage of the oracle on the draws of a group; nan where it lacks one."""
    found = paired.loc[group.index]
    return float(found.mean()) if found.notna().all() else np.nan


def _known_bound(cell: dict[str, Any]) -> float | None:
    """Efficiency bound of the standard error at n rows, where the design knows it."""
    truth = catalog()[cell["design"]].truth()  # type: ignore[attr-defined]
    sd = truth.efficiency_sd.get(cell["label"])
    return None if sd is None else float(sd) / float(cell["n"]) ** 0.5


def _with_bounds(table: pd.DataFrame) -> pd.DataFrame:
    """Width ratios from oracle standard errors where no bound is known."""
    cell = ["design", "n", "case", "label"]
    oracle = table[table["method"] == ORACLE].set_index(cell)["width"]
    reference = table.set_index(cell).index.map(oracle.to_dict())
    ratio = table["width"] / np.asarray(reference, dtype=float)
    return table.assign(width_ratio=table["width_ratio"].fillna(ratio))


def _verdicts(table: pd.DataFrame) -> NDArray[np.str_]:
    """What each row deserves: fails, holds or open."""
    outside = (table["coverage"] - LEVEL).abs() > WITHIN_ERRORS * table["coverage_error"]
    few = table["n_draws"] < DRAWS_TO_JUDGE
    low = table["coverage"] < LOWEST
    return np.select([few, outside, low], ["open", "fails", "fails"], "holds")
