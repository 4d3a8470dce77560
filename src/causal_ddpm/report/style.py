"""One look for every figure: colours, type and frame.

The two arms are blue and orange, the pair that readers with any colour vision tell apart; they
also differ in line style and in position. Cohorts treated one after the other are shades of the
treated colour. Numbers that are no causal effect are grey, the truth of a simulation is drawn in
green with its own marker. Text in a figure stays text.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

INK = "#20242b"
QUIET = "#6a707a"
HAIRLINE = "#d9d6cf"
TREATED = "#c8551b"
UNTREATED = "#1f6aa5"
EFFECT = "#20242b"
NAIVE = "#8f959e"
TRUTH = "#12805c"
UNTREATED_PALE = "#b9d2e6"
MISSING = "#efece5"
SECOND = "#7a4fa0"
KIND_COLOURS = {"effect": EFFECT, "reference": UNTREATED, "naive": NAIVE}
ARM_COLOURS = (UNTREATED, TREATED)
ARM_LINES = ("-", (0, (5, 1.6)))

_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "causal-ddpm",
    "text.parse_math": False,
    "lines.markersize": 7.0,
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

    with mpl.rc_context(_SETTINGS):  # type: ignore[arg-type]
        yield


def ramp(n: int) -> list[str]:
    """Shades of the treated colour from light to dark, told apart by brightness alone."""
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    shades = LinearSegmentedColormap.from_list("treated", ["#f2a56b", TREATED, "#6d2c08"])
    return [TREATED] if n == 1 else [to_hex(shades(k / max(n - 1, 1))) for k in range(n)]


def rule(ax: "Axes", x: float = 0.0) -> None:
    """A thin vertical line, e.g. at no effect."""
    ax.axvline(x, color=HAIRLINE, linewidth=1.0, zorder=0)


def gridlines(ax: "Axes", axis: str = "y") -> None:
    """Faint lines for reading values off."""
    ax.grid(axis=axis, color=HAIRLINE, linewidth=0.6, alpha=0.7)  # type: ignore[arg-type]


def y_title(ax: "Axes", text: str) -> None:
    """What the vertical axis measures, written above it where it can be read without a turn."""
    ax.set_title(text, loc="left", color=QUIET, fontsize=10, pad=8)


def legend_above(ax: "Axes") -> None:
    """The legend in one line above the upper right corner, if anything has a label."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2, ncols=3)


def corner_label(ax: "Axes", text: str, colour: str, top: bool) -> None:
    """A bold name in the upper or lower right corner."""
    place: dict[str, Any] = {
        "ha": "right",
        "va": "top" if top else "bottom",
        "transform": ax.transAxes,
    }
    ax.text(0.995, 0.97 if top else 0.03, text, color=colour, fontweight="bold", **place)


def numbers(axis: "Axis") -> None:
    """Tick labels with thousands separators and a true minus sign."""
    axis.set_major_formatter(lambda v, _: f"{v:,.10g}".replace("-", "\N{MINUS SIGN}"))
