"""Numbers and findings in words, for the report and the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from causal_ddpm.evaluation.analysis import Analysis

MINUS = "\N{MINUS SIGN}"
_FULL_NAMES = {
    "ATE": "Average effect on all units (ATE)",
    "ATT": "Average effect on the treated (ATT)",
    "ATU": "Average effect on the untreated (ATU)",
}


def decimals(std_error: float) -> int:
    """Decimal places that show two significant digits of a standard error."""
    if not math.isfinite(std_error) or std_error <= 0:
        return 3
    return max(0, 1 - math.floor(math.log10(std_error)))


def number(value: float, places: int) -> str:
    """A number with thousands separators and a true minus sign."""
    text = f"{value:,.{places}f}"
    return text.replace("-", MINUS) if float(text.replace(",", "")) else text.replace("-", "")


def interval(low: float, high: float, level: float, places: int) -> str:
    """``95 % interval 1.2 to 3.4``."""
    return f"{level * 100:g} % interval {number(low, places)} to {number(high, places)}"


def full_name(estimand: str) -> str:
    """An estimand spelt out."""
    return _FULL_NAMES.get(estimand, estimand)


def listed(names: Sequence[str], limit: int = 12) -> str:
    """``a, b and c``, cut after ``limit`` names."""
    items = list(names)
    if len(items) > limit:
        return ", ".join(items[:limit]) + f" and {len(items) - limit} more"
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def lede(analysis: Analysis) -> str:
    """The comparison in one sentence."""
    data = analysis.data
    n1 = int(data.treatment.sum())
    return (
        f"{n1:,} treated and {data.n - n1:,} untreated rows, compared at equal values of "
        f"{listed(data.confounder_names)}."
    )


def reading(analysis: Analysis) -> str:
    """The headline against the naive difference, in words."""
    effect, naive = analysis.headline, analysis.naive
    low, high = effect.interval()
    places = decimals(effect.std_error)
    gap = naive.value - effect.value
    if low > 0 or high < 0:
        direction = "raises" if effect.value > 0 else "lowers"
        first = (
            f"If the assumptions below hold, treatment {direction} the outcome by about "
            f"{number(abs(effect.value), places)} on average"
        )
    else:
        first = "The interval contains zero: these data do not settle whether treatment raises or lowers the outcome"
    sign = " and has the opposite sign" if naive.value * effect.value < 0 else ""
    side = "above" if gap > 0 else "below"
    return (
        f"{first}. The naive difference lies {number(abs(gap), places)} {side} the estimate{sign}: "
        "that much is attributed to the two groups being different to begin with."
    )


def design(analysis: Analysis) -> list[tuple[str, str]]:
    """The design card: question, comparison, what is held equal, method."""
    data = analysis.data
    kinds = [c.kind for c in data.covariates.columns]
    held = f"{listed(data.confounder_names, 20)} ({', '.join(f'{kinds.count(k)} {k}' for k in sorted(set(kinds)))})"
    card = [
        ("Treatment", f"{data.treatment_name} (1 treated, 0 untreated)"),
        ("Outcome", analysis.outcome_label),
        ("Held equal", held),
        ("Asked", listed([full_name(e.estimand) for e in analysis.mean_effects])),
        (
            "Method",
            f"{analysis.headline.method}; {analysis.n_folds} folds: every row is judged by models that never saw it",
        ),
        ("Intervals", _interval_words(analysis)),
    ]
    if data.has_weights:
        card.insert(3, ("Weights", f"{data.weights_name} ({data.weights_type} weights)"))
    return card


def _interval_words(analysis: Analysis) -> str:
    data = analysis.data
    how = (
        "robust to unequal variances"
        if data.clusters is None
        else f"clustered by {data.clusters_name} ({len(set(data.clusters.tolist())):,} clusters)"
    )
    return f"{analysis.level * 100:g} %, from influence functions, {how}"


def assumptions(analysis: Analysis) -> list[tuple[str, str]]:
    """What carries the result, in plain words, with the columns named."""
    data = analysis.data
    return [
        (
            "No hidden common cause.",
            f"Apart from {listed(data.confounder_names, 20)}, nothing moves both {data.treatment_name} and "
            f"{data.outcome_name}. The data cannot test this; it is a claim about how treatment came about.",
        ),
        (
            "Measured before treatment.",
            "None of these variables is itself changed by the treatment.",
        ),
        (
            "Comparable units exist.",
            "At every mix of these variables that matters for the effect, a unit could have been treated or "
            "untreated. The overlap figure shows where this is thin.",
        ),
        (
            "One treatment, no spillovers.",
            "Treatment means the same for everyone, and one unit's treatment leaves the others' outcomes alone.",
        ),
        (
            "Learnable nuisances.",
            "The law of the outcome and the probability of treatment are learnt well enough that the product of their "
            "errors is small; one of the two may be slow if the other is good.",
        ),
    ]


def facts(analysis: Analysis) -> list[tuple[str, str]]:
    """Provenance, line by line."""
    p = analysis.provenance
    return [
        ("Data", f"{p.source} ({analysis.data.n:,} rows), SHA-256 {p.data_hash}"),
        ("Made", f"{p.created} with causal-ddpm {p.version}"),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in p.versions.items())),
        ("Random seed", str(p.random_state)),
        ("Settings", ", ".join(f"{name} {value}" for name, value in p.settings.items())),
        ("Time", f"{p.wall_seconds:.1f} s on the clock, {p.cpu_seconds:.1f} s of processor"),
    ]
