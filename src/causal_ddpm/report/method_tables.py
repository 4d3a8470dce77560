"""Methods side by side as texts, of a cross-section or a panel, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from causal_ddpm.evaluation.method_table import MethodTable
from causal_ddpm.report import displays, prose
from causal_ddpm.report.sections import Section, figure, table


def methods_frame(methods: MethodTable) -> pd.DataFrame:
    """Every answer as texts.

    Returns
    -------
    DataFrame
        Columns Method, Estimate, SE, Interval, where any method fits a path before treatment Gap
        before (its root mean squared gap there), with a benchmark Distance / SE, and CPU s.
    """
    found = methods.frame()
    paths = "pre_fit" in found and bool(found["pre_fit"].notna().any())
    return pd.DataFrame([_texts(row, paths) for row in found.to_dict("records")])


def _texts(row: Mapping[Any, Any], paths: bool) -> dict[str, str]:
    places = prose.decimals(row["std_error"])
    low, high = (prose.number(row[end], places) for end in ("ci_low", "ci_high"))
    texts = {
        "Method": row["method"] + ("" if row["votes"] else " (no vote)"),
        "Estimate": prose.number(row["value"], places),
        "SE": prose.number(row["std_error"], places),
        "Interval": f"{low} to {high}",
    }
    if paths:
        texts["Gap before"] = "" if pd.isna(row["pre_fit"]) else f"{row['pre_fit']:.2g}"
    if "distance" in row:
        texts["Distance / SE"] = prose.number(row["distance"], 2)
    return texts | {"CPU s": prose.number(row["seconds"], 1)}


def assumptions_frame(methods: MethodTable) -> pd.DataFrame:
    """What each answer rests on; columns Method, Library, What carries it."""
    return pd.DataFrame(
        [
            (row.title, row.library.replace("_", "-"), row.assumes)
            for row in methods.rows
            if row.estimate is not None
        ],
        columns=["Method", "Library", "What carries it"],
    )


def left_out_frame(methods: MethodTable) -> pd.DataFrame:
    """Methods without an answer, one row a reason; columns Method, Why."""
    titles: dict[str, list[str]] = {}
    for title, reason in methods.left_out.items():
        titles.setdefault(reason, []).append(title)
    rows = [(prose.listed(names), reason) for reason, names in titles.items()]
    return pd.DataFrame(rows, columns=["Method", "Why"])


def method_sections(methods: MethodTable, outcome: str | None, words: str) -> list[Section]:
    """Forest and table of the answers, what each rests on, and who has none.

    Parameters
    ----------
    methods : MethodTable
    outcome : str or None
        For the axis of the forest; see :meth:`MethodForestDisplay.of`.
    words : str
        The finding, above the forest.
    """
    display = displays.MethodForestDisplay.of(methods, outcome)
    level = f"{methods.level * 100:g} %"
    caption = (
        f"The same effect by every method that applies, with {level} intervals: ours in orange, "
        "grey where a method has no vote; an arrow leaves the axis. The dotted line is the "
        "precision-weighted median of those with a vote. How far the points lie apart is an "
        "uncertainty that no single interval shows."
    )
    answers = methods_frame(methods).rename(columns={"Interval": f"{level} interval"})
    found = [
        Section(
            "What each method says", [words],
            [figure(display, "methods", display.height, caption)],
            [table(answers, "method-table")],
        ),
        Section("What carries each answer", tables=[table(assumptions_frame(methods), "carries")]),
    ]  # fmt: skip
    if methods.left_out:
        left = table(left_out_frame(methods), "left-out")
        found.append(Section("Without an answer", tables=[left]))
    return found
