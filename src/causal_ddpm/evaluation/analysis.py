"""One whole analysis: estimates, what they are compared with, and what they rest on.

The nuisances are cross-fitted once; estimates, diagnostics, distributions and the effect across
units are all read from them. Unit effects are the plug-in mean_1(i) - mean_0(i) of models that
never saw row i; they carry no interval, because none of proven coverage exists for them.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import ATE, ATT, ATU, QTE, Estimand, PotentialDistributions
from causal_ddpm.core.estimate import SCHEMA_VERSION, Estimate
from causal_ddpm.core.progress import Progress, silent, within
from causal_ddpm.core.protocols import OutcomeModel, PropensityModel
from causal_ddpm.core.truth import Truth
from causal_ddpm.estimators.api import estimate_with, median_of_repeats, nuisances_of_repeats
from causal_ddpm.estimators.counterfactual import JointEffects, joint_effects
from causal_ddpm.estimators.curves import distribution_curves
from causal_ddpm.estimators.overlap import FEW_EFFECTIVE
from causal_ddpm.evaluation.diagnostics import (
    Balance,
    NaiveDifference,
    Overlap,
    balance,
    naive_difference,
    overlap_report,
)
from causal_ddpm.evaluation.provenance import Provenance, Source
from causal_ddpm.nuisance.crossfit import Nuisances

Array = NDArray[np.float64]
MEAN_EFFECTS = ("ATE", "ATT", "ATU")
QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Levels of the quantile effects that every analysis shows."""


