"""A page and a heat map for experiments that compare methods over many data sets."""

from __future__ import annotations

import platform
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import causal_ddpm
from causal_ddpm.core.files import write_text
from causal_ddpm.report import style
from causal_ddpm.report.html import fill
from causal_ddpm.report.sections import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_MANY, _DARK = 8, 0.85
"""More columns get smaller type; cells with more colour get white type."""


@dataclass(frozen=True, eq=False)
class HeatMap:
    """A table whose cells are the more coloured the worse they are.

    Parameters
    ----------
    badness : DataFrame
        In [0, 1], methods by data sets; missing cells stay white.
    texts : DataFrame
        What the cells say, of the same shape; nothing where it is no text.
    """

    badness: pd.DataFrame
    texts: pd.DataFrame

    @property
    def height(self) -> float:
        """Inches that the rows need."""
        lines = 1 + self.texts.map(lambda text: str(text).count("\n")).max(axis=None)
        return 0.7 + len(self.texts) * (0.14 + 0.15 * lines)

    def frame(self) -> pd.DataFrame:
        """What the cells say."""
        return self.texts.reset_index()

    def plot(self, ax: Axes) -> Axes:
        """Rows down, columns across with their names above."""
        from matplotlib.colors import LinearSegmentedColormap

        values = self.badness.to_numpy(dtype=float)
        many = values.shape[1] > _MANY
        size, letters = (7.0, 9) if many else (8.5, 12)
        shades = ["#eef4ee", "#fbf3e6", style.TREATED]
        colours = LinearSegmentedColormap.from_list("bad", shades).with_extremes(bad="#ffffff")
        ax.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=0, vmax=1, aspect="auto")
        for i, j in np.ndindex(*values.shape):
            text = self.texts.iloc[i, j]
            if isinstance(text, str):
                ink = "#ffffff" if values[i, j] > _DARK else style.INK
                ax.text(j, i, text, ha="center", va="center", color=ink, fontsize=size)
        names = [textwrap.fill(str(name), letters) for name in self.badness.columns]
        ax.set_xticks(range(values.shape[1]), names, fontsize=size)
        ax.set_yticks(range(len(values)), list(self.badness.index), fontsize=size + 1)
        ax.tick_params(axis="both", length=0, labelcolor=style.INK)
        ax.xaxis.tick_top()
        ax.spines[:].set_visible(False)
        return ax


def write_page(
    path: Path,
    title: str,
    lede: str,
    sections: Sequence[Section],
    assumptions: Sequence[str],
    facts: Sequence[tuple[str, str]],
) -> None:
    """A self-contained HTML page in the look of the reports."""
    made = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC with Python {platform.python_version()}"
    content: dict[str, Any] = {
        "title": title, "kicker": "Methods compared", "lede": lede, "simulated": None,
        "version": causal_ddpm.__version__, "warnings": [], "sections": sections,
        "assumptions": assumptions, "facts": [("Made", made), *facts],
    }  # fmt: skip
    write_text(path, fill("sections.html.j2", content))


def texts_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Cells as texts with three significant digits."""
    return frame.map(text_of)


def text_of(value: object) -> str:
    """A number with three significant digits; empty where it is missing."""
    if not isinstance(value, float):
        return str(value)
    if value != value:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
