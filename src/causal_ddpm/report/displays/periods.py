"""Calendar time on an axis: numbers stay numbers, other labels are placed one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TICKS = 9


def places(periods: Sequence[Any] | NDArray[Any]) -> NDArray[np.float64]:
    """Where the periods of a panel lie on an axis, shape (T,)."""
    labels = np.asarray(periods)
    if labels.dtype.kind in "iuf":
        return labels.astype(float)
    return np.arange(len(labels), dtype=float)


def period_axis(ax: Axes, periods: Sequence[Any] | NDArray[Any], name: str) -> None:
    """Ticks at whole periods with their labels, and the name of the axis."""
    from matplotlib.ticker import MaxNLocator

    labels, at = np.asarray(periods), places(periods)
    if labels.dtype.kind in "iuf":
        ax.xaxis.set_major_locator(MaxNLocator(nbins=MOST_TICKS, integer=True))
        ax.xaxis.set_major_formatter(lambda v, _: f"{v:g}".replace("-", "\N{MINUS SIGN}"))
    else:
        step = -(-len(labels) // MOST_TICKS)
        ax.set_xticks(at[::step], [written(p) for p in labels[::step]])
    ax.set_xlabel(name)


def written(period: Any) -> str:
    """A period as a label: dates without a time of day, whole numbers without a point."""
    if isinstance(period, np.datetime64):
        return str(period.astype("datetime64[D]"))
    if hasattr(period, "date") and callable(period.date):
        return str(period.date())
    if isinstance(period, float | np.floating):
        return f"{period:g}"
    return str(period)


def start_line(ax: Axes, at: float, text: str = "treated from here") -> None:
    """A dashed vertical line where treatment starts, with its words at the foot."""
    ax.axvline(at, color=style.QUIET, lw=1, ls=(0, (2, 2)), zorder=1)
    ax.annotate(
        text, (at, 0.015), xycoords=("data", "axes fraction"), xytext=(4, 0),
        textcoords="offset points", color=style.QUIET, fontsize=9, va="bottom",
    )  # fmt: skip


def apart(wanted: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Heights near the ones wanted, in the same order and at least ``gap`` apart.

    Labels at the ends of lines would otherwise lie on each other; runs that are too dense are
    spread evenly about their mean.
    """
    order = np.argsort(wanted, kind="stable")
    blocks: list[list[float]] = []
    for value in wanted[order]:
        blocks.append([float(value), 1.0])
        while len(blocks) > 1 and _end(blocks[-2], gap) > blocks[-1][0] - _half(blocks[-1], gap):
            (m1, n1), (m2, n2) = blocks[-2:]
            blocks[-2:] = [[(m1 * n1 + m2 * n2) / (n1 + n2), n1 + n2]]
    spread = [m + gap * (k - (n - 1) / 2) for m, n in blocks for k in range(int(n))]
    out = np.empty(len(wanted))
    out[order] = spread
    return out


def _half(block: list[float], gap: float) -> float:
    return gap * block[1] / 2


def _end(block: list[float], gap: float) -> float:
    return block[0] + _half(block, gap)
