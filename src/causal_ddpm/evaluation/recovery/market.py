"""Sections of a market: prices and quantities set by two curves at once.

    demand    log q on log p and income, cost in place of the price
    supply    log q on log p and cost, income in place of the price

by two-stage least squares on generated rows. Where curves bend, the population value of the same
regression is the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from causal_ddpm.core.random import seed_sequence
from causal_ddpm.dgp.supply_demand import DEMAND, SUPPLY
from causal_ddpm.evaluation.recovery.coefficients import Equation, coefficient_section
from causal_ddpm.evaluation.recovery.confounded import MANY
from causal_ddpm.evaluation.recovery.distance import distance_section
from causal_ddpm.evaluation.recovery.generator import Roles
from causal_ddpm.evaluation.recovery.report import Section
from causal_ddpm.evaluation.recovery.trial import Trial

MARKET_ROLES = Roles("price", "quantity", ("income", "cost"), treatment_kind="dose")
_PRICE = "log price"
_SMALLEST = 1e-6


def market_sections(trial: Trial) -> tuple[Section, ...]:
    """Elasticities of both curves, and distances."""
    population = trial.design.draw(MANY, seed_sequence(trial.root, "population")).frame
    found = coefficient_section(_equations(trial.design), trial.real, trial.generated, population)
    return (
        found,
        Section(
            "effects", "Causal effects", "",
            not_assessed="What a tax would do follows from both curves and the law of the shocks; "
            "a law of rows holds the curves only through their regressions.",
        ),
        distance_section(
            trial.generated, trial.many, trial.replicates(), trial.roles.outcome, trial.root
        ),
    )  # fmt: skip


def _equations(design: Any) -> tuple[Equation, ...]:
    straight = design.demand_curvature == 0 and design.supply_curvature == 0

    def columns(own: str, price: bool) -> Callable[[pd.DataFrame], pd.DataFrame]:
        other = "cost" if own == "income" else "income"

        def chosen(frame: pd.DataFrame) -> pd.DataFrame:
            moved = _log(frame["price"]) if price else frame[other].to_numpy(float)
            return pd.DataFrame({_PRICE: moved, own: frame[own].to_numpy(float)})

        return chosen

    return tuple(
        Equation(
            curve, lambda f: _log(f["quantity"]), columns(own, True), columns(own, False),
            _of_log_price(known) if straight else {},
        )
        for curve, own, known in (("demand", "income", DEMAND), ("supply", "cost", SUPPLY))
    )  # fmt: skip


def _of_log_price(curve: Mapping[str, float]) -> dict[str, float]:
    """Slopes of a curve under the names of its regression."""
    return {_PRICE if name == "price" else name: slope for name, slope in curve.items()}


def _log(values: pd.Series) -> np.ndarray:
    return np.log(np.maximum(values.to_numpy(dtype=float), _SMALLEST))
