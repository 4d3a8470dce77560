"""Tables of an analysis: for a page (great_tables) and for a terminal (plain text)."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from causal_ddpm.core.estimate import Estimate
from causal_ddpm.evaluation.analysis import Analysis
from causal_ddpm.evaluation.answers import Answers
from causal_ddpm.report import prose, style

if TYPE_CHECKING:
    from great_tables import GT


LONG = 20
"""A table shows at most so many entries of one estimate, spread over all of them."""


def answers_frame(answers: Analysis | Answers) -> pd.DataFrame:
    """Every estimate as formatted text; columns Estimand, Estimate, Std. error, Interval."""
    return pd.DataFrame([_row(r, r["label"]) for r in _records(answers)])


def _records(answers: Analysis | Answers) -> list[dict[str, Any]]:
    """One record an entry; a long curve at ``LONG`` of its points."""
    shown = []
    for estimate, names in zip(answers.estimates, _labels(answers.estimates), strict=True):
        records = estimate.records(answers.level)
        last, n = len(records) - 1, min(len(records), LONG)
        chosen = [round(k * last / max(n - 1, 1)) for k in range(n)]
        shown += [{**records[k], "label": names[k]} for k in chosen]
    return shown


def _labels(estimates: Sequence[Estimate]) -> list[list[str]]:
    """Labels of the entries; one that several estimates have is told apart by its question."""
    count = Counter(label for estimate in estimates for label in set(estimate.labels))
    asked: Counter[str] = Counter()
    names = []
    for estimate in estimates:
        asked[estimate.estimand] += 1
        nth = asked[estimate.estimand]
        question = estimate.estimand if nth == 1 else f"{estimate.estimand} {nth}"
        names.append([
            label if count[label] == 1
            else question if label == estimate.estimand
            else f"{question}: {label}"
            for label in estimate.labels
        ])  # fmt: skip
    return names


def estimates_frame(analysis: Analysis) -> pd.DataFrame:
    """Every estimate and the naive difference as formatted text, one row an entry.

    Returns
    -------
    DataFrame
        Columns Estimand, Estimate, Std. error, Interval and, for simulated data, Truth.
    """
    rows = [_row(r, r["label"]) for r in _records(analysis)]
    others: list[tuple[str, Any]] = [(r.label, r) for r in analysis.source.references]
    for label, found in [*others, ("Naive difference", analysis.naive)]:
        low, high = found.interval(analysis.level)
        record = {"value": found.value, "std_error": found.std_error}
        rows.append(_row({**record, "ci_low": low, "ci_high": high}, label))
    table = pd.DataFrame(rows)
    if analysis.truth is not None:
        places = prose.decimals(analysis.headline.std_error)
        truths = [analysis.truth.population.get(name) for name in table["Estimand"]]
        table["Truth"] = ["" if t is None else prose.number(t, places) for t in truths]
    return table


def _row(record: dict[str, float], label: str) -> dict[str, str]:
    places = prose.decimals(record["std_error"])
    low, high = prose.number(record["ci_low"], places), prose.number(record["ci_high"], places)
    return {
        "Estimand": label,
        "Estimate": prose.number(record["value"], places),
        "Std. error": prose.number(record["std_error"], places),
        "Interval": f"{low} to {high}",
    }


def estimates_table(analysis: Analysis) -> GT:
    """The estimates as a great_tables object, in the look of the report."""
    table = estimates_frame(analysis)
    table = table.rename(columns={"Interval": f"{analysis.level * 100:g} % interval"})
    return page_table(table, "estimates")


SENTENCE = 40
"""A column with a text longer than this is aligned left, as sentences are."""


def page_table(table: pd.DataFrame, name: str) -> GT:
    """A table of texts in the look of the report; the first column and sentences are aligned left.

    Parameters
    ----------
    table : DataFrame of str
    name : str
        The id of the table on its page.
    """
    from great_tables import GT

    long = [c for c in table.columns[1:] if table[c].str.len().max() > SENTENCE]
    left = [table.columns[0], *long]
    return (
        GT(table.map(html.escape), id=name)
        .fmt_passthrough(escape=False)
        .cols_align("right")
        .cols_align("left", columns=left)
        .tab_options(
            table_width="100%",
            table_font_names=["system-ui", "Segoe UI", "Arial", "sans-serif"],
            table_font_size="15px",
            table_font_color=style.INK,
            table_background_color="transparent",
            column_labels_font_weight="500",
            column_labels_border_top_style="none",
            column_labels_border_bottom_color=style.INK,
            column_labels_border_bottom_width="1px",
            table_border_top_style="none",
            table_border_bottom_style="none",
            table_body_border_bottom_color=style.HAIRLINE,
            table_body_hlines_color=style.HAIRLINE,
            data_row_padding="7px",
        )
    )
