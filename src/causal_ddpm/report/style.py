"""One look for every figure: colours, type and frame.

The two arms are blue and orange, the pair that readers with any colour vision tell apart; they
also differ in line style and in position. Numbers that are no causal effect are grey, the truth of
a simulation is drawn in green with its own marker. Text in a figure stays text.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#20242b"
QUIET = "#6a707a"
HAIRLINE = "#d9d6cf"
TREATED = "#c8551b"
UNTREATED = "#1f6aa5"
EFFECT = "#20242b"
NAIVE = "#8f959e"
TRUTH = "#12805c"
ARM_COLOURS = (UNTREATED, TREATED)
ARM_LINES = ("-", (0, (5, 1.6)))

_SETTINGS = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica Neue", "Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": HAIRLINE,
    "axes.labelcolor": QUIET,
    "axes.labelsize": 10,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.color": HAIRLINE,
    "ytick.color": HAIRLINE,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@contextmanager
def look() -> Iterator[None]:
    """Apply the house style to the figures made inside, and only to them."""
    import matplotlib as mpl

    with mpl.rc_context(_SETTINGS):
        yield


def rule(ax: "Axes", x: float = 0.0) -> None:
    """A thin vertical line, e.g. at no effect."""
    ax.axvline(x, color=HAIRLINE, linewidth=1.0, zorder=0)


def gridlines(ax: "Axes", axis: str = "y") -> None:
    """Faint lines for reading values off."""
    ax.grid(axis=axis, color=HAIRLINE, linewidth=0.6, alpha=0.7)  # type: ignore[arg-type]
