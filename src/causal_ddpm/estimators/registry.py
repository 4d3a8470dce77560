"""Which estimator answers which estimand."""

from __future__ import annotations

import difflib
from typing import Protocol

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE, ATT, ATU, QTE, Estimand, PotentialDistributions
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import Seed
from causal_ddpm.estimators.ate import MeanEffect
from causal_ddpm.estimators.qte import DistributionEffect, QuantileEffect
from causal_ddpm.nuisance.crossfit import Nuisances

BY_NAME: dict[str, type[Estimand]] = {
    kind.name.lower(): kind for kind in (ATE, ATT, ATU, QTE, PotentialDistributions)
}
"""Estimands by the lower-case name used on the command line."""


class Estimator(Protocol):
    """Computes one estimand from data and out-of-fold nuisances."""

    def estimate(self, data: CausalData, nuisances: Nuisances, level: float = 0.95) -> Estimate:
        """Score the rows of ``data``."""
        ...


def estimator_for(estimand: Estimand, random_state: Seed = 0) -> Estimator:
    """The estimator of an estimand.

    Parameters
    ----------
    estimand : Estimand
    random_state : int, SeedSequence or None
        Seed of the bootstrap, for the estimands that have one.

    Raises
    ------
    DataError
        If no estimator is registered for the type of ``estimand``.
    """
    match estimand:
        case ATE() | ATT() | ATU():
            return MeanEffect(estimand)
        case QTE():
            return QuantileEffect(estimand, random_state)
        case PotentialDistributions():
            return DistributionEffect(estimand, random_state)
    hint = "Pass an instance: ATE(), not ATE." if isinstance(estimand, type) else ""
    expected = "ATE(), ATT(), ATU(), QTE(levels) or PotentialDistributions()"
    raise DataError(f"{estimand!r} is no estimand that can be estimated", expected, hint)


def estimand_by_name(name: str) -> Estimand:
    """The estimand called ``name`` ("ate", "att", "atu", "qte", ...), with default settings.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    kind = BY_NAME.get(name.strip().lower())
    if kind is None:
        close = difflib.get_close_matches(name.lower(), BY_NAME, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else ""
        raise DataError(f"there is no estimand '{name}'", " or ".join(BY_NAME), hint)
    return kind()
