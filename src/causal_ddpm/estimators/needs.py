"""Which nuisances an estimand needs, and how they are fitted.

    "arms"        mu_a(x), e_a(x) and the laws of Y(a): :mod:`causal_ddpm.nuisance.crossfit`
    "instrument"  m_z(x), r_z(x) and p_z(x): :mod:`causal_ddpm.nuisance.instrument`
    "dose"        mu(x, a) and f(a | x): :mod:`causal_ddpm.nuisance.dose`

Estimands that need the same kind share one fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATO, ArmContrast, ArmMeans, Estimand, Needs, TrimmedATE
from causal_ddpm.estimators.arm_effects import check_arm_overlap
from causal_ddpm.estimators.ate import check_mean_overlap
from causal_ddpm.estimators.inference import Sampling
from causal_ddpm.estimators.iv import check_instrument_overlap
from causal_ddpm.estimators.overlap import check_overlap
from causal_ddpm.estimators.overlap_weighted import check_units_in_overlap
from causal_ddpm.estimators.scores import Array
from causal_ddpm.nuisance.crossfit import Nuisances, fit_nuisances
from causal_ddpm.nuisance.dose import DoseNuisances, fit_dose_nuisances
from causal_ddpm.nuisance.instrument import InstrumentNuisances, fit_instrument_nuisances

FITS: dict[Needs, Callable[..., Any]] = {
    "arms": fit_nuisances,
    "instrument": fit_instrument_nuisances,
    "dose": fit_dose_nuisances,
}
"""Each takes (data, outcome_model, propensity_model, n_folds, random_state, n_jobs, progress,
inspect) like :func:`causal_ddpm.nuisance.crossfit.fit_nuisances`."""

RECORDS: dict[Needs, type] = {
    "arms": Nuisances,
    "instrument": InstrumentNuisances,
    "dose": DoseNuisances,
}
"""What each fit returns: a frozen record with fingerprint, method, fold_ids and n_folds."""

OVERLAP_CHECKS: dict[type[Estimand], Callable[..., Any]] = {
    ATO: check_units_in_overlap,
    TrimmedATE: check_mean_overlap,
    ArmContrast: check_arm_overlap,
    ArmMeans: check_arm_overlap,
}
"""Estimands whose rules of overlap are not those of two arms."""


def inspect_arms(
    estimand: Estimand, data: CausalData, propensity: Array, sampling: Sampling
) -> None:
    """Refuse propensities, shape (n, A), under which the data cannot answer an estimand.

    Raises
    ------
    OverlapError
    """
    check = OVERLAP_CHECKS.get(type(estimand))
    if check is None:
        check_overlap(estimand, data.treatment, propensity, sampling)
    else:
        check(estimand, data, propensity, sampling)


INSPECTIONS: dict[Needs, Callable[..., Any]] = {
    "arms": inspect_arms,
    "instrument": check_instrument_overlap,
}
"""Each takes (estimand, data, propensity, sampling) and refuses propensities without overlap."""


def grouped(estimands: Sequence[Estimand]) -> dict[Needs, list[Estimand]]:
    """Estimands by the nuisances they need, in the order of their first appearance."""
    groups: dict[Needs, list[Estimand]] = {}
    for estimand in estimands:
        groups.setdefault(estimand.needs, []).append(estimand)
    return groups


def check_needs(estimands: Sequence[Estimand], nuisances: Any) -> None:
    """Refuse nuisances of another kind than an estimand needs.

    Raises
    ------
    DataError
    """
    for estimand in estimands:
        wanted = RECORDS[estimand.needs]
        if not isinstance(nuisances, wanted):
            raise DataError(
                f"the nuisances are a {type(nuisances).__name__}",
                f"{wanted.__name__} for the {estimand.name}",
                "estimate_effects fits what each estimand needs by itself.",
            )
