"""From data to effects: nuisances once, estimands many, repeats on request.

With estimates theta_r and covariances V_r of repeats r = 1..R that differ in how rows were split
into folds (Chernozhukov et al. 2018, definition 3.3),

    theta = median_r theta_r,      se^2 = median_r (se_r^2 + (theta_r - theta)^2)   entry by entry;

the correlations between entries are those of the averaged influence values (or bootstrap draws).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from causal_ddpm.core.data import CausalData, require_data
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.estimate import Estimate, influence_covariance, refuse_synthetic
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.protocols import OutcomeModel, PropensityModel
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.estimators import needs
from causal_ddpm.estimators.inference import CATEGORIES, Sampling
from causal_ddpm.estimators.registry import estimator_for
from causal_ddpm.estimators.scores import Array
from causal_ddpm.nuisance.crossfit import check_nuisances


def estimate_effects(  # noqa: PLR0913 - the public door, all but two have defaults
    data: CausalData,
    estimands: Estimand | Sequence[Estimand],
    *,
    outcome_model: OutcomeModel | None = None,
    propensity_model: PropensityModel | None = None,
    n_folds: int = 5,
    n_repeats: int = 1,
    random_state: Seed = 0,
    n_jobs: int = 1,
    level: float = 0.95,
    progress: Progress = silent,
) -> list[Estimate]:
    """Estimate one or several effects, with one fit of the nuisances a repeat.

    Parameters
    ----------
    data : CausalData
    estimands : Estimand or sequence of Estimand
        For example ``[ATE(), ATT(), QTE([0.25, 0.5, 0.75])]``.
    outcome_model : OutcomeModel, optional
        The diffusion law, ``PotentialOutcomeModel()``, by default.
    propensity_model : PropensityModel, optional
        ``PropensityMix()`` by default.
    n_folds : int
        Folds of the cross-fitting.
    n_repeats : int
        Splits into folds; the median over them is returned. Three are recommended below 500 rows.
    random_state : int, SeedSequence or None
        Root of all random streams. The first repeat equals a run with ``n_repeats=1``.
    n_jobs : int
        Worker processes; the result does not depend on it.
    level : float
        Confidence level of the intervals.
    progress : callable
        Told the stage and the share of the work that is done.

    Returns
    -------
    list of Estimate
        In the order of ``estimands``.

    Raises
    ------
    DataError, OverlapError, SyntheticDataError
        With one sentence.

    Warns
    -----
    OverlapWarning, SmallSampleWarning
        Also kept in ``Estimate.warnings``.
    """
    wanted = _checked(data, estimands, level)
    root = seed_sequence(random_state)
    groups = needs.grouped(wanted)
    found: dict[int, Estimate] = {}
    for g, group in enumerate(groups.values()):
        part = _within(progress, g, len(groups), 1.0)
        runs = []
        for r, nuisances in enumerate(
            nuisances_of_repeats(
                data, group, outcome_model, propensity_model, n_folds=n_folds,
                n_repeats=n_repeats, random_state=root, n_jobs=n_jobs, progress=part,
            )
        ):  # fmt: skip
            part("effects", (r + 0.95) / n_repeats)
            runs.append([estimator_for(e, root).estimate(data, nuisances, level) for e in group])
        combined = [median_of_repeats(repeats) for repeats in zip(*runs, strict=True)]
        found |= {id(e): estimate for e, estimate in zip(group, combined, strict=True)}
    estimates = [found[id(e)] for e in wanted]
    progress("effects", 1.0)
    issue_warnings(estimates)
    return estimates


def nuisances_of_repeats(  # noqa: PLR0913 - the arguments of estimate_effects but the level
    data: CausalData,
    estimands: Sequence[Estimand],
    outcome_model: OutcomeModel | None = None,
    propensity_model: PropensityModel | None = None,
    *,
    n_folds: int = 5,
    n_repeats: int = 1,
    random_state: Seed = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> Iterator[Any]:
    """Nuisances of one split into folds after the other; see :func:`estimate_effects`.

    The estimands must need the same kind of nuisances.

    Raises
    ------
    DataError
        If ``n_repeats`` is below one, or an arm is too small for the folds.
    OverlapError
        If an estimand lacks overlap; known as soon as the propensity is.
    """
    if n_repeats < 1:
        raise DataError(f"n_repeats is {n_repeats}", "at least 1")
    sampling = Sampling.of(data)

    (need,) = needs.grouped(estimands)

    def refuse_no_overlap(propensity: Array) -> None:
        for estimand in estimands:
            needs.INSPECTIONS[need](estimand, data, propensity, sampling)

    root = seed_sequence(random_state)
    for r in range(n_repeats):
        yield needs.FITS[need](
            data,
            outcome_model,
            propensity_model,
            n_folds=n_folds,
            random_state=root if r == 0 else seed_sequence(root, "repeat", r),
            n_jobs=n_jobs,
            progress=_within(progress, r, n_repeats, 0.95),
            inspect=refuse_no_overlap,
        )


def estimate_with(
    data: CausalData,
    estimands: Estimand | Sequence[Estimand],
    nuisances: Any,
    level: float = 0.95,
    random_state: Seed = 0,
) -> list[Estimate]:
    """Estimate effects from nuisances that are already there.

    Parameters
    ----------
    data : CausalData
        The data that the nuisances belong to.
    estimands : Estimand or sequence of Estimand
    nuisances : Nuisances
        Or another record of the kind that the estimands need.
    level : float
        Confidence level.
    random_state : int, SeedSequence or None
        Seed of the bootstrap.

    Raises
    ------
    DataError
        If the nuisances belong to other data; see also :func:`estimate_effects`.
    """
    wanted = _checked(data, estimands, level)
    needs.check_needs(wanted, nuisances)
    check_nuisances(data, nuisances)
    estimates = [estimator_for(e, random_state).estimate(data, nuisances, level) for e in wanted]
    issue_warnings(estimates)
    return estimates


def median_of_repeats(repeats: Sequence[Estimate]) -> Estimate:
    """Combine estimates of one estimand that differ in their folds; see the module page."""
    if len(repeats) == 1:
        return repeats[0]
    first = repeats[0]
    values = np.array([r.values for r in repeats])
    variances = np.array([np.diag(r.cov) for r in repeats])
    theta = np.median(values, axis=0)
    variance = np.median(variances + (values - theta) ** 2, axis=0)
    influence = np.mean([r.influence for r in repeats], axis=0)
    base = influence_covariance(influence, first.clusters, first.n_independent)
    bootstrap = None
    if first.bootstrap is not None:
        deviations = [r.bootstrap - r.values for r in repeats if r.bootstrap is not None]
        bootstrap = np.mean(deviations, axis=0)
        base = np.atleast_2d(np.cov(bootstrap, rowvar=False))
        bootstrap = theta + bootstrap * _stretch(variance, np.diag(base))
    stretch = _stretch(variance, np.diag(base))
    found = dict(pair for r in repeats for pair in _warnings_of(r))
    return replace(
        first,
        values=theta,
        cov=base * np.outer(stretch, stretch),
        influence=influence * stretch,
        bootstrap=bootstrap,
        warnings=tuple(found),
        details={
            **first.details,
            "n_repeats": len(repeats),
            "values_of_repeats": values.tolist(),
            "warning_categories": list(found.values()),
        },
    )


def issue_warnings(estimates: Sequence[Estimate]) -> None:
    """Issue what the estimates warn about as Python warnings, each sentence once."""
    found = dict(pair for estimate in estimates for pair in _warnings_of(estimate))
    for text, category in found.items():
        warnings.warn(text, CATEGORIES[category], stacklevel=3)


def _warnings_of(estimate: Estimate) -> list[tuple[str, str]]:
    return list(zip(estimate.warnings, estimate.details["warning_categories"], strict=True))


def _stretch(wanted: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Factors that bring standard deviations to their wanted size; one where there is none."""
    return np.sqrt(np.divide(wanted, present, out=np.ones_like(wanted), where=present > 0))


def _within(progress: Progress, k: int, n_parts: int, upto: float) -> Progress:
    """Progress of part k of a whole; a finished part counts as the share ``upto`` of itself."""

    def shown(stage: str, share: float) -> None:
        progress(stage, (k + upto * share) / n_parts)

    return shown


def _checked(data: CausalData, estimands: Any, level: float) -> list[Estimand]:
    """Refuse what can be refused before any model is fitted."""
    require_data(data)
    refuse_synthetic(data.n_synthetic)
    data.outcome_schema.check_order(data.outcome_name)
    if not 0.0 < level < 1.0:
        raise DataError(f"the confidence level is {level}", "a number between 0 and 1, e.g. 0.95")
    if not isinstance(estimands, Estimand | Iterable) or isinstance(estimands, str):
        raise DataError(
            f"{estimands!r} was given", "an estimand such as ATE(), or several in a list"
        )
    wanted = [estimands] if isinstance(estimands, Estimand) else list(estimands)
    if not wanted:
        raise DataError("no estimand was given", "at least one, such as ATE()")
    for estimand in wanted:
        estimator_for(estimand)
        estimand.check_treatment(data.treatment_schema)
    Sampling.of(data)
    return wanted
