"""Parts of a page: texts, cards, figures and tables under one heading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from causal_ddpm.report.displays.base import Display
from causal_ddpm.report.html import safe, svg
from causal_ddpm.report.tables import page_table


@dataclass(frozen=True, eq=False)
class Section:
    """A part of the page.

    Parameters
    ----------
    title : str
    texts : sequence of str
        Paragraphs.
    figures : sequence of mapping
        With ``svg`` and ``caption``.
    tables : sequence of HTML
    card : sequence of (term, text)
        Facts side by side, above the figures.
    """

    title: str
    texts: Sequence[str] = ()
    figures: Sequence[dict[str, Any]] = ()
    tables: Sequence[Any] = ()
    card: Sequence[tuple[str, str]] = ()


def figure(display: Display, name: str, height: float, caption: str) -> dict[str, Any]:
    """A display as inline SVG with its caption; ``name`` starts the ids on the page."""
    return {"svg": safe(svg(display, name, caption, height)), "caption": caption}


def table(frame: pd.DataFrame, name: str) -> Any:
    """A frame of texts as a table of the page."""
    return safe(page_table(frame, name).as_raw_html())
