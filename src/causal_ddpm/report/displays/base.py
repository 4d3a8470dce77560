"""What every display can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ARM_NAMES = ("untreated", "treated")


class Display(Protocol):
    """A picture whose numbers can be had."""

    def frame(self) -> pd.DataFrame:
        """The numbers behind the picture."""
        ...

    def plot(self, ax: Axes) -> Axes:
        """Draw on the axes given and return them."""
        ...


def percent(value: float, position: float) -> str:
    """Tick label of a share, without its sign (two-sided histograms count both ways)."""
    return f"{abs(value):.0%}"


def shortened(name: str, limit: int = 28) -> str:
    """A label that fits beside an axis."""
    return name if len(name) <= limit else name[: limit - 1] + "…"
