"""One sheet about a design: its equations, its truth, its columns, what it teaches, a picture."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.core.files import draft_of
from causal_ddpm.core.instrument_data import InstrumentData
from causal_ddpm.core.random import Seed
from causal_ddpm.dgp.catalog import FAMILIES, Entry
from causal_ddpm.dgp.factorial_designs import SIMPLE
from causal_ddpm.report import style
from causal_ddpm.report.displays.design import DesignDisplay

_OTHER_ROLES: Mapping[str, str] = {
    "unit": "unit", "period": "period", "cohort": "first treated period, 0 for never",
    "treated": "1 in treated cells", "y": "outcome", "x": "covariate", "price": "price",
    "quantity": "quantity", "income": "shifts demand", "cost": "shifts supply",
    "cluster": "cluster", "firm_id": "unit",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class DesignSheet:
    """A design and one draw that shows it.

    Parameters
    ----------
    entry : Entry
    draw : Any
        A record with at least ``frame`` and ``truth``.
    size : int
        Rows, units or markets of the draw.
    """

    entry: Entry
    draw: Any
    size: int

    @classmethod
    def of(cls, entry: Entry, n: int | None = None, seed: Seed = 0) -> Self:
        """The sheet of a draw of n rows, or of the size that shows the design."""
        size = entry.n if n is None else n
        return cls(entry, entry.draw(size, seed), size)

    def truth_frame(self) -> pd.DataFrame:
        """Columns quantity, population, sample and bound.

        ``bound`` is the smallest standard error that a regular estimator can have at this size,
        where it is known; a value that the draw does not have is missing.
        """
        truth, n = self.draw.truth, len(self.draw.frame)
        names = list(dict.fromkeys([*truth.population, *truth.sample]))
        sources = {
            "population": truth.population,
            "sample": truth.sample,
            "bound": {name: sd / np.sqrt(n) for name, sd in truth.efficiency_sd.items()},
        }
        columns = {
            key: [source.get(name, np.nan) for name in names] for key, source in sources.items()
        }
        return pd.DataFrame({"quantity": names, **columns})

    def columns_frame(self) -> pd.DataFrame:
        """Columns column, role, values and missing; numbered columns of one role are one row."""
        frame, roles = self.draw.frame, _roles(self.draw)
        rows = [(name, roles[name], _values(frame[name])) for name in frame.columns]
        merged: list[list[str]] = []
        for name, role, values in rows:
            if merged and re.fullmatch(r"x\d+", name) and merged[-1][1] == role:
                first = merged[-1][0].split(",")[0]
                merged[-1] = [f"{first}, ..., {name}", role, merged[-1][2]]
            else:
                merged.append([name, role, values])
        return pd.DataFrame(merged, columns=["column", "role", "values"])

    def lesson(self) -> str:
        """What a naive analysis of these rows finds, beside the truth."""
        return _LESSONS[self.entry.family](self.draw)

    def display(self) -> DesignDisplay:
        """The picture of the draw."""
        return DesignDisplay.of(self.entry, self.draw)

    def save_picture(self, path: str | Path) -> Path:
        """Write the picture as PNG.

        Raises
        ------
        DataError
            If the file cannot be written.
        """
        from matplotlib.figure import Figure

        with style.look(), draft_of(path) as draft:
            figure = Figure(figsize=(6.4, 4.0), layout="constrained", facecolor="white")
            self.display().plot(figure.add_subplot())
            figure.savefig(draft, format="png", dpi=80, metadata={"Software": None})
        return Path(path)

    def markdown(self, picture: str) -> str:
        """A page of the documentation.

        Parameters
        ----------
        picture : str
            Where the picture is, seen from the page.
        """
        entry, what = self.entry, f"{self.size:,} {self.entry.counts}"
        return "\n".join([
            f"# `{entry.name}`\n",
            f"{_sentence(entry.summary)}\n",
            f"Family [{entry.family}](index.md#{entry.family}): {FAMILIES[entry.family]}.\n",
            f"![A draw of {what}]({picture})\n",
            f"*A draw of {what}, seed 0. Points: what an analyst sees; lines: what is true.*\n",
            "## Equations\n", "```text", *entry.equations, "```\n",
            "## What it teaches\n", f"{self.lesson()}\n",
            "## Truth\n",
            "*Population*: what the design implies for an endless sample. *Sample*: the rows of "
            f"the draw above ({what}, seed 0), from outcomes that only a simulator sees. *Bound*: "
            "the smallest standard error that a regular estimator of the population value can "
            "have at this size, where it is known.\n",
            _table(self.truth_frame(), ["Quantity", "Population", "Sample", "Bound"]) + "\n",
            "## Columns\n",
            _table(self.columns_frame(), ["Column", "Role", "Values"]) + "\n",
            "## Draw it\n", "```python", "from causal_ddpm import catalog\n",
            f'draw = catalog()["{entry.name}"].draw({self.size}, seed=0)',
            "draw.frame, draw.truth.population, draw.truth.sample", "```\n",
            "```bash", f"causal-ddpm dgp draw {entry.name} --rows {self.size} --seed 0 "
            f"--out {entry.name}.csv", "```",
        ]) + "\n"  # fmt: skip


def shown(value: object) -> str:
    """A cell of a table: four digits, nothing where a number is missing."""
    if not isinstance(value, float):
        return str(value)
    return "" if np.isnan(value) else f"{value:.4g}".replace("e+0", "e").replace("e-0", "e-")


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def _table(frame: pd.DataFrame, heads: list[str]) -> str:
    rows = [[shown(value) for value in row] for row in frame.itertuples(index=False)]
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |"
                     for line in lines)  # fmt: skip


def _roles(draw: Any) -> dict[str, str]:
    """What each column of the frame is."""
    roles = {name: _OTHER_ROLES.get(name, "covariate") for name in draw.frame.columns}
    data = getattr(draw, "data", None)
    if isinstance(data, CausalData):
        roles |= dict.fromkeys(data.confounder_names, "confounder")
        roles |= {data.treatment_name: "treatment", data.outcome_name: "outcome"}
        if data.instrument_name is not None:
            roles[data.instrument_name] = "instrument"
    if isinstance(data, InstrumentData):
        roles |= dict.fromkeys(data.confounder_names, "confounder")
        roles |= dict.fromkeys(data.instrument_names, "instrument")
        roles |= {data.treatment_name: "treatment", data.outcome_name: "outcome"}
    if isinstance(data, FactorialData):
        roles |= dict.fromkeys(data.factors, "factor")
    return roles


def _values(column: pd.Series) -> str:
    """Kind and range of a column."""
    seen = column.dropna()
    missing = "" if len(seen) == len(column) else f"; {1 - len(seen) / len(column):.0%} missing"
    if not pd.api.types.is_numeric_dtype(column):
        return ", ".join(sorted(seen.unique())) + missing
    if pd.api.types.is_integer_dtype(column):
        return f"whole numbers, {seen.min()} to {seen.max()}{missing}"
    return f"numbers, {shown(float(seen.min()))} to {shown(float(seen.max()))}{missing}"


def _binary_lesson(draw: Any) -> str:
    y, d, truth = draw.data.outcome, draw.data.treatment, draw.truth
    naive = y[d == 1].mean() - y[d == 0].mean()
    return (
        f"Treated rows have a mean outcome {_over(naive)} untreated ones; the true average effect "
        f"is {shown(truth.population['ATE'])}. The rest of the difference is who was treated, not "
        "what treatment does."
    )


def _instrument_lesson(draw: Any) -> str:
    y, d, known = draw.data.outcome, draw.data.treatment, draw.truth.population
    naive = float(y[d == 1].mean() - y[d == 0].mean())
    text = (
        f"Treated rows have a mean outcome {_over(naive)} untreated ones; the true average effect "
        f"is {shown(known['ATE'])}, and no adjustment for x removes what the hidden type does. The "
        f"effect on compliers is {shown(known['LATE'])}."
    )
    if "Wald" in known:
        text += (
            " Since some units do the opposite of what they are encouraged to, the instrument's "
            f"effect on the outcome over that on the treatment is {shown(known['Wald'])}, which is "
            "the effect on no group of units."
        )
    return text


def _arms_lesson(draw: Any) -> str:
    y, d, arms = draw.data.outcome, draw.data.treatment, draw.data.arms
    naive = float(y[d == 2].mean() - y[d == 0].mean())
    true = draw.truth.population[f"E[Y({arms[2]}) - Y({arms[0]})]"]
    return (
        f"Rows of '{arms[2]}' have a mean outcome {_over(naive)} rows of '{arms[0]}'; the true "
        f"contrast is {shown(true)}."
    )


def _dose_lesson(draw: Any) -> str:
    line, known = (
        float(np.polyfit(draw.frame[draw.data.treatment_name], draw.data.outcome, 1)[0]),
        draw.truth.population,
    )
    return (
        f"The least-squares line of the outcome on the dose has slope {shown(line)}; the true "
        f"curve has slope {shown(known['slope(5)'])} at its centre and {shown(known['slope(3)'])} "
        "at a dose of 3."
    )


def _structural_lesson(draw: Any) -> str:
    z, d, y = (draw.frame[name] for name in ("z", "d", "y"))
    line, ratio = float(np.polyfit(d, y, 1)[0]), float(np.cov(z, y)[0, 1] / np.cov(z, d)[0, 1])
    known = draw.truth.population
    return (
        f"The least-squares line of the outcome on the dose has slope {shown(line)}, the line "
        f"through the instrument {shown(ratio)}. The true curve is no line: its average slope is "
        f"{shown(known['average slope'])}, and between doses of -1 and 1 it rises by "
        f"{shown(known['g(1) - g(-1)'])}."
    )


def _market_lesson(draw: Any) -> str:
    p, q = np.log(draw.frame["price"]), np.log(draw.frame["quantity"])
    return (
        f"The least-squares line of log quantity on log price has slope "
        f"{shown(float(np.polyfit(p, q, 1)[0]))}: neither the -.9 of demand nor the .7 of supply, "
        "for price and quantity answer to both curves. Income and cost each shift one curve only, "
        "which is what tells them apart."
    )


def _panel_lesson(draw: Any) -> str:
    treated, y = draw.treated.astype(float), draw.outcome
    within = [v - v.mean(axis=0) - v.mean(axis=1, keepdims=True) + v.mean() for v in (treated, y)]
    slope = float((within[0] * within[1]).sum() / (within[0] ** 2).sum())
    own, known = draw.truth.sample["ATT"], draw.truth.population["ATT"]
    return (
        f"Two-way fixed effects give {shown(slope)}; the mean effect in the treated cells drawn is "
        f"{shown(own)}, in the population {shown(known)}."
    )


def _spillover_lesson(draw: Any) -> str:
    y, d, known = draw.data.outcome, draw.data.treatment, draw.truth.population
    naive = float(y[d == 1].mean() - y[d == 0].mean())
    direct, indirect = (
        [value for name, value in known.items() if name.startswith(kind)]
        for kind in ("direct", "indirect")
    )
    return (
        f"Treated units have a mean outcome {_over(naive)} untreated ones. A unit's own treatment "
        f"does {' or '.join(map(shown, direct))}, by how many of its neighbours are treated; "
        f"treating those adds {' or '.join(map(shown, indirect))}, and treating everyone "
        f"{shown(known['total effect'])}."
    )


def _factorial_lesson(draw: Any) -> str:
    first, known = draw.data.factors[0], draw.truth.population
    return (
        f"The average effect of '{first}' over the other factors is {shown(known[first])}; where "
        f"all of them are 0 it is {shown(known[first + SIMPLE])}. Both are called its effect."
    )


def _over(difference: float) -> str:
    where = "above" if difference >= 0 else "below"
    return f"{shown(abs(float(difference)))} {where} that of"


_LESSONS: Mapping[str, Callable[[Any], str]] = {
    "confounded": _binary_lesson,
    "adoption": _binary_lesson,
    "arms": _arms_lesson,
    "dose": _dose_lesson,
    "instrument": _instrument_lesson,
    "structural": _structural_lesson,
    "market": _market_lesson,
    "mixed": _binary_lesson,
    "panel": _panel_lesson,
    "spillover": _spillover_lesson,
    "factorial": _factorial_lesson,
}
