"""The page of a structural curve, and its tables as texts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from causal_ddpm import __version__
from causal_ddpm.core.files import write_text
from causal_ddpm.estimators.sieve_iv import TELLING_F, WEAK_F
from causal_ddpm.estimators.structural_record import (
    NO_INTERVAL,
    SIEVE_CAUTION,
    StructuralCurve,
    assumptions_of,
)
from causal_ddpm.evaluation.provenance import Source
from causal_ddpm.report import prose
from causal_ddpm.report.displays import StructuralCurveDisplay
from causal_ddpm.report.html import fill
from causal_ddpm.report.sections import Section, figure, table

_FROM_THE_FRAME = Source()
_HEIGHT = 4.0


def write_structural_report(
    found: StructuralCurve, path: str | Path, source: Source = _FROM_THE_FRAME
) -> Path:
    """Write a self-contained HTML report of a structural curve.

    Parameters
    ----------
    found : StructuralCurve
    path : str or Path
    source : Source
        Where the rows come from, and the unit of the outcome.

    Raises
    ------
    DataError
        If the folder does not exist or cannot be written to.
    """
    return write_text(path, render(found, source))


def render(found: StructuralCurve, source: Source = _FROM_THE_FRAME) -> str:
    """The page as text."""
    data = found.data
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    content = {
        "title": f"{data.outcome_name} by dose of {data.treatment_name}",
        "kicker": "Structural curve by instruments",
        "lede": f"What moves the dose without touching the outcome: "
        f"{prose.listed(data.instrument_names)}. {data.n:,} rows.",
        "version": __version__,
        "simulated": prose.from_simulator(source.truth),
        "warnings": found.warnings,
        "sections": [_curve(found, source), _intervals(found), _strength(found)],
        "assumptions": assumptions_of(data),
        "facts": [
            ("Data", f"{source.name}; {data.n:,} rows"),
            ("SHA-256 of the rows used", data.fingerprint),
            ("Method", found.nuisances.method),
            ("Made", f"{made} with causal-ddpm {__version__}"),
        ],
    }
    return fill("sections.html.j2", content)


def intervals_frame(found: StructuralCurve) -> pd.DataFrame:
    """What has an interval and what has none, as texts; columns Answer, Estimate, Interval, ..."""
    slope, level = found.average_slope(), f"{found.level * 100:g} %"
    places = prose.decimals(slope.std_error)
    low, high = (prose.number(end, places) for end in slope.interval())
    return pd.DataFrame(
        [
            (
                slope.labels[0][0].upper() + slope.labels[0][1:],
                prose.number(slope.value, places),
                f"{low} to {high} ({level}, sieve standard error "
                f"{prose.number(slope.std_error, places)})",
                SIEVE_CAUTION if found.first_stage_f >= WEAK_F else "not to be used: F below ten",
            ),
            *_one_term_more(found),
            (
                "Slope of a straight line",
                "a set",
                f"{found.slope_in_words} ({level}, Anderson-Rubin)",
                "holds its level however weak the instruments are, if a line is right",
            ),
            (
                "The curve at a dose",
                "the picture",
                NO_INTERVAL,
                "bias of the order of its error",
            ),
        ],
        columns=["Answer", "Estimate", "Interval", "What to know"],
    )


def _one_term_more(found: StructuralCurve) -> list[tuple[str, str, str, str]]:
    longer = found.one_term_more
    if longer is None:
        return []
    slope = longer.average_slope()
    places = prose.decimals(slope.std_error)
    low, high = (prose.number(end, places) for end in slope.interval())
    strength = f"F {longer.fit.strength:.1f} in its weakest direction; a caution, not an answer"
    interval = f"{low} to {high} ({found.level * 100:g} %)"
    return [("The same with one term more", prose.number(slope.value, places), interval, strength)]


def strength_frame(found: StructuralCurve) -> pd.DataFrame:
    """How well the instruments tell curves of 1, 2, ... terms apart, as texts."""
    rows = found.first_stage
    return pd.DataFrame(
        {
            "Terms of the curve": rows["terms"].astype(str),
            "F of the weakest direction": [f"{f:,.1f}" for f in rows["weakest_f"]],
            "Used": ["yes" if chosen else "" for chosen in rows["chosen"]],
        }
    )


def _curve(found: StructuralCurve, source: Source) -> Section:
    display = StructuralCurveDisplay.of(found, source.labelled(found.data.outcome_name))
    return Section("The curve", figures=[figure(display, "curve", _HEIGHT, display.caption)])


def _intervals(found: StructuralCurve) -> Section:
    return Section("What has an interval", tables=[table(intervals_frame(found), "intervals")])


def _strength(found: StructuralCurve) -> Section:
    words = (
        f"First-stage F of the dose: {found.first_stage_f:.1f}. A term enters the curve where the "
        f"instruments tell it from the others with an F of {TELLING_F:.0f} or more, out of fold."
    )
    return Section("What the instruments can tell", [words],
                   tables=[table(strength_frame(found), "strength")])  # fmt: skip
