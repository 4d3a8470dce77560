"""Displays as files of their own: .svg, .png or .pdf."""

from __future__ import annotations

from pathlib import Path

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.files import check_writable, draft_of
from causal_ddpm.report import style
from causal_ddpm.report.displays.base import Display

PICTURES = (".svg", ".png", ".pdf")
WIDTH, HEIGHT = 7.4, 4.0
"""Inches; a display that knows the height it needs gets that."""


def check_picture(path: str | Path) -> Path:
    """The path of a picture that can be written.

    Raises
    ------
    DataError
        If its ending names no format, or the folder cannot be written to.
    """
    path = Path(path)
    if path.suffix.lower() not in PICTURES:
        raise DataError(
            f"the picture '{path.name}' ends in '{path.suffix or 'nothing'}'", ", ".join(PICTURES)
        )
    return check_writable(path)


def write_display(display: Display, path: str | Path) -> Path:
    """One display as a file; the ending says the format.

    Raises
    ------
    DataError
        As :func:`check_picture`.
    """
    from matplotlib.figure import Figure

    target = check_picture(path)
    height = getattr(display, "height", HEIGHT)
    with style.look(), draft_of(target) as draft:
        drawn = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")
        display.plot(drawn.add_subplot())
        kind = target.suffix.lower().removeprefix(".")
        drawn.savefig(draft, format=kind, dpi=160, facecolor="white")
    return target
