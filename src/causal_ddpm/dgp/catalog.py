"""All designs, by name and by family.

A design has a ``name``, ``draw(n, seed)``, which gives a record with at least ``frame`` (what an
analyst sees) and ``truth`` (with population values and values of the very rows drawn), and
``truth()``, the population part alone. An :class:`Entry` adds what a newcomer asks first: the
family, what the design is good for, and the size that shows it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import pandas as pd

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.protocols import Design
from causal_ddpm.core.random import Seed
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.ai_adoption import AIAdoption
from causal_ddpm.dgp.ai_adoption_panel import AI_ADOPTION_PANEL
from causal_ddpm.dgp.binary_outcome import BINARY_OUTCOME
from causal_ddpm.dgp.clustered import CLUSTERED
from causal_ddpm.dgp.confounded import BIMODAL, GAUSS, LINEAR, NO_EFFECT
from causal_ddpm.dgp.did import BROKEN_TREND, DID, DIVERGING_TRENDS, DYNAMIC, HETEROGENEOUS
from causal_ddpm.dgp.dose_design import DOSE
from causal_ddpm.dgp.factor_panel import DONOR_POOL, INTERACTIVE
from causal_ddpm.dgp.factorial_designs import FACTORIAL, FRACTIONAL_FACTORIAL
from causal_ddpm.dgp.heavy_tails import HEAVY_TAILS
from causal_ddpm.dgp.high_dimensional import HIGH_DIMENSIONAL
from causal_ddpm.dgp.incomes import INCOMES
from causal_ddpm.dgp.instrument_design import DEFIERS, INSTRUMENT, ONE_SIDED, WEAK_INSTRUMENT
from causal_ddpm.dgp.instrument_dose import INSTRUMENT_DOSE
from causal_ddpm.dgp.mixed_table import MIXED_TABLE
from causal_ddpm.dgp.spillovers import SPILLOVERS
from causal_ddpm.dgp.staggered import STAGGERED
from causal_ddpm.dgp.supply_demand import CURVED, LOG_LINEAR
from causal_ddpm.dgp.three_arms import THREE_ARMS
from causal_ddpm.dgp.weak_overlap import WEAK_OVERLAP

FAMILIES: Mapping[str, str] = MappingProxyType({
    "confounded": "a binary treatment chosen on covariates that are all seen",
    "adoption": "a story told as a simulation: firms that choose to adopt AI",
    "arms": "more than two arms, chosen on covariates",
    "dose": "a treatment that is a quantity",
    "instrument": "a hidden confounder, and an instrument that moves some units",
    "structural": "a dose set with an eye to the outcome, and an instrument that moves it",
    "market": "prices and quantities set by two curves at once",
    "mixed": "a table of numbers, counts, categories and missing cells",
    "panel": "units observed over time, some of them treated from some period on",
    "spillover": "units on a map whose neighbours' treatment matters too",
    "factorial": "experiments with several factors at once",
})  # fmt: skip
"""Families and what their designs have in common, in the order of the catalogue."""


class Drawn(Protocol):
    """What every draw has, whatever else its family adds."""

    @property
    def frame(self) -> pd.DataFrame:
        """What an analyst gets to see."""
        ...

    @property
    def truth(self) -> Truth:
        """True values, of the population and of the rows drawn."""
        ...


class KnownDesign(Design, Protocol):
    """A design of the catalogue."""

    def truth(self) -> Truth:
        """Population values and equations, without a draw."""
        ...


class PanelDesign(KnownDesign, Protocol):
    """A design of a panel, whose size is a number of units."""

    @property
    def n_units(self) -> int:
        """Units of a draw that names no number."""
        ...


@dataclass(frozen=True, eq=False)
class Entry:
    """A design and what the catalogue says of it.

    Parameters
    ----------
    design : KnownDesign
    family : str
        One of :data:`FAMILIES`.
    summary : str
        What the design is good for, in one line.
    n : int
        Size that shows it.
    counts : str
        What a size counts: rows, units, markets.
    """

    design: KnownDesign
    family: str
    summary: str
    n: int = 1000
    counts: str = "rows"

    @property
    def name(self) -> str:
        """Name of the design."""
        return self.design.name

    @property
    def equations(self) -> tuple[str, ...]:
        """The design, in words and formulas."""
        return self.truth().equations

    def truth(self) -> Truth:
        """Population values and equations."""
        return self.design.truth()

    def draw(self, n: int | None = None, seed: Seed = 0) -> Any:
        """A draw of n rows (units, markets), or of the size that shows the design."""
        return self.design.draw(self.n if n is None else n, seed)


def _panel(design: PanelDesign, summary: str) -> Entry:
    return Entry(design, "panel", summary, design.n_units, "units")


_ENTRIES: tuple[Entry, ...] = (
    Entry(LINEAR, "confounded", "linear and easy: what goes wrong here goes wrong everywhere"),
    Entry(
        GAUSS, "confounded",
        "non-linear and heteroskedastic with varying effects: the standard test of a method",
    ),
    Entry(BIMODAL, "confounded", "two modes a law: low quantiles gain a third of the high"),
    Entry(NO_EFFECT, "confounded", "no effect on any unit's law: how often is one claimed?"),
    Entry(HEAVY_TAILS, "confounded", "t(3) noise: what outliers do to means and intervals"),
    Entry(WEAK_OVERLAP, "confounded", "weights of up to 50: what strong selection costs"),
    Entry(BINARY_OUTCOME, "confounded", "outcomes 0 and 1: effects are differences of shares"),
    Entry(CLUSTERED, "confounded", "50 clusters that share covariates and noise"),
    Entry(HIGH_DIMENSIONAL, "confounded", "100 correlated covariates of which five matter"),
    Entry(INCOMES, "confounded", "positive skewed amounts: effects on inequality"),
    Entry(AIAdoption(), "adoption", "firms whose choice to adopt AI misleads a naive comparison"),
    Entry(THREE_ARMS, "arms", "three arms, contrasts that differ by unit"),
    Entry(DOSE, "dose", "a dose whose response bends: a line through it misleads"),
    Entry(INSTRUMENT, "instrument", "a strong instrument: compliers differ from everyone"),
    Entry(ONE_SIDED, "instrument", "nobody is treated who was not encouraged"),
    Entry(WEAK_INSTRUMENT, "instrument", "one unit in twelve complies: intervals that must widen"),
    Entry(DEFIERS, "instrument", "some do the opposite: no instrument finds the LATE"),
    Entry(
        INSTRUMENT_DOSE, "structural",
        "a curve behind an endogenous dose: few answer to the instrument, and strongly", 2000,
    ),
    Entry(LOG_LINEAR, "market", "supply and demand of constant elasticity", counts="markets"),
    Entry(CURVED, "market", "supply and demand whose elasticities vary", counts="markets"),
    Entry(MIXED_TABLE, "mixed", "columns of every kind: can a generator make such a table?"),
    _panel(DID, "parallel trends and one start: the historic experiment, with noise"),
    _panel(BROKEN_TREND, "all trends bend at the start: cells before treatment cannot tell"),
    _panel(DIVERGING_TRENDS, "the treated drift away all along: trends are not parallel"),
    _panel(HETEROGENEOUS, "effects differ with the unit: sample and population ATT differ"),
    _panel(DYNAMIC, "an effect that builds up over the periods of treatment"),
    _panel(STAGGERED, "cohorts with growing effects: two-way fixed effects mislead"),
    _panel(AI_ADOPTION_PANEL, "firms that adopt AI in different quarters, the best of them first"),
    _panel(INTERACTIVE, "the treated load more on two factors: parallel trends fail"),
    _panel(DONOR_POOL, "one treated unit, 39 donors: the setting of synthetic control"),
    Entry(
        SPILLOVERS, "spillover",
        "a treatment that reaches the neighbours: an analysis of units alone misleads",
    ),
    Entry(FACTORIAL, "factorial", "three factors crossed: simple and average effects differ"),
    Entry(
        FRACTIONAL_FACTORIAL, "factorial",
        "half the cells of four factors: pairs of interactions look alike",
    ),
)  # fmt: skip


def entries(family: str | None = None) -> tuple[Entry, ...]:
    """Entries of a family, or all, family by family.

    Raises
    ------
    DataError
        If there is no such family.
    """
    if family is None:
        return tuple(e for name in FAMILIES for e in _ENTRIES if e.family == name)
    _check_known(family, FAMILIES, "family")
    return tuple(e for e in _ENTRIES if e.family == family)


def describe(name: str) -> Entry:
    """The entry of the design called ``name``.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    known = {entry.name: entry for entry in entries()}
    _check_known(name, known, "design")
    return known[name]


def catalog() -> Mapping[str, Design]:
    """Every design by its name; ``catalog()["gauss"].draw(500, seed=0)`` draws from one."""
    return MappingProxyType({entry.name: entry.design for entry in entries()})


def design_by_name(name: str) -> Design:
    """The design called ``name``.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    return describe(name).design


def _check_known(name: str, known: Mapping[str, object], what: str) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else ""
        raise DataError(f"there is no {what} '{name}'", " or ".join(known), hint)
