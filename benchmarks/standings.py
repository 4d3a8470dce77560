"""Who comes nearest: ranks, wins and paired ratios of methods over families of data sets.

The rank of a method on one draw is its place among all methods that answer the question (1 is the
smallest error; ties share their places). Its mean rank is taken within each family of data sets and
then over families, so that a family with many draws counts no more than another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from causal_ddpm.evaluation.monte_carlo import paired_ratio

SCORES = {"sqrt_pehe": "sqrt(PEHE)", "ate_error": "ATE error", "att_error": "ATT error"}
TITLES = {
    "ours": "Diffusion (this package)",
    "ols_t": "Least squares by arm",
    "bart_t": "BART by arm",
    "bcf": "BCF",
    "x_learner": "X-learner",
    "dr_learner": "DR-learner",
    "causal_forest": "Causal forest",
    "doubleml": "DoubleML (IRM)",
}
GOALS = (
    ("acic2016-1", "sqrt_pehe", 0.42),
    ("acic2016-4", "sqrt_pehe", 0.75),
    ("acic2016-1", "ate_error", 0.05),
    ("acic2016-4", "ate_error", 0.05),
    ("lalonde_psid", "sqrt_pehe", 12.9),
    ("lalonde_psid", "ate_error", 0.3),
)
"""Fixed beforehand, from published figures: data set, error, at most."""


def errors(rows: pd.DataFrame, score: str) -> pd.DataFrame:
    """One row a draw (family, dataset, draw), one column a method that answers the question.

    Draws that a method lacks are left out for all: everybody is judged on the same draws.
    """
    table = rows.pivot(index=["family", "dataset", "draw"], columns="method", values=score)
    order = [m for m in rows["method"].unique() if table[m].notna().any()]
    return table[order].dropna()


def mean_ranks(rows: pd.DataFrame, score: str, families: Sequence[str]) -> pd.DataFrame:
    """Mean rank in each family, and over families; the best method first.

    Returns
    -------
    DataFrame
        Columns method, ``mean rank``, then one a family (nan where no effect is known).
    """
    ranks = errors(rows, score).rank(axis=1)
    by_family = ranks.groupby(level="family").mean().reindex(families).dropna(how="all").T
    out = by_family.assign(**{"mean rank": by_family.mean(axis=1)})
    out = out[["mean rank", *by_family.columns]].sort_values("mean rank", kind="stable")
    return out.rename_axis(columns=None).rename_axis("method").reset_index()


def ratios(rows: pd.DataFrame, score: str, ours: str) -> pd.DataFrame:
    """Our error over that of each other method, by family: geometric mean over paired draws.

    Returns
    -------
    DataFrame
        Columns family, method, ratio, ``relative error`` (Monte Carlo, nan for one draw), wins,
        draws.
    """
    out = []
    for family, part in errors(rows, score).groupby(level="family", sort=False):
        for method in part.columns.drop(ours):
            ratio, error = paired_ratio(part[ours], part[method])
            out.append({
                "family": family, "method": method, "ratio": ratio, "relative error": error,
                "wins": int((part[ours] < part[method]).sum()), "draws": len(part),
            })  # fmt: skip
    return pd.DataFrame(out)


def losses(rows: pd.DataFrame, score: str, ours: str) -> pd.DataFrame:
    """Data sets on which another method's mean error is below ours, the worst loss first.

    Returns
    -------
    DataFrame
        Columns family, dataset, ``best method``, ``its error``, ``our error``, ratio, ``our rank``.
    """
    means = errors(rows, score).groupby(level=["family", "dataset"], sort=False).mean()
    table = pd.DataFrame({
        "best method": means.idxmin(axis=1), "its error": means.min(axis=1),
        "our error": means[ours], "ratio": means[ours] / means.min(axis=1),
        "our rank": means.rank(axis=1)[ours].astype(int),
    })  # fmt: skip
    lost = table[table["best method"] != ours]
    return lost.sort_values("ratio", ascending=False).reset_index()


def by_family(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over the draws of a family: errors, coverage, width, processor time."""
    columns = [*SCORES, "ate_covers", "ate_width", "att_covers", "att_width", "cpu_seconds"]
    grouped = rows.groupby(["family", "method"], sort=False)
    out = grouped[columns].mean()
    out.insert(0, "draws", grouped.size())
    out.insert(2, "median_sqrt_pehe", grouped["sqrt_pehe"].median())
    return out.reset_index()


def place(ranks: pd.DataFrame, method: str) -> int:
    """Place of a method in a table of mean ranks; 1 is the best."""
    best = ranks["mean rank"].to_numpy()
    own = ranks.loc[ranks["method"] == method, "mean rank"].item()
    return int(np.sum(best < own - 1e-12)) + 1


def goals(rows: pd.DataFrame, ours: str, families: Sequence[str]) -> pd.DataFrame:
    """What was aimed at, what was measured, and the best other method on the same rows."""
    out = []
    for score, highest in (("sqrt_pehe", 1), ("ate_error", 2)):
        ranks = mean_ranks(rows, score, families)
        others = ranks[ranks["method"] != ours].iloc[0]
        reached = place(ranks, ours)
        out.append({
            "goal": f"place by mean rank, {SCORES[score]}", "at most": float(highest),
            "measured": float(reached), "reached": "yes" if reached <= highest else "no",
            "next or best other": f"{others['method']}, mean rank {others['mean rank']:.2f}",
        })  # fmt: skip
    for dataset, score, most in GOALS:
        found = errors(rows, score)
        if dataset not in found.index.get_level_values("dataset"):
            continue
        means = found.xs(dataset, level="dataset").mean()
        best = means.drop(ours).idxmin()
        out.append({
            "goal": f"{dataset}, {SCORES[score]}", "at most": most, "measured": means[ours],
            "reached": "yes" if means[ours] <= most else "no",
            "next or best other": f"{best}, {means[best]:.3g}",
        })  # fmt: skip
    return pd.DataFrame(out)
