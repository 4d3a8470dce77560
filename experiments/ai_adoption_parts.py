"""What one study leaves: words, tables and pictures, and how they are printed and written."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

import causal_ddpm
from causal_ddpm.report import displays, style
from causal_ddpm.report.displays.base import Display
from causal_ddpm.report.html import fill
from causal_ddpm.report.sections import Section, figure, table


@dataclass(frozen=True, eq=False)
class Picture:
    """A display with its height in inches and what it shows."""

    display: Display
    height: float
    caption: str


@dataclass(frozen=True, eq=False)
class Part:
    """One study.

    Parameters
    ----------
    name : str
        Starts the names of its files.
    question : str
    verdict, beware : sequence of str
        What was found; what would overturn it.
    tables : mapping
        Frames by name: each becomes ``NAME_TABLE.csv`` and a table of the page.
    pictures : mapping
        Each becomes ``NAME_PICTURE.png`` and a figure of the page.
    simulated : bool
        Whether its rows are simulated.
    """

    name: str
    question: str
    verdict: Sequence[str]
    beware: Sequence[str]
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    simulated: bool = False

    @property
    def title(self) -> str:
        """The question, marked where the rows are simulated."""
        return f"SIMULATED DATA: {self.question}" if self.simulated else self.question


def say(part: Part) -> None:
    """The study on the terminal."""
    print(f"\n{part.title}")
    for text in part.verdict:
        print(_indented(text))
    print("  Beware")
    for text in part.beware:
        print(_indented(text, "- "))


def write(part: Part, folder: Path) -> None:
    """Its tables as CSV, its pictures as PNG."""
    for name, frame in part.tables.items():
        marked = frame.assign(simulated=True) if part.simulated else frame
        marked.to_csv(folder / f"{part.name}_{name}.csv", index=False)
    for name, picture in part.pictures.items():
        _save(picture, folder / f"{part.name}_{name}.png", part.simulated)


def write_page(parts: Sequence[Part], facts: Sequence[tuple[str, str]], path: Path) -> None:
    """All studies on one page."""
    simulated = [part.question for part in parts if part.simulated]
    banner = "The rows come from a simulator, not from firms; true in the parts: "
    page = fill("sections.html.j2", {
        "title": "What does adopting AI do?",
        "kicker": "AI adoption",
        "lede": "Each part says what was asked, what was found, how other methods answer, and what "
        "would overturn it.",
        "version": causal_ddpm.__version__,
        "simulated": banner + " ".join(simulated) if simulated else None,
        "warnings": [],
        "sections": [found for part in parts for found in sections(part)],
        "assumptions": [text for part in parts for text in _assumed(part)],
        "facts": facts,
    })  # fmt: skip
    path.write_text(page, encoding="utf-8")


def sections(part: Part) -> list[Section]:
    """A study on the page: what was found, and what would overturn it."""
    figures = [
        figure(p.display, f"{part.name}-{name}", p.height, p.caption)
        for name, p in part.pictures.items()
    ]
    numbers = [table(texts(frame), f"{part.name}-{name}") for name, frame in part.tables.items()]
    return [
        Section(part.title, part.verdict, figures),
        Section("What would overturn it, and the numbers", part.beware, tables=numbers),
    ]


def texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers with four digits, names with spaces, nothing where nothing is known."""
    shown = frame.rename(columns=lambda name: str(name).replace("_", " "))
    return shown.map(_text)


def forest(rows: pd.DataFrame, axis_label: str) -> displays.EffectDisplay:
    """Estimates with intervals; rows as in :class:`EffectDisplay`, kind and truth optional."""
    full = rows.assign(
        kind=rows.get("kind", "effect"),
        truth=rows.get("truth", float("nan")),
    )
    names = ["label", "kind", "value", "ci_low", "ci_high", "truth"]
    return displays.EffectDisplay(full[names], axis_label)


def height(rows: pd.DataFrame) -> float:
    """Inches that a forest of these rows needs."""
    return 1.1 + 0.34 * len(rows)


def _assumed(part: Part) -> list[str]:
    return [f"{part.question} {part.beware[0]}"] if part.beware else []


def _text(value: object) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _indented(text: str, bullet: str = "") -> str:
    return textwrap.fill(
        text, 96, initial_indent=f"  {bullet}", subsequent_indent="  " + " " * len(bullet)
    )


def _save(picture: Picture, path: Path, simulated: bool) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style.look():
        drawn = Figure(figsize=(7.4, picture.height), layout="constrained", facecolor="white")
        FigureCanvasAgg(drawn)
        picture.display.plot(drawn.add_subplot())
        if simulated:
            drawn.supxlabel("simulated data", fontsize=8, color=style.QUIET, x=0.99, ha="right")
        drawn.savefig(path, dpi=160, facecolor="white")
