"""All diagnostics of a panel and its effect, in the order in which a referee asks.

What applies depends on how many units are treated. With few, whose intervals come from placebos:
pre-treatment fit, placebos in space and time, donors and the effect without each of them, and how
wrong the untreated path would have to be. With many, whose intervals are clustered: the joint test
of the coefficients before treatment and its power, bounds on violations of parallel trends, and
what a two-way regression would compare. A part that does not apply is listed with the reason; none
is left out in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from causal_ddpm.baselines.honest_did import universal_event_study
from causal_ddpm.core.errors import CausalDDPMError, DataError, NotIdentifiedError
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.estimators.panel.effect import PanelEffect
from causal_ddpm.evaluation.panel.bacon import bacon_weights
from causal_ddpm.evaluation.panel.breakdown import Breakdown, breakdown
from causal_ddpm.evaluation.panel.cautions import cautions
from causal_ddpm.evaluation.panel.description import describe_panel
from causal_ddpm.evaluation.panel.donors import Donors, donors
from causal_ddpm.evaluation.panel.honest import HonestDiD, honest_did
from causal_ddpm.evaluation.panel.placebo_space import SpacePlacebo
from causal_ddpm.evaluation.panel.placebo_time import TimePlacebo, placebo_in_time
from causal_ddpm.evaluation.panel.pre_fit import PreFit, pre_fit
from causal_ddpm.evaluation.panel.pretrends import PretrendTest, pretrend_test
from causal_ddpm.evaluation.panel.trend_response import trend_response
from causal_ddpm.nuisance.panel.base import PanelBase


class Diagnostic(Protocol):
    """What one diagnostic found."""

    @property
    def words(self) -> str:
        """The finding in plain sentences."""
        ...

    def frame(self) -> pd.DataFrame:
        """Its numbers as a table."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        ...


TITLES = {
    "description": "The panel before any model",
    "cautions": "Cautions",
    "pre_fit": "Fit before treatment",
    "placebo_in_space": "Placebo in space",
    "placebo_in_time": "Placebo in time",
    "donors": "Donors, and the effect without each",
    "breakdown": "How wrong the untreated path may be",
    "pretrends": "Trends before treatment",
    "honest_did": "Bounds on differences in trends",
    "bacon": "What two-way fixed effects would compare",
}
"""Names of the parts, in their order, with headings."""


@dataclass(frozen=True, eq=False)
class PanelDiagnostics:
    """Diagnostics by name; see :data:`TITLES`.

    Parameters
    ----------
    parts : mapping
        Those that apply.
    left_out : mapping
        Reasons of those that do not.
    """

    parts: Mapping[str, Diagnostic]
    left_out: Mapping[str, str]

    def __contains__(self, name: str) -> bool:
        return name in self.parts

    def __getitem__(self, name: str) -> Any:
        """One part.

        Raises
        ------
        DataError
            If it is not there, with the reason.
        """
        if name in self.parts:
            return self.parts[name]
        raise DataError(
            f"there is no part '{name}'", " or ".join(self.parts), self.left_out.get(name, "")
        )

    @property
    def sentences(self) -> tuple[str, ...]:
        """One paragraph a part, under its heading."""
        return tuple(f"{TITLES[name]}: {part.words}" for name, part in self.parts.items())

    def frame(self) -> pd.DataFrame:
        """One row a part: part, title, words; parts left out have their reason as words."""
        rows = [(name, True, TITLES[name], part.words) for name, part in self.parts.items()]
        rows += [(name, False, TITLES[name], reason) for name, reason in self.left_out.items()]
        return pd.DataFrame(rows, columns=["part", "applies", "title", "words"])

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return {
            "parts": {name: part.to_dict() for name, part in self.parts.items()},
            "left_out": dict(self.left_out),
        }

    def __repr__(self) -> str:
        reasons = [f"{TITLES[name]} left out: {why}" for name, why in self.left_out.items()]
        return "\n".join([*self.sentences, *reasons])


