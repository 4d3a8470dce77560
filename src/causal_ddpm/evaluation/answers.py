"""Estimates alone, for designs that the analysis of two arms does not describe.

:mod:`causal_ddpm.evaluation.analysis` sets estimates beside a naive difference, the overlap and the
balance of two arms. Many arms, doses and instruments have none of these; what remains is what was
asked, what it rests on, what to worry about and where the numbers come from.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import ATE, ATT, LATE, ArmMeans, DoseResponse, Estimand
from causal_ddpm.core.estimate import SCHEMA_VERSION, Estimate
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.truth import Truth
from causal_ddpm.estimators.api import estimate_effects
from causal_ddpm.evaluation.analysis import AnalysisSettings, plain
from causal_ddpm.evaluation.provenance import Provenance, Source


@dataclass(frozen=True, eq=False)
class Answers:
    """Estimates with what they rest on.

    Parameters
    ----------
    data : CausalData
    source : Source
    estimates : tuple of Estimate
        What was asked for, in order.
    provenance : Provenance
    level : float
    """

    data: CausalData
    source: Source
    estimates: tuple[Estimate, ...]
    provenance: Provenance
    level: float

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
        return tuple(dict.fromkeys(text for e in self.estimates for text in e.warnings))

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the estimates rest on, each sentence once."""
        return tuple(dict.fromkeys(text for e in self.estimates for text in e.assumptions))

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON types; what is not finite becomes null."""
        truth = self.truth
        content = {
            "schema_version": SCHEMA_VERSION,
            "estimates": [row for e in self.estimates for row in e.records(self.level)],
            "diagnostics": {
                "details": [{"estimand": e.estimand, **e.details} for e in self.estimates]
            },
            "assumptions": self.assumptions,
            "warnings": self.warnings,
            "simulated": None if truth is None else truth.to_dict(),
            "provenance": self.provenance.to_dict(),
        }
        return dict(plain(content))

    def to_json(self) -> str:
        """:meth:`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def default_estimands(data: CausalData) -> list[Estimand]:
    """What is asked of a design when nothing else is."""
    if data.instrument is not None:
        return [LATE()]
    by_kind: dict[str, list[Estimand]] = {"arms": [ArmMeans()], "dose": [DoseResponse()]}
    return by_kind.get(data.treatment_schema.kind, [ATE(), ATT()])


def two_arms_suffice(data: CausalData, estimands: Sequence[Estimand]) -> bool:
    """Whether the analysis of two arms describes the design of all estimands."""
    return data.treatment_schema.kind == "binary" and all(e.needs == "arms" for e in estimands)


def answer(
    data: CausalData,
    estimands: Sequence[Estimand],
    settings: AnalysisSettings | None = None,
    source: Source | None = None,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> Answers:
    """Estimate, and keep where the numbers come from.

    Parameters
    ----------
    data : CausalData
        Any design.
    estimands : sequence of Estimand
    settings : AnalysisSettings, optional
    source : Source, optional
    n_jobs : int
    progress : callable

    Raises
    ------
    DataError, OverlapError, NotIdentifiedError, SyntheticDataError
        With one sentence.
    """
    settings, source = settings or AnalysisSettings(), source or Source()
    clock = time.perf_counter(), time.process_time()
    estimates = estimate_effects(
        data, estimands, outcome_model=settings.outcome_model,
        propensity_model=settings.propensity_model, n_folds=settings.n_folds,
        n_repeats=settings.n_repeats, random_state=settings.random_state, n_jobs=n_jobs,
        level=settings.level, progress=progress,
    )  # fmt: skip
    provenance = Provenance.now(
        source.name,
        data.fingerprint,
        settings.random_state,
        settings.to_dict(),
        (time.perf_counter() - clock[0], time.process_time() - clock[1]),
    )
    return Answers(data, source, tuple(estimates), provenance, settings.level)
