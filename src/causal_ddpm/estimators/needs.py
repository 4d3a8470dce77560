"""Which nuisances an estimand needs, and how they are fitted.

    "arms"        mu_a(x), e_a(x) and the laws of Y(a): :mod:`causal_ddpm.nuisance.crossfit`

Estimands that need the same kind share one fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import Estimand, Needs
from causal_ddpm.nuisance.crossfit import Nuisances, fit_nuisances

FITS: dict[Needs, Callable[..., Any]] = {"arms": fit_nuisances}
"""Each takes (data, outcome_model, propensity_model, n_folds, random_state, n_jobs, progress,
inspect) like :func:`causal_ddpm.nuisance.crossfit.fit_nuisances`."""

RECORDS: dict[Needs, type] = {"arms": Nuisances}
"""What each fit returns: a frozen record with fingerprint, method, fold_ids and n_folds."""


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
