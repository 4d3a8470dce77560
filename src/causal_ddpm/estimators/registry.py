"""Which estimator answers which estimand.

A new estimand is a description in :mod:`causal_ddpm.core.estimand`, an estimator in a file of its
family here, and a line in the table below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from causal_ddpm.core.data import CausalData
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
    BudgetRule,
    CDFDifference,
    DoseResponse,
    Estimand,
    GiniEffect,
    LorenzEffect,
    PolicyValue,
    PotentialDistributions,
    ShareBelow,
    TrimmedATE,
)
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import Seed
from causal_ddpm.estimators.arm_effects import ArmEffect
from causal_ddpm.estimators.ate import MeanEffect
from causal_ddpm.estimators.distribution import (
    DistributionDifference,
    DistributionEffect,
    ShareEffect,
)
from causal_ddpm.estimators.dose import DoseCurve
from causal_ddpm.estimators.groups import GroupEffects
from causal_ddpm.estimators.inequality import GiniCoefficientEffect, LorenzCurveEffect
from causal_ddpm.estimators.iv import InstrumentEffect
from causal_ddpm.estimators.overlap_weighted import OverlapWeightedEffect
from causal_ddpm.estimators.policy import RuleValue
from causal_ddpm.estimators.projection import LinearPredictor
from causal_ddpm.estimators.qte import QuantileEffect


class Estimator(Protocol):
    """Computes one estimand from data and out-of-fold nuisances of the kind that it needs."""

    def estimate(self, data: CausalData, nuisances: Any, level: float = 0.95) -> Estimate:
        """Score the rows of ``data``."""
        ...


ESTIMATORS: dict[type[Estimand], Callable[[Any, Seed], Estimator]] = {
    ATE: lambda estimand, seed: MeanEffect(estimand),
    ATT: lambda estimand, seed: MeanEffect(estimand),
    ATU: lambda estimand, seed: MeanEffect(estimand),
    TrimmedATE: lambda estimand, seed: MeanEffect(estimand),
    ATO: lambda estimand, seed: OverlapWeightedEffect(estimand),
    ArmContrast: lambda estimand, seed: ArmEffect(estimand),
    ArmMeans: lambda estimand, seed: ArmEffect(estimand),
    LATE: lambda estimand, seed: InstrumentEffect(estimand),
    ITT: lambda estimand, seed: InstrumentEffect(estimand),
    GATE: lambda estimand, seed: GroupEffects(estimand),
    BLP: lambda estimand, seed: LinearPredictor(estimand),
    PolicyValue: lambda estimand, seed: RuleValue(estimand),
    BudgetRule: lambda estimand, seed: RuleValue(estimand),
    QTE: QuantileEffect,
    PotentialDistributions: DistributionEffect,
    CDFDifference: lambda estimand, seed: DistributionDifference(estimand),
    ShareBelow: lambda estimand, seed: ShareEffect(estimand),
    GiniEffect: lambda estimand, seed: GiniCoefficientEffect(estimand),
    LorenzEffect: lambda estimand, seed: LorenzCurveEffect(estimand),
    DoseResponse: lambda estimand, seed: DoseCurve(estimand),
}
"""By the type of the estimand: from an estimand and a seed (of the bootstrap) to its estimator."""


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
    make = ESTIMATORS.get(type(estimand))
    if make is not None:
        return make(estimand, random_state)
    hint = "Pass an instance: ATE(), not ATE." if isinstance(estimand, type) else ""
    expected = "one of " + ", ".join(f"{kind.__name__}()" for kind in ESTIMATORS)
    raise DataError(f"{estimand!r} is no estimand that can be estimated", expected, hint)
