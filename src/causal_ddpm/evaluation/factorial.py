"""A factorial experiment as a whole: what its runs confound, its effects, its cell means.

Each method of :data:`METHODS` gives a :class:`~causal_ddpm.estimators.factorial.FactorialFit`,
read in the coding asked for. Unreplicated runs (one row a cell) are judged by Lenth's margins, and
fitted by a method as well where the order asked for leaves rows to see the noise by.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from causal_ddpm.core.aliases import AliasStructure, alias_structure
from causal_ddpm.core.coding import Coding, check_coding, n_terms
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import SCHEMA_VERSION, Estimate
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.core.multiplicity import Adjustment
from causal_ddpm.core.random import Seed
from causal_ddpm.core.truth import Truth
from causal_ddpm.estimators.factorial import ASSUMPTIONS, MAX_LISTED_CELLS, FactorialFit
from causal_ddpm.estimators.factorial_ols import factorial_ols
from causal_ddpm.estimators.lenth import MIN_EFFECTS, LenthTest, lenth_test
from causal_ddpm.evaluation.analysis import plain
from causal_ddpm.evaluation.provenance import Provenance, Source

Method = Callable[[FactorialData, int, Seed], FactorialFit]

METHODS: Mapping[str, Method] = {
    "ols": lambda data, order, random_state: factorial_ols(data, order),
}
"""How effects can be estimated: data, order and seed give a fit."""

DEFAULT_ORDER = 2
ADJUSTMENT: Adjustment = "romano-wolf"
"""How p-values of the effects are adjusted for their number."""


@dataclass(frozen=True, eq=False)
class FactorialAnalysis:
    """A factorial experiment with what its numbers rest on.

    Parameters
    ----------
    data : FactorialData
    source : Source
    aliases : AliasStructure
        What the runs confound.
    order : int
        Largest order of the effects that were estimated.
    fits : mapping
        By method; empty where the runs leave nothing to see the noise by.
    lenth : LenthTest or None
        Margins for unreplicated runs.
    coding : {"ame", "01", "effects"}
        Coding of the effects shown.
    level : float
    provenance : Provenance
    """

    data: FactorialData
    source: Source
    aliases: AliasStructure
    order: int
    fits: Mapping[str, FactorialFit]
    lenth: LenthTest | None
    coding: Coding
    level: float
    provenance: Provenance

    @cached_property
    def estimates(self) -> Mapping[str, Estimate]:
        """Effects in the coding asked for, by method."""
        return {name: fit.effects(self.coding) for name, fit in self.fits.items()}

    @property
    def truth(self) -> Truth | None:
        """What is true, when the rows are simulated."""
        return self.source.truth

    @property
    def outcome_label(self) -> str:
        """The outcome with its unit."""
        return self.source.labelled(self.data.outcome_name)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to worry about, each sentence once."""
        found = [text for e in self.estimates.values() for text in e.warnings]
        return tuple(dict.fromkeys([*found, *self.data.warnings()]))

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the numbers rest on, each sentence once."""
        found = [text for e in self.estimates.values() for text in e.assumptions]
        return tuple(dict.fromkeys([*ASSUMPTIONS, *found]))

    def effect_records(self) -> list[dict[str, Any]]:
        """One dictionary an effect and method: that of the estimate, with adjusted p-values."""
        rows = []
        for name, estimate in self.estimates.items():
            tests = estimate.test(adjust=ADJUSTMENT)
            low, high = (
                np.atleast_1d(end) for end in estimate.interval(self.level, simultaneous=True)
            )
            for j, record in enumerate(estimate.records(self.level)):
                rows.append(
                    {
                        **record,
                        "method": name,
                        "simultaneous_low": float(low[j]),
                        "simultaneous_high": float(high[j]),
                        "p_value": float(tests["p_value"].iloc[j]),
                        "p_adjusted": float(tests["p_adjusted"].iloc[j]),
                    }
                )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON types; what is not finite becomes null."""
        truth = self.truth
        cells = self.data.k <= MAX_LISTED_CELLS.bit_length() - 1
        content = {
            "schema_version": SCHEMA_VERSION,
            "coding": self.coding,
            "estimates": self.effect_records(),
            "cell_means": [
                {**row, "method": name}
                for name, fit in self.fits.items()
                for row in (fit.cell_means().records(self.level) if cells else [])
            ],
            "lenth": None if self.lenth is None else {
                "pse": self.lenth.pse, "me": self.lenth.me, "sme": self.lenth.sme,
                "df": self.lenth.df, "effects": self.lenth.frame().to_dict("records"),
            },
            "aliases": {
                "resolution": self.aliases.resolution,
                "defining_relation": self.aliases.defining_relation(),
                "chains": self.aliases.chain_labels(),
                "in_words": self.aliases.in_words(),
            },
            "factors": self.data.in_words(),
            "diagnostics": {name: e.details for name, e in self.estimates.items()},
            "assumptions": self.assumptions,
            "warnings": self.warnings,
            "simulated": None if truth is None else truth.to_dict(),
            "provenance": self.provenance.to_dict(),
        }  # fmt: skip
        return dict(plain(content))

    def to_json(self) -> str:
        """:meth:`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def analyse_factorial(
    data: FactorialData,
    methods: Sequence[str] = ("ols",),
    order: int | None = None,
    coding: Coding = "ame",
    level: float = 0.95,
    random_state: int = 0,
    source: Source | None = None,
) -> FactorialAnalysis:
    """Analyse a factorial experiment, and keep where the numbers come from.

    Parameters
    ----------
    data : FactorialData
    methods : sequence of str
        Names in :data:`METHODS`.
    order : int, optional
        Largest order of the effects; by default 2, or 1 where the runs confound two-factor
        interactions.
    coding : {"ame", "01", "effects"}
    level : float
    random_state : int
        For methods that draw at random.
    source : Source, optional

    Raises
    ------
    DataError
        For an unknown method, coding, order or level.
    NotIdentifiedError
        If replicated runs confound effects of the order asked for.
    """
    _check_settings(methods, coding, level)
    clock = time.perf_counter(), time.process_time()
    aliases = alias_structure(data.z, data.factors, min(DEFAULT_ORDER, data.k))
    wanted = max(min(DEFAULT_ORDER, aliases.estimable_order), 1) if order is None else order
    wanted = min(wanted, data.k)
    lenth = lenth_test(data, level) if _unreplicated(data, aliases) else None
    fits = {}
    if lenth is None or _leaves_noise(data, aliases, wanted):
        fits = {name: METHODS[name](data, wanted, random_state) for name in methods}
    source = source or Source()
    settings = {"methods": list(methods), "order": wanted, "coding": coding, "level": level}
    spent = (time.perf_counter() - clock[0], time.process_time() - clock[1])
    provenance = Provenance.now(source.name, data.fingerprint, random_state, settings, spent)
    return FactorialAnalysis(data, source, aliases, wanted, fits, lenth, coding, level, provenance)


def _unreplicated(data: FactorialData, aliases: AliasStructure) -> bool:
    """One row a cell, in runs that Lenth's method can judge."""
    return data.n == aliases.n_cells and aliases.regular and data.n > MIN_EFFECTS


def _leaves_noise(data: FactorialData, aliases: AliasStructure, order: int) -> bool:
    return order <= aliases.estimable_order and n_terms(data.k, order) < data.n


def _check_settings(methods: Sequence[str], coding: str, level: float) -> None:
    check_coding(coding)
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods:
        raise DataError(
            f"the method is {unknown[0]!r}" if unknown else "no method was named",
            " or ".join(METHODS),
        )
    if not 0 < level < 1:
        raise DataError(
            f"the confidence level is {level:g}", "a number between 0 and 1, such as 0.95"
        )
