"""A factorial experiment as a whole: what its runs confound, its effects, its cell means.

Each method of :data:`METHODS` gives a :class:`~causal_ddpm.estimators.factorial.FactorialFit`,
read in the coding asked for; ``law`` is the diffusion law of every cell, a prediction that stands
beside them without intervals. Unreplicated runs (one row a cell) are judged by Lenth's margins, and
fitted by a method as well where the order asked for leaves rows to see the noise by.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from causal_ddpm.core.aliases import AliasStructure, alias_structure
from causal_ddpm.core.checks import MIN_ROWS
from causal_ddpm.core.coding import Coding, check_coding, n_terms
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import SCHEMA_VERSION, Estimate
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.core.multiplicity import Adjustment
from causal_ddpm.core.random import Seed
from causal_ddpm.core.truth import Truth
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.estimators.factorial import ASSUMPTIONS, MAX_LISTED_CELLS, FactorialFit
from causal_ddpm.estimators.factorial_ols import factorial_ols
from causal_ddpm.estimators.factorial_scores import factorial_scores
from causal_ddpm.estimators.lenth import MIN_EFFECTS, LenthTest, lenth_test
from causal_ddpm.evaluation.analysis import plain
from causal_ddpm.evaluation.provenance import Provenance, Source
from causal_ddpm.nuisance.factor_law import MAX_LISTED, FactorLaw, fit_factor_law

Method = Callable[[FactorialData, int, Seed], FactorialFit]

METHODS: Mapping[str, Method] = {
    "ols": lambda data, order, random_state: factorial_ols(data, order),
    "scores": lambda data, order, seed: factorial_scores(data, order, random_state=seed),
}
"""How effects can be estimated: data, order and seed give a fit."""

LAW = "law"
"""The diffusion law of every cell, which has no intervals."""

_SUMMARY = {
    "": "value", " se": "std_error", " low": "simultaneous_low", " high": "simultaneous_high",
    " p": "p_adjusted",
}  # fmt: skip

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
    law : FactorLaw or None
        The law of every cell, where it was asked for.
    left_out : tuple of str
        What could not be estimated, and why.
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
    law: FactorLaw | None = None
    left_out: tuple[str, ...] = ()

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
        return tuple(dict.fromkeys([*self.left_out, *found, *self.data.warnings()]))

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

    def summary(self) -> pd.DataFrame:
        """One row an effect: what each method says of it, and the law's prediction last.

        Returns
        -------
        DataFrame
            Columns ``<method>``, ``<method> se``, ``<method> low`` and ``high`` (simultaneous),
            ``<method> p`` (adjusted); ``law`` where there is one.
        """
        table: dict[str, pd.Series] = {}
        records = pd.DataFrame(self.effect_records())
        for name in self.fits:
            own = records[records["method"] == name].set_index("label")
            for column, source in _SUMMARY.items():
                table[f"{name}{column}"] = own[source]
        if self.law is not None:
            values = self.law.coefficients(self.order, self.coding).set_index("term")["value"]
            table[LAW] = values.drop("1")
        return pd.DataFrame(table)

    def law_records(self) -> dict[str, Any] | None:
        """Coefficients and cells of the law, JSON-ready."""
        if self.law is None:
            return None
        coefficients = self.law.coefficients(self.order, self.coding)
        return {
            "coefficients": coefficients.to_dict("records"),
            "cells": self.law.cells().to_dict("records"),
        }

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
            "law": self.law_records(),
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
    diffusion: DiffusionSettings | None = None,
) -> FactorialAnalysis:
    """Analyse a factorial experiment, and keep where the numbers come from.

    Parameters
    ----------
    data : FactorialData
    methods : sequence of str
        Names in :data:`METHODS`, or "law".
    order : int, optional
        Largest order of the effects; by default 2, or 1 where the runs confound two-factor
        interactions.
    coding : {"ame", "01", "effects"}
    level : float
    random_state : int
        For methods that draw at random.
    source : Source, optional
    diffusion : DiffusionSettings, optional
        Of the law.

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
        fits = {n: METHODS[n](data, wanted, random_state) for n in methods if n != LAW}
    law = (
        fit_factor_law(data, wanted, diffusion=diffusion, random_state=random_state)
        if LAW in methods
        else None
    )
    source = source or Source()
    settings = {"methods": list(methods), "order": wanted, "coding": coding, "level": level}
    spent = (time.perf_counter() - clock[0], time.process_time() - clock[1])
    provenance = Provenance.now(source.name, data.fingerprint, random_state, settings, spent)
    return FactorialAnalysis(
        data, source, aliases, wanted, fits, lenth, coding, level, provenance, law
    )


