"""What the study found: a table with Monte Carlo errors, a ranking, and verdicts in words.

With errors d_r = theta_r - theta over R draws,

    RMSE = sqrt(mean d_r^2),      its error  sd(d_r^2) / (2 RMSE sqrt(R)),

and two estimators are told apart on the draws that both have seen: the mean of d_r^2 - d'_r^2 in
units of its own error. Other symbols: :mod:`causal_ddpm.evaluation.monte_carlo`. Intervals fail
where their coverage is more than 2.6 Monte Carlo errors from the level. Draws that an estimator
refused for lack of overlap are counted, not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.truth import Truth
from causal_ddpm.evaluation.monte_carlo import summarize_intervals
from causal_ddpm.evaluation.twin.design import TwinDesign
from causal_ddpm.evaluation.twin.likeness import Likeness

Array = NDArray[np.float64]
WITHIN, DISTINCT = 2.6, 2.0
"""Monte Carlo errors beyond which coverage fails, and squared errors differ."""

FEW_DRAWS = 50
_COLUMNS = (
    "estimator", "title", "draws", "refused", "bias", "bias_error", "sd", "rmse", "rmse_error",
    "rmse_ratio", "versus_best", "mean_std_error", "se_ratio", "coverage",
    "coverage_error", "width", "intervals",
)  # fmt: skip
_RESULTS = ("value", "std_error", "ci_low", "ci_high", "truth", "sample_truth", "refused")


@dataclass(frozen=True, eq=False)
class OwnStudy:
    """A study on data like yours.

    Parameters
    ----------
    table : DataFrame
        One row an estimator, by ``rmse_ratio``, the RMSE over that of the best on the draws that
        both have seen (the best is one with the most draws): draws, refused, bias, sd, rmse and
        coverage with their Monte Carlo errors, ``versus_best`` (squared errors beside those of the
        best, in Monte Carlo errors of the difference), mean standard error, its ratio to the sd,
        width, and what the intervals deserve ("hold", "too narrow", "too wide").
    rows : DataFrame
        One row a draw and estimator.
    truth : Truth
        Of the twin.
    likeness : Likeness
        How like the data the twin is.
    estimand, effect, kind : str
        What was estimated; the effect that was set; the kind of the outcome.
    overlap : float
    n : int
        Rows of a draw.
    level : float
        Of the intervals.
    """

    table: pd.DataFrame
    rows: pd.DataFrame
    truth: Truth
    likeness: Likeness
    estimand: str
    effect: str
    kind: str
    overlap: float
    n: int
    level: float

    @classmethod
    def of(
        cls,
        rows: pd.DataFrame,
        titles: Mapping[str, str],
        twin: TwinDesign,
        estimand: Estimand,
        n: int,
        level: float,
    ) -> OwnStudy:
        """Summarise the rows of a study.

        Raises
        ------
        DataError
            If no estimator finished two draws.
        """
        known = [*rows.columns, *(c for c in _RESULTS if c not in rows.columns)]
        rows = rows.reindex(columns=known)  # rows that failed have no results
        return cls(
            _table(rows, titles, level), rows, twin.truth(), twin.likeness, estimand.name,
            twin.effect.words, twin.effect.kind, twin.overlap, n, level,
        )  # fmt: skip

    def frame(self) -> pd.DataFrame:
        """The table."""
        return self.table.copy()

    @property
    def best_std_error(self) -> float:
        """Smallest standard error that any regular estimator can have at n rows."""
        return float(self.truth.efficiency_sd[self.estimand]) / float(np.sqrt(self.n))

    def verdict(self) -> list[str]:
        """What the study says, in sentences."""
        truth = self.truth.value(self.estimand)
        return [
            self.likeness.sentence(),
            f"In the twin the {self.estimand} is {truth:.4g} (effect {self.effect}, overlap "
            f"{self.overlap:g}); no regular estimator has a standard error below "
            f"{self.best_std_error:.3g} at {self.n:,} rows.",
            *self._accuracy(),
            *self._intervals(),
            *self._absent(),
        ]

    def _accuracy(self) -> list[str]:
        is_best = self.table["versus_best"].eq(0) & self.table["rmse_ratio"].eq(1)
        first, rest = self.table[is_best].iloc[0], self.table[~is_best]
        words = [
            f"Lowest RMSE: {first['title']}, {first['rmse']:.3g} +- {first['rmse_error']:.2g} over "
            f"{first['draws']} draws."
        ]
        near = rest[rest["versus_best"].abs() < DISTINCT]["title"]
        if len(near):
            words.append(f"Not told apart from it on the same draws: {', '.join(near)}.")
        better = rest[rest["versus_best"] <= -DISTINCT]
        words += [
            f"{row['title']} has {row['rmse_ratio']:.2f} of its RMSE on the {row['draws']} draws "
            "that both have seen."
            for _, row in better.iterrows()
        ]
        biased = self.table[self.table["bias"].abs() > WITHIN * self.table["bias_error"]]
        words += [
            f"{row['title']} is biased by {row['bias']:.3g} +- {row['bias_error']:.2g}."
            for _, row in biased.iterrows()
        ]
        return words

    def _intervals(self) -> list[str]:
        words = []
        for _, row in self.table[self.table["intervals"] != "hold"].iterrows():
            words.append(
                f"{self.level:.0%} intervals of {row['title']} cover {row['coverage']:.2f} +- "
                f"{row['coverage_error']:.2f}: they are {row['intervals']}."
            )
        held = self.table[self.table["intervals"] == "hold"]
        if len(held):
            cover = [f"{r['title']} ({r['coverage']:.2f})" for _, r in held.iterrows()]
            words.append(f"Intervals that hold within Monte Carlo error: {', '.join(cover)}.")
        few = held[held["draws"] < FEW_DRAWS]["title"]
        if len(few):
            words.append(f"Few draws, so that only gross failure would show: {', '.join(few)}.")
        return words

    def _absent(self) -> list[str]:
        """Draws that came to nothing: refused for lack of overlap, or failed."""
        words = []
        for name, part in self.rows.groupby("estimator", sort=False):
            refused = part["refused"].dropna()
            failed = part.loc[part["status"] == "failed", "error"]
            if len(refused):
                words.append(
                    f"{name} refused {len(refused)} of {len(part)} draws for lack of overlap; they "
                    "are not in its numbers."
                )
            if len(failed):
                why = str(failed.iloc[0]).splitlines()[0]
                words.append(f"{name} failed on {len(failed)} of {len(part)} draws: {why}")
        return words

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: settings, truth, likeness, table and verdict."""
        return {
            "schema_version": 1,
            "estimand": self.estimand, "effect": self.effect, "overlap": self.overlap, "n": self.n,
            "level": self.level, "truth": self.truth.to_dict(), "likeness": asdict(self.likeness),
            "best_std_error": self.best_std_error,
            "estimators": [_plain(row) for row in self.table.to_dict("records")],
            "verdict": self.verdict(),
        }  # fmt: skip

    def __repr__(self) -> str:
        shown = ["title", "draws", "bias", "rmse", "coverage", "intervals"]
        return "\n".join([self.table[shown].round(4).to_string(index=False), *self.verdict()])


