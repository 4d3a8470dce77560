"""What the coverage study asks: one line a case.

A case is an estimand, the designs it is asked of, and what is true. The truth is the design's own
(``design.truth_of(estimand)``, by the labels of the estimate) unless the case brings a function,
for estimands whose truth depends on the draw or on the groups that were formed.

Cases of one *batch* are scored together, from the same draws and the same nuisances; a batch has
its own number of draws in the light part of the study (bootstraps cost more). To add an estimand,
add a line to :data:`CASES`; a batch whose draws have been scored is scored anew when a case joins
it, so a new case is best given a new batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import (
    ATE,
    ATO,
    ATT,
    ATU,
    BLP,
    GATE,
    ITT,
    LATE,
    QTE,
    ArmContrast,
    ArmMeans,
    CDFDifference,
    DoseResponse,
    Estimand,
    GiniEffect,
    LorenzEffect,
    PolicyValue,
    ShareBelow,
    TrimmedATE,
)
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.dgp.population import values_of_rule
from causal_ddpm.evaluation.coverage.arms import ARM_SOURCES
from causal_ddpm.evaluation.coverage.dose import DOSE_SOURCES
from causal_ddpm.evaluation.coverage.instrument import INSTRUMENT_SOURCES
from causal_ddpm.evaluation.coverage.light import SOURCES, Source, oracle

TrueValues = Callable[[str, Any, Estimate], Mapping[str, float]]
"""``(design name, draw, estimate) -> {label: value}``."""

CONTINUOUS = (
    "gauss",
    "bimodal",
    "no-effect",
    "linear",
    "heavy-tails",
    "weak-overlap",
    "clustered",
    "high-dimensional",
)
CONFOUNDED = (*CONTINUOUS, "binary-outcome")
UNEVEN = ("gauss", "weak-overlap", "heavy-tails", "binary-outcome")
ENCOURAGED = ("instrument", "instrument-one-sided")

BATCHES: Mapping[str, int] = {
    "means": 2000,
    "alternatives": 2000,
    "groups": 2000,
    "distributions": 600,
    "quantiles": 200,
    "doses": 2000,
}
"""Draws of the light part, by batch."""


@dataclass(frozen=True, eq=False)
class Case:
    """One question of the study.

    Parameters
    ----------
    name : str
        Unique; without commas and semicolons.
    estimand : Estimand or callable
        Or ``draw -> estimand``, where it needs the rows (a rule given row by row).
    designs : tuple of str
        Designs it is asked of.
    batch : str
        Key of :data:`BATCHES`.
    truth : callable, optional
        See :data:`TrueValues`; the design's ``truth_of`` by default.
    entries : tuple of str, optional
        Labels that are recorded one by one; all by default.
    band : bool
        Whether the simultaneous band over all entries is recorded.
    sources : mapping
        How nuisances of a draw are made in the light part, by name.
    headline : bool
        Whether its entries count in the mean coverage that is reported first.
    """

    name: str
    estimand: Estimand | Callable[[Any], Estimand]
    designs: tuple[str, ...] = CONFOUNDED
    batch: str = "means"
    truth: TrueValues | None = None
    entries: tuple[str, ...] | None = None
    band: bool = True
    sources: Mapping[str, Source] = field(default_factory=lambda: SOURCES)
    headline: bool = False

    def ask(self, draw: Any) -> Estimand:
        """The estimand for a draw."""
        return self.estimand if isinstance(self.estimand, Estimand) else self.estimand(draw)

    def true_values(self, design: str, draw: Any, estimate: Estimate) -> Mapping[str, float]:
        """What is true, by the labels of the estimate."""
        if self.truth is not None:
            return self.truth(design, draw, estimate)
        if isinstance(self.estimand, Estimand):
            return _truth_of_design(design, self.estimand)
        raise DataError(f"the case '{self.name}' has no truth", "truth=..., or an estimand as such")


@cache
def _truth_of_design(design: str, estimand: Estimand) -> Mapping[str, float]:
    truth: Mapping[str, float] = design_by_name(design).truth_of(estimand)  # type: ignore[attr-defined]
    return truth


def _points(low: float, high: float, n: int) -> tuple[float, ...]:
    return tuple(np.linspace(low, high, n).round(6).tolist())


def _treat_high_x1(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """A rule fixed beforehand: treat where x1 > 0."""
    return (x[:, 1] > 0).astype(float)


def _value_of_treating_high_x1(design: str, draw: Any, estimate: Estimate) -> dict[str, float]:
    return _values_of_rule(design)


@cache
def _values_of_rule(design: str) -> dict[str, float]:
    return values_of_rule(_treat_high_x1, design_by_name(design).population())  # type: ignore[attr-defined]


def _true_effect_of_groups(design: str, draw: Any, estimate: Estimate) -> dict[str, float]:
    """Mean true effect of the rows of each group.

    A row has the same influence on all groups but its own (at least three groups are needed).
    """
    effect = draw.mean[:, 1] - draw.mean[:, 0]
    others = np.median(estimate.influence, axis=1, keepdims=True)
    own = np.abs(estimate.influence - others).argmax(axis=1)
    means = np.bincount(own, effect) / np.bincount(own)
    return dict(zip(estimate.labels, means.tolist(), strict=True))


_SHOWN_LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
_QTE, _QTT = (QTE(_points(0.05, 0.95, 19), among=group) for group in ("all", "treated"))
_DOSES = (3.0, 4.0, 5.0, 6.0, 7.0)
_CDF = CDFDifference(_points(-1.5, 4.0, 23))

CASES: tuple[Case, ...] = (
    Case("ATE", ATE(), headline=True),
    Case("ATT", ATT(), headline=True),
    Case("ATU", ATU(), headline=True),
    Case("ATO", ATO()),
    Case("ATE by TMLE", ATE(targeted=True), UNEVEN, "alternatives"),
    Case("ATT by TMLE", ATT(targeted=True), UNEVEN, "alternatives"),
    # the units that stay are known where the propensity is
    Case("trimmed ATE", TrimmedATE(0.1), UNEVEN, "alternatives", sources={"oracle": oracle}),
    Case("LATE", LATE(), ENCOURAGED, sources=INSTRUMENT_SOURCES),
    Case("ITT", ITT(), ENCOURAGED, sources=INSTRUMENT_SOURCES, band=False),
    Case("arm means", ArmMeans(), band=False),
    Case("means of three arms", ArmMeans(), ("three-arms",), sources=ARM_SOURCES),
    Case("visit or letter", ArmContrast("visit", "letter"), ("three-arms",), sources=ARM_SOURCES),
    Case(
        "visit or control for the visited", ArmContrast("visit", "control", among="visit"),
        ("three-arms",), sources=ARM_SOURCES,
    ),
    Case("GATE by x1", GATE("x1", cuts=(-0.5, 0.5))),
    Case(
        "GATE by effect", GATE(n_groups=4), ("gauss", "bimodal", "heavy-tails", "high-dimensional"),
        "groups", truth=_true_effect_of_groups,
    ),
    Case("BLP on x0 and x1", BLP(("x0", "x1")), band=False),
    Case(
        "policy value",
        lambda draw: PolicyValue(_treat_high_x1(draw.data.covariates.values)),
        truth=_value_of_treating_high_x1,
        entries=("V(rule)", "V(rule) - V(none)", "V(rule) - V(random)"),
        band=False,
    ),
    Case(
        "CDF difference", _CDF, CONTINUOUS, "distributions",
        entries=CDFDifference.labels_at((-1.0, 0.0, 1.0, 2.0, 3.0)),
    ),
    Case("share below", ShareBelow(0.5), CONTINUOUS, "distributions", band=False),
    Case("Gini", GiniEffect(), ("incomes",), "distributions", band=False),
    Case("Lorenz curve", LorenzEffect((0.1, 0.25, 0.5, 0.75, 0.9)), ("incomes",), "distributions"),
    Case(
        "QTE", _QTE, CONTINUOUS, "quantiles",
        entries=tuple(f"QTE({u:g})" for u in _SHOWN_LEVELS), headline=True,
    ),
    Case(
        "QTT", _QTT, CONTINUOUS, "quantiles", entries=tuple(f"QTT({u:g})" for u in _SHOWN_LEVELS)
    ),
    Case("dose-response", DoseResponse(_DOSES), ("dose",), "doses", sources=DOSE_SOURCES),
    Case(
        "slope of the dose-response", DoseResponse(_DOSES, derivative=True), ("dose",), "doses",
        sources=DOSE_SOURCES,
    ),
)  # fmt: skip
"""All cases."""


def cases_named(names: Sequence[str]) -> tuple[Case, ...]:
    """Cases by name.

    Raises
    ------
    DataError
        If there is none of a name.
    """
    known = {case.name: case for case in CASES}
    for name in names:
        if name not in known:
            raise DataError(f"the coverage study has no case '{name}'", ", ".join(known))
    return tuple(known[name] for name in names)