def diagnose_panel(
    panel: PanelData,
    effect: PanelEffect,
    base: PanelBase | None = None,
    random_state: Seed = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> PanelDiagnostics:
    """Everything a referee asks of an effect on a panel.

    Parameters
    ----------
    panel : PanelData
    effect : PanelEffect
        Estimated on this panel.
    base : PanelBase, optional
        Of the untreated outcome; that of the effect by default.
    random_state : int, SeedSequence or None
        That of the effect.
    n_jobs : int
        Worker processes; the result does not depend on it.
    progress : callable

    Raises
    ------
    DataError
        If the effect was estimated on another panel.
    """
    if effect.fingerprint != panel.fingerprint:
        raise DataError(
            "the effect was estimated on other data", "the panel of the effect",
            "Estimate again, or pass the panel that was used.",
        )  # fmt: skip
    seed = seed_sequence(random_state)
    base = base or effect.base.learner
    if base is None:
        raise DataError(
            "the effect does not carry its base", "a base to refit",
            "Pass base=, for example TwoWay().",
        )  # fmt: skip
    asked = _Asked(panel, effect, base, seed, n_jobs)
    parts: dict[str, Diagnostic] = {}
    left_out: dict[str, str] = {}
    makers: dict[str, Callable[[], Diagnostic]] = {
        "description": lambda: describe_panel(panel),
        "cautions": lambda: cautions(panel, effect),
        "pre_fit": asked.pre_fit,
        "placebo_in_space": lambda: SpacePlacebo.of(effect.placebo),
        "placebo_in_time": asked.placebo_in_time,
        "donors": asked.donors,
        "breakdown": lambda: asked.breakdown(parts.get("donors")),
        "pretrends": asked.pretrends,
        "honest_did": asked.honest_did,
        "bacon": lambda: bacon_weights(panel),
    }
    for done, (name, make) in enumerate(makers.items(), 1):
        try:
            parts[name] = make()
        except CausalDDPMError as error:
            left_out[name] = str(error)
        progress("diagnostics", done / len(makers))
    return PanelDiagnostics(parts, left_out)


@dataclass(frozen=True, eq=False)
class _Asked:
    """The parts that refit, each refused where it has no meaning."""

    panel: PanelData
    effect: PanelEffect
    base: PanelBase
    seed: Seed
    n_jobs: int

    @property
    def _few(self) -> bool:
        return self.effect.inference == "placebos"

    def pre_fit(self) -> PreFit:
        if not self._few:
            raise NotIdentifiedError(
                f"{self.effect.n_treated:,} units are treated: an average effect needs averages to "
                "move together before treatment, which the trends before treatment test, and not "
                "every unit to be followed."
            )
        return pre_fit(SpacePlacebo.of(self.effect.placebo), self.panel)

    def placebo_in_time(self) -> TimePlacebo:
        if not self._few:
            raise NotIdentifiedError(
                f"{self.effect.n_treated:,} units are treated: the coefficients before treatment "
                "in the event study are placebos in time."
            )
        att = float(self.effect.att.value)
        return placebo_in_time(self.panel, self.base, None, att, self.seed, self.n_jobs)

    def donors(self) -> Diagnostic:
        if not self._few:
            raise NotIdentifiedError(
                f"{self.effect.n_treated:,} units are treated, each with a counterfactual of its "
                "own: no single control carries the average effect."
            )
        return donors(self.panel, self.base)

    def breakdown(self, behind: Diagnostic | None) -> Breakdown:
        if not isinstance(behind, Donors):
            raise NotIdentifiedError(
                f"{self.effect.n_treated:,} units are treated: the bounds on differences in trends "
                "say it."
            )
        return breakdown(self.effect, behind)

    def pretrends(self) -> PretrendTest:
        self._need_clusters()
        study = self.effect.event_study
        response = trend_response(study, self.panel, self.base)
        return pretrend_test(study, self.panel, response)

    def honest_did(self) -> HonestDiD:
        self._need_clusters()
        return honest_did(universal_event_study(self.panel), self.panel)

    def _need_clusters(self) -> None:
        if self._few:
            n = self.effect.n_treated
            raise NotIdentifiedError(
                f"{n} treated {'unit has' if n == 1 else 'units have'} no standard error that "
                "large samples could justify: see the placebos in time and space instead."
            )