def factorial_analysis(  # noqa: PLR0913 - the public door, all but three have defaults
    data: Any,
    factors: Sequence[str] = (),
    outcome: str = "",
    order: int | None = None,
    probabilities: Any = None,
    covariates: Sequence[str] = (),
    clusters: str | None = None,
    weights: str | None = None,
    coding: Coding = "ame",
    level: float = 0.95,
    random_state: int = 0,
    diffusion: DiffusionSettings | None = None,
) -> FactorialAnalysis:
    """Least squares, orthogonal scores and the diffusion law of a factorial experiment together.

    Parameters
    ----------
    data : frame or FactorialData
        Of ``FactorialData`` only order, coding and what follows is asked beside it.
    factors : sequence of str
        Columns with two values each.
    outcome : str
    order : int, optional
        Largest order of interactions; by default 2, or 1 where the runs confound them.
    probabilities : float, mapping, "observed" or None
        P(factor = 1) in one number or by name, cells (tuples of 0/1) with their probabilities, or
        "observed" to take the shares of the cells for them. Without it the scores are left out,
        and effects are averaged over factors that are 1 half of the time.
    covariates : sequence of str
        Measured before the assignment; they narrow the intervals of the scores.
    clusters, weights : str, optional
    coding : {"ame", "01", "effects"}
    level : float
    random_state : int
    diffusion : DiffusionSettings, optional
        Of the law.

    Returns
    -------
    FactorialAnalysis
        ``.summary()``, ``.fits["scores"]``, ``.law.quantile(cell, levels)``, ``.to_dict()``, ...

    Raises
    ------
    DataError, NotIdentifiedError
        With one sentence.
    """
    known = probabilities is not None
    if not isinstance(data, FactorialData):
        data = FactorialData(
            data, factors, outcome, probabilities if known else 0.5, clusters,
            covariates=covariates, weights=weights,
        )  # fmt: skip
        left_out = () if known else (_UNKNOWN,)
    else:
        left_out = ()
    if data.n < MIN_ROWS:
        left_out = (f"{data.n} rows are too few to learn from: there are no scores and no law.",)
    methods = ["ols"]
    if not left_out:
        methods.append("scores")
    if data.n >= MIN_ROWS and data.k <= MAX_LISTED:
        methods.append(LAW)
    found = analyse_factorial(
        data, methods, order, coding, level, random_state, diffusion=diffusion
    )
    return replace(found, left_out=left_out)


_UNKNOWN = (
    "The assignment probabilities are not stated, so there are no orthogonal scores: give "
    "probabilities=0.5, one a factor, a table of cells, or 'observed'."
)


def _unreplicated(data: FactorialData, aliases: AliasStructure) -> bool:
    """One row a cell, in runs that Lenth's method can judge."""
    return data.n == aliases.n_cells and aliases.regular and data.n > MIN_EFFECTS


def _leaves_noise(data: FactorialData, aliases: AliasStructure, order: int) -> bool:
    return order <= aliases.estimable_order and n_terms(data.k, order) < data.n


def _check_settings(methods: Sequence[str], coding: str, level: float) -> None:
    check_coding(coding)
    unknown = [name for name in methods if name not in (*METHODS, LAW)]
    if unknown or not methods:
        raise DataError(
            f"the method is {unknown[0]!r}" if unknown else "no method was named",
            " or ".join((*METHODS, LAW)),
        )
    if not 0 < level < 1:
        raise DataError(
            f"the confidence level is {level:g}", "a number between 0 and 1, such as 0.95"
        )
