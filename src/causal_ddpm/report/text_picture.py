"""A scatter plot in letters, for terminals."""

from __future__ import annotations

import numpy as np

from causal_ddpm.report.displays.design import DesignDisplay

POINTS = ".:,'"
LINES = "ox*#"


def text_picture(display: DesignDisplay, width: int = 68, height: int = 16) -> str:
    """The rows of a display as dots and its lines as letters, with their legend.

    Parameters
    ----------
    display : DesignDisplay
    width, height : int
        Characters inside the frame.
    """
    frame = display.frame()
    x, y = frame["x"].to_numpy(), frame["y"].to_numpy()
    low, high = np.quantile(y, [0.005, 0.995])
    kept = (y >= low) & (y <= high)
    columns = _places(x, x.min(), x.max(), width)
    rows = height - 1 - _places(y, low, high, height)
    grid = [[" "] * width for _ in range(height)]
    legend = []
    for kind, marks in (("row", POINTS), ("truth", LINES)):
        part = (frame["kind"] == kind).to_numpy() & kept
        names = frame.loc[frame["kind"] == kind, "series"].unique()
        for k, name in enumerate(names):
            mark = marks[k % len(marks)]
            legend.append(f"{mark} {name}")
            for i in np.flatnonzero(part & (frame["series"] == name).to_numpy()):
                grid[rows[i]][columns[i]] = mark
    edge = f"+{'-' * width}+"
    return "\n".join([
        f"{display.y_label}, from {low:.3g} to {high:.3g}",
        edge, *(f"|{''.join(line)}|" for line in grid), edge,
        f"{display.x_label}, {_span(display, x)}",
        "   ".join(legend),
    ])  # fmt: skip


def _places(values: np.ndarray, low: float, high: float, n: int) -> np.ndarray:
    """Which of n equal steps from low to high each value falls into."""
    share = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return np.clip((share * n).astype(int), 0, n - 1)


def _span(display: DesignDisplay, x: np.ndarray) -> str:
    if display.ticks:
        return "from left: " + ", ".join(display.ticks)
    return f"from {x.min():.3g} to {x.max():.3g}"