@dataclass(frozen=True)
class AnalysisSettings:
    """How an analysis is made.

    Parameters
    ----------
    outcome_model, propensity_model : optional
        The diffusion law and the propensity mix by default.
    n_folds, n_repeats : int
        Folds of the cross-fitting, and how often it is repeated with fresh folds.
    random_state : int
        Root of every random draw.
    level : float
        Confidence level of intervals and bands.
    joint : bool
        Whether to add effects on single units over every coupling, which no data identify.
    """

    outcome_model: OutcomeModel | None = None
    propensity_model: PropensityModel | None = None
    n_folds: int = 5
    n_repeats: int = 1
    random_state: int = 0
    level: float = 0.95
    joint: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The settings in words, JSON-ready."""
        return {
            "folds": self.n_folds,
            "repeats": self.n_repeats,
            "level": self.level,
            "outcome_model": _model_name(self.outcome_model, "diffusion law"),
            "propensity_model": _model_name(self.propensity_model, "propensity mix"),
            "outcome_model_settings": repr(self.outcome_model),
            "propensity_model_settings": repr(self.propensity_model),
        }


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything a report or a JSON file says.

    Parameters
    ----------
    data : CausalData
    source : Source
    nuisances : Nuisances
        Out-of-fold predictions of the first repeat.
    estimates : tuple of Estimate
        What was asked for, in order.
    distributions, quantiles : Estimate or None
        DR-corrected distribution functions and quantile effects of the headline's units; None
        without a law of the outcome.
    naive : NaiveDifference
    overlap : Overlap
    balance : Balance
    warnings : tuple of str
    provenance : Provenance
    level : float
    joint : JointEffects or None
        Effects on single units over every coupling, where they were asked for.
    """

    data: CausalData
    source: Source
    nuisances: Nuisances
    estimates: tuple[Estimate, ...]
    distributions: Estimate | None
    quantiles: Estimate | None
    naive: NaiveDifference
    overlap: Overlap
    balance: Balance
    warnings: tuple[str, ...]
    provenance: Provenance
    level: float
    joint: JointEffects | None = None

    @property
    def mean_effects(self) -> tuple[Estimate, ...]:
        """Estimates of average effects."""
        return tuple(e for e in self.estimates if e.estimand in MEAN_EFFECTS)

    @property
    def headline(self) -> Estimate:
        """The first average effect that was asked for."""
        return self.mean_effects[0]

    @property
    def truth(self) -> Truth | None:
        """What is true, when the rows are simulated."""
        return self.source.truth

    @property
    def outcome_label(self) -> str:
        """The outcome with its unit."""
        return self.source.labelled(self.data.outcome_name)

    @property
    def unit_effects(self) -> Array:
        """Out-of-fold mean_1(i) - mean_0(i), shape (n,)."""
        return self.nuisances.mean[:, 1] - self.nuisances.mean[:, 0]

    @property
    def thin_laws(self) -> bool:
        """True when one of the two distributions rests on too few comparable rows."""
        if self.distributions is None:
            return False
        effective = (k["effective_n"] for k in self.distributions.details["overlap"])
        return min(effective) < FEW_EFFECTIVE

    @property
    def headline_rows(self) -> NDArray[np.bool_]:
        """The rows that the headline is about: all, the treated or the untreated, shape (n,)."""
        treated = self.data.treatment == 1
        every = np.ones_like(treated)
        return {"ATT": treated, "ATU": ~treated}.get(self.headline.estimand, every)

    @property
    def n_folds(self) -> int:
        """Folds of the cross-fitting."""
        return self.nuisances.n_folds

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the estimates rest on, each sentence once."""
        return tuple(dict.fromkeys(text for e in self.estimates for text in e.assumptions))

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON types; what is not finite becomes null."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "estimates": [row for e in self.estimates for row in e.records(self.level)],
            "diagnostics": self._diagnostics(),
            "joint_effects": None if self.joint is None else self.joint.to_dict(),
            "assumptions": self.assumptions,
            "warnings": self.warnings,
            "simulated": None if self.truth is None else self.truth.to_dict(),
            "references": [asdict(r) for r in self.source.references],
            "provenance": self.provenance.to_dict(),
        }
        return dict(plain(content))

    def to_json(self) -> str:
        """:meth:`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def _diagnostics(self) -> dict[str, Any]:
        curves = distribution_frame(self)
        return {
            "naive_difference": self.naive.to_dict(),
            "overlap": self.overlap.to_dict(),
            "balance": self.balance.to_dict(),
            "unit_effects": _five_numbers(self.unit_effects),
            "distributions": None if curves is None else curves.to_dict(orient="records"),
            "quantile_effects": None
            if self.quantiles is None
            else self.quantiles.records(self.level),
            "outcome_model": self.nuisances.outcome_report,
            "propensity_model": self.nuisances.propensity_report,
            "details": [{"estimand": e.estimand, **e.details} for e in self.estimates],
        }


def analyse(
    data: CausalData,
    estimands: Estimand | Sequence[Estimand] | None = None,
    settings: AnalysisSettings | None = None,
    source: Source | None = None,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> Analysis:
    """Estimate, compare, diagnose.

    Parameters
    ----------
    data : CausalData
    estimands : Estimand or sequence of Estimand, optional
        ATE and ATT by default. The first average effect (ATE, ATT, ATU) is the headline; the ATE
        joins where none is given. Distributions and quantile effects of its units come by
        themselves where the outcome model has a law.
    settings : AnalysisSettings, optional
    source : Source, optional
        Where the rows come from, the unit of the outcome, the truth of a simulation.
    n_jobs : int
        Worker processes; the result does not depend on it.
    progress : callable
        Told the stage and the share of the work that is done.

    Raises
    ------
    DataError, OverlapError, SyntheticDataError
        With one sentence.

    Warns
    -----
    OverlapWarning, SmallSampleWarning
        Also kept in ``Analysis.warnings``.
    """
    settings, source = settings or AnalysisSettings(), source or Source()
    wanted, headline = _with_headline((ATE(), ATT()) if estimands is None else estimands)
    clock = time.perf_counter(), time.process_time()
    nuisances, estimates = _estimate(data, wanted, settings, n_jobs, within(progress, 0.0, 0.92))
    distributions, quantiles, notes = _whole_laws(data, nuisances, headline, settings, progress)
    joint = None
    if settings.joint:
        progress("effects on units", 0.96)
        joint = joint_effects(data, nuisances, among=headline.group, level=settings.level)
        notes = [*notes, *joint.share_bounds.warnings]
    progress("diagnostics", 0.98)
    found = [text for e in estimates for text in e.warnings]
    analysis = Analysis(
        data=data,
        source=source,
        nuisances=nuisances,
        estimates=tuple(estimates),
        distributions=distributions,
        quantiles=quantiles,
        naive=naive_difference(data),
        overlap=overlap_report(data, nuisances),
        balance=balance(data, nuisances, headline),
        warnings=tuple(dict.fromkeys([*found, *notes])),
        provenance=Provenance.now(
            source.name,
            data.fingerprint,
            settings.random_state,
            settings.to_dict(),
            (time.perf_counter() - clock[0], time.process_time() - clock[1]),
        ),
        level=settings.level,
        joint=joint,
    )
    progress("done", 1.0)
    return analysis


def _with_headline(
    estimands: Estimand | Sequence[Estimand],
) -> tuple[list[Estimand], Estimand]:
    """The estimands and the headline, their first average effect; the ATE joins where none is."""
    wanted: list[Estimand] = [estimands] if isinstance(estimands, Estimand) else list(estimands)
    means: list[Estimand] = [e for e in wanted if isinstance(e, ATE | ATT | ATU)]
    return (wanted, means[0]) if means else ([ATE(), *wanted], ATE())


def _estimate(
    data: CausalData,
    estimands: Sequence[Estimand],
    settings: AnalysisSettings,
    n_jobs: int,
    progress: Progress,
) -> tuple[Nuisances, list[Estimate]]:
    """Nuisances of the first repeat, and the estimates over all repeats."""
    repeats = nuisances_of_repeats(
        data, estimands, settings.outcome_model, settings.propensity_model,
        n_folds=settings.n_folds, n_repeats=settings.n_repeats,
        random_state=settings.random_state, n_jobs=n_jobs, progress=progress,
    )  # fmt: skip
    first, runs = None, []
    for nuisances in repeats:
        first = first or nuisances
        runs.append(
            estimate_with(data, estimands, nuisances, settings.level, settings.random_state)
        )
    assert first is not None
    return first, [median_of_repeats(found) for found in zip(*runs, strict=True)]


def _whole_laws(
    data: CausalData,
    nuisances: Nuisances,
    headline: Estimand,
    settings: AnalysisSettings,
    progress: Progress,
) -> tuple[Estimate | None, Estimate | None, list[str]]:
    """Distributions and quantile effects of the headline's units, and what they warn about.

    They are read from the first repeat; None without a law of the outcome.
    """
    if nuisances.laws is None:
        return None, None, []
    progress("distributions", 0.93)
    wanted = [
        PotentialDistributions(among=headline.group),
        QTE(QUANTILES, among=headline.group),
    ]
    laws, quantiles = estimate_with(data, wanted, nuisances, settings.level, settings.random_state)
    return laws, quantiles, [text for text in laws.warnings if text not in quantiles.warnings]


def distribution_frame(analysis: Analysis) -> pd.DataFrame | None:
    """DR-corrected distribution functions with their uniform band.

    Columns arm, y, cdf, lower, upper, jump; ``jump`` is True where no mass lies between a point
    and the next one.
    """
    if analysis.distributions is None:
        return None
    curves = distribution_curves(analysis.distributions, analysis.level)
    jump = [*analysis.distributions.details["jumps"], False]
    frames = [curve.to_frame().assign(arm=a, jump=jump) for a, curve in enumerate(curves)]
    table = pd.concat(frames, ignore_index=True).rename(columns={"grid": "y", "value": "cdf"})
    return table[["arm", "y", "cdf", "lower", "upper", "jump"]]


def _five_numbers(x: Array) -> dict[str, float]:
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    return {"mean": float(x.mean()), **{f"q{u:.2f}": float(np.quantile(x, u)) for u in levels}}


def _model_name(model: Any, default: str) -> str:
    return default if model is None else str(getattr(model, "name", type(model).__name__))


def plain(value: Any) -> Any:
    """Lists, dictionaries, texts, booleans, integers and finite floats only; the rest is null.

    Raises
    ------
    TypeError
        For an object that has no JSON form.
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form")