def _table(rows: pd.DataFrame, titles: Mapping[str, str], level: float) -> pd.DataFrame:
    done = rows[rows["status"] == "ok"]
    parts = {name: done[done["estimator"] == name].set_index("draw") for name in titles}
    judged = {name: part[part["refused"].isna()] for name, part in parts.items()}
    judged = {name: part for name, part in judged.items() if len(part) >= 2}
    if not judged:
        raise DataError(
            "no estimator finished two draws", "finished draws",
            f"The first failure said: {_first_failure(rows)}",
        )  # fmt: skip
    found = []
    for name, part in judged.items():
        summary = asdict(
            summarize_intervals(
                part["value"], part["std_error"], part["ci_low"], part["ci_high"], part["truth"],
                level=level,
            )
        )  # fmt: skip
        squares = _squares(part)
        summary |= {
            "estimator": name, "title": titles[name], "draws": len(part),
            "refused": len(parts[name]) - len(part),
            "rmse_error": float(squares.std() / (2 * summary["rmse"] * np.sqrt(len(part)))),
            "intervals": _deserved(summary["coverage"], summary["coverage_error"], level),
        }  # fmt: skip
        found.append(summary)
    table = pd.DataFrame(found)
    errors = {name: _squares(judged[name]) for name in table["estimator"]}
    full = table[table["draws"] == table["draws"].max()]
    best = errors[full.loc[full["rmse"].idxmin(), "estimator"]]
    table["rmse_ratio"] = [_ratio(errors[e], best) for e in table["estimator"]]
    table["versus_best"] = [_versus(errors[e], best) for e in table["estimator"]]
    return table.sort_values("rmse_ratio", ignore_index=True)[list(_COLUMNS)]


def _squares(part: pd.DataFrame) -> pd.Series[float]:
    return (part["value"].astype(float) - part["truth"].astype(float)) ** 2


def _ratio(squares: pd.Series[float], best: pd.Series[float]) -> float:
    """RMSE over that of the best, on the draws that both have."""
    both = pd.concat([squares, best], axis=1, join="inner").mean()
    return float(np.sqrt(both.iloc[0] / both.iloc[1]))


def _versus(squares: pd.Series[float], best: pd.Series[float]) -> float:
    """Mean difference of squared errors over its error, on the draws that both have."""
    gap = (squares - best).dropna()
    error = float(gap.std(ddof=1)) / np.sqrt(len(gap)) if len(gap) > 1 else 0.0
    return float(gap.mean()) / error if error > 0 else 0.0


def _deserved(coverage: float, error: float, level: float) -> str:
    if abs(coverage - level) <= WITHIN * error:
        return "hold"
    return "too narrow" if coverage < level else "too wide"


def _first_failure(rows: pd.DataFrame) -> str:
    told = [*rows["error"].dropna(), *rows["refused"].dropna()]
    return str(told[0]).splitlines()[0] if told else "nothing"


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Numpy scalars as Python's own, missing numbers as None."""
    out = {}
    for name, value in row.items():
        plain = value.item() if isinstance(value, np.generic) else value
        out[str(name)] = None if isinstance(plain, float) and np.isnan(plain) else plain
    return out
