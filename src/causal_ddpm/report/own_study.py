"""A study on data like yours as a table and a page."""

from __future__ import annotations

import pandas as pd

from causal_ddpm.evaluation.own_study.result import OwnStudy
from causal_ddpm.report.prose import decimals, number


def shown(study: OwnStudy) -> pd.DataFrame:
    """The table as formatted text: estimates with their Monte Carlo errors in brackets."""
    table = study.table
    places = [decimals(error) for error in table["bias_error"]]
    rows = {
        "Estimator": table["title"],
        "Draws": table["draws"].astype(str),
        "Bias": _with_errors(table, "bias", places),
        "RMSE": _with_errors(table, "rmse", places),
        "SE / sd": [number(v, 2) for v in table["se_ratio"]],
        "Coverage": _with_errors(table, "coverage", [2] * len(table)),
        "Intervals": table["intervals"],
    }
    return pd.DataFrame(rows)


def page(study: OwnStudy, command: str) -> str:
    """The study in Markdown.

    Parameters
    ----------
    study : OwnStudy
    command : str
        The command that made it.
    """
    cells = shown(study)
    rows = [list(cells.columns), ["---"] * cells.shape[1], *cells.to_numpy().tolist()]
    parts = [
        f"# Estimators of the {study.estimand} on data like yours",
        f"Command: `{command}`",
        "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows),
        "\n".join(f"- {sentence}" for sentence in study.verdict()),
        "The twin:",
        "\n".join(f"- {equation}" for equation in study.truth.equations),
        _NOTE,
    ]
    return "\n\n".join(parts) + "\n"


def _with_errors(table: pd.DataFrame, name: str, places: list[int]) -> list[str]:
    pairs = zip(table[name], table[f"{name}_error"], places, strict=True)
    return [f"{number(value, p)} ({number(error, p)})" for value, error, p in pairs]


_NOTE = """Monte Carlo errors in brackets. SE / sd is the mean standard error over the spread of the
estimates: below one, intervals are too narrow. In the twin treatment depends on the confounders
and on nothing else, so a ranking says nothing about a confounder that is missing."""
