"""What commands print: tables to stdout, warnings to stderr."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

_WIDTH = 110
"""A file or a pipe would cut tables at 80 columns."""


def console() -> "Console":
    """Standard output, which prints texts as they are."""
    from rich.console import Console

    width = max(Console().width, _WIDTH)
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)


def print_frame(out: "Console", frame: "pd.DataFrame", level: float | None = None) -> None:
    """A table of texts, its first column to the left; an interval column is told its level."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(frame.columns):
        label = f"{level * 100:g} % interval" if level and name == "Interval" else name
        table.add_column(label, justify="right" if i else "left", no_wrap=True)
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(str(cell)) for cell in row))
    out.print(table)


def warn(texts: Iterable[str], word: str = "Warning") -> None:
    """One line each on stderr."""
    from rich.console import Console

    err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    for text in texts:
        err.print(f"{word}: {text}", style="yellow")
