"""The record of the difference-in-differences experiment: reports side by side, and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from causal_ddpm.core.errors import DataError
from causal_ddpm.evaluation.recovery.report import Recovery

INFORMATION: Mapping[str, str] = {
    "H": "all units before treatment, and a stated line in time",
    "D": "all untreated cells, controls after treatment included",
}
"""What each information set holds."""

_MARKS: Mapping[str, str] = {
    "recovered": " ", "in part": "~", "not recovered": "x", "not judged": " ",
}  # fmt: skip
"""What a table as text puts behind a number, by its verdict."""

_BROKEN_SECTIONS = ("time", "counterfactual", "effects")


@dataclass(frozen=True, eq=False)
class DIDRecovery:
    """What was recovered of a difference-in-differences panel.

    Parameters
    ----------
    design : str
    equations : tuple of str
    recoveries : mapping of (str, str) to Recovery
        By information set and model.
    broken : mapping of (str, str) to Recovery
        The same where the trend breaks when treatment starts; empty if that was not asked for.
    least_squares_percent : mapping of str to float
        By information set: mean size of the error of the ATT, in percent of it, that correctly
        specified least squares makes.
    trend_break : float
    seed : int or None
    """

    design: str
    equations: tuple[str, ...]
    recoveries: Mapping[tuple[str, str], Recovery]
    broken: Mapping[tuple[str, str], Recovery] = field(default_factory=dict)
    least_squares_percent: Mapping[str, float] = field(default_factory=dict)
    trend_break: float = 0.0
    seed: int | None = None

    def recovery(self, information: str, model: str, broken: bool = False) -> Recovery:
        """One report.

        Raises
        ------
        DataError
            If it was not asked for.
        """
        source = self.broken if broken else self.recoveries
        if (information, model) not in source:
            known = " or ".join(f"{i}, {m}" for i, m in source) or "none"
            raise DataError(f"there is no report of {information}, {model}", known)
        return source[information, model]

    def table(self, information: str) -> pd.DataFrame:
        """One information set: a row a quantity, the models side by side."""
        return _side_by_side({m: r for (i, m), r in self.recoveries.items() if i == information})

    def broken_table(self) -> pd.DataFrame:
        """The world with the broken trend: effects and time, H and D side by side."""
        table = _side_by_side({f"{i} {m}": r for (i, m), r in self.broken.items()})
        if table.empty:
            return table
        table = table[table["section"].isin(_BROKEN_SECTIONS)].reset_index(drop=True)
        return table.drop(columns=["real", "allowance"])

    def att(self) -> pd.DataFrame:
        """The ATT by world, information set and model, with errors in percent of it."""
        rows = []
        for world, source in (("straight", self.recoveries), ("broken", self.broken)):
            for (information, model), r in source.items():
                att, percent = (r.section("effects").findings[k] for k in (0, 1))
                rows.append({
                    "trend": world, "information": information, "model": model,
                    "truth": att.truth, "ATT": att.recovered, "error %": percent.recovered,
                    "least squares errs by %": self.least_squares_percent[information],
                    "verdict": att.verdict,
                })  # fmt: skip
        return pd.DataFrame(rows)

    def frame(self) -> pd.DataFrame:
        """Every finding: trend, information, model, and the columns of a recovery's frame."""
        parts = [
            r.frame().assign(trend=world, information=information, model=model)
            for world, source in (("straight", self.recoveries), ("broken", self.broken))
            for (information, model), r in source.items()
        ]
        table = pd.concat(parts, ignore_index=True)
        first = ["trend", "information", "model"]
        return table[[*first, *(c for c in table.columns if c not in first)]]

    def to_frame(self) -> pd.DataFrame:
        """The same as :meth:`frame`."""
        return self.frame()

    @property
    def what_h_cannot_know(self) -> str:
        """What the broken trend does to models that learn before treatment, in a sentence."""
        said = []
        for (information, model), r in self.broken.items():
            straight = self.recoveries.get((information, model))
            if information != "H" or straight is None:
                continue
            same = np.array_equal(
                r.section("time").curves["period"]["recovered"],
                straight.section("time").curves["period"]["recovered"],
            )
            percent = r.section("effects").findings[1].recovered
            digits = "in every digit the same" if same else "not the same"
            said.append(
                f"the {model} model's predictions are {digits} as without the break, and its ATT "
                f"is off by {percent:+.0f} % of the effect"
            )
        if not said:
            return ""
        return (
            f"When the trend bends by {self.trend_break:g} a period at the start of treatment, "
            f"nothing before it tells. In H {'; '.join(said)}."
        )

    def summary(self) -> str:
        """The three tables and what they say, as text."""
        lines = [f"What is recovered of {self.design} (x: not recovered, ~: in part)", ""]
        for information, meaning in INFORMATION.items():
            table = self.table(information)
            if len(table):
                lines += [f"{information}: {meaning}", _text(table), ""]
                lines += [f"- {s}" for s in self._sentences(information)] + [""]
        if self.broken:
            lines += [f"The trend breaks by {self.trend_break:g} a period when treatment starts",
                      _text(self.broken_table()), "", self.what_h_cannot_know]  # fmt: skip
        return "\n".join(lines).rstrip()

    def _sentences(self, information: str) -> list[str]:
        """What each model recovered and what not."""
        out = []
        for (own, model), r in self.recoveries.items():
            if own != information:
                continue
            percent = abs(r.section("effects").findings[1].recovered)
            good = [s.title.lower() for s in r.sections if s.verdict == "recovered"]
            out.append(
                f"{model}: the ATT is off by {percent:.2g} % of the effect (least squares with the "
                f"same information errs by {self.least_squares_percent[own]:.2g} % on average); "
                f"recovered: {', '.join(good) or 'nothing'}."
            )
            out += [f"{model}: {text}" for text in r.not_recovered]
        return out

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "design": self.design,
            "equations": list(self.equations),
            "seed": self.seed,
            "trend_break": self.trend_break,
            "information": dict(INFORMATION),
            "least_squares_percent": dict(self.least_squares_percent),
            "recoveries": _listed(self.recoveries),
            "broken": _listed(self.broken),
            "what_h_cannot_know": self.what_h_cannot_know,
        }

    def __repr__(self) -> str:
        return self.summary()


def _side_by_side(recoveries: Mapping[str, Recovery]) -> pd.DataFrame:
    """Findings of several models: truth, then what each recovered and how it is judged."""
    tables = {name: r.frame() for name, r in recoveries.items()}
    if not tables:
        return pd.DataFrame()
    out = next(iter(tables.values()))[["section", "quantity", "truth", "real", "allowance"]].copy()
    for name, table in tables.items():
        out[name], out[f"{name}: verdict"] = table["recovered"], table["verdict"]
    return out


def _text(table: pd.DataFrame) -> str:
    """A table as text: each model's numbers, marked by their verdicts."""
    models = [c for c in table.columns if f"{c}: verdict" in table.columns]
    shown = table[["quantity", *(c for c in ("truth", "real") if c in table.columns)]].copy()
    shown["quantity"] = shown["quantity"].str.replace("root mean square error", "RMSE")
    for name in models:
        pairs = zip(table[name], table[f"{name}: verdict"], strict=True)
        shown[name] = [f"{value:.4g} {_MARKS[verdict]}" for value, verdict in pairs]
    return str(shown.to_string(index=False, float_format=lambda v: f"{v:.4g}", na_rep=""))


def _listed(recoveries: Mapping[tuple[str, str], Recovery]) -> list[dict[str, Any]]:
    return [{"information": i, "model_kind": m, **r.to_dict()} for (i, m), r in recoveries.items()]
